"""Python client of the API: `Client(url, api_key)` with one typed method per route."""

from services.cli.sdk.client import Client
from services.cli.sdk.errors import ApiError, NotReachable, RunFailed

__all__ = ["ApiError", "Client", "NotReachable", "RunFailed"]
