"""Seals what is sealed with an old key with the newest: `python -m services.notifier.reseal`.

To replace a key: put the new one first in FAULTLINE_SEAL_KEYS of API and notifier, run this, take the old one out.
"""

import sys
from uuid import UUID

from sqlalchemy import Engine, text

from shared.db.revision import check_revision
from shared.db.session import make_engine, transaction
from shared.errors import FaultlineError
from shared.notices.seal import Seal
from shared.settings import Settings, load_settings

_SOME = text("SELECT id, sealed FROM channels WHERE id > :after ORDER BY id LIMIT 100 FOR UPDATE")
_WRITE = text("UPDATE channels SET sealed = :sealed WHERE id = :id")
_BEFORE_ALL = UUID(int=0)


def reseal(engine: Engine, settings: Settings) -> tuple[int, int]:
    """Returns how many channels there are and how many were sealed anew. Done twice it changes nothing.

    Raises `SealKeyMissing` where a key is not in the list any more; what was done until then stays done.
    """
    seal, after, seen, done = Seal(settings.seal_keys), _BEFORE_ALL, 0, 0
    while True:
        with transaction(engine) as session:
            rows = session.execute(_SOME, {"after": after}).all()
            for row in rows:
                sealed = bytes(row.sealed)
                if seal.needs_reseal(sealed):
                    value = seal.open(sealed, bound_to=str(row.id))
                    session.execute(_WRITE, {"id": row.id, "sealed": seal.seal(value, bound_to=str(row.id))})
                    done += 1
        seen += len(rows)
        if not rows:
            return seen, done
        after = rows[-1].id


def main() -> None:
    """Reseal and say what was done."""
    try:
        settings = load_settings()
        engine = make_engine(settings.database_url, pooled=False, name="reseal")
        check_revision(engine)
        seen, done = reseal(engine, settings)
    except FaultlineError as error:
        sys.exit(f"{error.message} {error.remedy}")
    sys.stdout.write(f"{seen} channels, {done} sealed anew with the newest key.\n")


if __name__ == "__main__":
    main()
