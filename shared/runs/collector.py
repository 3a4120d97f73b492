"""One collection: everything whose time is over goes, row by row, file by file, and is counted."""

from collections.abc import Callable

import structlog
from sqlalchemy import Engine, text

from shared.artifacts import ArtifactStore
from shared.db.session import make_engine
from shared.observability import metrics
from shared.runs.freed import Report
from shared.runs.orphans import collect_orphans
from shared.runs.purge import collect_deleted_projects
from shared.runs.retention import CLASSES, collect_rows
from shared.settings import Settings

_log = structlog.get_logger(__name__)
_LOCK = 0x0FA1_7_6C


def collect(
    engine: Engine,
    store: ArtifactStore,
    settings: Settings,
    dry_run: bool,
    over: Callable[[], bool] = lambda: False,
) -> Report | None:
    """Look at every class; unless `dry_run`, remove what is over. None: another collector is at it, nothing was done.

    Two at once would be harmless, but would count the same files twice. Ends early when `over()`.
    """
    direct = make_engine(settings.direct_url, pooled=False)
    with direct.connect().execution_options(isolation_level="AUTOCOMMIT") as guard:
        if not guard.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}).scalar():
            return None
        report = Report(dry_run)
        for kept in CLASSES:
            if not over():
                collect_rows(engine, store, settings, kept, report.of(kept.name), dry_run)
        collect_deleted_projects(engine, settings.keep_deleted_projects_days, report.of("deleted projects"), dry_run)
        collect_orphans(engine, store, settings.gc_grace_s, report.of("files without a row"), dry_run, over)
    if not dry_run:
        _tell(report)
    return report


def _tell(report: Report) -> None:
    for name, freed in report.classes.items():
        metrics.FREED.labels(name).inc(freed.count)
        metrics.FREED_BYTES.labels(name).inc(freed.size_bytes)
        if freed.count:
            _log.info("collected", what=name, count=freed.count, size_bytes=freed.size_bytes)
