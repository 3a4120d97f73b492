"""Pages of a long list of runs, over HTTP, plain, filtered and far down."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx
from sqlalchemy import text

from shared.db.session import transaction
from tests.bench.figures import Benchmark, Figure, Sample, Variant
from tests.bench.timing import quantile
from tests.bench.world import Size, World
from tests.support.platform import API_KEY, Platform

_ROWS = text(
    """
    INSERT INTO runs (id, project_id, created_by, kind, spec, spec_version, inputs, labels, pool, priority, state,
        created_at, queued_at, finished_at)
    SELECT gen_random_uuid(), :project, :principal, 'test.noop', '{}', 1, '{}',
        jsonb_build_object('lot', (n % 100)::text), 'bench', 0, (ARRAY['succeeded', 'failed', 'cancelled'])[1 + n % 3],
        now() - make_interval(secs => n), now() - make_interval(secs => n), now()
    FROM generate_series(1, :count) AS n
    """
)
_TURNS = 100
_PAGES = (
    "limit=50",
    "limit=200",
    "state=failed&limit=50",
    "state=cancelled&limit=50",
    "kind=test.noop&limit=50",
)


def _far_down(client: httpx.Client) -> str:
    """The query of a page that many others come before."""
    page = "limit=50"
    for _ in range(_TURNS):
        cursor = client.get(f"/v1/runs?{page}").json()["next_cursor"]
        if cursor is None:
            break
        page = f"limit=50&cursor={cursor}"
    return page


def _pages(platform: Platform, url: str, size: Size) -> Sample:
    waits: list[float] = []
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {API_KEY}"}) as client:
        far_down = _far_down(client)
        for _ in range(max(1, int(size.seconds * 10))):
            for page in (*_PAGES, far_down):
                began_s = time.perf_counter()
                answer = client.get(f"/v1/runs?{page}")
                waits.append((time.perf_counter() - began_s) * 1000)
                assert answer.status_code == 200, answer.text
                assert answer.json()["items"], page
    return {"p95_ms": quantile(waits, 0.95), "p50_ms": quantile(waits, 0.5)}


@contextmanager
def _prepare(world: World, size: Size) -> Iterator[Mapping[str, Variant]]:
    with world.platform() as platform:
        with transaction(platform.engine) as session:
            caller = platform.caller
            values = {"project": caller.project_id, "principal": caller.principal_id, "count": size.listed}
            session.execute(_ROWS, values)
        with platform.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE runs"))
        url = platform.start_api(module="tests.bench.api")
        yield {"faultline": lambda: _pages(platform, url, size)}


LISTING = Benchmark(
    "listing",
    _prepare,
    [Figure("page of 100,000 runs, p95", "ms", "p95_ms", "faultline", limit=300.0)],
)
