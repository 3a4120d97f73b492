"""Which upload session an earlier call began for a file: one small file each, in the user's cache folder.

Known by server, name and content, so that a renamed or changed file is another one. Called by `uploads.py`.
"""

import hashlib
import logging
import os
import time
from pathlib import Path
from uuid import UUID

#: Longer than the server keeps sessions, and uploads that nothing has used.
KEPT_S = 30 * 86_400.0
_log = logging.getLogger(__name__)


class Remembered:
    """The session of one file on one server. Losing it costs sending the file from its beginning, nothing else."""

    def __init__(self, url: str, file_name: str, sha256: str) -> None:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        name = hashlib.sha256(f"{url}\n{file_name}\n{sha256}".encode()).hexdigest()
        self._path = base / "faultline" / "uploads" / name

    def read(self) -> UUID | None:
        """The session, if there is one that can be read."""
        try:
            return UUID(self._path.read_text("ascii"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            _log.warning("%s cannot be read (%s): the file is sent from its beginning.", self._path, error)
            return None

    def write(self, session_id: UUID) -> None:
        """Remember a session, and forget those that are over."""
        folder = self._path.parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for one in folder.iterdir():
                if one.stat().st_mtime < time.time() - KEPT_S:
                    one.unlink(missing_ok=True)
            self._path.write_text(str(session_id), "ascii")
        except OSError as error:
            _log.warning("%s cannot be written (%s): a later call cannot go on with this file.", self._path, error)

    def forget(self) -> None:
        """The session is of no use any more."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("%s cannot be removed (%s).", self._path, error)
