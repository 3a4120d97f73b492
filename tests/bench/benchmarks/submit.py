"""Submitting a run against an endpoint that does one bare INSERT, and against the usual ORM row and `apply_async`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import uuid4

import httpx

from tests.bench.figures import Benchmark, Figure, Sample, Variant
from tests.bench.load import Build, at_rate, closed, post
from tests.bench.peers.client import usual_jobs
from tests.bench.world import Size, World
from tests.support.platform import API_KEY, free_port, until

_CONNECTIONS = 16
_BODY = b'{"kind":"test.noop","spec":{}}'


def _submit(url: str, *, key: bool = False) -> Build:
    plain = post(url, "/v1/runs", _BODY, Authorization=f"Bearer {API_KEY}")
    if not key:
        return lambda _number: plain
    mark = uuid4().hex
    return lambda number: post(
        url, "/v1/runs", _BODY, Authorization=f"Bearer {API_KEY}", Idempotency_Key=f"{mark}-{number}"
    )


def _peer(url: str, path: str) -> Build:
    request = post(url, path, _BODY)
    return lambda _number: request


def answers(url: str) -> bool:
    """Whether somebody serves there."""
    try:
        return httpx.get(url).status_code < 500
    except httpx.TransportError:
        return False


@contextmanager
def _prepare(world: World, size: Size) -> Iterator[Mapping[str, Variant]]:
    database = world.database()
    usual_jobs(database, 1)
    port = free_port()
    peer = f"http://127.0.0.1:{port}"
    with (
        world.platform() as platform,
        world.platform(CELERY_BROKER_URL="redis+socket:///nowhere/valkey.sock") as deaf,
        world.peer("tests.bench.peers.http", str(port), BENCH_DATABASE_URL=database),
    ):
        url, lonely = platform.start_api(module="tests.bench.api"), deaf.start_api(module="tests.bench.api")
        until(lambda: answers(f"{peer}/openapi.json"))
        rate: list[float] = []

        def fast(url: str, build: Build) -> Variant:
            return lambda: closed(url, build, connections=_CONNECTIONS, seconds=size.seconds).sample()

        def usual() -> Sample:
            sample = fast(peer, _peer(peer, "/orm"))()
            rate.append(sample["per_s"])
            return sample

        def steady(url: str, build: Build) -> Variant:
            """At half of what the usual way can do."""

            def measured() -> Sample:
                rate_per_s = (rate[0] if rate else usual()["per_s"]) / 2
                return at_rate(url, build, per_s=rate_per_s, seconds=size.fixed_s).sample()

            return measured

        yield {
            "faultline": fast(url, _submit(url)),
            "faultline, Idempotency-Key": fast(url, _submit(url, key=True)),
            "one INSERT on psycopg2": fast(peer, _peer(peer, "/psycopg2")),
            "one INSERT on asyncpg": fast(peer, _peer(peer, "/asyncpg")),
            "ORM + apply_async": usual,
            "faultline, fixed rate": steady(url, _submit(url)),
            "ORM + apply_async, fixed rate": steady(peer, _peer(peer, "/orm")),
            "broker down": fast(lonely, _submit(lonely)),
        }


SUBMIT = Benchmark(
    "submit",
    _prepare,
    [
        Figure("submit", "requests/s", "per_s", "faultline", "one INSERT on psycopg2", 0.85, at_least=True),
        Figure("submit", "requests/s", "per_s", "faultline", "one INSERT on asyncpg", at_least=True),
        Figure("submit", "requests/s", "per_s", "faultline", "ORM + apply_async", at_least=True),
        Figure(
            "submit with an Idempotency-Key",
            "requests/s",
            "per_s",
            "faultline, Idempotency-Key",
            "one INSERT on psycopg2",
            at_least=True,
        ),
        Figure(
            "submit p99 at a fixed rate", "ms", "p99_ms", "faultline, fixed rate", "ORM + apply_async, fixed rate", 0.5
        ),
        Figure("submits that fail with the broker down", "", "failed", "broker down", limit=0.0),
    ],
)
