"""Links that work once: which were used."""

from uuid import UUID

from sqlalchemy import text

from shared.db.session import Executes

_IS_USED = text("SELECT 1 FROM used_links WHERE nonce = :nonce")
_USE = text("INSERT INTO used_links (nonce) VALUES (:nonce) ON CONFLICT DO NOTHING RETURNING nonce")


def is_used(session: Executes, nonce: UUID) -> bool:
    """Whether the link was used."""
    return session.execute(_IS_USED, {"nonce": str(nonce)}).first() is not None


def use(session: Executes, nonce: UUID) -> bool:
    """Use it up, with the commit. False: somebody else has; who comes at the same time waits for that commit."""
    return session.execute(_USE, {"nonce": str(nonce)}).first() is not None
