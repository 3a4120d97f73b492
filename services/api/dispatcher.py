"""Entry of the dispatcher and relay: `python -m services.api.dispatcher`. Any number may run."""

from services.api import loops
from shared.db.listen import OUTBOX_CHANNEL, RUNS_CHANNEL, Listener
from shared.db.session import make_engine
from shared.queue.app import Sender
from shared.runs.dispatch import dispatch_once
from shared.runs.outbox import relay_once


def main() -> None:
    """Send runs and steps when the doorbell rings, at the latest every `dispatch_poll_s`."""
    settings, over = loops.start("dispatcher")
    engine = make_engine(settings.database_url, pool_size=2, name="dispatcher")
    sender = Sender(settings)
    with Listener(settings.direct_url, (RUNS_CHANNEL, OUTBOX_CHANNEL)) as listener:

        def once() -> None:
            listener.wait(settings.dispatch_poll_s)
            dispatch_once(engine, settings, sender.run)
            while relay_once(engine, sender.step):
                continue

        loops.loop(over, once)


if __name__ == "__main__":
    main()
