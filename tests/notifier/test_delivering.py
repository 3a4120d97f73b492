"""From an event of a run to a receiver: real runs, a real notifier, a real receiver."""

from collections.abc import Callable

import orjson
import pytest
from standardwebhooks import Webhook

from services.notifier.webhook import new_secret
from tests.notifier.receiver import Handler, receiving
from tests.support.notices import Notices
from tests.support.platform import until


def fine(handler: Handler) -> None:
    handler.answer(204)


def test_a_run_that_ends_well_reaches_who_subscribed_and_the_signature_is_good(notices: Notices) -> None:
    secret = new_secret()
    with receiving(fine) as receiver:
        channel = notices.channel(f"http://127.0.0.1:{receiver.port}/hook", secret=secret)
        notices.subscribe("run.succeeded", "run.started", channel=channel)
        notices.start()
        notices.platform.start_core()
        notices.platform.start_worker("worker")
        run_id = notices.platform.submit("test.inline", steps=1)
        notices.platform.finished(run_id)
        until(lambda: len(receiver.got) >= 2, 20, f"nothing came:\n{notices.platform.log('notifier')}")
    told = [orjson.loads(request.body) for request in receiver.got]
    assert {one["type"] for one in told} == {"run.started", "run.succeeded"}
    assert {one["data"]["run_id"] for one in told} == {str(run_id)}
    for request in receiver.got:
        Webhook(secret).verify(request.body, request.headers)
    until(lambda: len(notices.deliveries(state="delivered")) == 2, 20)
    sent = {request.headers["webhook-id"] for request in receiver.got}
    assert {str(row["id"]) for row in notices.deliveries()} == sent


def hang(handler: Handler) -> None:
    handler.receiver.ended.wait(60)


def fail(handler: Handler) -> None:
    handler.answer(500)


def pour(handler: Handler) -> None:
    """A body of a gigabyte."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(1 << 30))
    handler.end_headers()
    for _ in range(1 << 10):
        handler.wfile.write(b"x" * (1 << 20))
        handler.receiver.sent += 1 << 20


@pytest.mark.parametrize("bad", [hang, fail, pour])
def test_a_channel_that_misbehaves_holds_up_neither_runs_nor_other_channels(
    notices: Notices, bad: Callable[[Handler], None]
) -> None:
    with receiving(bad) as worst, receiving(fine) as receiver:
        for port in (worst.port, receiver.port):
            notices.subscribe("run.succeeded", channel=notices.channel(f"http://127.0.0.1:{port}/hook"))
        notices.start()
        notices.platform.start_core()
        notices.platform.start_worker("worker")
        runs = [notices.platform.submit("test.inline", steps=1) for _ in range(10)]
        ended = [notices.platform.finished(run_id) for run_id in runs]
        until(lambda: len(receiver.got) == 10, 20, notices.platform.log("notifier"))
        assert {row["state"] for row in ended} == {"succeeded"}
        assert worst.got
        assert worst.sent < 64 << 20
