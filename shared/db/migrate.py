"""Brings the database to this release's schema: `python -m shared.db.migrate upgrade`.

Safe to start twice at once: an advisory lock lets one work while the others wait and find nothing to do.
Migrations come in two phases: a `pre` one only adds, so that the previous release still runs on it.
"""

import sys
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from shared.db.revision import current_revision
from shared.db.session import make_engine
from shared.errors import FaultlineError
from shared.observability.logs import setup_logging
from shared.settings import load_settings

_LOCK = 0x0FA1_7_11E
_log = structlog.get_logger(__name__)


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    return config


def upgrade(engine: Engine) -> str:
    """Apply what is missing; returns the revision reached. A newer schema serves this release too and stays."""
    head = ScriptDirectory.from_config(_config()).get_current_head() or ""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as guard:
        guard.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        try:
            found = current_revision(engine)
            if found is not None and found > head:
                return found
            with engine.connect() as connection:
                command.upgrade(_config(connection), "head")
        finally:
            guard.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
    return head


def main() -> None:
    """Command line entry."""
    try:
        settings = load_settings()
    except FaultlineError as error:
        sys.exit(f"{error.message} {error.remedy}")
    setup_logging("migrate", settings.log_level)
    if sys.argv[1:] != ["upgrade"]:
        raise SystemExit("usage: python -m shared.db.migrate upgrade")
    engine = make_engine(settings.direct_url, pooled=False, lock_timeout_s=300)
    _log.info("database is up to date", revision=upgrade(engine))


if __name__ == "__main__":
    main()
