"""Files that no row knows: their writer died between the store and the commit, or lost its run meanwhile.

A file is an orphan when it is older than the grace, no row names it, and nobody may still name it: a row of a run is
written under the fence, so once the run has ended or has a newer attempt, it never will be. Files are listed first and
rows read after, so what is published in between is seen.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Engine, text

from shared.artifacts import ArtifactStore, Listed
from shared.db.session import transaction
from shared.runs.freed import Freed

_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
#: The only places where the platform writes; what lies elsewhere is somebody else's and stays.
_OF_RUN = re.compile(f"projects/{_UUID}/runs/(?P<id>{_UUID})/(?P<attempt>[0-9]+)/.+")
_OF_UPLOAD = re.compile(f"projects/{_UUID}/uploads/(?P<id>{_UUID})(?:/.+)?")

_RUNS = text("SELECT id, attempt FROM runs WHERE id = ANY(:ids) AND finished_at IS NULL")
_PUBLISHED = text("SELECT key FROM artifacts WHERE run_id = ANY(:ids) AND key = ANY(:keys)")
_UPLOADS = text("SELECT key FROM uploads WHERE id = ANY(:ids)")
_SESSIONS = text("SELECT id FROM upload_sessions WHERE id = ANY(:ids)")


def collect_orphans(
    engine: Engine, store: ArtifactStore, grace_s: float, freed: Freed, dry: bool, over: Callable[[], bool]
) -> None:
    """Count orphans in `freed`; unless `dry`, remove them. Ends early when `over()`."""
    before = datetime.now(UTC) - timedelta(seconds=grace_s)
    for page in store.pages("projects"):
        old = [listed for listed in page if listed.modified_at < before]
        orphans = [*_of_runs(engine, old), *_of_uploads(engine, old)] if old else []
        if not dry:
            store.delete([listed.key for listed in orphans])
        for listed in orphans:
            freed.add(1, listed.size_bytes, listed.modified_at)
        if over():
            return
    for path, listed in store.half_written():
        if listed.modified_at < before:
            if not dry:
                path.unlink(missing_ok=True)
            freed.add(1, listed.size_bytes, listed.modified_at)


def _of_runs(engine: Engine, page: list[Listed]) -> Iterator[Listed]:
    found = [(listed, match) for listed in page if (match := _OF_RUN.fullmatch(listed.key))]
    ids = list({UUID(match["id"]) for _listed, match in found})
    with transaction(engine) as session:
        live = {row.id: row.attempt for row in session.execute(_RUNS, {"ids": ids})}
        known = set(session.execute(_PUBLISHED, {"ids": ids, "keys": [one.key for one, _ in found]}).scalars())
    for listed, match in found:
        may_publish = live.get(UUID(match["id"])) == int(match["attempt"])
        if listed.key not in known and not may_publish:
            yield listed


def _of_uploads(engine: Engine, page: list[Listed]) -> Iterator[Listed]:
    found = [(listed, match) for listed in page if (match := _OF_UPLOAD.fullmatch(listed.key))]
    ids = list({UUID(match["id"]) for _listed, match in found})
    with transaction(engine) as session:
        coming = set(session.execute(_SESSIONS, {"ids": ids}).scalars())
        known = set(session.execute(_UPLOADS, {"ids": ids}).scalars())
    for listed, match in found:
        if listed.key not in known and UUID(match["id"]) not in coming:
            yield listed
