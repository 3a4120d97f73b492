"""What the stack writes down: who runs (`stack.json`), the keys, the logs.

Keys: `credentials.json` (of the API), `secret_keys.json` (sign), `seal_keys.json` (seal secrets in the database).

The state folder is `.faultline/` in the checkout, or FAULTLINE_STATE_DIR. One supervisor at a time holds its lock.
"""

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from services.cli.stack.folders import FolderError, hold

ROOT = Path(__file__).resolve().parents[3]
_LOG_LIMIT_BYTES = 5 << 20
_LOGS_KEPT = 3


@dataclass(frozen=True)
class PartState:
    """One part, as last written down. `born` tells its process from a later one of the same number."""

    name: str
    state: str  #: waiting, starting, ready, done, backoff, stopping, stopped
    pid: int | None
    born: str | None
    restarts: int
    started_at: float | None
    log: str
    metrics_url: str | None


@dataclass(frozen=True)
class StackState:
    """The stack, as last written down by its supervisor."""

    pid: int
    born: str | None
    url: str
    started_at: float
    ready: bool
    parts: list[PartState] = field(default_factory=list)


@dataclass(frozen=True)
class StateFolder:
    """The state folder of one checkout."""

    path: Path

    def create(self) -> None:
        """Make it. Others may pass through, because the database's user must, but not look around.

        Raises `FolderError` where that is not possible.
        """
        try:
            (self.path / "logs").mkdir(parents=True, exist_ok=True)
            self.path.chmod(0o711)
            (self.path / "logs").chmod(0o700)
        except OSError as error:
            raise FolderError(f"{self.path} cannot be the state folder: {error.strerror}.") from error

    def lock(self, *, timeout_s: float = 0.0) -> int | None:
        """The supervisor's lock; None if another has it."""
        return hold(self.path / "lock", timeout_s=timeout_s)

    def log(self, name: str) -> Path:
        """Log file of a part."""
        return self.path / "logs" / f"{name}.log"

    def read(self) -> StackState | None:
        """What was written last, by a supervisor that may be gone; None if nothing readable."""
        known = _read_json(self.path / "stack.json")
        try:
            parts = [PartState(**part) for part in known.pop("parts")]
            return StackState(**known, parts=parts)
        except (KeyError, TypeError):
            return None

    def write(self, state: StackState) -> None:
        """Replace `stack.json` as a whole."""
        write_json(self.path / "stack.json", asdict(state))

    def note_failure(self, text: str, remedy: str) -> None:
        """Keep why a start failed, for `faultline doctor`."""
        with suppress(OSError):  # what failed may be this very folder
            write_json(self.path / "failure.json", {"text": text, "remedy": remedy})

    def forget_failure(self) -> None:
        """It is up."""
        (self.path / "failure.json").unlink(missing_ok=True)

    def failure(self) -> dict[str, str] | None:
        """Why the last start failed: `text` and `remedy`; None if it did not."""
        known = _read_json(self.path / "failure.json")
        return {name: str(known.get(name, "")) for name in ("text", "remedy")} if known else None

    def credentials(self) -> dict[str, str]:
        """`url` and `api_key` of the local stack; empty before its first start."""
        return {name: str(value) for name, value in _read_json(self.path / "credentials.json").items()}

    def api_key(self, environment: Mapping[str, str]) -> str:
        """The user's own bootstrap key, else the one made at the first start."""
        known = environment.get("FAULTLINE_BOOTSTRAP_KEY") or self.credentials().get("api_key")
        return known or f"fl_{secrets.token_urlsafe(32)}"

    def secret_keys(self, environment: Mapping[str, str]) -> str:
        """The user's own FAULTLINE_SECRET_KEYS, else those made at the first start, as the setting is written."""
        return environment.get("FAULTLINE_SECRET_KEYS") or self._made_once("secret_keys.json")

    def seal_keys(self, environment: Mapping[str, str]) -> str:
        """The same for FAULTLINE_SEAL_KEYS."""
        return environment.get("FAULTLINE_SEAL_KEYS") or self._made_once("seal_keys.json")

    def _made_once(self, name: str) -> str:
        """Never made anew where there is a file: what was sealed with lost keys is lost."""
        path = self.path / name
        if path.exists():
            if not (keys := _read_json(path).get("keys")):
                raise FolderError(f"{path} has no keys in it; put the file back, or remove it if nothing needs it.")
            return json.dumps(keys)
        keys = [secrets.token_urlsafe(48)]
        try:
            write_json(path, {"keys": keys})
        except OSError as error:
            raise FolderError(f"{path} cannot be written: {error.strerror}.") from error
        return json.dumps(keys)

    def save_credentials(self, url: str, api_key: str) -> None:
        """Keep them for the next start and for the command line."""
        try:
            write_json(self.path / "credentials.json", {"url": url, "api_key": api_key})
        except OSError as error:
            raise FolderError(f"{self.path / 'credentials.json'} cannot be written: {error.strerror}.") from error


def state_folder(environment: Mapping[str, str]) -> StateFolder:
    """The folder that this environment means."""
    return StateFolder(Path(environment.get("FAULTLINE_STATE_DIR") or ROOT / ".faultline").absolute())


def write_json(path: Path, value: object) -> None:
    """Replace the file as a whole, readable by its owner alone."""
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(value, file, indent=1)
    new.replace(path)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def rotate(path: Path) -> None:
    """Move a log that has grown large aside; the oldest goes."""
    if not path.exists() or path.stat().st_size < _LOG_LIMIT_BYTES:
        return
    for number in range(_LOGS_KEPT, 0, -1):
        older = path.with_suffix(f".log.{number}")
        newer = path if number == 1 else path.with_suffix(f".log.{number - 1}")
        if newer.exists():
            newer.replace(older)


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 64_000))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
