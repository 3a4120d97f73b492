"""The bodies of this service."""

from services.hpo import advance as _advance  # noqa: F401 - the step of the coordinator
