"""What a supervisor and its trainer say to each other: JSON lines, one message each."""

from dataclasses import asdict
from typing import Any

import orjson

from shared.artifacts import Stored
from shared.contracts.envelope import ErrorInfo
from shared.contracts.views import MetricPoint, Progress
from shared.queue.outcome import Away, Failed, Outcome, Stopped, Succeeded
from shared.runs.body import Put
from shared.runs.reporter import News


def pack(message: dict[str, Any]) -> bytes:
    """One line."""
    return orjson.dumps(message) + b"\n"


def pack_news(news: News) -> bytes:
    """Progress, points and files."""
    return pack(
        {
            "progress": news.progress.model_dump() if news.progress else None,
            "points": [point.model_dump() for point in news.points],
            "puts": [asdict(put) for put in news.puts],
        }
    )


def unpack_news(message: dict[str, Any]) -> News:
    """Inverse of `pack_news`."""
    progress = Progress.model_validate(message["progress"]) if message["progress"] else None
    puts = [Put(**{**put, "stored": Stored(**put["stored"])}) for put in message["puts"]]
    return News(progress, [MetricPoint.model_validate(point) for point in message["points"]], puts)


def pack_outcome(outcome: Outcome) -> bytes:
    """The last message of a trainer."""
    body = outcome.error.model_dump() if isinstance(outcome, Failed) else asdict(outcome)
    return pack({"outcome": type(outcome).__name__, "body": body})


def unpack_outcome(message: dict[str, Any]) -> Outcome:
    """Inverse of `pack_outcome`."""
    body = message["body"]
    if message["outcome"] == "Failed":
        return Failed(ErrorInfo.model_validate(body))
    kinds: dict[str, type[Succeeded | Stopped | Away]] = {
        "Succeeded": Succeeded,
        "Stopped": Stopped,
        "Away": Away,
    }
    return kinds[message["outcome"]](**body)
