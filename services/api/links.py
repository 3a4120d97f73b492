"""Links in messages that act: a page that says what will be done, and one button that does it, once.

Scanners of mail follow links, so a GET changes nothing. A link acts for the person to whom it was sent, as far as that
person may today.
"""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from services.api.access.identity import Identity, by_membership
from services.api.audit import audit
from services.api.deps import Parts, PartsDep
from services.api.link_acts import ACTS, Act, Subject
from services.api.link_pages import page
from shared.db.session import transaction
from shared.errors import Forbidden, UserError
from shared.notices.links import Link, read_link
from shared.notices.used_links import is_used, use

router = APIRouter(prefix="/v1/links", tags=["notices"])
_WORDS = {
    403: "The person to whom the link was sent may not do this any more.",
    404: "What it was about is gone.",
    409: "It does not fit the present state.",
    410: "The link is not ours, too old, or was used.",
}
_PAGE: dict[str, Any] = {"content": {"text/html": {"schema": {"type": "string"}}}}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": words, **_PAGE} for status, words in _WORDS.items()
}


class _Gone(UserError):
    """Each link works once, and for some days only. This one was used, is too old, or is not one of ours."""

    status_code = 410
    remedy = "Use the command line, or the link of a newer message."


@router.get("/{token}", response_class=HTMLResponse, responses=_RESPONSES)
def show_link(token: str, parts: PartsDep) -> HTMLResponse:
    """What the link would do, and a button. Nothing is changed."""
    try:
        with transaction(parts.engine) as session:
            link, act = _read(parts, token)
            if is_used(session, link.nonce):
                raise _Gone
            subject, identity = _find(session, link, act)
    except UserError as error:
        return _refused(error)
    question = act.question.format(subject.words)
    return page(question, f"As {identity.principal} in the project {identity.project}.", button=act.button)


@router.post("/{token}", response_class=HTMLResponse, responses=_RESPONSES)
def follow_link(token: str, parts: PartsDep) -> HTMLResponse:
    """Do it, once. A mail program may call it by itself for `unsubscribe` (RFC 8058)."""
    try:
        with transaction(parts.engine) as session:
            link, act = _read(parts, token)
            if not use(session, link.nonce):
                raise _Gone
            subject, identity = _find(session, link, act)
            act.do(session, parts.settings, identity, link.subject_id)
            audit(session, identity, act.name, link.subject_id, by="link")
    except UserError as error:
        return _refused(error)
    parts.after_submit()
    return page("Done", act.done.format(subject.words))


def _read(parts: Parts, token: str) -> tuple[Link, Act]:
    link = read_link(parts.signer, token)
    act = ACTS.get(link.action) if link is not None else None
    if link is None or act is None:
        raise _Gone
    return link, act


def _find(session: Session, link: Link, act: Act) -> tuple[Subject, Identity]:
    """What it is about, and for whom. Raises `NotFound`, `Forbidden`."""
    subject = act.find(session, link.subject_id, link.principal_id)
    identity = by_membership(session, link.principal_id, subject.project_id)
    if identity is None or not identity.role.covers(act.needs):
        raise Forbidden(
            "The person to whom this link was sent may not do this any more.",
            remedy="Ask an admin of the project for the role.",
        )
    return subject, identity


def _refused(error: UserError) -> HTMLResponse:
    title = {403: "You may not do this", 404: "It is gone", 409: "Not now", 410: "This link does not work any more"}
    return page(title.get(error.status_code, "Not done"), f"{error.message} {error.remedy}", status=error.status_code)
