"""The bodies of this service."""

from services.notifier import deliver as _deliver  # noqa: F401 - the step that delivers
from services.notifier.follower import following
from shared.queue.registry import FOLLOWERS

FOLLOWERS.append(following)
