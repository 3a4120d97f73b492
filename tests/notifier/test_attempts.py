"""What becomes of a delivery: attempts, pauses, rates, rests, the end."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import orjson
import pytest
from sqlalchemy import text

from shared.contracts.states import RunState
from shared.db.session import transaction
from tests.notifier.receiver import Handler, Receiver, receiving
from tests.support.notices import Local


class Scripted:
    """Answers one status after the other, the last one for ever."""

    def __init__(self, *statuses: int, **headers: str) -> None:
        self.statuses = list(statuses)
        self.headers = headers

    def __call__(self, handler: Handler) -> None:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        handler.answer(status, b"seen", **self.headers)


Answering = Callable[[Callable[[Handler], None]], Receiver]


@pytest.fixture
def answering() -> Iterator[Answering]:
    opened = []

    def open_(script: Callable[[Handler], None]) -> Receiver:
        opened.append(receiving(script))
        return opened[-1].__enter__()

    yield open_
    for one in opened:
        one.__exit__(None, None, None)


def hook(local: Local, receiver: Receiver, per_minute: float = 60_000.0) -> None:
    channel = local.channel(f"http://127.0.0.1:{receiver.port}/hook", per_minute=per_minute)
    local.subscribe("run.succeeded", channel=channel)


def test_a_receiver_that_fails_is_tried_again_with_the_same_id_and_the_same_body(
    local: Local, answering: Answering
) -> None:
    receiver = answering(Scripted(500, 503, 200))
    hook(local, receiver)
    local.end(local.run())
    local.tell()
    assert local.deliveries()[0]["state"] == "pending"
    for _ in range(2):
        local.let_pass(1.0)
        local.tell()
    assert local.deliveries()[0]["state"] == "delivered"
    assert [row["status"] for row in local.attempts()] == [500, 503, 200]
    assert len({request.headers["webhook-id"] for request in receiver.got}) == 1
    assert len({request.body for request in receiver.got}) == 1


def test_an_answer_that_says_when_to_come_back_is_heeded(local: Local, answering: Answering) -> None:
    hook(local, answering(Scripted(429, 200, Retry_After="120")))
    local.end(local.run())
    local.tell()
    waits = local.platform.rows("SELECT extract(epoch FROM due_at - now()) AS s FROM deliveries")[0]["s"]
    assert 115 < waits <= 120


def test_what_a_receiver_refuses_is_given_up_at_once(local: Local, answering: Answering) -> None:
    hook(local, answering(Scripted(400)))
    local.end(local.run())
    local.tell()
    (row,) = local.deliveries()
    assert (row["state"], row["attempts"]) == ("dead", 1)
    assert "400" in row["last_error"]


def test_a_delivery_is_given_up_when_its_time_is_over(local: Local, answering: Answering) -> None:
    hook(local, answering(Scripted(500)))
    local.end(local.run())
    local.tell()
    local.let_pass(86_400)
    local.tell()
    (row,) = local.deliveries()
    assert (row["state"], row["reason"]) == ("dead", "given up after 1 attempts")


def test_a_receiver_that_is_gone_is_switched_off_and_its_owner_is_told(local: Local, answering: Answering) -> None:
    hook(local, answering(Scripted(410)))
    local.end(local.run())
    local.tell()
    local.end(local.run())
    local.tell()
    assert [row["state"] for row in local.deliveries()] == ["dead", "dead"]
    assert local.deliveries()[1]["reason"] == "the channel is switched off"
    assert [place["kind"] for place in local.inbox()] == ["channel.disabled"]


def test_a_channel_that_fails_too_often_rests_and_one_delivery_tries_whether_it_is_back(
    local: Local, answering: Answering
) -> None:
    receiver = answering(Scripted(500, 500, 500, 200))
    object.__setattr__(local.platform.settings, "notify_breaker_failures", 3)
    hook(local, receiver)
    for _ in range(6):
        local.end(local.run())
        local.tell()
    assert len(receiver.got) == 3
    assert {row["reason"] for row in local.deliveries()} >= {"the channel rests: it failed too often"}
    local.let_pass(17.0)
    local.tell()
    local.let_pass(3.0)
    local.tell()
    assert [row["state"] for row in local.deliveries()] == ["delivered"] * 6


def test_a_channel_through_which_nothing_gets_for_long_is_switched_off(local: Local, answering: Answering) -> None:
    object.__setattr__(local.platform.settings, "notify_breaker_failures", 1)
    object.__setattr__(local.platform.settings, "notify_give_up_s", 1e9)
    hook(local, answering(Scripted(500)))
    local.end(local.run())
    local.tell()
    local.let_pass(86_401)
    local.tell()
    channel = local.platform.rows("SELECT * FROM channels")[0]
    assert channel["disabled_at"] is not None
    assert channel["failures"] == 2


def test_a_rate_is_kept_within_five_per_cent(local: Local, answering: Answering) -> None:
    receiver = answering(Scripted(200))
    hook(local, receiver, per_minute=120)
    for _ in range(41):
        local.end(local.run())
    local.tell()
    assert len(receiver.got) == 2  # a second's worth comes at once
    turns = [
        row["at"]
        for row in local.platform.rows(
            "SELECT extract(epoch FROM due_at) AS at FROM deliveries WHERE paced ORDER BY due_at"
        )
    ]
    assert len(turns) == 39
    gaps = [float(later - earlier) for earlier, later in pairwise(turns)]
    assert sum(gaps) / len(gaps) == pytest.approx(0.5, rel=0.05)
    local.let_pass(30.0)
    local.tell()
    assert len(receiver.got) == 41


def test_a_worker_that_died_leaves_its_delivery_to_the_lease(local: Local, answering: Answering) -> None:
    receiver = answering(Scripted(200))
    hook(local, receiver)
    local.end(local.run())
    local.follower.once()
    with transaction(local.platform.engine) as session:
        session.execute(
            text(
                "UPDATE deliveries SET state = 'sending', attempts = 1, rung_at = now(), "
                "lease_expires_at = now() + interval '3 s'"
            )
        )
    local.tell()
    assert receiver.got == []
    local.let_pass(4.0)
    local.tell()
    assert [(row["state"], row["attempts"]) for row in local.deliveries()] == [("delivered", 2)]


@pytest.mark.parametrize("status", [200, 500])
def test_what_was_removed_while_it_was_sent_is_no_error(local: Local, answering: Answering, status: int) -> None:
    def remove(handler: Handler) -> None:
        with transaction(local.platform.engine) as session:
            session.execute(text("DELETE FROM channels"))
        handler.answer(status)

    receiver = answering(remove)
    hook(local, receiver)
    local.end(local.run())
    local.tell()
    assert len(receiver.got) == 1
    assert (local.deliveries(), local.attempts()) == ([], [])


def test_what_no_key_opens_waits_for_an_operator_to_put_the_key_back(local: Local, answering: Answering) -> None:
    receiver = answering(Scripted(200))
    hook(local, receiver)
    with transaction(local.platform.engine) as session:
        session.execute(text("UPDATE channels SET sealed = set_byte(sealed, 1, get_byte(sealed, 1) # 1)"))
    local.end(local.run())
    local.tell()
    (row,) = local.deliveries()
    assert (row["state"], receiver.got) == ("pending", [])
    assert "FAULTLINE_SEAL_KEYS" in row["last_error"]
    with transaction(local.platform.engine) as session:
        session.execute(text("UPDATE channels SET sealed = set_byte(sealed, 1, get_byte(sealed, 1) # 1)"))
    local.let_pass(1.0)
    local.tell()
    assert local.deliveries()[0]["state"] == "delivered"


def test_a_digest_collects_and_comes_once_at_its_time(local: Local, answering: Answering) -> None:
    receiver = answering(Scripted(200))
    channel = local.channel(f"http://127.0.0.1:{receiver.port}/hook")
    ahead = local.platform.rows("SELECT now() + interval '1 hour' AS at")[0]["at"]
    digest = {"every": "day", "at": "09:00:00", "weekday": 0}
    local.subscribe("run.succeeded", "run.failed", channel=channel, digest=digest, next_digest_at=ahead)
    local.end(local.run())
    local.end(local.run(), RunState.FAILED)
    local.tell()
    assert receiver.got == []
    local.let_pass(3700.0)
    local.tell()
    local.tell()
    (request,) = receiver.got
    told = orjson.loads(request.body)
    assert told["type"] == "digest"
    assert told["data"]["counts"] == {"run.succeeded": 1, "run.failed": 1}
    assert [row["state"] for row in local.deliveries()] == ["delivered"] * 3
    assert local.platform.rows("SELECT next_digest_at > now() AS ahead FROM subscriptions")[0]["ahead"]


def test_quiet_hours_hold_back_until_their_end(local: Local, answering: Answering) -> None:
    receiver = answering(Scripted(200))
    channel = local.channel(f"http://127.0.0.1:{receiver.port}/hook")
    now = local.platform.rows("SELECT now() AS at")[0]["at"]
    begin, end = now.replace(second=0, microsecond=0), (now.hour * 60 + now.minute + 120) % 1440
    quiet = {"begin": f"{begin:%H:%M:%S}", "end": f"{end // 60:02}:{end % 60:02}:00"}
    local.subscribe("run.succeeded", channel=channel, quiet=quiet)
    local.end(local.run())
    local.tell()
    (row,) = local.deliveries()
    assert (row["state"], row["reason"]) == ("pending", "quiet hours")
    assert 119 * 60 <= (row["due_at"] - begin).total_seconds() <= 120 * 60
    local.let_pass(7200.0)
    local.tell()
    assert len(receiver.got) == 1


@pytest.mark.parametrize("acknowledged", [False, True])
def test_another_channel_is_told_unless_somebody_acknowledges(
    local: Local, answering: Answering, acknowledged: bool
) -> None:
    receiver = answering(Scripted(200))
    boss = local.channel(f"http://127.0.0.1:{receiver.port}/boss")
    local.subscribe("run.failed", escalate_after_s=600, escalate_to=boss)
    local.end(local.run(), RunState.FAILED)
    local.tell()
    assert receiver.got == []
    if acknowledged:
        with transaction(local.platform.engine) as session:
            session.execute(text("UPDATE notices SET acknowledged_at = now()"))
    local.let_pass(600.0)
    local.tell()
    assert len(receiver.got) == (0 if acknowledged else 1)
    assert local.deliveries()[0]["state"] == ("dropped" if acknowledged else "delivered")
