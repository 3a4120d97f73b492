"""Scratch folders of attempts, named by their worker: `attempt-<worker>-<8 signs>`."""

import re
import shutil
import tempfile
from pathlib import Path

from shared.settings import Settings


def make_workdir(settings: Settings, worker: str) -> Path:
    """A fresh folder for one attempt."""
    if settings.work_dir is not None:
        settings.work_dir.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"attempt-{worker}-", dir=settings.work_dir))


def remove_leftovers(settings: Settings) -> int:
    """Remove what earlier lives of this worker left when they were killed. Returns how many folders.

    Only for the holder of the worker's name: nobody else works in them.
    """
    parent = settings.work_dir or Path(tempfile.gettempdir())
    if not parent.is_dir():
        return 0
    ours = re.compile(rf"attempt-{re.escape(settings.worker_name)}-[a-z0-9_]{{8}}")
    left = [path for path in parent.iterdir() if ours.fullmatch(path.name) and path.is_dir() and not path.is_symlink()]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return len(left)
