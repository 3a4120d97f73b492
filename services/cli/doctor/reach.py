"""Whether a database or a broker answers at a URL: the first words of its protocol over a bare socket, no driver."""

import socket
import ssl
from contextlib import closing
from urllib.parse import parse_qs, urlsplit

_TIMEOUT_S = 3.0
_POSTGRES, _REDIS = 5432, 6379
#: "do you speak TLS?": any PostgreSQL answers with one letter before it asks who is there
_SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"


def reach(url: str) -> str | None:
    """None if a server answers there, else what went wrong."""
    try:
        parts = urlsplit(url)
        scheme = parts.scheme.partition("+")[0]
        if scheme in {"postgres", "postgresql"}:
            return _ask(_postgres(url), _SSL_REQUEST, (b"S", b"N"), tls=False)
        if parts.scheme == "redis+socket":
            return _ask(parts.path, b"PING\r\n", (b"+", b"-"), tls=False)
        if scheme in {"redis", "rediss"}:
            place = (parts.hostname or "localhost", parts.port or _REDIS)
            return _ask(place, b"PING\r\n", (b"+", b"-"), tls=scheme == "rediss")
    except ValueError as error:
        return f"it is no URL ({error})"
    return None if scheme in {"sentinel", "memory"} else f"{scheme}:// is no scheme that is known"


def _postgres(url: str) -> tuple[str, int] | str:
    parts = urlsplit(url)
    port = parts.port or _POSTGRES
    host = parse_qs(parts.query).get("host", [parts.hostname or "/var/run/postgresql"])[0]
    return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)


def _ask(place: tuple[str, int] | str, hello: bytes, welcome: tuple[bytes, ...], *, tls: bool) -> str | None:
    where = place if isinstance(place, str) else f"{place[0]}:{place[1]}"
    try:
        with closing(_connect(place, tls=tls)) as connection:
            connection.sendall(hello)
            answer = connection.recv(64)
    except TimeoutError:
        return f"{where} does not answer within {_TIMEOUT_S:g} s"
    except OSError as error:
        return f"{where}: {error.strerror or error}"
    return None if answer.startswith(welcome) else f"{where} is something else: it says {answer[:16]!r}"


def _connect(place: tuple[str, int] | str, *, tls: bool) -> socket.socket:
    if isinstance(place, str):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(_TIMEOUT_S)
        connection.connect(place)
        return connection
    plain = socket.create_connection(place, timeout=_TIMEOUT_S)
    return ssl.create_default_context().wrap_socket(plain, server_hostname=place[0]) if tls else plain
