"""Signatures of webhooks, as the Standard Webhooks specification has them (symmetric, `v1`)."""

import binascii
import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import datetime

from shared.errors import UserError
from shared.notices.webhooks import PREFIX, new_secret

__all__ = ["key_of", "new_secret", "sign"]
#: the specification's bounds of a secret, in bytes
_SHORTEST, _LONGEST = 24, 64


def key_of(secret: str) -> bytes:
    """The bytes to sign with. Raises `UserError`, which does not repeat the secret."""
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise UserError(
            "The webhook secret cannot be used.",
            remedy=f"It is `{PREFIX}` and {_SHORTEST} to {_LONGEST} bytes in base64; let one be made for you.",
        )
    return key


def sign(secrets: Sequence[str], webhook_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The headers of one attempt: HMAC-SHA256 of `id.timestamp.body` by every secret.

    While a secret is being replaced the old and the new one sign, and a receiver needs either. `webhook_id` stays the
    same through all attempts, for the receiver to tell a repeat; `at` is this attempt's. Raises `UserError` for a bad
    secret, `ValueError` for an id with a dot, a time without zone or no secret at all.
    """
    if not secrets or not webhook_id or "." in webhook_id or at.tzinfo is None:
        raise ValueError("a signature needs a secret, an id without a dot and a time with its zone")
    timestamp = str(int(at.timestamp()))
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    signatures = [b64encode(hmac.digest(key_of(secret), signed, hashlib.sha256)).decode() for secret in secrets]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
