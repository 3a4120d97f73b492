"""What a deleted project leaves behind, once its time is over: every row it owns. Its files then have no row and go.

The project's own row and its audit log stay: they say who deleted what.
"""
# ruff: noqa: S608 - statements are built from constants of this module

from datetime import datetime
from uuid import UUID

from sqlalchemy import Engine, text

from shared.db.session import transaction
from shared.runs.freed import Freed

_BATCH = 200
#: In the order that references allow. Events, metrics and artifacts go with their run, trials with their campaign,
#: deliveries with their channel.
_TABLES = (
    "idempotency_keys",
    "inbox",
    "subscriptions",
    "channels",
    "notices",
    "campaigns",
    "models",
    "datasets",
    "uploads",
    "upload_sessions",
    "api_keys",
    "memberships",
    "runs",
    "schedules",
)
_LEFT = " OR ".join(f"EXISTS (SELECT 1 FROM {table} WHERE project_id = projects.id)" for table in _TABLES)
_DUE = text(
    f"SELECT id, deleted_at FROM projects WHERE deleted_at < now() - make_interval(secs => :keep_s) AND ({_LEFT})"
)
_UNTIE = text(
    "UPDATE runs SET parent_id = NULL, retry_of = NULL "
    "WHERE project_id = :project AND (parent_id IS NOT NULL OR retry_of IS NOT NULL)"
)


def collect_deleted_projects(engine: Engine, keep_days: float, freed: Freed, dry: bool) -> None:
    """Count the rows of projects that were deleted long enough ago in `freed`; unless `dry`, remove them."""
    if keep_days == 0:
        return
    with transaction(engine) as session:
        due = session.execute(_DUE, {"keep_s": keep_days * 86_400}).all()
    for project in due:
        if not dry:
            with transaction(engine) as session:
                session.execute(_UNTIE, {"project": project.id})
        for table in _TABLES:
            _empty(engine, table, project.id, project.deleted_at, freed, dry)


def _empty(engine: Engine, table: str, project_id: UUID, deleted_at: datetime, freed: Freed, dry: bool) -> None:
    if dry:
        with transaction(engine) as session:
            count = text(f"SELECT count(*) FROM {table} WHERE project_id = :project")
            freed.add(session.execute(count, {"project": project_id}).scalar_one(), oldest=deleted_at)
        return
    some = f"SELECT ctid FROM {table} WHERE project_id = :project LIMIT {_BATCH}"
    delete = text(f"DELETE FROM {table} WHERE ctid = ANY(ARRAY({some})) AND project_id = :project")
    while True:
        with transaction(engine) as session:
            gone = len(session.execute(text(f"{delete.text} RETURNING 1"), {"project": project_id}).all())
        freed.add(gone, oldest=deleted_at if gone else None)
        if gone < _BATCH:
            return
