"""Schedules: runs by the clock."""

from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from uuid6 import uuid7

from services.api.access.identity import Identity
from services.api.audit import audit
from services.api.deps import After, EditorDep, IdempotencyKey, Limit, PartsDep, SessionDep, ViewerDep
from services.api.etags import IfMatchDep, tag_of_view
from services.api.idempotent import OnceDep, digest_of
from services.api.submissions import checked
from services.api.views import page_of, run_view
from shared.contracts.kinds import kind_named
from shared.contracts.schedules import ScheduleChange, ScheduleRequest, ScheduleView
from shared.contracts.views import Page, RunView
from shared.db.models import Run, Schedule
from shared.db.session import transaction
from shared.errors import Conflict, NotFound, NotReady, UserError
from shared.runs import idempotency
from shared.runs.inputs import pin_inputs
from shared.runs.schedules import by_hand, next_times, request_by_hand
from shared.runs.submit import submit
from shared.settings import Settings

router = APIRouter(prefix="/v1/schedules", tags=["schedules"])
_SHOWN = 5
_NULLABLE = frozenset({"pool"})
#: The rest changes by itself, each time that the schedule fires.
_BY_PEOPLE = frozenset(ScheduleChange.model_fields) | {"id", "created_by"}


def _now() -> datetime:
    return datetime.now(UTC)


def _view(schedule: Schedule) -> ScheduleView:
    fields = set(ScheduleView.model_fields) - {"next_times"}
    shown = []
    if schedule.next_at is not None and schedule.enabled:
        later = next_times(schedule.cron, schedule.timezone, schedule.next_at, _SHOWN - 1)
        shown = [schedule.next_at, *later]
    return ScheduleView(**{field: getattr(schedule, field) for field in fields}, next_times=shown)


def _tag(view: ScheduleView) -> str:
    return tag_of_view(view, _BY_PEOPLE)


def _find(session: Session, project_id: UUID, ref: str, *, lock: bool = False) -> Schedule:
    """By id or name. Raises `NotFound`."""
    try:
        one = Schedule.id == UUID(ref)
    except ValueError:
        one = Schedule.name == ref
    query = select(Schedule).where(Schedule.project_id == project_id, one)
    found = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if found is None:
        raise NotFound(f"There is no schedule {ref[:80]!r} in this project.", remedy="`GET /v1/schedules` lists them.")
    return found


def _settle(session: Session, settings: Settings, schedule: Schedule) -> None:
    """Check the whole and find its next time. Raises `UserError` for what could never run, `Conflict` for a name."""
    now = _now()
    kind = kind_named(schedule.kind)
    settings.pool(schedule.pool or kind.pool)
    spec = checked(kind.spec, by_hand(kind, schedule.spec, now))  # the longest of its names must be one
    with session.no_autoflush, suppress(NotReady):  # an input may be ready by then
        pin_inputs(session, schedule.project_id, spec)
    schedule.spec_version = kind.spec.spec_version
    coming = next_times(schedule.cron, schedule.timezone, now, 1)[0]
    schedule.next_at = coming if schedule.enabled else None
    schedule.updated_at = now
    session.add(schedule)
    name = schedule.name
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(
            f"There is a schedule named {name!r} already.", remedy="Choose another name, or change that one."
        ) from error


@router.get("")
def list_schedules(
    session: SessionDep, identity: ViewerDep, cursor: After = None, limit: Limit = 50
) -> Page[ScheduleView]:
    """Newest first."""
    query = select(Schedule).where(Schedule.project_id == identity.project_id).order_by(Schedule.id.desc())
    rows = session.scalars((query.where(Schedule.id < cursor) if cursor else query).limit(limit + 1)).all()
    return page_of(rows, [_view(row) for row in rows], limit)


@router.post("", status_code=201)
def make_schedule(
    body: ScheduleRequest,
    response: Response,
    session: SessionDep,
    parts: PartsDep,
    identity: EditorDep,
    once: OnceDep,
) -> ScheduleView:
    """Submit a run again and again. It submits on behalf of who made it, as long as that one may."""
    make = partial(_make, session, parts.settings, identity, body)
    view = once(session, identity, ScheduleView, body, make=make)
    response.headers["Location"] = f"/v1/schedules/{view.id}"
    return view


def _make(session: Session, settings: Settings, identity: Identity, body: ScheduleRequest) -> ScheduleView:
    owner = {"id": uuid7(), "project_id": identity.project_id, "created_by": identity.principal_id}
    schedule = Schedule(**owner, **body.model_dump())
    _settle(session, settings, schedule)
    audit(session, identity, "schedule.create", schedule.id, name=schedule.name)
    session.refresh(schedule)
    return _view(schedule)


@router.get("/{schedule}")
def show_schedule(schedule: str, session: SessionDep, identity: ViewerDep, response: Response) -> ScheduleView:
    """One schedule, by id or name. Its `ETag` changes when somebody changes the schedule, not when it fires."""
    view = _view(_find(session, identity.project_id, schedule))
    response.headers["ETag"] = _tag(view)
    return view


@router.patch("/{schedule}")
def change_schedule(
    schedule: str, body: ScheduleChange, session: SessionDep, parts: PartsDep, identity: EditorDep, seen: IfMatchDep
) -> ScheduleView:
    """Change some fields. From now on it submits on behalf of who changed it."""
    found = _find(session, identity.project_id, schedule, lock=True)
    seen.against(_tag(_view(found)))
    changes = _changes(body)
    for field, value in changes.items():
        setattr(found, field, value)
    found.created_by = identity.principal_id
    found.last_error = None
    if changes == {"enabled": False}:
        found.next_at = None  # also for one that could not run any more
    else:
        _settle(session, parts.settings, found)
    audit(session, identity, "schedule.change", found.id, fields=sorted(changes))
    return _view(found)


def _changes(body: ScheduleChange) -> dict[str, Any]:
    changes = body.model_dump(exclude_unset=True)
    empty = sorted(field for field, value in changes.items() if value is None and field not in _NULLABLE)
    if empty:
        raise UserError(f"{', '.join(empty)}: must not be null.", remedy="Leave out what is to stay as it is.")
    return changes


@router.delete("/{schedule}", status_code=204)
def remove_schedule(schedule: str, session: SessionDep, identity: EditorDep, seen: IfMatchDep) -> None:
    """Its runs stay."""
    found = _find(session, identity.project_id, schedule, lock=True)
    seen.against(_tag(_view(found)))
    audit(session, identity, "schedule.remove", found.id, name=found.name)
    session.delete(found)


@router.post("/{schedule}/run", status_code=202, response_model=RunView)
def run_schedule(
    schedule: str, parts: PartsDep, identity: EditorDep, response: Response, key: IdempotencyKey = None
) -> RunView:
    """Submit its run now, beside its times and on behalf of the caller."""
    asked = digest_of("schedule.run", schedule)  # not when: a repeat may come in the next minute
    with transaction(parts.engine) as session:
        run_id = idempotency.replayed(session, identity.project_id, key, asked) if key else None
        if run_id is None:
            found = _find(session, identity.project_id, schedule)
            run_id = submit(session, parts.settings, identity, request_by_hand(found, _now()))
            audit(session, identity, "schedule.run", found.id, name=found.name, run=run_id)
            if key:
                idempotency.remember(session, identity.project_id, key, asked, run_id)
    parts.after_submit()
    response.headers["Location"] = f"/v1/runs/{run_id}"
    with transaction(parts.engine) as session:
        return run_view(session.get_one(Run, run_id))
