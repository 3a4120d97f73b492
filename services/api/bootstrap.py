"""First access: `python -m services.api.bootstrap` makes the project and key of the settings, once."""

import sys

import structlog
from sqlalchemy import Engine, text
from uuid6 import uuid7

from services.api.access.identity import by_key, hash_key
from shared.db.session import make_engine, transaction
from shared.errors import FaultlineError, UserError
from shared.observability.logs import setup_logging
from shared.settings import load_settings

_log = structlog.get_logger(__name__)
_PROJECT = text("INSERT INTO projects (id, name) VALUES (:id, :name) ON CONFLICT (name) DO NOTHING")
_PRINCIPAL = text(
    "INSERT INTO principals (id, kind, name, operator) VALUES (:id, 'service', :name, true) "
    "ON CONFLICT (name) DO NOTHING"
)
_MEMBER = text(
    """
    INSERT INTO memberships (project_id, principal_id, role)
    SELECT j.id, p.id, 'owner' FROM principals p, projects j WHERE p.name = :principal AND j.name = :project
    ON CONFLICT DO NOTHING
    """
)
_KEY = text(
    """
    INSERT INTO api_keys (id, principal_id, project_id, prefix, sha256)
    SELECT :id, p.id, j.id, :prefix, :sha256 FROM principals p, projects j
    WHERE p.name = :principal AND j.name = :project
    ON CONFLICT (sha256) DO NOTHING
    """
)


def grant(engine: Engine, project: str, key: str) -> None:
    """Make the project and a service principal that holds `key`, as far as they are missing.

    What somebody revoked or removed does not come back by itself.
    """
    principal = f"bootstrap-{project}"
    with transaction(engine) as session:
        session.execute(_PROJECT, {"id": uuid7(), "name": project})
        session.execute(_PRINCIPAL, {"id": uuid7(), "name": principal})
        values = {"id": uuid7(), "prefix": key[:8], "sha256": hash_key(key), "principal": principal, "project": project}
        session.execute(_MEMBER, {"principal": principal, "project": project})
        session.execute(_KEY, values)
        good = by_key(session, key) is not None
    if good:
        _log.info("project and key are there", project=project, principal=principal)
    else:
        _log.warning("the bootstrap key gives no access", why="it was revoked, or its member or project removed")


def main() -> None:
    """Make what is missing."""
    try:
        settings = load_settings()
        setup_logging("bootstrap", settings.log_level)
        if settings.bootstrap_key is None:
            raise UserError("FAULTLINE_BOOTSTRAP_KEY is not set.", remedy="Set it to a random key of 24 or more signs.")
        grant(make_engine(settings.database_url, pooled=False), settings.bootstrap_project, settings.bootstrap_key)
    except FaultlineError as error:
        sys.exit(f"{error.message} {error.remedy}")


if __name__ == "__main__":
    main()
