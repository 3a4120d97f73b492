"""Projects: the tenants. One that is deleted keeps its rows for a while, and nobody gets in."""

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy import Row, Select, and_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from uuid6 import uuid7

from services.api.access.identity import Identity
from services.api.audit import audit
from services.api.deps import After, Limit, OperatorDep, OwnerDep, OwnerOrOperatorDep, SessionDep, ViewerDep
from services.api.etags import IfMatchDep, tag_of_view
from services.api.idempotent import OnceDep
from services.api.keys import made_again, make_key, new_key_view
from services.api.refs import named
from services.api.views import page_of
from shared.contracts.access import KeyView, NewKeyView, NewProjectView, ProjectChange, ProjectRequest, ProjectView
from shared.contracts.roles import Role
from shared.contracts.states import TERMINAL, RunState
from shared.contracts.views import Page
from shared.db.models import Run, Schedule
from shared.db.tenancy import ApiKey, Membership, Project
from shared.errors import Conflict, Forbidden, NotFound
from shared.runs.cancel import request_cancel

router = APIRouter(prefix="/v1/projects", tags=["access"])


def _visible(identity: Identity) -> Select[Project, str]:
    """Projects that the caller may see: its own ones; an operator sees all. Each with the caller's role in it."""
    mine = and_(Membership.project_id == Project.id, Membership.principal_id == identity.principal_id)
    query = select(Project, Membership.role).outerjoin(Membership, mine).where(Project.deleted_at.is_(None))
    return query if identity.operator else query.where(Membership.role.is_not(None))


def _view(row: Row[Project, str]) -> ProjectView:
    project, role = row
    return ProjectView(
        id=project.id,
        name=project.name,
        role=None if role is None else Role(role),
        share=project.share,
        max_running=project.max_running,
        max_queued=project.max_queued,
        gpu_hours_per_day=project.gpu_hours_per_day,
        created_at=project.created_at,
        deleted_at=project.deleted_at,
    )


def _find(session: Session, identity: Identity, ref: str, *, lock: bool = False) -> Row[Project, str]:
    """The project of that id or name, if the caller may see it. Raises `NotFound`."""
    query = _visible(identity).where(named(Project, ref))
    row = session.execute(query.with_for_update(of=Project) if lock else query).one_or_none()
    if row is None:
        raise NotFound(f"There is no project {ref[:80]!r}.", remedy="GET /v1/projects shows yours.")
    return row


def _named_by_owner(identity: Identity, project: Project, what: str) -> None:
    """Raises `Forbidden` unless the key is of that project and its holder the owner."""
    if project.id != identity.project_id:
        raise Forbidden(f"This key is of the project {identity.project}.", remedy=f"Use a key of {project.name}.")
    if identity.role != Role.OWNER:
        raise Forbidden(f"Only an owner may {what} the project.", remedy="Ask an owner of the project.")


@router.get("")
def list_projects(
    session: SessionDep, identity: ViewerDep, cursor: After = None, limit: Limit = 50
) -> Page[ProjectView]:
    """The caller's projects, newest first; an operator sees all."""
    query = _visible(identity).order_by(Project.id.desc()).limit(limit + 1)
    rows = session.execute(query.where(Project.id < cursor) if cursor else query).all()
    return page_of([row[0] for row in rows], [_view(row) for row in rows], limit)


@router.post("", status_code=201)
def create_project(
    body: ProjectRequest, session: SessionDep, identity: OperatorDep, response: Response, once: OnceDep
) -> NewProjectView:
    """Make a project. The caller becomes its owner; the answer holds the first key, shown this once.

    A repeat under the same `Idempotency-Key` shows it as that of `POST /v1/keys` does.
    """
    before = once.before(session, identity, KeyView, body)
    if before is not None:
        key = made_again(session, identity, before)
    else:
        key = _make(session, identity, body)
        once.keep(session, identity, KeyView(**key.model_dump(exclude={"key"})))
    project_id = session.get_one(ApiKey, key.id).project_id
    response.headers["Location"] = f"/v1/projects/{project_id}"
    view = _view(_find(session, identity, str(project_id)))
    return NewProjectView(**view.model_dump(), key=key)


def _make(session: Session, identity: Identity, body: ProjectRequest) -> NewKeyView:
    """A project with its owner; its first key."""
    values = {"id": uuid7(), "name": body.name}
    project = session.scalars(insert(Project).values(values).on_conflict_do_nothing().returning(Project)).one_or_none()
    if project is None:
        raise Conflict(
            f"The name {body.name!r} is taken by a project that is, or was deleted and is still kept.",
            remedy="Choose another name.",
        )
    session.add(Membership(project_id=project.id, principal_id=identity.principal_id, role=Role.OWNER))
    session.flush()
    key_id, key = make_key(session, identity.principal_id, project.id, "first", identity.principal_id)
    audit(session, identity, "project.create", project.id, project.id, name=project.name)
    return new_key_view(session, project.id, key_id, key)


@router.get("/{project}")
def show_project(project: str, session: SessionDep, identity: ViewerDep) -> ProjectView:
    """One project, by id or name."""
    return _view(_find(session, identity, project))


@router.patch("/{project}")
def change_project(
    project: str, body: ProjectChange, session: SessionDep, identity: OwnerOrOperatorDep, seen: IfMatchDep
) -> ProjectView:
    """Change the name, as its owner; the share and the limits, as an operator."""
    row = _find(session, identity, project, lock=True)
    seen.against(tag_of_view(_view(row)))
    changes = body.model_dump(include=set(body.model_fields_set))
    if "name" in changes:
        _named_by_owner(identity, row[0], "rename")
    if set(changes) - {"name"} and not identity.operator:
        raise Forbidden("Shares and limits are set by operators of the platform.", remedy="Ask one of its operators.")
    for name, value in changes.items():
        setattr(row[0], name, value)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(f"The name {body.name!r} is taken.", remedy="Choose another name.") from error
    audit(session, identity, "project.change", row[0].id, row[0].id, **changes)
    return _view(row)


@router.delete("/{project}")
def delete_project(project: str, session: SessionDep, identity: OwnerDep, force: bool = False) -> ProjectView:
    """Delete a project: its keys stop at once, what waits is cancelled. While runs go on only with `force`, which asks
    them to end."""
    row = _find(session, identity, project, lock=True)
    _named_by_owner(identity, row[0], "delete")
    runs = select(Run.id, Run.state).where(Run.project_id == row[0].id, Run.state.not_in(TERMINAL)).order_by(Run.id)
    left = session.execute(runs).all()
    running = sum(state == RunState.RUNNING for _, state in left)
    if running and not force:
        raise Conflict(
            f"{running} runs of the project are going on.",
            remedy="Wait for them, cancel them, or delete with ?force=true, which asks them to end.",
        )
    _stop(session, row[0].id, [run_id for run_id, _ in left])
    row[0].deleted_at = datetime.now(UTC)
    session.flush()
    audit(session, identity, "project.delete", row[0].id, row[0].id, name=row[0].name, runs=len(left))
    return _view(row)


def _stop(session: Session, project_id: UUID, run_ids: list[UUID]) -> None:
    session.execute(update(Schedule).where(Schedule.project_id == project_id).values(enabled=False, next_at=None))
    for run_id in run_ids:
        request_cancel(session, run_id)
