"""Eager mode: what a request runs is told before it answers."""

from shared.queue.eager import Eager
from tests.conftest import MakePlatform
from tests.notifier.receiver import Handler, receiving
from tests.support.notices import ENVIRONMENT, Notices

MODULES = '["tests.support.tasks", "services.notifier.tasks"]'


def fine(handler: Handler) -> None:
    handler.answer(204)


def test_a_run_and_its_notices_are_done_in_one_process(make_platform: MakePlatform) -> None:
    notices = Notices(make_platform(CELERY_ALWAYS_EAGER="true", FAULTLINE_EAGER_TASK_MODULES=MODULES, **ENVIRONMENT))
    with receiving(fine) as receiver:
        notices.subscribe("run.failed", channel=notices.channel(f"http://127.0.0.1:{receiver.port}/hook"))
        eager = Eager(notices.platform.settings)
        notices.platform.submit("test.inline", steps=2, fail_at=1)
        eager.run_everything()
        eager.close()
        assert [row["state"] for row in notices.deliveries()] == ["delivered"]
        assert len(receiver.got) == 1
    assert [place["kind"] for place in notices.inbox()] == ["run.failed"]
