"""The same action on many runs in one request."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.api.access.identity import Identity
from services.api.audit import audit
from services.api.deps import EditorDep, PartsDep
from services.api.idempotent import OnceDep
from shared.contracts.actions import Action, ActionRequest, ActionResult, Refusal
from shared.contracts.states import TERMINAL
from shared.db.models import Run
from shared.db.session import transaction
from shared.errors import Conflict
from shared.runs.again import retry
from shared.runs.cancel import request_cancel
from shared.runs.families import on_each
from shared.runs.pause import request_pause, resume
from shared.settings import Settings

router = APIRouter(prefix="/v1/runs", tags=["runs"])


@router.post("/actions")
def act_on_runs(body: ActionRequest, parts: PartsDep, identity: EditorDep, once: OnceDep) -> ActionResult:
    """Cancel, pause, resume or retry up to 1,000 runs; each is done or refused by itself."""
    with transaction(parts.engine) as session:
        act = partial(_act_on_all, session, parts.settings, identity, body)
        result = once(session, identity, ActionResult, body, make=act)
    parts.after_submit()
    return result


def _act_on_all(session: Session, settings: Settings, identity: Identity, body: ActionRequest) -> ActionResult:
    wanted = set(body.run_ids)
    mine = select(Run).where(Run.project_id == identity.project_id, Run.id.in_(wanted)).order_by(Run.id)
    runs = session.scalars(mine).all()
    done, refused = on_each(session, runs, _act(session, settings, identity, body.action))
    for run_id, new in done.items():
        audit(session, identity, f"run.{body.action}", run_id, **({"new": new} if new else {}))
    strangers = sorted(wanted - {run.id for run in runs})
    refused += [Refusal(run_id=run_id, reason="There is no such run in this project.") for run_id in strangers]
    return ActionResult(done=list(done), refused=refused, made={old: new for old, new in done.items() if new})


def _act(session: Session, settings: Settings, identity: Identity, action: Action) -> Callable[[Run], UUID | None]:
    """What to do to one run. Runs come by id, so a parent before its children: locks are taken in one order."""

    def again(run: Run) -> UUID:
        return retry(session, settings, identity, run)

    def cancel(run: Run) -> None:
        if run.state in TERMINAL:
            raise Conflict(f"The run has ended ({run.state}).", remedy="There is nothing to cancel.")
        request_cancel(session, run.id)

    def pause(run: Run) -> None:
        request_pause(session, run.id)

    def go_on(run: Run) -> None:
        resume(session, run.id)

    return {"retry": again, "cancel": cancel, "pause": pause, "resume": go_on}[action]
