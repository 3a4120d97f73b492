"""The broker goes, comes back empty, falls silent, cuts its clients: runs end as they would have, each once."""

import signal
import time

import psutil
import pytest

from tests.conftest import MakePlatform
from tests.support.platform import Platform, until
from tests.support.proxy import Proxy
from tests.support.servers import Server

#: Celery waits 2, 4, 6, ... up to 30 s between two tries to connect
PATIENCE_S = 120.0
SLOW = pytest.mark.timeout(300)


def ended_well(platform: Platform, run: object, steps: int, journal: str) -> None:
    """Succeeded in the first attempt, each step done once."""
    row = platform.finished(run, PATIENCE_S)  # type: ignore[arg-type]
    assert (row["state"], row["attempt"], row["crashes"]) == ("succeeded", 1, 0)
    lines = [line for line in platform.journal(journal).read_text().splitlines() if line.startswith("step ")]
    assert lines == [f"step {step}" for step in range(steps)]


@SLOW
def test_runs_survive_a_broker_that_goes_and_comes_back_empty(
    make_platform: MakePlatform, broker: Server, outage_s: float
) -> None:
    platform = make_platform(CELERY_BROKER_URL=broker.engine.url, CELERY_RESULT_BACKEND=broker.engine.url)
    platform.start_core()
    platform.start_worker("w1")
    under_way = platform.submit("test.supervised", journal="under-way", steps=20, step_s=outage_s / 10)
    platform.wait_for_line("step 1", "under-way")
    sent = platform.submit("test.inline", journal="sent", steps=2)
    until(lambda: platform.run(sent)["state"] == "dispatched", what="nothing is sent ahead")
    broker.kill()
    gone_s = time.monotonic()
    later = [platform.submit("test.inline", journal=f"later{index}", steps=2) for index in range(3)]
    until(lambda: time.monotonic() - gone_s >= outage_s, outage_s + 5)
    broker.start()
    ended_well(platform, under_way, 20, "under-way")
    ended_well(platform, sent, 2, "sent")
    for index, run in enumerate(later):
        ended_well(platform, run, 2, f"later{index}")


@SLOW
@pytest.mark.parametrize("deaf", ["worker", "dispatcher"])
def test_a_half_open_connection_is_noticed(
    make_platform: MakePlatform, broker: Server, broker_proxy: Proxy, deaf: str
) -> None:
    own = {"worker": broker.engine.url, "dispatcher": broker.engine.url}
    own[deaf] = f"redis://127.0.0.1:{broker_proxy.port}/0"
    platform = make_platform(CELERY_BROKER_URL=broker.engine.url, CELERY_RESULT_BACKEND=broker.engine.url)
    platform.start("dispatcher", "services.api.dispatcher", CELERY_BROKER_URL=own["dispatcher"])
    platform.start("reconciler", "services.api.reconciler", CELERY_BROKER_URL=own["dispatcher"])
    platform.start_worker("w1", CELERY_BROKER_URL=own["worker"])
    ended_well(platform, platform.submit("test.inline", journal="before", steps=1), 1, "before")
    broker_proxy.strand()
    ended_well(platform, platform.submit("test.inline", journal="after", steps=1), 1, "after")


@SLOW
def test_a_network_that_swallows_everything_only_delays(
    make_platform: MakePlatform, broker: Server, broker_proxy: Proxy, outage_s: float
) -> None:
    url = f"redis://127.0.0.1:{broker_proxy.port}/0"
    platform = make_platform(CELERY_BROKER_URL=url, CELERY_RESULT_BACKEND=url)
    platform.start_core()
    platform.start_worker("w1")
    under_way = platform.submit("test.supervised", journal="under-way", steps=20, step_s=outage_s / 10)
    platform.wait_for_line("step 1", "under-way")
    broker_proxy.swallow()
    gone_s = time.monotonic()
    later = [platform.submit("test.inline", journal=f"later{index}", steps=2) for index in range(3)]
    until(lambda: time.monotonic() - gone_s >= outage_s, outage_s + 5)
    broker_proxy.resume()
    ended_well(platform, under_way, 20, "under-way")
    for index, run in enumerate(later):
        ended_well(platform, run, 2, f"later{index}")


@SLOW
def test_client_kill_of_all_connections_only_delays(make_platform: MakePlatform, broker: Server) -> None:
    platform = make_platform(CELERY_BROKER_URL=broker.engine.url, CELERY_RESULT_BACKEND=broker.engine.url)
    platform.start_core()
    platform.start_worker("w1")
    client = broker.redis()
    for cut in range(3):
        run = platform.submit("test.supervised", journal=f"cut{cut}", steps=4, step_s=0.1)
        platform.wait_for_line("step 1", f"cut{cut}", PATIENCE_S)
        for type_ in ("normal", "pubsub"):
            client.client_kill_filter(_type=type_, skipme=True)
        ended_well(platform, run, 4, f"cut{cut}")


@SLOW
def test_a_message_popped_by_a_dying_worker_is_sent_again(make_platform: MakePlatform, broker: Server) -> None:
    platform = make_platform(CELERY_BROKER_URL=broker.engine.url, CELERY_RESULT_BACKEND=broker.engine.url)
    client = broker.redis()
    platform.start_core()
    platform.start_worker("w1")
    until(lambda: any(other["cmd"] == "brpop" for other in client.client_list()), what="the worker does not ask")
    psutil.Process(platform.processes["w1"].pid).suspend()
    run = platform.submit("test.inline", journal="after", steps=1)
    until(lambda: platform.run(run)["state"] == "dispatched", what="the message is not sent")
    assert client.llen("test") == 0, "the frozen worker was given the message"
    platform.kill("w1", signal.SIGKILL)
    platform.start_worker("w2")
    ended_well(platform, run, 1, "after")
    assert platform.run(run)["worker"] == "w2"
    assert platform.states(run) == ["queued", "dispatched", "queued", "dispatched", "running", "succeeded"]
