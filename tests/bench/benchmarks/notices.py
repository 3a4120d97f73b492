"""Notices: how soon after the commit of an event its receiver hears of it, how many get through, at what memory."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psutil

from shared.db.session import transaction
from shared.runs.submit import Request, submit
from tests.bench.figures import Benchmark, Figure, Sample, Variant
from tests.bench.kinds import NoopSpec
from tests.bench.timing import quantile
from tests.bench.world import Size, World
from tests.notifier.receiver import Handler, Receiver, receiving
from tests.support.notices import ENVIRONMENT, Notices
from tests.support.platform import Platform, until

_PER_S, _WARM = 100, 200
_LATENCY_S, _PER_MINUTE = 1.0, 1000.0
#: of the notifier's processes together, from the first deliveries to the last
_GROWN_MIB = 20.0
_EVENTS = "SELECT d.id, n.at FROM deliveries d JOIN notices n ON n.id = d.notice_id"


class _Arrivals:
    """When each delivery arrived first, by its id."""

    def __init__(self) -> None:
        self.at_s: dict[str, float] = {}

    def __call__(self, handler: Handler) -> None:
        request = handler.receiver.got.pop()
        self.at_s.setdefault(request.headers["webhook-id"], time.time())
        handler.answer(204)


def _happen(platform: Platform, count: int, per_s: float | None = None) -> None:
    """Submit so many runs, each an event; `per_s`: one commit each, evenly."""
    began_s = time.monotonic()
    at_once = 1 if per_s else 50
    for number in range(0, count, at_once):
        with transaction(platform.engine) as session:
            for _ in range(min(at_once, count - number)):
                submit(session, platform.settings, platform.caller, Request("test.noop", NoopSpec()))
        if per_s:
            time.sleep(max(0.0, began_s + (number + 1) / per_s - time.monotonic()))


def _latency(platform: Platform, arrivals: _Arrivals, size: Size) -> Sample:
    arrivals.at_s.clear()
    count = int(size.fixed_s * _PER_S)
    _happen(platform, count, _PER_S)
    until(lambda: len(arrivals.at_s) == count, 60, "deliveries are missing")
    committed_s = {str(row["id"]): row["at"].timestamp() for row in platform.rows(_EVENTS)}
    late_s = [at_s - committed_s[name] for name, at_s in arrivals.at_s.items()]
    return {"p50": 1000 * quantile(late_s, 0.5), "p95": 1000 * quantile(late_s, 0.95)}


def _through(platform: Platform, arrivals: _Arrivals, size: Size) -> Sample:
    arrivals.at_s.clear()
    resident_mib = _resident_mib(platform)
    began_s = time.monotonic()
    _happen(platform, size.tasks)
    until(lambda: len(arrivals.at_s) == size.tasks, 300, "deliveries are missing")
    per_minute = 60 * size.tasks / (time.monotonic() - began_s)
    return {"per_minute": per_minute, "grown_mib": max(0.0, _resident_mib(platform) - resident_mib)}


def _resident_mib(platform: Platform) -> float:
    main = psutil.Process(platform.processes["notifier"].pid)
    return sum(process.memory_info().rss for process in (main, *main.children())) / 2**20


def _subscribed(platform: Platform, receiver: Receiver) -> None:
    notices = Notices(platform)
    notices.subscribe("run.queued", channel=notices.channel(f"http://127.0.0.1:{receiver.port}/hook"))
    notices.start(FAULTLINE_NOTIFY_POLL_S="0.25")


@contextmanager
def _prepare(world: World, size: Size) -> Iterator[Mapping[str, Variant]]:
    arrivals = _Arrivals()
    with world.platform(lead=1, **ENVIRONMENT) as platform, receiving(arrivals) as receiver:
        platform.start("dispatcher", "tests.bench.dispatcher")
        _subscribed(platform, receiver)
        _happen(platform, _WARM)
        until(lambda: len(arrivals.at_s) == _WARM, 60, "deliveries are missing")
        yield {
            "steady": lambda: _latency(platform, arrivals, size),
            "burst": lambda: _through(platform, arrivals, size),
        }


NOTICES = Benchmark(
    "notices",
    _prepare,
    [
        Figure("commit to receiver at 100 events/s, p50", "ms", "p50", "steady"),
        Figure("commit to receiver at 100 events/s, p95", "ms", "p95", "steady", limit=1000 * _LATENCY_S),
        Figure("webhooks of one worker, two slots", "1/min", "per_minute", "burst", limit=_PER_MINUTE, at_least=True),
        Figure("memory grown by a burst", "MiB", "grown_mib", "burst", limit=_GROWN_MIB),
    ],
)
