"""Secrets at rest: addresses with a token in them and passwords are in the database, readable with a key only.

A sealed value: one byte of version, eight that name the key, the nonce, and what AES-256-GCM (NIST SP 800-38D) makes of
the JSON text. All before the nonce and the row that the value belongs to are authenticated with it.
"""

import json
import re
import secrets
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from shared.errors import Fatal, UserError

_VERSION = b"\x01"
_ID_BYTES, _KEY_BYTES = 8, 32
_NONCE_BYTES = 12  # drawn at random: good for 2^32 values of one key (SP 800-38D, 8.3)
_TAG_BYTES = 16
_HEADER_BYTES = len(_VERSION) + _ID_BYTES
_HOST = re.compile(r"[a-z0-9.-]+|[0-9a-f:.]*:[0-9a-f:.]*", re.IGNORECASE)


class SealKeyMissing(UserError):
    """FAULTLINE_SEAL_KEYS is not set, so that no secret can be kept."""

    remedy = (
        'Make a key with `python -c "import secrets; print(secrets.token_urlsafe(48))"`, set FAULTLINE_SEAL_KEYS to a '
        'list like ["<the key>"] for the API and the notifier, and keep a copy of it apart from the database.'
    )


class SealBroken(Fatal):
    """A sealed secret was changed, or is not of the row in which it was found."""

    remedy = "Enter the secret again, and find out who wrote to the database."


class Seal:
    """Seals with the first key and opens with all of them, so that keys can be replaced one after the other."""

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        """Without keys, it refuses when a secret is to be sealed or opened, not before."""
        derived = [_derived(key.get_secret_value().encode()) for key in keys]
        self._ciphers = {name: AESGCM(key) for name, key in derived}
        self._first = derived[0][0] if derived else None

    def seal(self, value: dict[str, Any], *, bound_to: str) -> bytes:
        """The value, readable with a key and the id of its row only. Raises `SealKeyMissing` without keys."""
        if self._first is None:
            raise SealKeyMissing
        header, nonce = _VERSION + self._first, secrets.token_bytes(_NONCE_BYTES)
        text = json.dumps(value, separators=(",", ":")).encode()
        return header + nonce + self._ciphers[self._first].encrypt(nonce, text, _bound(header, bound_to))

    def open(self, sealed: bytes, *, bound_to: str) -> dict[str, Any]:
        """What was sealed for that row.

        Raises `SealKeyMissing` if its key is not among ours, `SealBroken` if the value is not as we sealed it.
        """
        header, rest = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES:]
        if len(rest) < _NONCE_BYTES + _TAG_BYTES or not header.startswith(_VERSION):
            raise SealBroken
        if (cipher := self._ciphers.get(header[len(_VERSION) :])) is None:
            raise _missing(header)
        try:
            text = cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], _bound(header, bound_to))
        except InvalidTag as error:
            raise SealBroken from error
        value: dict[str, Any] = json.loads(text)
        return value

    def needs_reseal(self, sealed: bytes) -> bool:
        """Whether it is to be opened and sealed again, before the key that it was sealed with can go."""
        return self._first is not None and sealed[:_HEADER_BYTES] != _VERSION + self._first


def redacted(url: str) -> str:
    """What may be shown of a URL that is a secret: its scheme, and where it goes if that is a web address.

    In other schemes the host may be the token (`slack://token/...`).
    """
    scheme, separator, rest = url.partition("://")
    if not separator or not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme, re.IGNORECASE):
        return "***"
    scheme = scheme.lower()
    # an `@` after the host: a password with a `/` in it, so that what looks like the host is a part of it
    if scheme not in {"http", "https"} or "@" in re.split(r"[/?#\\]", rest, maxsplit=1)[-1]:
        return f"{scheme}://***"
    return f"{scheme}://{host}/***" if (host := _host(url)) else f"{scheme}://***"


def _host(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if not _HOST.fullmatch(host):
        return None
    return (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")


def _derived(text: bytes) -> tuple[bytes, bytes]:
    """The name of a key and the key itself, from the text of the setting (RFC 5869); the name tells nothing of it."""

    def derive(purpose: bytes, length: int) -> bytes:
        return HKDF(algorithm=SHA256(), length=length, salt=None, info=b"faultline seal 1 " + purpose).derive(text)

    return derive(b"name", _ID_BYTES), derive(b"key", _KEY_BYTES)


def _bound(header: bytes, row: str) -> bytes:
    return header + row.encode()


def _missing(header: bytes) -> SealKeyMissing:
    return SealKeyMissing(
        f"A secret was sealed with the key {header[len(_VERSION) :].hex()}, which FAULTLINE_SEAL_KEYS does not have.",
        remedy="Put the key that was taken out back at the end of the list; if it is lost, enter the secret again.",
    )
