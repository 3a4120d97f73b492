"""First access: `python -m services.api.bootstrap` makes the project and key of the settings, once."""

import sys

import structlog
from sqlalchemy import text
from uuid6 import uuid7

from services.api.deps import hash_key
from shared.db.session import make_engine, transaction
from shared.errors import FaultlineError, UserError
from shared.observability.logs import setup_logging
from shared.settings import load_settings

_log = structlog.get_logger(__name__)
_PROJECT = text("INSERT INTO projects (id, name) VALUES (:id, :name) ON CONFLICT (name) DO NOTHING")
_PRINCIPAL = text(
    "INSERT INTO principals (id, kind, name) VALUES (:id, 'service', :name) ON CONFLICT (name) DO NOTHING"
)
_KEY = text(
    """
    INSERT INTO api_keys (id, principal_id, project_id, prefix, sha256)
    SELECT :id, p.id, j.id, :prefix, :sha256 FROM principals p, projects j
    WHERE p.name = :principal AND j.name = :project
    ON CONFLICT (sha256) DO NOTHING
    """
)


def main() -> None:
    """Make what is missing."""
    try:
        settings = load_settings()
        setup_logging("bootstrap", settings.log_level)
        if settings.bootstrap_key is None:
            raise UserError("FAULTLINE_BOOTSTRAP_KEY is not set.", remedy="Set it to a random key of 24 or more signs.")
    except FaultlineError as error:
        sys.exit(f"{error.message} {error.remedy}")
    principal = f"bootstrap-{settings.bootstrap_project}"
    with transaction(make_engine(settings.database_url, pooled=False)) as session:
        session.execute(_PROJECT, {"id": uuid7(), "name": settings.bootstrap_project})
        session.execute(_PRINCIPAL, {"id": uuid7(), "name": principal})
        session.execute(
            _KEY,
            {
                "id": uuid7(),
                "prefix": settings.bootstrap_key[:8],
                "sha256": hash_key(settings.bootstrap_key),
                "principal": principal,
                "project": settings.bootstrap_project,
            },
        )
    _log.info("project and key are there", project=settings.bootstrap_project, principal=principal)


if __name__ == "__main__":
    main()
