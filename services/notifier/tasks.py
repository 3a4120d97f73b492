"""The bodies of this service."""

from services.notifier import deliver as _deliver  # noqa: F401 - the step that delivers
