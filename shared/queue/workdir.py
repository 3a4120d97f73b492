"""Scratch folders of attempts, named by worker and process: `attempt-<worker>-<pid>-<16 digits>`."""

import os
import re
import secrets
import shutil
import tempfile
from pathlib import Path

from shared.queue.processes import exists
from shared.settings import Settings


def name_workdir(settings: Settings, worker: str) -> Path:
    """A name for the folder of one attempt of this process; the folder is made when a body first asks for it."""
    folder = settings.work_dir or Path(tempfile.gettempdir())
    return folder / f"attempt-{worker}-{os.getpid()}-{secrets.token_hex(8)}"


def remove_leftovers(settings: Settings) -> int:
    """Remove what processes of this worker left when they were killed. Returns how many folders.

    For the main process of the holder of the worker's name, which runs no attempt itself: a folder under its own number
    is that of an earlier life, for a container gives the same numbers again.
    """
    parent = settings.work_dir or Path(tempfile.gettempdir())
    if not parent.is_dir():
        return 0
    ours = re.compile(rf"attempt-{re.escape(settings.worker_name)}-(\d+)-[0-9a-f]{{16}}")
    named = [(path, ours.fullmatch(path.name)) for path in parent.iterdir()]
    left = [path for path, found in named if found and _is_over(int(found[1]))]
    left = [path for path in left if path.is_dir() and not path.is_symlink()]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return len(left)


def _is_over(pid: int) -> bool:
    return pid == os.getpid() or not exists(pid)
