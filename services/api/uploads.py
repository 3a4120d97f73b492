"""Files in, each in one request: uploads to be named in an import."""

from functools import partial
from pathlib import PurePosixPath
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, File, UploadFile
from sqlalchemy.orm import Session
from uuid6 import uuid7

from services.api.access.identity import Identity
from services.api.audit import audit
from services.api.deps import DataEditorDep, Parts, PartsDep
from services.api.idempotent import OnceDep
from shared.artifacts import Stored
from shared.contracts.views import UploadView
from shared.db.models import Upload
from shared.db.session import transaction
from shared.errors import TooLarge, UserError

router = APIRouter(prefix="/v1", tags=["files"])
_ENDINGS = (".mat", ".csv")


@router.post("/uploads", status_code=201)
def upload(file: Annotated[UploadFile, File()], parts: PartsDep, identity: DataEditorDep, once: OnceDep) -> UploadView:
    """Send one record (`.mat` v5 or `.csv`), to be named in an import."""
    name = safe_name(file.filename or "")
    upload_id = uuid7()
    place = f"projects/{identity.project_id}/uploads/{upload_id}"
    try:
        stored = parts.store.put(place, file.file, max_bytes=parts.settings.upload_limit_bytes)
    except ValueError as error:
        raise TooLarge(f"{name} is longer than {parts.settings.upload_limit_bytes} bytes.") from error
    kept = False
    try:
        if stored.size_bytes == 0:
            raise UserError(f"{name} is empty.", remedy="Send a file with records.")
        with transaction(parts.engine) as session:
            made = partial(publish, session, identity, upload_id, name, stored)
            view = once(session, identity, UploadView, name, stored.sha256, make=made)
        kept = view.id == upload_id
        return view
    finally:
        if not kept:
            forget(parts, stored)


def publish(session: Session, identity: Identity, upload_id: UUID, name: str, stored: Stored) -> UploadView:
    """Make a stored file an upload."""
    row = Upload(
        id=upload_id,
        project_id=identity.project_id,
        created_by=identity.principal_id,
        file_name=name,
        key=stored.key,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
    )
    session.add(row)
    session.flush()
    audit(session, identity, "upload.create", upload_id, file_name=name, size_bytes=stored.size_bytes)
    session.refresh(row)
    return upload_view(row)


def forget(parts: Parts, stored: Stored) -> None:
    """Remove a file that became no upload."""
    parts.store.delete([stored.key])


def upload_view(row: Upload) -> UploadView:
    """One upload."""
    return UploadView(
        id=row.id,
        file_name=row.file_name,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        created_at=row.created_at,
    )


def safe_name(given: str) -> str:
    """The name without folders; labels are read from it, so it must be printable and short. Raises `UserError`."""
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
