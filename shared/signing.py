"""Signed statements of this platform: what it gave out and can trust when it comes back."""

import time
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from itsdangerous import BadData, URLSafeSerializer
from pydantic import SecretStr

from shared.errors import UserError


class Signer:
    """Signs with the first key and believes all of them, so that keys can be replaced one after the other.

    The time of expiry is part of what is signed; a signer that compares times of signing would refuse what another
    machine, whose clock is a little ahead, has just signed.
    """

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        """Raises `UserError` without keys."""
        if not keys:
            raise UserError(
                "FAULTLINE_SECRET_KEYS is not set.",
                remedy='Set it to a list like ["<32 or more random signs>"]; to replace a key, put the new one first.',
            )
        self._keys = [key.get_secret_value() for key in reversed(keys)]  # the library signs with the last

    def sign(self, purpose: str, statement: dict[str, Any], expires_at_s: float) -> str:
        """A token that is safe in a URL; for `purpose` alone, until that time (seconds since 1970)."""
        token = self._serializer(purpose).dumps({**statement, "exp": expires_at_s})
        return token if isinstance(token, str) else token.decode()

    def read(self, purpose: str, token: str) -> dict[str, Any] | None:
        """What was signed for that purpose, and until when (`exp`); None if it was not us, or too long ago."""
        try:
            statement: dict[str, Any] = self._serializer(purpose).loads(token)
        except BadData:
            return None
        return statement if statement["exp"] > time.time() else None

    def _serializer(self, purpose: str) -> URLSafeSerializer:
        how = {"digest_method": sha256, "key_derivation": "hmac"}
        return URLSafeSerializer(self._keys, salt=f"faultline.{purpose}", signer_kwargs=how)
