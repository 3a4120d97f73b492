"""Files in the platform's folder, made older than they are, and counted."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import text
from uuid6 import uuid7

from shared.artifacts import ArtifactStore
from shared.db.session import transaction
from shared.runs.collector import collect
from shared.runs.freed import Freed, Report
from tests.support.platform import Platform

DAY_S = 86_400


def size_of(path: Path) -> int:
    """Bytes of a file; none of one that has just been removed."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


class Attic:
    """The store and the rows of a platform, with a hand on their age."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.folder = platform.folder / "artifacts"
        self.store = ArtifactStore(platform.settings.artifact_store_url)

    def collect(self, dry_run: bool = False) -> dict[str, Freed]:
        """Collect; the classes in which something was found."""
        report = collect(self.platform.engine, self.store, self.platform.settings, dry_run)
        assert isinstance(report, Report)
        return {name: freed for name, freed in report.classes.items() if freed.count}

    def bytes_on_disk(self) -> int:
        """Of all files, half-written ones too."""
        return sum(size_of(path) for path in self.files())

    def files(self) -> list[Path]:
        """All files."""
        # a walk, unlike a glob, passes over a folder that the collector removes meanwhile
        return [Path(folder, name) for folder, _folders, names in os.walk(self.folder) for name in names]

    def age(self, *keys: str, days: float = 2) -> None:
        """Make files look older; all of them without keys."""
        then = time.time() - days * DAY_S
        for path in [self.folder / key for key in keys] or self.files():
            os.utime(path, (then, then))

    def sql(self, statement: str, **values: Any) -> None:
        """Change rows."""
        with transaction(self.platform.engine) as session:
            session.execute(text(statement), values)

    def run_key(self, run_id: UUID, name: str, attempt: int = 1) -> str:
        """Where a file of a run lies."""
        return f"projects/{self.platform.caller.project_id}/runs/{run_id}/{attempt}/{name}"

    def artifact(self, run_id: UUID, name: str, data: bytes, role: str = "artifact", attempt: int = 1) -> str:
        """A file with its row; its key."""
        stored = self.store.put(self.run_key(run_id, name, attempt), data)
        self.sql(
            "INSERT INTO artifacts (id, run_id, attempt, role, name, key, size_bytes, sha256, content_type) "
            "VALUES (:id, :run, :attempt, :role, :name, :key, :size, :sha256, 'x')",
            id=uuid7(),
            run=run_id,
            attempt=attempt,
            role=role,
            name=name,
            key=stored.key,
            size=stored.size_bytes,
            sha256=stored.sha256,
        )
        return stored.key

    def ended_run(self, state: str = "succeeded", days: float = 60, attempt: int = 1) -> UUID:
        """A run that ended some days ago."""
        run_id = self.platform.submit("test.inline", journal=str(uuid7()))
        self.sql(
            "UPDATE runs SET state = :state, attempt = :attempt, finished_at = now() - make_interval(secs => :age) "
            "WHERE id = :id",
            id=run_id,
            state=state,
            attempt=attempt,
            age=days * DAY_S,
        )
        return run_id

    def upload(self, data: bytes, days: float) -> UUID:
        """A file that a user sent some days ago."""
        upload_id = uuid7()
        stored = self.store.put(f"projects/{self.platform.caller.project_id}/uploads/{upload_id}", data)
        values: Mapping[str, Any] = {
            "id": upload_id,
            "project": self.platform.caller.project_id,
            "by": self.platform.caller.principal_id,
            "key": stored.key,
            "size": stored.size_bytes,
            "age": days * DAY_S,
        }
        self.sql(
            "INSERT INTO uploads (id, project_id, created_by, file_name, key, size_bytes, sha256, created_at) VALUES "
            "(:id, :project, :by, 'a.csv', :key, :size, 'x', now() - make_interval(secs => :age))",
            **values,
        )
        return upload_id
