"""What one worker process works with; built after the fork, handed to every task."""

import os
import select
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine

from shared.artifacts import ArtifactStore
from shared.db.session import make_engine
from shared.queue.trainers import Trainers
from shared.settings import Settings


class Lifeline:
    """A pipe from a worker's main process to its children: a byte says drain, its end says the main process is gone."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    def drain(self) -> None:
        """In the main process: ask the children to release their runs. Safe in a signal handler."""
        os.write(self._write, b"d")

    def adopt(self) -> None:
        """In a child, after the fork: only the main process may hold the writing end."""
        os.close(self._write)

    def draining(self) -> bool:
        """In a child: whether its run is to be released now."""
        return bool(select.select([self._read], [], [], 0)[0])


@dataclass
class Runtime:
    """Process-wide parts, and whether this process may be killed for a body that does not stop."""

    settings: Settings
    engine: Engine
    store: ArtifactStore
    service: str
    worker: str
    draining: Callable[[], bool]
    own_process: bool
    trainers: Trainers

    def close(self) -> None:
        """At the end of the process: no trainer, no connection stays behind."""
        self.trainers.close()
        self.engine.dispose()


def make_runtime(settings: Settings, service: str, lifeline: Lifeline | None) -> Runtime:
    """Build the parts. Without a lifeline it is eager mode: the process belongs to somebody else."""
    return Runtime(
        settings=settings,
        #: a worker that freezes in a transaction has lost its lease, and must not keep the row from who takes it over
        engine=make_engine(
            settings.database_url,
            pool_size=4,
            idle_limit_s=settings.lease_s / 3,
            prepares=settings.prepares,
        ),
        store=ArtifactStore(settings.artifact_store_url, settings.s3),
        service=service,
        worker=settings.worker_name if lifeline else "eager",
        draining=lifeline.draining if lifeline else lambda: False,
        own_process=lifeline is not None,
        trainers=Trainers(settings.trainer_start),
    )
