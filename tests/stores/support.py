"""What a store holds beside what rows name."""

from typing import Any
from uuid import UUID

from shared.artifacts import ArtifactStore
from shared.db.session import transaction
from shared.runs.collector import collect
from shared.runs.freed import Freed
from shared.runs.submit import submit
from tests.support.platform import Platform
from tests.support.publishing import publishing

ORPHANS = "files without a row"


def store_of(platform: Platform) -> ArtifactStore:
    """The platform's store."""
    return ArtifactStore(platform.settings.artifact_store_url, platform.settings.s3)


def stored(platform: Platform) -> dict[str, int]:
    """Every file in the store and its size."""
    return {one.key: one.size_bytes for page in store_of(platform).pages("projects") for one in page}


def named(platform: Platform) -> set[str]:
    """Every file that a row names: of runs, and uploads."""
    return {row["key"] for row in platform.rows("SELECT key FROM artifacts UNION ALL SELECT key FROM uploads")}


def orphans(platform: Platform) -> dict[str, int]:
    """Every file that no row names, and its size."""
    files = stored(platform)
    return {key: files[key] for key in files.keys() - named(platform)}


def collected(platform: Platform, store: ArtifactStore | None = None) -> Freed:
    """Collect; what was freed of files without a row."""
    report = collect(platform.engine, store or store_of(platform), platform.settings, dry_run=False)
    assert report is not None, "nobody else collects"
    return report.of(ORPHANS)


def submit_publishing(platform: Platform, kind: str, journal: str = "journal", **spec: Any) -> UUID:
    """Submit a run that publishes."""
    with transaction(platform.engine) as session:
        request = publishing(kind, platform.journal(journal), **spec)
        return submit(session, platform.settings, platform.caller, request)
