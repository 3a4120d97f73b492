"""What a link in a message can do: each act, what it is done to, and who may."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from services.api.access.identity import Identity
from shared.contracts.roles import Role
from shared.db.models import Run
from shared.db.notifying import Notice, Subscription
from shared.errors import NotFound
from shared.notices.inbox import acknowledge
from shared.notices.subscriptions import stop
from shared.notices.titles import run_words, title_of
from shared.runs.again import retry
from shared.runs.cancel import request_cancel
from shared.runs.pause import request_pause, resume
from shared.settings import Settings


@dataclass(frozen=True)
class Subject:
    """What an act is done to."""

    project_id: UUID
    words: str


@dataclass(frozen=True)
class Act:
    """One act."""

    name: str  #: in the audit log
    button: str
    question: str
    done: str
    needs: Role
    find: Callable[[Session, UUID, UUID], Subject]  #: by id, for this principal
    do: Callable[[Session, Settings, Identity, UUID], object]


def _run(session: Session, run_id: UUID, _principal_id: UUID) -> Subject:
    run = session.get(Run, run_id)
    if run is None:
        raise NotFound("The run has been removed.")
    return Subject(run.project_id, run_words({"kind": run.kind, "name": run.spec.get("name"), "run_id": run.id}))


def _notice(session: Session, notice_id: UUID, _principal_id: UUID) -> Subject:
    notice = session.get(Notice, notice_id)
    if notice is None or notice.project_id is None:
        raise NotFound("The notice has been removed.")
    return Subject(notice.project_id, title_of(notice.kind, notice.data))


def _subscription(session: Session, subscription_id: UUID, principal_id: UUID) -> Subject:
    found = session.get(Subscription, subscription_id)
    if found is None or found.principal_id != principal_id:
        raise NotFound("The subscription has been removed.")
    shown = ", ".join(found.kinds[:3]) + (f" and {len(found.kinds) - 3} more" if len(found.kinds) > 3 else "")
    return Subject(found.project_id, shown)


def _retry(session: Session, settings: Settings, identity: Identity, run_id: UUID) -> object:
    return retry(session, settings, identity, session.get_one(Run, run_id), None, everything=False)


ACTS = {
    "retry": Act(
        "run.retry", "Run it again", "Run {} again?", "{} runs again, as a new run.", Role.EDITOR, _run, _retry
    ),
    "pause": Act(
        "run.pause",
        "Pause it",
        "Set {} aside?",
        "{} is asked to rest; it goes on from its checkpoint when it is resumed.",
        Role.EDITOR,
        _run,
        lambda session, _settings, _identity, run_id: request_pause(session, run_id),
    ),
    "resume": Act(
        "run.resume",
        "Resume it",
        "Let {} go on?",
        "{} is queued again.",
        Role.EDITOR,
        _run,
        lambda session, _settings, _identity, run_id: resume(session, run_id),
    ),
    "cancel": Act(
        "run.cancel",
        "Cancel it",
        "Cancel {}?",
        "{} is asked to end.",
        Role.EDITOR,
        _run,
        lambda session, _settings, _identity, run_id: request_cancel(session, run_id),
    ),
    "acknowledge": Act(
        "notice.acknowledge",
        "I take it on",
        "{}. Do you take it on?",
        "{}. It is yours, and nobody else is called for it.",
        Role.VIEWER,
        _notice,
        lambda session, _settings, identity, notice_id: acknowledge(session, identity, notice_id),
    ),
    "unsubscribe": Act(
        "subscription.stop",
        "Tell me no more",
        "No more of {}?",
        "Nothing more is told of {}. The subscription can be enabled again.",
        Role.VIEWER,
        _subscription,
        lambda session, _settings, _identity, subscription_id: stop(session, subscription_id),
    ),
}
