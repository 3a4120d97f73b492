"""A request becomes a queued run: row, event, entity, idempotency key and NOTIFY in one commit. No broker here."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import orjson
from sqlalchemy import text
from uuid6 import uuid7

from shared.contracts.kinds import kind_named
from shared.contracts.specs import Spec, TrainingSpec
from shared.contracts.states import RunState
from shared.db.listen import RUNS_CHANNEL
from shared.db.session import Executes
from shared.errors import Conflict
from shared.observability.tracing import current_traceparent
from shared.runs import idempotency
from shared.runs.inputs import pin_inputs
from shared.runs.quotas import check_queued
from shared.settings import Settings


@dataclass(frozen=True)
class Caller:
    """On whose behalf: a principal in a project."""

    principal_id: UUID
    project_id: UUID


@dataclass(frozen=True)
class Request:
    """What is asked for."""

    kind: str
    spec: Spec
    pool: str | None = None
    priority: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None
    retry_of: UUID | None = None
    not_before: datetime | None = None  #: with a time zone
    schedule_id: UUID | None = None
    parent_id: UUID | None = None
    named: bool = True  #: what it makes gets its name; a trial of a campaign makes nothing of a name

    def digest(self) -> str:
        """Equal for equal requests."""
        body: list[Any] = [self.kind, self.spec.model_dump(mode="json"), self.pool, self.priority, self.labels]
        body += [str(self.retry_of)] if self.retry_of else []
        body += [self.not_before.timestamp()] if self.not_before else []
        return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


_QUEUE = text(
    f"""
    WITH queued AS (
        INSERT INTO runs (id, project_id, created_by, kind, spec, spec_version, inputs, labels, pool, priority,
            retry_of, not_before, schedule_id, parent_id, state, event_seq, traceparent)
        SELECT id, :project, :principal, kind, spec, spec_version, inputs, labels, pool, priority, retry_of,
            not_before, schedule_id, parent_id, 'queued', 1, :traceparent
        FROM jsonb_to_recordset(CAST(:runs AS jsonb)) AS given (id uuid, kind text, spec jsonb, spec_version int,
            inputs jsonb, labels jsonb, pool text, priority int, retry_of uuid, not_before timestamptz,
            schedule_id uuid, parent_id uuid)
        RETURNING id, project_id, pool
    ), told AS (
        INSERT INTO run_events (run_id, seq, attempt, type, data)
        SELECT id, 1, 1, 'state', '{{"state": "queued"}}' FROM queued
    )
    SELECT projects.max_queued, pg_notify('{RUNS_CHANNEL}', concat_ws(' ', queued.id, 1, 'queued', queued.pool))
    FROM queued JOIN projects ON projects.id = queued.project_id
    """  # noqa: S608 - constant
)


def submit(session: Executes, settings: Settings, caller: Caller, request: Request) -> UUID:
    """Queue a run and return its id; the same id for a repeated idempotency key.

    Raises `UserError` for an unknown kind or pool, `NotFound` or `NotReady` for an input, `Conflict` for a taken
    name or an idempotency key that was used for something else, `QuotaExceeded` for one queued run too many.
    """
    kind = kind_named(request.kind)
    settings.pool(request.pool or kind.pool)
    key = request.idempotency_key
    if key and (before := idempotency.replayed(session, caller.project_id, key, request.digest())):
        return before
    run = prepare(session, settings, caller, request)
    queue(session, caller, [run])
    run_id: UUID = run["id"]
    if kind.makes is not None and request.named:
        name_result(session, caller, run_id, kind.makes, request.spec)
    if key:
        idempotency.remember(session, caller.project_id, key, request.digest(), run_id)
    return run_id


def prepare(session: Executes, settings: Settings, caller: Caller, request: Request) -> dict[str, Any]:
    """The row of a run, for `queue`; nothing is written yet, and what it reads is pinned.

    Raises `UserError` for an unknown kind or pool, `NotFound` or `NotReady` for an input."""
    kind = kind_named(request.kind)
    return {
        "id": uuid7(),
        "kind": kind.name,
        "spec": orjson.Fragment(request.spec.model_dump_json()),
        "spec_version": request.spec.spec_version,
        "inputs": pin_inputs(session, caller.project_id, request.spec),
        "labels": request.labels,
        "pool": settings.pool(request.pool or kind.pool).name,
        "priority": request.priority,
        "retry_of": request.retry_of,
        "not_before": request.not_before,
        "schedule_id": request.schedule_id,
        "parent_id": request.parent_id,
    }


def queue(session: Executes, caller: Caller, runs: Sequence[dict[str, Any]]) -> None:
    """Queue what was prepared, in one statement. Raises `QuotaExceeded` for one queued run too many."""
    values = {
        "runs": orjson.dumps(runs, default=str).decode(),  # an id of uuid6 is none to orjson
        "project": caller.project_id,
        "principal": caller.principal_id,
        "traceparent": current_traceparent(),
    }
    told = session.execute(_QUEUE, values).first()
    if told is not None and told.max_queued is not None:
        check_queued(session, caller.project_id)


def name_result(
    session: Executes, caller: Caller, run_id: UUID, makes: Literal["dataset", "model"], spec: Spec
) -> UUID:
    """Give what a run makes its name; a name whose run failed is free again. Returns the entity's id.

    Raises `Conflict` for a name that is taken."""
    table = f"{makes}s"
    values: dict[str, Any] = {"uuid": uuid7(), "project": caller.project_id, "run": run_id}
    values["name"] = spec.model_dump()["name"]
    values["ended"] = [RunState.FAILED, RunState.CANCELLED, RunState.QUARANTINED]
    column, placeholder, update = "", "", ""
    if isinstance(spec, TrainingSpec):
        values["dataset"] = spec.dataset_id
        column, placeholder, update = ", dataset_id", ", :dataset", ", dataset_id = excluded.dataset_id"
    taken = session.execute(
        text(
            f"""
            INSERT INTO {table} AS entity (id, project_id, name, run_id{column})
            VALUES (:uuid, :project, :name, :run{placeholder})
            ON CONFLICT (project_id, name) DO UPDATE SET run_id = excluded.run_id{update}
            WHERE (SELECT state FROM runs WHERE runs.id = entity.run_id) = ANY(:ended)
            RETURNING id
            """  # noqa: S608 - `table` and columns are constants of this module
        ),
        values,
    ).one_or_none()
    if taken is None:
        raise Conflict(f"There is a {makes} named {values['name']!r} already.", remedy="Choose another name.")
    made: UUID = taken.id
    return made
