"""Files on this disk, as `uploads.py` and `downloads.py` need them: their SHA-256, and reading that is reported."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: is told how many bytes of a file are there so far
Report = Callable[[int], None]


class Watched(io.FileIO):
    """A file that tells how much of it was read."""

    def __init__(self, path: Path, report: Report | None) -> None:
        super().__init__(path)
        self._report = report

    def read(self, size: int | None = -1) -> Any:
        """Read and tell."""
        chunk = super().read(-1 if size is None else size)
        if self._report is not None:
            self._report(self.tell())
        return chunk


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex. Raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
