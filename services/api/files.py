"""Files in and out: uploads to be imported, artifacts to be fetched."""

from pathlib import PurePosixPath
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, File, UploadFile
from fastapi.responses import StreamingResponse
from sqlalchemy import select
from uuid6 import uuid7

from services.api.audit import audit
from services.api.deps import DataEditorDep, PartsDep, SessionDep, ViewerDep
from shared.contracts.views import UploadView
from shared.db.models import Artifact, Run, Upload
from shared.db.session import transaction
from shared.errors import NotFound, TooLarge, UserError

router = APIRouter(prefix="/v1", tags=["files"])
_ENDINGS = (".mat", ".csv")


@router.post("/uploads", status_code=201)
def upload(file: Annotated[UploadFile, File()], parts: PartsDep, identity: DataEditorDep) -> UploadView:
    """Send one record (`.mat` v5 or `.csv`), to be named in an import."""
    name = _safe_name(file.filename or "")
    upload_id = uuid7()
    key = f"projects/{identity.project_id}/uploads/{upload_id}"
    try:
        stored = parts.store.put(key, file.file, max_bytes=parts.settings.upload_limit_bytes)
    except ValueError as error:
        raise TooLarge(f"{name} is longer than {parts.settings.upload_limit_bytes} bytes.") from error
    if stored.size_bytes == 0:
        parts.store.delete([key])
        raise UserError(f"{name} is empty.", remedy="Send a file with records.")
    row = Upload(
        id=upload_id,
        project_id=identity.project_id,
        created_by=identity.principal_id,
        file_name=name,
        key=key,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
    )
    with transaction(parts.engine) as session:
        session.add(row)
        session.flush()
        audit(session, identity, "upload.create", upload_id, file_name=name)
        session.refresh(row)
        return UploadView(
            id=row.id,
            file_name=row.file_name,
            size_bytes=row.size_bytes,
            sha256=row.sha256,
            created_at=row.created_at,
        )


def _safe_name(given: str) -> str:
    """The name without folders; labels are read from it, so it must be printable and short."""
    name = PurePosixPath(given.replace("\\", "/")).name
    if len(name) > 200 or not name.isprintable():
        raise UserError(
            f"{name[:80]!r} is no name for a record.", remedy="Rename it: at most 200 characters, all printable."
        )
    if not name.lower().endswith(_ENDINGS):
        raise UserError(
            f"{name[:80]!r} is not a record that can be imported.", remedy="Send files that end in .mat or .csv."
        )
    return name


@router.get("/artifacts/{artifact_id}", response_class=StreamingResponse)
def download(artifact_id: UUID, session: SessionDep, parts: PartsDep, identity: ViewerDep) -> StreamingResponse:
    """The bytes of one file."""
    row = session.scalars(
        select(Artifact)
        .join(Run, Run.id == Artifact.run_id)
        .where(Artifact.id == artifact_id, Run.project_id == identity.project_id)
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no artifact {artifact_id} in this project.")
    return StreamingResponse(
        parts.store.stream(row.key),
        media_type="application/octet-stream",
        headers={
            "Content-Length": str(row.size_bytes),
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(row.name)}",
            "X-Content-Type-Options": "nosniff",
            "ETag": f'"{row.sha256}"',
        },
    )
