"""Runs the stack of this checkout: `faultline up` calls it in its own process, `up --detach` as
`python -m services.cli.stack.serve PORT`, which says what happens as JSON lines on stdout.
"""

import os
import shutil
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from services.cli.stack.events import Event, Tell
from services.cli.stack.folders import socket_folder
from services.cli.stack.leftovers import kill_leftovers
from services.cli.stack.parts import Plan, platform
from services.cli.stack.state import StateFolder, state_folder
from services.cli.stack.supervisor import StartFailed, Supervisor
from shared.errors import Conflict, FaultlineError

_BACKLOG = 512
#: makes the plan out of: state folder, folder of the sockets, environment, the API's listening descriptor, its URL
Compose = Callable[[StateFolder, Path, Mapping[str, str], int, str], Plan]


class AlreadyRunning(Conflict):
    """The stack of this checkout is already running."""

    exit_code = 1
    remedy = "See it with `faultline status`, stop it with `faultline down`."


def serve(environment: Mapping[str, str], port: int | None, tell: Tell, compose: Compose = platform) -> None:
    """Start everything and keep it running until a signal asks to stop. Raises `StartFailed`, `AlreadyRunning`."""
    folder = state_folder(environment)
    folder.create()
    lock = folder.lock()
    if lock is None:
        state = folder.read()
        where = f" (pid {state.pid}, {state.url})" if state else ""
        raise AlreadyRunning(f"The stack of this checkout is already running{where}.")

    def noting(event: Event) -> None:
        if event.kind == "up":
            folder.forget_failure()
        tell(event)

    try:
        _serve(folder, environment, port, noting, compose)
    except FaultlineError as error:
        folder.note_failure(error.message, error.remedy)
        raise
    finally:
        os.close(lock)


def _serve(folder: StateFolder, environment: Mapping[str, str], port: int | None, tell: Tell, compose: Compose) -> None:
    killed = kill_leftovers(folder)
    if killed:
        tell(Event("note", text=f"ended {len(killed)} processes that an earlier run had left"))
    shutil.rmtree(folder.path / "work", ignore_errors=True)
    sockets = socket_folder(folder.path)
    try:
        with _listen(folder, environment, port) as listener:
            url = _url(listener)
            plan = compose(folder, sockets, environment, listener.fileno(), url)
            folder.save_credentials(url, plan.api_key)
            Supervisor(plan.parts, folder, url, tell).run()
    finally:
        shutil.rmtree(sockets, ignore_errors=True)


def _listen(folder: StateFolder, environment: Mapping[str, str], port: int | None) -> socket.socket:
    """The API's address, held by the supervisor so that it outlives an API process. The last port is taken again
    if it is free, unless one is asked for."""
    host = environment.get("FAULTLINE_API_HOST") or "127.0.0.1"
    asked = port if port is not None else _port(environment.get("FAULTLINE_API_PORT") or "0")
    if not asked:
        with suppress(OSError, ValueError):
            return _bound(host, urlsplit(folder.credentials().get("url", "")).port or 0)
    try:
        return _bound(host, asked)
    except OSError as error:
        raise StartFailed(
            f"The API cannot listen on {host}:{asked}: {error.strerror}.",
            remedy="Choose another with `faultline up --port`, or leave it out for a free one.",
        ) from error


def _port(text: str) -> int:
    if text.isdecimal() and text.isascii() and int(text) <= 65_535:
        return int(text)
    raise StartFailed(f"FAULTLINE_API_PORT is {text!r}, which is no port.", remedy="Set it to 0 to 65535, or unset it.")


def _bound(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(environment: Mapping[str, str], port: int | None, compose: Compose = platform) -> int:
    """Serve as a process that tells its parent what happens; the exit code."""

    def tell(event: Event) -> None:
        try:
            sys.stdout.write(f"{event.line()}\n")
            sys.stdout.flush()
        except BrokenPipeError:  # who started us has heard enough: the rest goes to the log, beginning with this line
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
            sys.stderr.write(f"{event.line()}\n")

    try:
        serve(environment, port, tell, compose)
    except FaultlineError as error:
        tell(
            Event("refused" if isinstance(error, AlreadyRunning) else "failed", text=error.message, remedy=error.remedy)
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run(os.environ, int(sys.argv[1]) if sys.argv[1:] else None))
