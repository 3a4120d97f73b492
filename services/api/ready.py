"""Is the database there? Asked on a connection of its own, so that a busy API is not taken for a dead one."""

import anyio
from anyio import CapacityLimiter, to_thread
from sqlalchemy import Engine, text

from shared.db.session import make_engine, transaction
from shared.errors import Retryable

#: Shorter than the usual second between two probes is of no use, longer than their time-out neither.
PATIENCE_S = 2.0


class Probe:
    """One question at a time; while one hangs, the answer to the others is no."""

    def __init__(self, database_url: str) -> None:
        self._engine = make_engine(database_url, pool_size=1)
        self._one = CapacityLimiter(1)

    async def check(self) -> None:
        """Raises `Retryable` if the database does not answer within `PATIENCE_S`, or what it says if it cannot."""
        try:
            with anyio.fail_after(PATIENCE_S):
                await to_thread.run_sync(_ask, self._engine, abandon_on_cancel=True, limiter=self._one)
        except TimeoutError as error:
            raise Retryable(f"The database does not answer within {PATIENCE_S:.0f} s.") from error

    def close(self) -> None:
        """Close its connection."""
        self._engine.dispose()


def _ask(engine: Engine) -> None:
    with transaction(engine) as session:
        session.execute(text("SELECT 1"))
