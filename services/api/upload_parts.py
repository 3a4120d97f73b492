"""Files in, in parts: a file that is larger than a connection lasts. Which parts have come is read from the store."""

import hashlib
import io
from tempfile import TemporaryFile
from typing import BinaryIO
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel
from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session
from uuid6 import uuid7

from services.api.access.identity import Identity
from services.api.audit import audit
from services.api.body import BodyFile
from services.api.deps import DataEditorDep, Parts, PartsDep
from services.api.idempotent import OnceDep
from services.api.part_sizes import count_of, length_of, part_bytes_for
from services.api.signed import in_seconds, must_be_signed, sign_url
from services.api.uploads import forget, publish, safe_name, upload_view
from shared.artifacts import ArtifactStore
from shared.contracts.files import UploadPartView, UploadSessionRequest, UploadSessionView
from shared.contracts.views import UploadView
from shared.db.models import Project, Upload, UploadSession
from shared.db.session import transaction
from shared.errors import Conflict, NotFound, TooLarge, UserError
from shared.settings import Settings

router = APIRouter(prefix="/v1/uploads/sessions", tags=["files"])
_MAX_OPEN = 100  #: sessions of one project; each may hold bytes that nobody will ever use
_URL_S = 3600.0
#: Putting the parts together may outlast the session, so its time is extended first.
_EXTEND = text(
    "UPDATE upload_sessions SET expires_at = greatest(expires_at, now() + interval '1 hour') "
    "WHERE id = :id AND project_id = :project AND expires_at > now() RETURNING id"
)


def _folder(session: UploadSession) -> str:
    return f"projects/{session.project_id}/uploads/{session.id}/parts"


def _received(store: ArtifactStore, session: UploadSession) -> set[int]:
    """Numbers of the parts that are there in full."""
    listed = [one for page in store.pages(_folder(session)) for one in page]
    sizes = {one.key.rpartition("/")[2]: one.size_bytes for one in listed}
    numbers = range(1, count_of(session) + 1)
    return {number for number in numbers if sizes.get(f"{number:05d}") == length_of(session, number)}


def _view(request: Request, parts: Parts, session: UploadSession) -> UploadSessionView:
    received = _received(parts.store, session)
    expires_at = min(session.expires_at, in_seconds(_URL_S))

    def part(number: int) -> UploadPartView:
        url = None
        if number not in received:
            path = f"/v1/uploads/sessions/{session.id}/parts/{number}"
            url = parts.store.sign("PUT", f"{_folder(session)}/{number:05d}", _URL_S)
            url = url or sign_url(request, parts, "PUT", path, expires_at)
        return UploadPartView(
            number=number,
            size_bytes=length_of(session, number),
            received=number in received,
            url=url,
            expires_at=expires_at if url else None,
        )

    return UploadSessionView(
        id=session.id,
        file_name=session.file_name,
        size_bytes=session.size_bytes,
        sha256=session.sha256,
        part_bytes=session.part_bytes,
        expires_at=session.expires_at,
        parts=[part(number) for number in range(1, count_of(session) + 1)],
    )


def _open_session(session: Session, session_id: UUID, project_id: UUID | None) -> UploadSession:
    """`project_id` None: whoever has a signed URL. Raises `NotFound`."""
    query = select(UploadSession).join(Project, Project.id == UploadSession.project_id)
    query = query.where(UploadSession.id == session_id, UploadSession.expires_at > func.now())
    query = query.where(Project.deleted_at.is_(None))
    if project_id is not None:
        query = query.where(UploadSession.project_id == project_id)
    row = session.scalars(query).one_or_none()
    if row is None:
        raise NotFound(f"There is no open upload session {session_id}.", remedy="Begin a new one.")
    return row


class _Begun(BaseModel):
    """All that is kept for a repeat: the URLs are signed, and those of an hour ago are of no use."""

    id: UUID


@router.post("", status_code=201)
def begin(
    body: UploadSessionRequest, request: Request, parts: PartsDep, identity: DataEditorDep, once: OnceDep
) -> UploadSessionView:
    """Begin to send one record in parts: PUT each to its URL, in any order and as often as it takes, then complete.

    A repeat is answered with the session as it is by then.
    """
    with transaction(parts.engine) as session:
        begun = once(
            session, identity, _Begun, body, make=lambda: _Begun(id=_begin(session, parts.settings, identity, body).id)
        )
        row = _open_session(session, begun.id, identity.project_id)
    return _view(request, parts, row)


def _begin(session: Session, settings: Settings, identity: Identity, body: UploadSessionRequest) -> UploadSession:
    name, limit = safe_name(body.file_name), settings.upload_limit_bytes
    if body.size_bytes > limit:
        raise TooLarge(f"{name} has {body.size_bytes} bytes; this server takes {limit}.")
    now = session.execute(select(func.count()).where(UploadSession.project_id == identity.project_id)).scalar_one()
    if now >= _MAX_OPEN:
        raise Conflict(f"This project has {now} open upload sessions.", remedy="Complete or abort some of them first.")
    row = UploadSession(
        id=uuid7(),
        project_id=identity.project_id,
        created_by=identity.principal_id,
        file_name=name,
        size_bytes=body.size_bytes,
        sha256=body.sha256,
        part_bytes=part_bytes_for(body.size_bytes),
        expires_at=in_seconds(settings.upload_session_s),
    )
    session.add(row)
    session.flush()
    audit(session, identity, "upload.begin", row.id, file_name=name, size_bytes=body.size_bytes)
    return row


@router.get("/{session_id}")
def show(session_id: UUID, request: Request, parts: PartsDep, identity: DataEditorDep) -> UploadSessionView:
    """Which parts have come, and fresh URLs for the others: where to go on after an interruption."""
    with transaction(parts.engine) as session:
        row = _open_session(session, session_id, identity.project_id)
    return _view(request, parts, row)


@router.put("/{session_id}/parts/{number}", status_code=204, dependencies=[Depends(must_be_signed)])
def receive(session_id: UUID, number: int, parts: PartsDep, body: BodyFile) -> None:
    """One part, at the URL that the session gave for it."""
    with transaction(parts.engine) as session:
        row = _open_session(session, session_id, None)
    if not 1 <= number <= count_of(row):
        raise NotFound(f"The file has {count_of(row)} parts.")
    size = body.seek(0, io.SEEK_END)
    if size != length_of(row, number):
        raise UserError(
            f"Part {number} came with {size} bytes; it has {length_of(row, number)}.",
            remedy="Send exactly the bytes of the part.",
        )
    body.seek(0)
    parts.store.put(f"{_folder(row)}/{number:05d}", body)


@router.delete("/{session_id}", status_code=204)
def abort(session_id: UUID, parts: PartsDep, identity: DataEditorDep) -> None:
    """Give up: what has come is removed."""
    with transaction(parts.engine) as session:
        row = _open_session(session, session_id, identity.project_id)
        session.execute(delete(UploadSession).where(UploadSession.id == row.id))
        audit(session, identity, "upload.abort", row.id)
    parts.store.delete(parts.store.keys(_folder(row)))


def _join(store: ArtifactStore, row: UploadSession, keys: list[str], out: BinaryIO) -> None:
    """All parts into one file on disk. Raises `UserError` when it is not the file that was declared."""
    digest, size = hashlib.sha256(), 0
    for key in keys:
        for block in store.stream(key):
            digest.update(block)
            size += len(block)
            if size <= row.size_bytes:
                out.write(block)
    if (size, digest.hexdigest()) != (row.size_bytes, row.sha256):
        raise UserError(
            f"What came has {size} bytes and the SHA-256 {digest.hexdigest()}; declared were "
            f"{row.size_bytes} bytes and {row.sha256}.",
            remedy="Send the parts that are wrong again, or abort and begin with the right digest.",
        )
    out.seek(0)


@router.post("/{session_id}/complete")
def complete(session_id: UUID, parts: PartsDep, identity: DataEditorDep) -> UploadView:
    """Put the parts together, check size and digest, and make the file an upload. A repeat is answered the same."""
    with transaction(parts.engine) as session:
        if done := _done(session, session_id, identity.project_id):
            return done
        session.execute(_EXTEND, {"id": session_id, "project": identity.project_id})
        row = _open_session(session, session_id, identity.project_id)
    missing = sorted(set(range(1, count_of(row) + 1)) - _received(parts.store, row))
    if missing:
        shown = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
        raise Conflict(f"{len(missing)} of {count_of(row)} parts have not come: {shown}.", remedy="Send them first.")
    keys = [f"{_folder(row)}/{number:05d}" for number in range(1, count_of(row) + 1)]
    with TemporaryFile() as whole:
        _join(parts.store, row, keys, whole)
        # A key of its own: of two that complete at once, the slower must not overwrite what the faster has published.
        stored = parts.store.put(f"projects/{row.project_id}/uploads/{row.id}/{uuid7()}", whole)
    published = False
    try:
        with transaction(parts.engine) as session:
            mine = delete(UploadSession).where(UploadSession.id == row.id).returning(UploadSession.id)
            if session.execute(mine).one_or_none() is not None:
                view = publish(session, identity, row.id, row.file_name, stored)
                published = True
            elif done := _done(session, session_id, identity.project_id):
                view = done
            else:
                raise NotFound("The upload session was aborted meanwhile.")
    finally:
        if not published:
            forget(parts, stored)
    parts.store.delete(keys)
    return view


def _done(session: Session, session_id: UUID, project_id: UUID) -> UploadView | None:
    query = select(Upload).where(Upload.id == session_id, Upload.project_id == project_id)
    row = session.scalars(query).one_or_none()
    return upload_view(row) if row else None
