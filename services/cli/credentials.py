"""Where the API is and who asks. A key goes only to the URL that it was given for.

Order: options, environment, the local stack's file, the file that `faultline login` writes.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from shared.errors import UserError

DEFAULT_URL = "http://127.0.0.1:8000"


class NotLoggedIn(UserError):
    """No API key is known: no local stack is running and nobody has logged in."""

    exit_code = 3
    remedy = "Start a local stack with `faultline up`, or run `faultline login --url URL --key KEY`."


@dataclass(frozen=True)
class Credentials:
    """A URL, its key, and where they were found."""

    url: str
    api_key: str
    source: str


def state_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """State folder of the local stack: `FAULTLINE_STATE_DIR`, else `.faultline` in the checkout."""
    named = environment.get("FAULTLINE_STATE_DIR")
    return Path(named) if named else Path(__file__).resolve().parents[2] / ".faultline"


def stack_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Written by `faultline up`."""
    return state_dir(environment) / "credentials.json"


def login_file() -> Path:
    """Written by `faultline login`."""
    return Path.home() / ".config" / "faultline" / "credentials.json"


def resolve(url: str | None, key: str | None, environment: Mapping[str, str] = os.environ) -> Credentials:
    """The credentials to use. Raises `NotLoggedIn`."""
    asked_url = url or environment.get("FAULTLINE_URL") or None
    asked_key = key or environment.get("FAULTLINE_API_KEY") or None
    source = "options or environment"
    if asked_url and asked_key:
        return Credentials(asked_url, asked_key, source)
    for path in (stack_file(environment), login_file()):
        stored = read(path)
        if stored is None:
            continue
        if asked_url and _same(asked_url, stored.url):
            return Credentials(asked_url, stored.api_key, stored.source)
        if asked_key and not asked_url:
            return Credentials(stored.url, asked_key, source)
        if not asked_url:
            return stored
    if asked_key:
        return Credentials(DEFAULT_URL, asked_key, source)
    if asked_url:
        raise NotLoggedIn(f"No API key is known for {asked_url}.", remedy=f"Run `faultline login --url {asked_url}`.")
    raise NotLoggedIn


def read(path: Path) -> Credentials | None:
    """What a file holds; None if there is none. Raises `UserError` for one that is damaged."""
    try:
        found = json.loads(path.read_text("utf-8"))
        url, api_key = found["url"], found["api_key"]
        if not isinstance(url, str) or not isinstance(api_key, str):
            raise TypeError("not text")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"The credentials in {path} cannot be read ({type(error).__name__}).",
            remedy="Remove the file, then run `faultline login` or `faultline up` again.",
        ) from error
    return Credentials(url, api_key, str(path))


def store(url: str, api_key: str) -> Path:
    """Remember a login, readable by its owner only."""
    path = login_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{uuid4().hex}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({"url": url, "api_key": api_key}, file)
    fresh.replace(path)
    return path


def _same(one: str, other: str) -> bool:
    return one.rstrip("/") == other.rstrip("/")
