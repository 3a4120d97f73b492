"""Calls a body with what it needs, and turns what comes out into an outcome. The same in a worker and in a trainer."""

from pathlib import Path
from typing import Any

import structlog

from shared.artifacts import ArtifactStore, Stored
from shared.contracts.stored import read_spec
from shared.errors import Fatal, Retryable
from shared.queue.outcome import Away, Failed, Outcome, Stopped, Succeeded
from shared.queue.registry import RunFunction
from shared.runs.body import RunArtifacts, RunStopped
from shared.runs.errors import error_info
from shared.runs.reporter import RunReporter

_log = structlog.get_logger(__name__)


def call_body(
    function: RunFunction,
    kind: str,
    row: dict[str, Any],
    reporter: RunReporter,
    store: ArtifactStore,
    prefix: str,
    workdir: Path,
    checkpoint: Stored | None,
) -> Outcome:
    """Run a body to its end. Every exception ends here, logged with its traceback."""
    try:
        spec = read_spec(kind, row["spec_version"], row["spec"])
        artifacts = RunArtifacts(store, prefix, workdir, row["inputs"], reporter.record, checkpoint)
        return Succeeded(function(spec, reporter, artifacts).model_dump(mode="json"))
    except RunStopped:
        if reporter.stop_reason is None:
            return Failed(error_info(Fatal("the body stopped although nobody asked it to")))
        return Stopped(reporter.stop_reason)
    except Retryable as error:
        _log.warning("a dependency is away; the run is tried again", exc_info=error)
        return Away(error.message, error.delay_s)
    except Exception as error:  # noqa: BLE001 - the boundary: whatever a body raises becomes a failed run
        info = error_info(error)
        _log.exception("the run failed", error_id=info.error_id)
        return Failed(info)
