"""JSON lines on stderr; every line, ours or a library's, carries run_id, attempt, task_id and trace_id."""

import json
import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import orjson
import structlog
from structlog.typing import Processor

from shared.observability.tracing import current_trace_id

_UUID_LENGTH = 36
#: In every line; null outside a run.
ID_FIELDS = ("run_id", "attempt", "task_id", "trace_id")


def _ids(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for field in ID_FIELDS:
        event.setdefault(field, None)
    if event["trace_id"] is None:
        event["trace_id"] = current_trace_id()
    return event


class _CeleryIds(logging.Filter):
    """Celery's own lines name their task in the record's arguments; a run's task id is `<run id>:<attempt>`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the ids; nothing is filtered out."""
        if isinstance(record.args, dict) and isinstance(task_id := record.args.get("id"), str):
            record.task_id = task_id
            run_id, _, attempt = task_id.partition(":")
            if attempt.isdecimal() and len(run_id) == _UUID_LENGTH:
                record.run_id, record.attempt = run_id, int(attempt)
        return True


def _dumps(event: MutableMapping[str, Any], **_options: Any) -> str:
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # half a surrogate pair, an integer beyond 64 bits: a line of a log is never lost for its content
        return json.dumps(event, default=str)


_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    _ids,
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
]


def json_formatter(service: str) -> logging.Formatter:
    """Renders structlog events and plain library records alike."""

    def name_service(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = service
        return event

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *_SHARED],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            name_service,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
    )


def setup_logging(service: str, level: str = "INFO") -> None:
    """Once per process: route structlog and the standard library through one JSON handler."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(json_formatter(service))
    handler.addFilter(_CeleryIds())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


@contextmanager
def bound_ids(**ids: Any) -> Iterator[None]:
    """Put ids into every line logged inside."""
    with structlog.contextvars.bound_contextvars(**ids):
        yield
