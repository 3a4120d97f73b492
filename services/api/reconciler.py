"""Entry of the reconciler: `python -m services.api.reconciler`. Any number may run.

All take back what was lost, for each change is guarded; one leads and does what must happen once.
"""

from sqlalchemy import Engine, text

from services.api import loops
from services.api.gc import start_collecting
from services.api.loops import Pass, Passes
from shared.campaigns import pinning as _pinning  # noqa: F401 - what a scheduled report pins of a campaign
from shared.campaigns import sweep as campaigns
from shared.db.leader import Leader
from shared.db.session import make_engine, transaction
from shared.observability import metrics
from shared.queue.app import Sender
from shared.runs import parents
from shared.runs.reaper import reap_once
from shared.runs.schedules import fire_due
from shared.settings import Settings

_LOCK = 0x0FA1_7EAD
_COUNTS = text(
    "SELECT pool, state, count(*) AS runs, extract(epoch FROM now() - min(queued_at)) AS oldest_s FROM runs "
    "WHERE finished_at IS NULL GROUP BY pool, state"
)
_DELIVERIES = text(
    "SELECT state, count(*) AS waiting, extract(epoch FROM now() - min(due_at)) AS due_s FROM deliveries "
    "WHERE state IN ('pending', 'sending') GROUP BY state"
)
_FORGET = text("DELETE FROM workers WHERE heartbeat_at < now() - make_interval(secs => :kept_s)")


def count(engine: Engine) -> None:
    """Set the gauges that come from rows."""
    metrics.RUNS.clear()
    metrics.OLDEST_QUEUED_SECONDS.clear()
    with transaction(engine) as session:
        for row in session.execute(_COUNTS):
            metrics.RUNS.labels(row.pool, row.state).set(row.runs)
            if row.state == "queued":
                metrics.OLDEST_QUEUED_SECONDS.labels(row.pool).set(float(row.oldest_s))
        deliveries = session.execute(_DELIVERIES).all()
    metrics.DELIVERIES_WAITING.clear()
    for row in deliveries:
        metrics.DELIVERIES_WAITING.labels(row.state).set(row.waiting)
    metrics.OLDEST_DELIVERY_SECONDS.set(max((0.0, *(float(row.due_s) for row in deliveries))))


def forget_workers(engine: Engine, settings: Settings) -> None:
    """Remove the rows of workers that died long ago."""
    with transaction(engine) as session:
        session.execute(_FORGET, {"kept_s": settings.worker_kept_s})


def passes(engine: Engine, settings: Settings, sender: Sender) -> list[Pass]:
    """What is done, how often, and by whom."""
    often_s = settings.reaper_interval_s
    return [
        Pass("reap", lambda: reap_once(engine, settings, sender.depth), often_s),
        Pass("parents", lambda: parents.sweep(engine, settings), often_s),
        Pass("campaigns", lambda: campaigns.sweep(engine, settings), often_s),
        Pass("schedules", lambda: fire_due(engine, settings), often_s, leader_only=True),
        Pass("gauges", lambda: count(engine), often_s, leader_only=True),
        Pass("workers", lambda: forget_workers(engine, settings), 60 * often_s, leader_only=True),
    ]


def main() -> None:
    """Do every pass when it is due, until told to end."""
    settings, over = loops.start("reconciler")
    engine = make_engine(settings.database_url, pool_size=2, name="reconciler")
    leader = Leader(settings.direct_url, _LOCK, settings.leader_timeout_s)
    todo = Passes(passes(engine, settings, Sender(settings)), leader)

    def once() -> None:
        todo.once()
        over.wait(settings.reaper_interval_s)

    start_collecting(settings, over)
    loops.loop(over, once)
    leader.resign()


if __name__ == "__main__":
    main()
