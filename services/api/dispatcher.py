"""Entry of the dispatcher and relay: `python -m services.api.dispatcher`. Any number may run."""

import time

from services.api import loops
from shared.db.listen import OUTBOX_CHANNEL, RUNS_CHANNEL, Listener
from shared.db.session import make_engine
from shared.queue.app import Sender
from shared.runs.dispatch import Dispatcher
from shared.runs.outbox import relay_once
from shared.settings import Settings


class Doorbell:
    """Looks when the news could matter, at the latest every `dispatch_poll_s`; news that came meanwhile is one look."""

    def __init__(self, settings: Settings, listener: Listener) -> None:
        engine = make_engine(settings.database_url, pool_size=2, prepares=settings.prepares, name="dispatcher")
        self._sender = Sender(settings)
        self._dispatcher = Dispatcher(engine, settings, self._sender.run)
        self._engine = engine
        self._listener = listener
        self._poll_s = settings.dispatch_poll_s
        self._looked_s = float("-inf")

    def once(self) -> None:
        """Wait for news and send what it made possible: runs and steps."""
        news = self._listener.wait(min(self._poll_s, max(0.0, self._looked_s + self._poll_s - time.monotonic())))
        due = time.monotonic() >= self._looked_s + self._poll_s
        steps = [item for item in news if item.isdecimal()]
        if due or self._dispatcher.concerned(item for item in news if not item.isdecimal()):
            self._dispatcher.once()
        while (due or steps) and relay_once(self._engine, self._sender.step):
            continue
        if due:
            self._looked_s = time.monotonic()


def main() -> None:
    """Send runs and steps until told to end."""
    settings, over = loops.start("dispatcher")
    with Listener(settings.direct_url, (RUNS_CHANNEL, OUTBOX_CHANNEL)) as listener:
        loops.loop(over, Doorbell(settings, listener).once)


if __name__ == "__main__":
    main()
