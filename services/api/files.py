"""Files out: artifacts to be fetched, with a key or by a link that works without one."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.api.audit import audit
from services.api.deps import PartsDep, SessionDep, ViewerDep
from services.api.ranges import serve
from services.api.signed import in_seconds, must_be_signed, sign_url
from shared.contracts.files import LinkRequest, LinkView
from shared.db.models import Artifact, Project, Run
from shared.errors import NotFound

router = APIRouter(prefix="/v1", tags=["files"])
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The bytes of the file.", "content": {"application/octet-stream": {}}},
    206: {"description": "The bytes that `Range` asks for.", "content": {"application/octet-stream": {}}},
    304: {"description": "The file is the one that `If-None-Match` names."},
    416: {"description": "The file has no such bytes."},
}


def _artifact(session: Session, project_id: UUID, artifact_id: UUID) -> Artifact:
    query = select(Artifact).join(Run, Run.id == Artifact.run_id)
    row = session.scalars(query.where(Artifact.id == artifact_id, Run.project_id == project_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no artifact {artifact_id} in this project.")
    return row


@router.head("/artifacts/{artifact_id}", response_class=Response, include_in_schema=False)
@router.get("/artifacts/{artifact_id}", response_class=Response, responses=_BYTES)
def download(
    artifact_id: UUID, request: Request, session: SessionDep, parts: PartsDep, identity: ViewerDep
) -> Response:
    """The bytes of one file, or some of them."""
    artifact = _artifact(session, identity.project_id, artifact_id)
    return serve(artifact, parts.store, request.headers, head=request.method == "HEAD")


@router.post("/artifacts/{artifact_id}/link")
def link(
    artifact_id: UUID, body: LinkRequest, request: Request, session: SessionDep, parts: PartsDep, identity: ViewerDep
) -> LinkView:
    """A URL at which whoever has it may read the file for a while."""
    artifact = _artifact(session, identity.project_id, artifact_id)
    expires_at = in_seconds(body.expires_in_s)
    url = parts.store.sign("GET", artifact.key, body.expires_in_s)
    if url is None:
        url = sign_url(request, parts, "GET", f"/v1/artifacts/{artifact_id}/content", expires_at)
    audit(session, identity, "artifact.link", artifact_id, expires_at=expires_at)
    return LinkView(url=url, expires_at=expires_at)


@router.head(
    "/artifacts/{artifact_id}/content",
    response_class=Response,
    include_in_schema=False,
    dependencies=[Depends(must_be_signed)],
)
@router.get(
    "/artifacts/{artifact_id}/content",
    response_class=Response,
    responses=_BYTES,
    dependencies=[Depends(must_be_signed)],
)
def linked(artifact_id: UUID, request: Request, session: SessionDep, parts: PartsDep) -> Response:
    """What a link leads to. It ends with its time, its file or its project."""
    query = select(Artifact).join(Run, Run.id == Artifact.run_id).join(Project, Project.id == Run.project_id)
    row = session.scalars(query.where(Artifact.id == artifact_id, Project.deleted_at.is_(None))).one_or_none()
    if row is None:
        raise NotFound(f"There is no artifact {artifact_id} any more.")
    return serve(row, parts.store, request.headers, head=request.method == "HEAD")
