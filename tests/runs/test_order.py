"""Who goes first: priority, then fair shares, then age; and nobody beyond a quota."""

import random
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session
from uuid6 import uuid7

from shared.db.models import Project, Run
from shared.db.session import make_engine, transaction
from shared.errors import QuotaExceeded
from shared.runs import order, quotas
from shared.runs.dispatch import dispatch_once
from tests.conftest import MakePlatform
from tests.support.platform import Platform

POOLS = '[{"name": "test", "lead": 0}, {"name": "gpu", "lead": 0, "resource_class": "gpu"}]'


@pytest.fixture
def platform(make_platform: MakePlatform) -> Platform:
    return make_platform(FAULTLINE_POOLS=POOLS)


def add_worker(platform: Platform, slots: int, pools: str = "ARRAY['test', 'gpu']") -> None:
    with transaction(platform.engine) as session:
        session.connection().exec_driver_sql(
            "INSERT INTO workers (name, pools, kinds, slots, host, pid, version, heartbeat_at) "
            f"VALUES ('w', {pools}, ARRAY['test.inline'], {slots}, 'h', 1, '0', now() + interval '1 hour')"
        )


def add_project(platform: Platform, **limits: Any) -> UUID:
    with transaction(platform.engine) as session:
        project = Project(id=uuid7(), name=f"p{uuid7()}", **limits)
        session.add(project)
    return project.id


def run_of(platform: Platform, project: UUID, **values: Any) -> Run:
    defaults: dict[str, Any] = {
        "id": uuid7(),
        "project_id": project,
        "created_by": platform.caller.principal_id,
        "kind": "test.inline",
        "spec": {},
        "spec_version": 1,
        "inputs": {},
        "labels": {},
        "pool": "test",
        "priority": 0,
        "state": "queued",
    }
    return Run(**(defaults | values))


def add_runs(platform: Platform, project: UUID, count: int, **values: Any) -> list[UUID]:
    runs = [run_of(platform, project, **values) for _ in range(count)]
    with transaction(platform.engine) as session:
        session.add_all(runs)
    return [run.id for run in runs]


def dispatch(platform: Platform) -> list[UUID]:
    sent: list[UUID] = []
    dispatch_once(platform.engine, platform.settings, lambda _kind, _pool, run, _attempt, _trace: sent.append(run))
    return sent


@dataclass
class Waiting:
    id: UUID
    project: int
    kind: str
    priority: int
    since: int  #: minutes from now; negative: due
    state: str


def model(runs: Sequence[Waiting], shares: Sequence[float], limits: Sequence[int | None]) -> list[UUID]:
    """The order one run at a time, as a person would do it."""
    due = [run for run in runs if run.state == "queued" and run.kind == "test.inline" and run.since < 0]
    here = Counter(run.project for run in runs if run.state == "running")
    served = Counter(run.project for run in runs if run.state == "succeeded")
    taken: list[UUID] = []
    while due:
        allowed = [run for run in due if limits[run.project] is None or here[run.project] < (limits[run.project] or 0)]
        if not allowed:
            break
        urgent = max(run.priority for run in allowed)
        heads: dict[int, Waiting] = {}
        for run in sorted(allowed, key=lambda run: (-run.priority, run.since, run.id)):
            heads.setdefault(run.project, run)
        first = min(
            (run for run in heads.values() if run.priority == urgent),
            key=lambda run: (
                here[run.project] / shares[run.project],
                served[run.project] / shares[run.project],
                run.since,
                run.id,
            ),
        )
        taken.append(first.id)
        here[first.project] += 1
        due.remove(first)
    return taken


WAITING = st.builds(
    Waiting,
    id=st.uuids(),
    project=st.integers(0, 2),
    kind=st.sampled_from(["test.inline", "test.inline", "test.inline", "test.other"]),
    priority=st.sampled_from([0, 0, 0, 5, -5]),
    since=st.integers(-30, 5).filter(bool),
    state=st.sampled_from(["queued", "queued", "queued", "running", "succeeded"]),
)


def test_the_statement_orders_as_a_person_would(platform: Platform) -> None:
    projects = [add_project(platform) for _ in range(3)]

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        runs=st.lists(WAITING, max_size=25, unique_by=lambda run: run.id),
        shares=st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.0]), min_size=3, max_size=3),
        limits=st.lists(st.sampled_from([None, None, 0, 2, 5]), min_size=3, max_size=3),
        limit=st.integers(1, 12),
    )
    def check(runs: list[Waiting], shares: list[float], limits: list[int | None], limit: int) -> None:
        with Session(platform.engine) as session:
            for project, share, most in zip(projects, shares, limits, strict=True):
                values = {"id": project, "share": share, "most": most}
                session.execute(text("UPDATE projects SET share = :share, max_running = :most WHERE id = :id"), values)
            for run in runs:
                session.add(
                    run_of(
                        platform,
                        projects[run.project],
                        id=run.id,
                        kind=run.kind,
                        priority=run.priority,
                        state=run.state,
                    )
                )
            session.flush()
            for run in runs:
                session.execute(
                    text(
                        "UPDATE runs SET queued_at = now() + make_interval(mins => least(:since, -1)), "
                        "not_before = CASE WHEN :since > 0 THEN now() + make_interval(mins => :since) END, "
                        "started_at = CASE WHEN state <> 'queued' THEN now() END, "
                        "finished_at = CASE WHEN state = 'succeeded' THEN now() END WHERE id = :id"
                    ),
                    {"id": run.id, "since": run.since},
                )
            wanted = model(runs, shares, limits)
            assert [row.id for row in order.pick(session, "test", limit, ["test.inline"])] == wanted[:limit]
            for run in runs:
                ahead = order.ahead_of(session, run.id, "test", ["test.inline"], [], 10_000)
                assert ahead == (wanted.index(run.id) if run.id in wanted else None)
            session.rollback()

    check()


def _simulate(platform: Platform, slots: int, rounds: int) -> Counter[UUID]:
    """Slots that are always taken again; each round one run ends, by chance."""
    chance = random.Random(7)
    started: Counter[UUID] = Counter()
    for _ in range(rounds):
        for run in dispatch(platform):
            started[platform.run(run)["project_id"]] += 1
        with transaction(platform.engine) as session:
            session.execute(
                text("UPDATE runs SET state = 'running', worker = 'w', started_at = now() WHERE state = 'dispatched'")
            )
            running = session.execute(text("SELECT id FROM runs WHERE state = 'running' ORDER BY id")).scalars().all()
            assert len(running) <= slots
            session.execute(
                text("UPDATE runs SET state = 'succeeded', finished_at = now() WHERE id = :id"),
                {"id": chance.choice(running)},
            )
    return started


@pytest.mark.parametrize("slots", [1, 4])
def test_projects_get_slots_in_proportion_to_their_shares_whoever_came_first(platform: Platform, slots: int) -> None:
    add_worker(platform, slots)
    small, large = add_project(platform, share=1), add_project(platform, share=3)
    add_runs(platform, small, 400)
    add_runs(platform, large, 400)
    started = _simulate(platform, slots, rounds=400)
    assert 0.2 < started[small] / started.total() < 0.3, started


def test_a_project_that_comes_late_does_not_wait_for_the_backlog_of_another(platform: Platform) -> None:
    add_worker(platform, 3)
    add_runs(platform, add_project(platform), 50)
    late = add_runs(platform, add_project(platform), 1)
    assert late[0] in dispatch(platform)


def test_two_dispatchers_never_exceed_a_quota_nor_send_twice(platform: Platform) -> None:
    add_worker(platform, 64)
    limited, free = add_project(platform, max_running=7), add_project(platform)
    for pool in ("test", "gpu"):
        add_runs(platform, limited, 20, pool=pool)
        add_runs(platform, free, 10, pool=pool)
    sent: list[UUID] = []
    start = threading.Barrier(4)

    def work() -> None:
        engine = make_engine(platform.settings.database_url, pool_size=1)
        start.wait()
        for _ in range(15):
            dispatch_once(engine, platform.settings, lambda _kind, _pool, run, _attempt, _trace: sent.append(run))
        engine.dispose()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    dispatch(platform)
    assert len(sent) == len(set(sent))
    held = platform.rows("SELECT project_id, count(*) AS runs FROM runs WHERE state = 'dispatched' GROUP BY 1")
    assert {row["project_id"]: row["runs"] for row in held} == {limited: 7, free: 20}


def test_no_more_is_queued_than_the_project_may_even_by_many_at_once(platform: Platform) -> None:
    with transaction(platform.engine) as session:
        session.execute(text("UPDATE projects SET max_queued = 5"))
    refused: list[QuotaExceeded] = []

    def work() -> None:
        for _ in range(4):
            try:
                platform.submit("test.inline")
            except QuotaExceeded as error:
                refused.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(platform.rows("SELECT 1 FROM runs")) == 5
    assert len(refused) == 11
    assert "max_queued" in refused[0].remedy


def _used(platform: Platform, project: UUID, began_h: float, ended_h: float | None) -> None:
    """A run of the gpu pool that ran from so many hours ago until so many hours ago, or until now."""
    state = "running" if ended_h is None else "succeeded"
    (run,) = add_runs(platform, project, 1, pool="gpu", state=state)
    with transaction(platform.engine) as session:
        session.execute(
            text(
                "UPDATE runs SET started_at = now() - make_interval(secs => :began), "
                "finished_at = now() - make_interval(secs => :ended) WHERE id = :id"
            ),
            {"id": run, "began": began_h * 3600, "ended": None if ended_h is None else ended_h * 3600},
        )
        for seq, (state, hours) in enumerate([("running", began_h), ("succeeded", ended_h)]):
            if hours is not None:
                session.execute(
                    text(
                        "INSERT INTO run_events (run_id, seq, attempt, type, at, data) VALUES (:id, :seq, 1, 'state', "
                        "now() - make_interval(secs => :ago), jsonb_build_object('state', CAST(:state AS text)))"
                    ),
                    {"id": run, "seq": seq, "ago": hours * 3600, "state": state},
                )


def test_gpu_hours_count_from_running_to_its_end_within_the_last_day_only(platform: Platform) -> None:
    below, above = add_project(platform, gpu_hours_per_day=8), add_project(platform, gpu_hours_per_day=8)
    for project in (below, above):
        _used(platform, project, 30, 22)  # two of its eight hours are in the window
        _used(platform, project, 5, 2)
    _used(platform, below, 2.9, None)
    _used(platform, above, 3.1, None)
    with transaction(platform.engine) as session:
        assert list(quotas.out_of_gpu_hours(session, platform.settings)) == [above]


def test_a_project_without_gpu_hours_still_runs_where_there_are_none(platform: Platform) -> None:
    add_worker(platform, 8)
    project = add_project(platform, gpu_hours_per_day=0)
    add_runs(platform, project, 1, pool="gpu")
    cpu = add_runs(platform, project, 1, pool="test")
    assert dispatch(platform) == cpu


def test_a_hundred_thousand_queued_runs_are_picked_from_by_index(platform: Platform) -> None:
    projects = [add_project(platform) for _ in range(20)]
    with transaction(platform.engine) as session:
        session.execute(
            text(
                "INSERT INTO runs (id, project_id, created_by, kind, spec, spec_version, inputs, labels, pool, "
                "priority, state) SELECT gen_random_uuid(), (CAST(:projects AS uuid[]))[1 + i % 20], :by, "
                "CASE WHEN i % 10 = 0 THEN 'test.inline' ELSE 'test.unserved' END, '{}', 1, '{}', '{}', 'test', "
                "i % 3, 'queued' FROM generate_series(1, 100000) AS i"
            ),
            {"projects": projects, "by": platform.caller.principal_id},
        )
    with platform.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE runs"))
    with transaction(platform.engine) as session:
        values = {"pool": "test", "limit": 20, "kinds": ["test.inline"], "barred": []}
        lines = session.execute(text(f"EXPLAIN (ANALYZE, BUFFERS) {order._PICK.text}"), values).scalars().all()
    plan = "\n".join(lines)
    assert "Seq Scan on runs" not in plan, plan
    assert "runs_queued" in plan, plan
