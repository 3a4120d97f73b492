"""The one Celery app: explicit modules, JSON only, ids only. `make_app` acts; importing this does nothing."""

import importlib
from typing import Any
from uuid import UUID

from celery import Celery, Task
from celery.exceptions import Ignore
from kombu import Queue
from kombu.exceptions import OperationalError

from shared.contracts.kinds import KINDS, kind_named
from shared.errors import Fatal, Retryable
from shared.queue.execute import NotOurs, execute
from shared.queue.mirror import Mirror
from shared.queue.registry import RUN_BODIES, STEP_BODIES, RunBody
from shared.queue.runtime import Runtime
from shared.queue.steps import RETRIED, run_step
from shared.settings import Settings

STEPS_QUEUE = "steps"
#: steps of the campaign coordinator
CAMPAIGNS_QUEUE = "campaigns"
#: steps of the notifier
NOTIFICATIONS_QUEUE = "notifications"
_STEP_QUEUES = (STEPS_QUEUE, CAMPAIGNS_QUEUE, NOTIFICATIONS_QUEUE)
#: by what their names begin with
_QUEUE_OF = {"campaign": CAMPAIGNS_QUEUE, "notification": NOTIFICATIONS_QUEUE}
#: Beyond a kind's own hard limit, which the keeper watches: only for a keeper that is stuck itself.
_LAST_RESORT_S = 60.0


def step_queue(step: str) -> str:
    """Where a step is sent."""
    return _QUEUE_OF.get(step.partition(".")[0], STEPS_QUEUE)


class Holder:
    """Where the tasks of a process find their runtime, which exists only after the fork."""

    runtime: Runtime | None = None

    def get(self) -> Runtime:
        """The runtime. Raises `Fatal` before it is made."""
        if self.runtime is None:
            raise Fatal("a task came before the worker process was ready")
        return self.runtime


def make_app(settings: Settings, modules: list[str], holder: Holder) -> Celery:
    """The app of a worker, with the tasks of `modules`."""
    for module in modules:
        importlib.import_module(module)
    for kind in settings.kind_limits_s:
        kind_named(kind)
    app = Celery("faultline", set_as_current=False)
    app.conf.update(_configuration(settings))
    for body in RUN_BODIES.values():
        _add_run(app, body, holder, settings)
    for name in STEP_BODIES:
        _add_step(app, name, holder, settings)
    return app


def _configuration(settings: Settings) -> dict[str, Any]:
    step_limit_s = settings.step_time_limit_s
    return {
        "broker_url": settings.broker_url,
        "result_backend": settings.result_backend,
        "task_always_eager": settings.always_eager,
        "task_ignore_result": settings.result_backend is None,
        "result_expires": settings.result_expires_s,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "timezone": "UTC",
        "task_queues": [*(Queue(pool.name, no_ack=True) for pool in settings.pools), *map(Queue, _STEP_QUEUES)],
        "task_default_queue": STEPS_QUEUE,
        "task_create_missing_queues": False,
        "task_track_started": False,
        "task_acks_late": False,
        "worker_disable_prefetch": True,
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_send_task_events": False,
        # Nobody uses it, and its subscription makes a worker deaf for ever: if the server closes the connection,
        # redis-py connects anew inside a read that then blocks the whole consumer.
        "worker_enable_remote_control": False,
        "worker_enable_soft_shutdown_on_idle": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            "visibility_timeout": int(step_limit_s * 4),
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 5,  # a connection that is open on one side only is dropped after 6 to 11 s
            "retry_on_timeout": True,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
        },
        "redis_socket_timeout": 5,
        "redis_socket_connect_timeout": 5,
        "redis_retry_on_timeout": False,
        "result_backend_transport_options": {"retry_policy": {"timeout": 5.0}},
    }


def _add_run(app: Celery, body: RunBody, holder: Holder, settings: Settings) -> None:
    _soft_s, hard_s = settings.kind_limits_s.get(body.kind, (0.0, KINDS[body.kind].hard_limit_s))
    limit_s = int(hard_s + _LAST_RESORT_S)

    @app.task(
        bind=True,
        name=body.kind,
        shared=False,
        acks_late=False,
        time_limit=limit_s,
        max_retries=0,
        Request="shared.queue.request:RunRequest",
        resultrepr_maxsize=64,  # for a log line that nobody wants
    )
    def run(task: Task[Any, Any], /, run_id: str, attempt: int, **_later: Any) -> dict[str, Any] | None:
        runtime = holder.get()
        with Mirror(task, f"{run_id}:{attempt}", settings) as mirror:
            try:
                return execute(runtime, body.kind, UUID(run_id), attempt, mirror.show)
            except NotOurs as error:
                raise Ignore(str(error)) from error


def _add_step(app: Celery, name: str, holder: Holder, settings: Settings) -> None:
    limit_s = int(settings.step_time_limit_s)

    @app.task(
        bind=True,
        name=name,
        shared=False,
        acks_late=True,
        ignore_result=True,
        soft_time_limit=limit_s,
        time_limit=limit_s + 10,
        autoretry_for=RETRIED,
        retry_on_worker_lost=True,
        retry_backoff=True,
        retry_backoff_max=60,
        retry_jitter=True,
        default_retry_delay=2,
        max_retries=settings.step_max_retries,
    )
    def step(task: Task[Any, Any], /, args: dict[str, Any], **_later: Any) -> None:
        run_step(holder.get(), name, args, task)


class Sender:
    """Rings the doorbell: the only place that publishes. It knows no result backend, so none can stand in its way."""

    def __init__(self, settings: Settings) -> None:
        self._app = Celery("faultline", set_as_current=False)
        self._app.backend_cls = "disabled"  # CELERY_RESULT_BACKEND would outweigh the configuration
        self._app.conf.update(_configuration(settings))
        # It sends under row locks: rather an early refusal, and the rows wait, than a long silence.
        self._app.conf.broker_transport_options |= {"socket_timeout": 3, "retry_on_timeout": False}

    def run(self, kind: str, queue: str, run_id: UUID, attempt: int, traceparent: str | None) -> None:
        """Send the message of one attempt. Raises `Retryable` while the broker is away."""
        self._send(kind, queue, f"{run_id}:{attempt}", [str(run_id), attempt], traceparent)

    def step(self, name: str, task_id: str, args: dict[str, Any], traceparent: str | None) -> None:
        """Send one step. Raises `Retryable` while the broker is away."""
        self._send(name, step_queue(name), task_id, [args], traceparent)

    @property
    def visibility_timeout_s(self) -> float:
        """After so many seconds the broker gives a message that was not acknowledged to another worker."""
        return float(self._app.conf.broker_transport_options["visibility_timeout"])

    def depth(self, queue: str) -> int:
        """Messages that wait in a queue. Raises `Retryable` while the broker is away."""
        try:
            with self._app.connection_for_read() as connection:
                channel: Any = connection.default_channel
                return int(channel.client.llen(queue))
        except (OperationalError, OSError) as error:
            raise Retryable(f"the broker is away: {error}") from error

    def _send(self, name: str, queue: str, task_id: str, args: list[Any], traceparent: str | None) -> None:
        headers = {"traceparent": traceparent} if traceparent else None
        try:
            self._app.send_task(name, args, queue=queue, task_id=task_id, retry=False, headers=headers)
        except (OperationalError, OSError) as error:
            raise Retryable(f"the broker is away: {error}") from error
