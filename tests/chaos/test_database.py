"""The database restarts, ends its sessions, falls silent for one worker; a dispatcher freezes with rows locked."""

import os
import signal
import time
from collections.abc import Iterator

import psutil
import pytest
from sqlalchemy.engine import make_url

from services.api.bootstrap import grant
from shared.db.migrate import upgrade
from shared.db.session import make_engine
from tests.conftest import MakePlatform
from tests.support.platform import API_KEY, Platform, until
from tests.support.processes import alive
from tests.support.proxy import Proxy
from tests.support.servers import Server

SLOW = pytest.mark.timeout(300)
END_SESSIONS = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE pid <> pg_backend_pid() AND datname = current_database() AND backend_type = 'client backend'"
)


@pytest.fixture
def own_database_url(database: Server) -> Iterator[str]:
    """A migrated database on a server that may be restarted."""
    url = make_url(database.engine.url).set(drivername="postgresql+psycopg2")
    engine = make_engine(url.render_as_string(hide_password=False), pooled=False)
    upgrade(engine)
    grant(engine, "default", API_KEY)
    engine.dispose()
    yield database.engine.url


def steps(platform: Platform) -> list[int]:
    lines = platform.journal().read_text().splitlines()
    return [int(line.split()[1]) for line in lines if line.startswith("step ")]


@SLOW
def test_a_restart_of_the_database_is_only_a_pause(
    make_platform: MakePlatform, database: Server, own_database_url: str
) -> None:
    platform = make_platform(FAULTLINE_DATABASE_URL=own_database_url, FAULTLINE_LEASE_S="20")
    platform.start_core()
    platform.start_worker("w1")
    run = platform.submit("test.supervised", steps=15, step_s=0.2)
    platform.wait_for_line("step 2")
    later = platform.submit("test.inline", journal="later", steps=2)
    database.stop()
    database.start()
    platform.engine.dispose()
    for one in (run, later):
        row = platform.finished(one, 120)
        assert (row["state"], row["attempt"]) == ("succeeded", 1)
    assert steps(platform) == list(range(15))


@SLOW
def test_ended_sessions_are_replaced(make_platform: MakePlatform) -> None:
    platform = make_platform(FAULTLINE_LEASE_S="20")
    platform.start_core()
    platform.start_worker("w1")
    for cut in range(3):
        run = platform.submit("test.supervised", journal=f"cut{cut}", steps=5, step_s=0.1)
        platform.wait_for_line("step 1", f"cut{cut}", 60)
        platform.rows(END_SESSIONS)
        row = platform.finished(run, 120)
        assert (row["state"], row["attempt"]) == ("succeeded", 1)


@SLOW
@pytest.mark.parametrize("kind", ["test.inline", "test.supervised"])
def test_a_worker_that_hears_nothing_from_the_database_gives_up_in_time_and_comes_back(
    make_platform: MakePlatform, database_proxy: Proxy, kind: str
) -> None:
    platform = make_platform()
    here = make_url(platform.environment["FAULTLINE_DATABASE_URL"])
    there = here.set(host="127.0.0.1", port=database_proxy.port, query={})
    platform.start_core()
    platform.start_worker("deaf", FAULTLINE_DATABASE_URL=there.render_as_string(hide_password=False))
    run = platform.submit(kind, steps=60, step_s=0.1)
    platform.wait_for_line("step 3")
    body = psutil.Process(int(platform.journal().read_text().split("pid=")[1].split()[0]))
    database_proxy.swallow()
    until(lambda: not alive(body), platform.settings.lease_s + 1.5, "the body outlives its lease")
    platform.start_worker("w2")
    row = platform.finished(run, 90)
    assert (row["state"], row["worker"]) == ("succeeded", "w2")
    database_proxy.resume()
    platform.kill("w2", signal.SIGTERM)
    second = platform.submit(kind, journal="second", steps=1)
    row = platform.finished(second, 120)
    assert (row["state"], row["worker"]) == ("succeeded", "deaf"), "its slot is of use again"


@SLOW
def test_a_dispatcher_frozen_with_rows_locked_holds_nobody_up_for_long(
    make_platform: MakePlatform, broker: Server, broker_proxy: Proxy
) -> None:
    platform = make_platform(CELERY_BROKER_URL=broker.engine.url, CELERY_RESULT_BACKEND=broker.engine.url)
    platform.start_worker("w1")
    frozen = platform.start(
        "frozen", "services.api.dispatcher", CELERY_BROKER_URL=f"redis://127.0.0.1:{broker_proxy.port}/0"
    )
    first = platform.submit("test.inline", journal="first", steps=1)
    assert platform.finished(first)["state"] == "succeeded", "it works as long as it is awake"
    broker_proxy.swallow()
    held = platform.submit("test.inline", journal="held", steps=1)
    until(lambda: platform.rows(IN_TRANSACTION), what="it does not come to send")
    os.kill(frozen.pid, signal.SIGSTOP)
    assert platform.rows(IN_TRANSACTION), "it was frozen too late"
    began_s = time.monotonic()
    platform.start_core()
    free = platform.submit("test.inline", journal="free", steps=1)
    assert platform.finished(free, 60)["state"] == "succeeded"
    row = platform.finished(held, 90)
    assert (row["state"], row["attempt"]) == ("succeeded", 1)
    assert time.monotonic() - began_s < 60
    os.kill(frozen.pid, signal.SIGCONT)
    broker_proxy.resume()
    platform.kill("dispatcher")
    last = platform.submit("test.inline", journal="last", steps=1)
    assert platform.finished(last, 60)["state"] == "succeeded", "it goes on when it wakes up"
    assert platform.journal("held").read_text().count("step 0") == 1


IN_TRANSACTION = (
    "SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction' "
    "AND application_name = 'faultline dispatcher' AND now() - state_change > interval '0.3 s'"
)
