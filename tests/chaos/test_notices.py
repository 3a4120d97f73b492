"""Ten thousand events while the notifier is killed again and again and its broker restarted."""

import random
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest

from shared.db.session import transaction
from shared.runs.submit import Request, submit
from tests.chaos.conftest import LONG
from tests.conftest import MakePlatform
from tests.notifier.receiver import Handler, receiving
from tests.support.bodies import CountSpec
from tests.support.notices import ENVIRONMENT, Notices
from tests.support.platform import until
from tests.support.servers import Server

EVENTS, AT_ONCE = (10_000 if LONG else 2_000), 50


def fine(handler: Handler) -> None:
    handler.answer(204)


def happen(notices: Notices, count: int) -> None:
    """So many runs are submitted, each an event of its own."""
    platform = notices.platform
    for _ in range(count // AT_ONCE):
        with transaction(platform.engine) as session:
            for _ in range(AT_ONCE):
                submit(session, platform.settings, platform.caller, Request("test.inline", CountSpec(journal="-")))


def torment(notices: Notices, broker: Server, done: "list[bool]", seed: int) -> Counter[str]:
    """Kill a notifier every second or so and start it again, restart the broker once, until all is delivered."""
    dice, began_s, faults = random.Random(seed), time.monotonic(), Counter[str]()
    while (
        faults["notifier"] < 3
        or not done[0]
        or notices.platform.rows("SELECT 1 FROM deliveries WHERE state <> 'delivered' LIMIT 1")
    ):
        assert time.monotonic() - began_s < 500, notices.platform.log("notifier-0")
        time.sleep(dice.uniform(0.5, 2.0))  # the rhythm of the faults
        if not faults["broker"] and time.monotonic() - began_s > 4:
            broker.stop()
            broker.start()
            faults["broker"] += 1
        name = f"notifier-{dice.randrange(2)}"
        notices.platform.kill(name, signal.SIGKILL)
        notices.start(name)
        faults["notifier"] += 1
    return faults


@pytest.mark.timeout(600)
def test_every_event_arrives_and_repeats_carry_the_same_id_whatever_dies(
    make_platform: MakePlatform, broker: Server
) -> None:
    notices = Notices(
        make_platform(CELERY_BROKER_URL=broker.engine.url, CELERY_RESULT_BACKEND=broker.engine.url, **ENVIRONMENT)
    )
    with receiving(fine) as receiver, ThreadPoolExecutor(1) as beside:
        notices.subscribe("run.queued", channel=notices.channel(f"http://127.0.0.1:{receiver.port}/hook"))
        notices.platform.start("dispatcher", "services.api.dispatcher")
        for name in ("notifier-0", "notifier-1"):
            notices.start(name)
        done = [False]
        events = beside.submit(happen, notices, EVENTS)
        events.add_done_callback(lambda _: done.__setitem__(0, True))
        faults = torment(notices, broker, done, seed=20261125)
        events.result()
        until(lambda: len(notices.platform.rows("SELECT 1 FROM deliveries WHERE state = 'delivered'")) == EVENTS, 60)
    assert faults["broker"] == 1
    assert faults["notifier"] >= 3
    by_id: dict[str, set[bytes]] = {}
    for request in receiver.got:
        by_id.setdefault(request.headers["webhook-id"], set()).add(request.body)
    assert len(by_id) == EVENTS
    assert [bodies for bodies in by_id.values() if len(bodies) > 1] == []
    told = Counter(orjson.loads(body)["data"]["run_id"] for bodies in by_id.values() for body in bodies)
    assert len(told) == EVENTS
    assert set(told.values()) == {1}
    print(f"faults {dict(faults)}, {len(receiver.got) - EVENTS} repeats")  # noqa: T201 - the figure for whoever looks
