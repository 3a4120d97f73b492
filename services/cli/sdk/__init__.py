"""Python client of the API: `Client(url, api_key)` with one typed method per route."""

from services.cli.sdk.client import Client
from services.cli.sdk.errors import (
    ApiBusy,
    ApiConflict,
    ApiError,
    ApiFailed,
    ApiForbidden,
    ApiInvalid,
    ApiNotFound,
    ApiUnauthorized,
    Damaged,
    NotReachable,
    RunFailed,
)
from services.cli.sdk.filters import RunFilter

__all__ = [
    "ApiBusy",
    "ApiConflict",
    "ApiError",
    "ApiFailed",
    "ApiForbidden",
    "ApiInvalid",
    "ApiNotFound",
    "ApiUnauthorized",
    "Client",
    "Damaged",
    "NotReachable",
    "RunFailed",
    "RunFilter",
]
