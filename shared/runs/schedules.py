"""Submits runs by the clock. Each time is one run, however many processes look: a row lock and an idempotency key.

Times are those of cron as Debian's does it: in the night when clocks go forward, a time that does not exist is the
moment of the change; when they go back, a fixed time comes once. Times that were missed are one run, not many.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from uuid import uuid4

import structlog
from cronsim import CronSim, CronSimError
from pydantic import ValidationError
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from shared.contracts.instants import zone_named
from shared.contracts.kinds import Kind, kind_named
from shared.contracts.roles import Role
from shared.contracts.states import TERMINAL
from shared.contracts.stored import read_spec
from shared.db.models import Run, Schedule
from shared.db.session import AWAY, transaction
from shared.errors import FaultlineError, UserError
from shared.runs.submit import Caller, Request, submit
from shared.settings import Settings

_log = structlog.get_logger(__name__)
_FIELDS = 5
_TIME = "{time}"
_NOW = text("SELECT now()")
_ROLE = text(
    """
    SELECT m.role FROM memberships m JOIN principals p ON p.id = m.principal_id JOIN projects j ON j.id = m.project_id
    WHERE m.principal_id = :principal AND m.project_id = :project AND p.disabled_at IS NULL AND j.deleted_at IS NULL
    """
)


def times(cron: str, timezone: str, after: datetime) -> Iterator[datetime]:
    """The times after `after`, in UTC. Raises `UserError` for an expression or a zone that means nothing."""
    zone = zone_named(timezone)
    remedy = "Send five fields: minute, hour, day of month, month, day of week, e.g. `30 2 * * 1-5`."
    if len(cron.split()) != _FIELDS:
        raise UserError(f"The cron expression {cron[:60]!r} has not five fields.", remedy=remedy)
    try:
        found = CronSim(cron, after.astimezone(zone))
    except CronSimError as error:
        raise UserError(f"The cron expression {cron[:60]!r} is wrong: {error}.", remedy=remedy) from error
    return (time.astimezone(UTC) for time in found)


def next_times(cron: str, timezone: str, after: datetime, count: int) -> list[datetime]:
    """The next `count` times. Raises `UserError` as `times` does, and if there is none."""
    found = list(islice(times(cron, timezone, after), count))
    if not found:
        raise UserError(f"The cron expression {cron[:60]!r} never comes true.", remedy="Name a day that exists.")
    return found


def by_hand(kind: Kind, spec: dict[str, Any], at: datetime) -> dict[str, Any]:
    """The spec of a run beside the times: its name has some random digits more, because two may come in one minute.

    Raises `UserError` if all runs of the schedule would claim one name.
    """
    return _named(kind, spec, f"{_minute(at)}-{uuid4().hex[:6]}")


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%d-%H%M}"


def _named(kind: Kind, spec: dict[str, Any], time: str) -> dict[str, Any]:
    name = spec.get("name")
    if kind.makes is not None and (not isinstance(name, str) or _TIME not in name):
        raise UserError(
            f"Every run of {kind.name} makes a {kind.makes} of its own and needs a name of its own.",
            remedy=f"Put {_TIME} into spec.name, e.g. `nightly-{_TIME}`.",
        )
    if not isinstance(name, str):
        return spec
    return spec | {"name": name.replace(_TIME, time)}


def fire_due(engine: Engine, settings: Settings, now: datetime | None = None) -> int:
    """Submit what is due. Returns how many runs. `now`: another time than the database's, for tests."""
    fired = 0
    while True:
        with transaction(engine) as session:
            at = now or session.execute(_NOW).scalar_one()
            schedule = session.scalars(
                select(Schedule)
                .where(Schedule.enabled, Schedule.next_at <= at)
                .order_by(Schedule.next_at)
                .limit(1)
                .with_for_update(skip_locked=True)
            ).one_or_none()
            if schedule is None:
                return fired
            fired += _fire(session, settings, schedule, at)


def _fire(session: Session, settings: Settings, schedule: Schedule, now: datetime) -> bool:
    """Whether the time made a run. In any case the schedule goes on to its next time or stops with a reason."""
    due = schedule.next_at or now
    try:
        schedule.next_at = next_times(schedule.cron, schedule.timezone, now, 1)[0]
    except UserError as error:
        return _stop(schedule, error.message)
    if not _may_submit(session, schedule):
        return _stop(schedule, "Who made it may not submit runs in this project any more; enable it to take it over.")
    if schedule.overlap == "skip" and (before := _unfinished(session, schedule)) is not None:
        schedule.last_error = f"Left out at {due.astimezone(UTC):%Y-%m-%d %H:%M} UTC: run {before} has not ended."
        return False
    try:
        with session.begin_nested():
            submit(session, settings, Caller(schedule.created_by, schedule.project_id), _request_at(schedule, due))
    except AWAY:
        raise
    except (FaultlineError, ValidationError, SQLAlchemyError) as error:
        schedule.last_error = str(error)[:500]
        _log.warning("a schedule made no run", schedule_id=str(schedule.id), error=schedule.last_error)
        return False
    schedule.last_at, schedule.last_error = due, None
    return True


def request_by_hand(schedule: Schedule, at: datetime) -> Request:
    """What the schedule asks for when somebody wants it now.

    Raises `UserError`, `Fatal` or `Retryable` for a spec of no use now.
    """
    return _request(schedule, by_hand(kind_named(schedule.kind), schedule.spec, at))


def _request_at(schedule: Schedule, at: datetime) -> Request:
    asked = _request(schedule, _named(kind_named(schedule.kind), schedule.spec, _minute(at)))
    # with a line break, which no header of a request can carry: nobody else can take the key of a time
    return replace(asked, idempotency_key=f"schedule\n{schedule.id}\n{at.astimezone(UTC).isoformat()}")


def _request(schedule: Schedule, spec: dict[str, Any]) -> Request:
    return Request(
        schedule.kind,
        read_spec(schedule.kind, schedule.spec_version, spec),
        schedule.pool,
        schedule.priority,
        schedule.labels,
        schedule_id=schedule.id,
    )


def _stop(schedule: Schedule, reason: str) -> bool:
    schedule.enabled, schedule.next_at, schedule.last_error = False, None, reason
    _log.warning("a schedule stops", schedule_id=str(schedule.id), reason=reason)
    return False


def _may_submit(session: Session, schedule: Schedule) -> bool:
    values = {"principal": schedule.created_by, "project": schedule.project_id}
    role = session.execute(_ROLE, values).scalar()
    return role is not None and Role(role).covers(Role.EDITOR)


def _unfinished(session: Session, schedule: Schedule) -> Any:
    query = select(Run.id).where(Run.schedule_id == schedule.id, Run.state.not_in(TERMINAL))
    return session.scalars(query.order_by(Run.id.desc()).limit(1)).one_or_none()
