"""Scratch folders of attempts, named by worker and process: `attempt-<worker>-<pid>-<8 signs>`."""

import os
import re
import shutil
import tempfile
from pathlib import Path

from shared.queue.processes import exists
from shared.settings import Settings


def make_workdir(settings: Settings, worker: str) -> Path:
    """A fresh folder for one attempt of this process."""
    if settings.work_dir is not None:
        settings.work_dir.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"attempt-{worker}-{os.getpid()}-", dir=settings.work_dir))


def remove_leftovers(settings: Settings) -> int:
    """Remove what processes of this worker left when they were killed. Returns how many folders.

    For a process of the holder of the worker's name, before its first attempt: a folder under its own number is that of
    an earlier life, for a container gives the same numbers again.
    """
    parent = settings.work_dir or Path(tempfile.gettempdir())
    if not parent.is_dir():
        return 0
    ours = re.compile(rf"attempt-{re.escape(settings.worker_name)}-(\d+)-[a-z0-9_]{{8}}")
    named = [(path, ours.fullmatch(path.name)) for path in parent.iterdir()]
    left = [path for path, found in named if found and _is_over(int(found[1]))]
    left = [path for path in left if path.is_dir() and not path.is_symlink()]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return len(left)


def _is_over(pid: int) -> bool:
    return pid == os.getpid() or not exists(pid)
