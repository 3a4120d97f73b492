"""From an event of a run to a receiver: real runs, a real notifier, a real receiver."""

import orjson
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
