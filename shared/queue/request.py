"""The message of a run, as a worker's main process sees it."""

from celery.worker.request import Request


class RunRequest(Request):
    """A message of a run is a doorbell: it is off its queue once it is read, so there is nothing to acknowledge.

    If it is lost on the way, the dispatcher rings again.
    """

    def acknowledge(self) -> None:
        """Tell the broker nothing: the queue's consumer does not wait for it."""
        self.acknowledged = True
