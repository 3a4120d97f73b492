"""Entry of the reconciler: `python -m services.api.reconciler`. Takes back what was lost and counts what waits."""

from sqlalchemy import Engine, text

from services.api import loops
from services.api.gc import start_collecting
from shared.db.session import make_engine, transaction
from shared.observability import metrics
from shared.queue.app import Sender
from shared.runs.parents import sweep
from shared.runs.reaper import reap_once

_COUNTS = text(
    "SELECT pool, state, count(*) AS runs, extract(epoch FROM now() - min(queued_at)) AS oldest_s FROM runs "
    "WHERE finished_at IS NULL GROUP BY pool, state"
)


def count(engine: Engine) -> None:
    """Set the gauges that come from rows."""
    metrics.RUNS.clear()
    metrics.OLDEST_QUEUED_SECONDS.clear()
    with transaction(engine) as session:
        for row in session.execute(_COUNTS):
            metrics.RUNS.labels(row.pool, row.state).set(row.runs)
            if row.state == "queued":
                metrics.OLDEST_QUEUED_SECONDS.labels(row.pool).set(float(row.oldest_s))


def main() -> None:
    """Reap and count every `reaper_interval_s`."""
    settings, over = loops.start("reconciler")
    engine = make_engine(settings.database_url, pool_size=2, name="reconciler")
    sender = Sender(settings)

    def once() -> None:
        reap_once(engine, settings, sender.depth)
        sweep(engine, settings)
        count(engine)
        over.wait(settings.reaper_interval_s)

    start_collecting(settings, over)
    loops.loop(over, once)


if __name__ == "__main__":
    main()
