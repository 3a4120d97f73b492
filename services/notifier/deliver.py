"""`notification.deliver`: one attempt each to bring some notices to one channel.

The row is taken in one commit, the receiver is spoken to outside of any, what came of it is written in another. A
worker that dies in between leaves the row to its lease; the receiver then sees the same id again.
"""

import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import structlog

from services.notifier import rows
from services.notifier.answer import Answer
from services.notifier.ringing import SIDE_BY_SIDE
from services.notifier.sending import Outgoing, Senders
from shared.contracts.notices import ChannelNotice
from shared.contracts.notifying import DELIVER
from shared.db.session import Executes, statements
from shared.errors import FaultlineError
from shared.notices.announcing import announce
from shared.notices.seal import SealKeyMissing
from shared.observability import metrics
from shared.queue import step_task
from shared.queue.runtime import Runtime
from shared.settings import Settings

_log = structlog.get_logger(__name__)


@step_task(DELIVER)
def deliver(args: dict[str, Any], runtime: Runtime) -> None:
    """Deliver what is due of one channel, side by side; or say in the rows why not now."""
    settings = runtime.settings
    with statements(runtime.engine) as session:
        begun = _begun(session, settings, rows.take(session, args["delivery_ids"]))
    if len(begun) == 1:
        _attempt(runtime, begun[0])
        return
    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        for ended in [threads.submit(copy_context().run, _attempt, runtime, row) for row in begun]:
            ended.result()


def _attempt(runtime: Runtime, row: Any) -> None:
    answer = _sent(runtime.settings, row)
    with statements(runtime.engine) as session:
        _settle(session, runtime.settings, row, answer)


def _begun(session: Executes, settings: Settings, taken: Sequence[Any]) -> list[Any]:
    """Those of which an attempt begins now; the rows of the others say why not."""
    begun: list[Any] = []
    for row in taken:
        if over := _over(row):
            rows.end(session, row.id, *over)
        elif row.retry_at is not None and (begun or row.retry_at > row.now):
            # a channel that has failed is tried by one delivery, for which the others wait
            rests_s = max(1.0, (row.retry_at - row.now).total_seconds()) * (1 + random.random() / 10)  # noqa: S311
            rows.later(session, row.id, rests_s, "the channel rests: it failed too often")
        elif not row.paced and (wait_s := rows.turn(session, row.channel_id, row.per_minute)) > 0:
            rows.later(session, row.id, wait_s, "its turn within the rate of the channel", paced=True)
        else:
            begun.append(row)
    if begun:
        if begun[0].retry_at is not None:
            rows.probe(session, begun[0].channel_id, settings.notify_total_s)
        ids = [row.id for row in begun]
        rows.send(session, ids, settings.notify_lease_s, settings.notify_give_up_s)
    return begun


def _over(row: Any) -> tuple[str, str] | None:
    """The end of a delivery that is not sent any more, and why."""
    if row.project_deleted_at is not None or not row.may_know:
        return "dropped", "who subscribed is no member of the project any more"
    if row.escalates and row.acknowledged_at is not None:
        return "dropped", "acknowledged"
    if row.disabled_at is not None:
        return "dead", "the channel is switched off"
    if row.give_up_at is not None and row.give_up_at <= row.now:
        return "dead", f"given up after {row.attempts} attempts"
    return None


def _sent(settings: Settings, row: Any) -> Answer:
    """One attempt. What cannot be sent at all is an answer too: it is not worth another attempt."""
    began_s = time.monotonic()
    try:
        answer = Senders.of(settings).send(Outgoing.of(row))
    except FaultlineError as error:
        words = f"not sent: {error.message} {error.remedy or ''}".strip()
        spent_ms = 1000 * (time.monotonic() - began_s)
        passing = isinstance(error, SealKeyMissing)  # an operator puts the key back
        answer = Answer(False, None, spent_ms, error=words, refused=not passing)
    outcome = "delivered" if answer.ok else "refused" if answer.refused else "failed"
    metrics.DELIVERIES.labels(row.service, outcome).inc()
    metrics.DELIVERY_SECONDS.labels(row.service).observe(answer.latency_ms / 1000)
    if row.attempts == 0:
        metrics.NOTICE_SECONDS.observe(max(0.0, time.time() - row.at.timestamp()))
    log = _log.info if answer.ok else _log.warning
    log(
        "notice delivered" if answer.ok else "notice not delivered",
        delivery=str(row.id),
        kind=row.kind,
        channel=row.channel,
        service=row.service,
        attempt=row.attempts + 1,
        status=answer.status,
        error=answer.error,
    )
    return answer


def _settle(session: Executes, settings: Settings, row: Any, answer: Answer) -> None:
    attempt = row.attempts + 1
    if not rows.log(session, row.id, attempt, answer):
        _log.warning("an attempt took longer than its lease", delivery=str(row.id), attempt=attempt)
        return
    if answer.ok:
        return
    error = answer.error or "it failed"
    channel = rows.went_badly(
        session,
        row.channel_id,
        error,
        gone=answer.gone,
        limit=settings.notify_breaker_failures,
        longest_s=settings.notify_breaker_longest_s,
        disable_s=settings.notify_disable_after_s,
    )
    if channel is not None and channel.disabled_at is not None:
        metrics.CHANNELS_DISABLED.labels(row.service).inc()
        told = ChannelNotice(
            channel_id=row.channel_id, channel=row.channel, failures=channel.failures, last_error=error[:500]
        )
        announce(session, "channel.disabled", told, project_id=row.project_id, principal_id=row.created_by)
    if answer.worth_retrying:
        wait_s = max(_pause_s(settings, attempt), answer.retry_after_s or 0.0)
        rows.later(session, row.id, wait_s, f"attempt {attempt} failed", error=error)
    else:
        rows.end(session, row.id, "dead", "the receiver or this server refuses it", error)


def _pause_s(settings: Settings, attempt: int) -> float:
    """Before the next attempt; a fifth longer at most, so that what failed together does not come back together."""
    pauses = settings.notify_backoff_s
    return pauses[min(attempt, len(pauses)) - 1] * (1 + random.random() / 5)  # noqa: S311 - no secret
