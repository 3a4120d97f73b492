"""What has an end: rows and files whose time is over. Each batch is a transaction; a file goes after its row.

A collector that dies between the two leaves a file without a row, which `orphans` finds. Whoever is just using a row
holds a lock on it: such rows are passed over.
"""
# ruff: noqa: S608 - statements are built from constants of this module

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from shared.artifacts import ArtifactStore
from shared.db.session import transaction
from shared.runs.freed import Freed
from shared.settings import Settings

_BATCH = 500
_BEFORE = "now() - make_interval(secs => :keep_s)"
#: Files of an ended run that nothing will read: what `run.cleanup` removes, if it came to that.
SPENT = "a.role <> 'log' AND (a.role = 'checkpoint' OR a.attempt < r.attempt OR r.state <> 'succeeded')"
_ENDED_LONG_AGO = f"JOIN runs r ON r.id = a.run_id WHERE r.finished_at < {_BEFORE}"
_PINNED = (
    "EXISTS (SELECT 1 FROM runs r WHERE r.finished_at IS NULL AND r.project_id = a.project_id "
    "AND jsonb_exists(r.inputs, CAST(a.id AS text)))"
)
#: Nothing of a notice is on its way any more.
_TOLD = "NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.notice_id = a.id AND d.state IN ('held', 'pending', 'sending'))"


@dataclass(frozen=True)
class Kept:
    """One class: which rows of `table` (named `a`) are over, and how long they are kept."""

    name: str
    table: str
    over: str  #: what follows FROM table a
    days: Callable[[Settings], float]
    key: str = "id"
    at: str = "created_at"
    files: bool = False


CLASSES = [
    Kept("sent steps", "outbox", f"WHERE a.sent_at < {_BEFORE}", lambda s: s.keep_sent_steps_days, at="sent_at"),
    Kept(
        "idempotency keys",
        "idempotency_keys",
        f"WHERE a.created_at < {_BEFORE}",
        lambda s: s.keep_idempotency_keys_days,
        key="ctid",
    ),
    Kept(
        "progress events",
        "run_events",
        f"JOIN runs r ON r.id = a.run_id WHERE r.finished_at < {_BEFORE} AND a.type = 'progress' AND EXISTS "
        "(SELECT 1 FROM run_events l WHERE l.run_id = a.run_id AND l.type = 'progress' AND l.seq > a.seq)",
        lambda s: s.keep_progress_days,
        at="at",
    ),
    Kept("run logs", "artifacts", f"{_ENDED_LONG_AGO} AND a.role = 'log'", lambda s: s.keep_logs_days, files=True),
    Kept(
        "spent files of runs",
        "artifacts",
        f"{_ENDED_LONG_AGO} AND {SPENT}",
        lambda s: s.keep_spent_files_days,
        files=True,
    ),
    Kept("notices", "notices", f"WHERE a.at < {_BEFORE} AND {_TOLD}", lambda s: s.keep_notices_days, at="at"),
    Kept(
        "used links",
        "used_links",
        f"WHERE a.used_at < {_BEFORE}",
        lambda s: s.notify_link_expires_s / 86_400,
        key="ctid",
        at="used_at",
    ),
    Kept("abandoned uploads", "upload_sessions", f"WHERE a.expires_at < {_BEFORE}", lambda _: 1e-9, at="expires_at"),
    Kept(
        "unused uploads",
        "uploads",
        f"WHERE a.created_at < {_BEFORE} AND NOT {_PINNED}",
        lambda s: s.keep_uploads_days,
        files=True,
    ),
]


def collect_rows(engine: Engine, store: ArtifactStore, settings: Settings, kept: Kept, freed: Freed, dry: bool) -> None:
    """Count what is over in `freed`; unless `dry`, remove it."""
    keep_s = kept.days(settings) * 86_400
    if keep_s == 0:
        return
    if dry:
        size = "sum(a.size_bytes)" if kept.files else "0"
        found = (
            f"SELECT count(*) AS n, {size} AS size_bytes, min(a.{kept.at}) AS oldest FROM {kept.table} a {kept.over}"
        )
        with transaction(engine) as session:
            row = session.execute(text(found), {"keep_s": keep_s}).one()
        freed.add(row.n, int(row.size_bytes or 0), row.oldest)
        return
    while True:
        with transaction(engine) as session:
            rows = _remove(session, kept, keep_s)
        if kept.files:
            store.delete([row.file for row in rows])
        freed.add(len(rows), sum(row.size_bytes for row in rows), min((row.at for row in rows), default=None))
        if len(rows) < _BATCH:
            return


def _remove(session: Session, kept: Kept, keep_s: float) -> list[Any]:
    """Rows are locked first and judged again under the lock, by a snapshot that sees what others did meanwhile."""
    values: dict[str, Any] = {"keep_s": keep_s, "limit": _BATCH}
    chosen = f"SELECT a.{kept.key} FROM {kept.table} a {kept.over} LIMIT :limit FOR UPDATE OF a SKIP LOCKED"
    ids = list(session.execute(text(chosen), values).scalars())
    if not ids:
        return []
    file, size = ("key", "size_bytes") if kept.files else ("NULL", "0")
    still = f"SELECT a.{kept.key} FROM {kept.table} a {kept.over} AND a.{kept.key} = ANY(:ids)"
    removed = (
        f"DELETE FROM {kept.table} WHERE {kept.key} IN ({still}) "
        f"RETURNING {kept.at} AS at, {file} AS file, {size} AS size_bytes"
    )
    if kept.key == "ctid":
        removed = removed.replace(":ids", "CAST(:ids AS tid[])")
    return list(session.execute(text(removed), {"keep_s": keep_s, "ids": ids}).all())
