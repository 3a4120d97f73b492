"""Secrets of webhooks, as the Standard Webhooks specification writes them."""

import secrets
from base64 import b64encode

PREFIX = "whsec_"
_SECRET_BYTES = 32


def new_secret() -> str:
    """A secret of 32 random bytes, to be shown to its subscriber once."""
    return PREFIX + b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
