"""URLs of this API that work without a key: for one method, one path, and not for long."""

from datetime import UTC, datetime, timedelta

from fastapi import Request

from services.api.deps import Parts, parts_of
from shared.errors import Unauthorized


def sign_url(request: Request, parts: Parts, method: str, path: str, expires_at: datetime) -> str:
    """The URL at which whoever has it may call `method` until then."""
    token = parts.signer.sign(f"{method} {path}", {}, expires_at.timestamp())
    base = parts.settings.public_url or str(request.base_url)
    return f"{base.rstrip('/')}{path}?signature={token}"


def in_seconds(seconds: float) -> datetime:
    """That much later than now."""
    return datetime.now(UTC) + timedelta(seconds=seconds)


def must_be_signed(request: Request, signature: str = "") -> None:
    """Lets in whoever has a URL that this server signed for this method and path. Raises `Unauthorized`."""
    method = "GET" if request.method == "HEAD" else request.method
    if parts_of(request).signer.read(f"{method} {request.scope['path']}", signature) is None:
        raise Unauthorized(
            "This address is not signed for this, or its time is over.", remedy="Ask for a new link with your key."
        )
