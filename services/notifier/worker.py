"""Entry of the notifier: `python -m services.notifier.worker`. Any number may run; one of them follows the events."""

from services.notifier.follower import FollowerThread
from shared.queue.app import NOTIFICATIONS_QUEUE
from shared.queue.worker import run_worker

if __name__ == "__main__":
    run_worker("notifier", ["services.notifier.tasks"], steps=[NOTIFICATIONS_QUEUE], beside=FollowerThread)
