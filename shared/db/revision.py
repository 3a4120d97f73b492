"""Which schema the database has and which this release needs; without the tool that changes it, for every process."""

from sqlalchemy import Engine, text

from shared.errors import Fatal

#: What the code of this release needs; a newer schema serves it too (two-phase migrations).
REQUIRED_REVISION = "0004"


def current_revision(engine: Engine) -> str | None:
    """The revision that the database has, or None."""
    with engine.connect() as connection:
        if connection.execute(text("SELECT to_regclass('alembic_version')")).scalar() is None:
            return None
        found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return found


def check_revision(engine: Engine) -> None:
    """Raises `Fatal` if the schema is older than this code needs. Revisions are numbers, so they compare."""
    found = current_revision(engine)
    if found is None or found < REQUIRED_REVISION:
        raise Fatal(
            f"The database is at revision {found or 'none'}, this release needs {REQUIRED_REVISION}.",
            remedy="Run `python -m shared.db.migrate upgrade` first.",
        )
