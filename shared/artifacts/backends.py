"""From a store's URL to obstore's store: `file://` for one machine, `s3://` for a cluster, `memory://` for tests."""

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from obstore.store import LocalStore, MemoryStore, ObjectStore, S3Store

from shared.errors import UserError
from shared.settings import S3

if TYPE_CHECKING:  # not there at run time
    from obstore.store import ClientConfig, RetryConfig, S3Config

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9._/-]*")
#: A request ends by its read time-out, not by its length: a large file may take long, a silent server may not.
_CLIENT: "ClientConfig" = {"connect_timeout": "5s", "read_timeout": "60s", "timeout": "6h"}
_RETRY: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}


@dataclass(frozen=True)
class Backend:
    """What a URL stands for. `root`: the folder, if it is one. `signer`: the S3 store as clients reach it."""

    store: ObjectStore
    root: Path | None = None
    signer: S3Store | None = None


def open_backend(url: str, s3: S3) -> Backend:
    """Raises `UserError` for a URL that is none of the three; the message does not repeat what may hold a secret."""
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path.startswith("/") and not parts.netloc:
        root = Path(parts.path)
        return Backend(LocalStore(root, mkdir=True, automatic_cleanup=True), root=root)
    if parts.scheme == "memory" and not parts.netloc:
        return Backend(MemoryStore())
    prefix = parts.path.strip("/")
    if parts.scheme == "s3" and _BUCKET.fullmatch(parts.netloc) and _PREFIX.fullmatch(prefix) and not parts.query:
        store = _s3(parts.netloc, prefix, s3, s3.endpoint)
        signer = _s3(parts.netloc, prefix, s3, s3.public_endpoint) if s3.public_endpoint else store
        return Backend(store, signer=signer)
    shown = f"{parts.scheme}://..." if parts.scheme else "The URL"
    raise UserError(
        f"{shown} is not an artifact store.",
        remedy="Set FAULTLINE_ARTIFACT_STORE_URL to file:///folder, s3://bucket/prefix or memory://; "
        "keys of S3 belong into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    )


def _s3(bucket: str, prefix: str, s3: S3, endpoint: str | None) -> S3Store:
    config: S3Config = {"virtual_hosted_style_request": not s3.path_style}
    if endpoint is not None:
        config["endpoint"] = endpoint
    if s3.region is not None:
        config["region"] = s3.region
    if s3.access_key_id is not None and s3.secret_access_key is not None:
        config["access_key_id"] = s3.access_key_id
        config["secret_access_key"] = s3.secret_access_key.get_secret_value()
    client: ClientConfig = {**_CLIENT, "allow_http": True} if s3.allow_http else _CLIENT
    return S3Store(bucket, prefix=prefix or None, config=config, client_options=client, retry_config=_RETRY)
