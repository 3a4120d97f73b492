"""Where the stack keeps things, and the locks on them."""

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from shared.errors import FaultlineError

#: the longest path that a Unix socket may have on Linux and macOS, less a margin for the longest name we put there
_SOCKET_FOLDER_LIMIT = 100 - len("/.s.PGSQL.5432.lock")
_LOOK_S = 0.02


class FolderError(FaultlineError):
    """A folder of the local stack cannot be used."""

    exit_code = 1
    remedy = "Remove it, or choose another with FAULTLINE_STATE_DIR or TMPDIR."


def hold(path: Path, *, timeout_s: float = 0.0) -> int | None:
    """Take the lock at `path`; a descriptor, or None if another has it to the end of the wait.

    The lock lasts as long as any process has the descriptor open, so it can be handed down to a child. Raises
    `FolderError` where there can be no such file.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FolderError(f"{path.parent} cannot be used: {error.strerror}.") from error
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(_LOOK_S)
        else:
            return descriptor


def socket_folder(folder: Path, uid: int | None = None) -> Path:
    """The short private folder for the sockets of what lives in `folder`; `uid` owns it (default: we).

    Raises `FolderError` where somebody else has put a folder of that name there.
    """
    name = f"faultline-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]}"
    base = Path(tempfile.gettempdir())
    if len(str(base / name)) > _SOCKET_FOLDER_LIMIT:
        base = Path("/tmp")  # noqa: S108 - the name is made by us alone, its owner is checked
    path = base / name
    mine = {os.geteuid()} if uid is None else {os.geteuid(), uid}
    if os.geteuid() == 0 and path.exists() and path.lstat().st_uid not in mine:
        shutil.rmtree(path)
    path.mkdir(mode=0o700, exist_ok=True)
    if path.is_symlink() or path.lstat().st_uid not in mine:
        raise FolderError(f"{path} belongs to another user.")
    path.chmod(0o700)
    hand_over(path, uid)
    return path


def hand_over(path: Path, uid: int | None) -> None:
    """Make that user its owner, if it is to be another than now."""
    if uid is not None and path.stat().st_uid != uid:
        os.chown(path, uid, -1)
