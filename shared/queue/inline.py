"""Runs a body in the worker's own process: for short, trusted work."""

import logging
from pathlib import Path

from shared.artifacts import Stored
from shared.observability.logs import json_formatter
from shared.queue.bodies import call_body
from shared.queue.outcome import Claimed, Outcome
from shared.queue.registry import RunFunction
from shared.queue.runtime import Runtime
from shared.runs.reporter import RunReporter
from shared.runs.runlog import RunLog, RunLogHandler


def run_inline(
    runtime: Runtime,
    claimed: Claimed,
    function: RunFunction,
    reporter: RunReporter,
    log: RunLog,
    checkpoint: Stored | None,
    workdir: Path,
) -> Outcome:
    """Call the body here; what the process logs meanwhile is the run's log."""
    handler = RunLogHandler(log, json_formatter(runtime.service))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        return call_body(
            function, claimed.kind, claimed.row, reporter, runtime.store, claimed.prefix, workdir, checkpoint
        )
    finally:
        root.removeHandler(handler)
