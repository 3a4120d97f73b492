"""Pins what a spec points at: ids become files, once, when the run is submitted. Later changes cannot reach the run."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from pydantic.fields import FieldInfo
from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.contracts.refs import Ref, RefType
from shared.contracts.specs import Spec
from shared.contracts.states import TERMINAL, RunState
from shared.db.models import Artifact, Dataset, Model, Run, Upload
from shared.errors import NotFound, NotReady


def pin_inputs(session: Session, project_id: UUID, spec: Spec) -> dict[str, Any]:
    """Files of everything that `spec` names. A model brings its dataset along. What is named cannot be deleted before
    the end of this transaction; afterwards the run that reads it stands in the way.

    Raises `NotFound` for an id that this project does not have, `NotReady` for one that is still being made.
    """
    pinned: dict[str, Any] = {}
    uploads = [ref for type_, ref in _refs(spec) if type_ == "upload"]
    pinned.update(_uploads(session, project_id, uploads))
    for type_, ref in _refs(spec):
        if type_ != "upload":
            pinned.update(_made(session, project_id, type_, ref))
    return pinned


def _refs(spec: Spec) -> Iterator[tuple[RefType, UUID]]:
    for name, field in type(spec).model_fields.items():
        mark = _mark(field)
        if mark is not None:
            value = getattr(spec, name)
            for ref in value if isinstance(value, list) else [value]:
                yield mark.type, ref


def _mark(field: FieldInfo) -> Ref | None:
    places = [*field.metadata, *(meta for arg in getattr(field.annotation, "__args__", ()) for meta in _meta(arg))]
    return next((place for place in places if isinstance(place, Ref)), None)


def _meta(annotation: Any) -> tuple[Any, ...]:
    return getattr(annotation, "__metadata__", ())


def _uploads(session: Session, project_id: UUID, ids: list[UUID]) -> dict[str, Any]:
    query = select(Upload).where(Upload.project_id == project_id, Upload.id.in_(ids))
    rows = session.scalars(query.with_for_update(read=True, key_share=True)).all()
    missing = set(ids) - {row.id for row in rows}
    if missing:
        raise NotFound(f"There is no upload {min(missing)} in this project.", remedy="Send the file first.")
    return {
        str(row.id): {"type": "upload", "name": row.file_name, "result": {}, "files": {row.file_name: row.key}}
        for row in rows
    }


def _made(session: Session, project_id: UUID, type_: RefType, ref: UUID) -> dict[str, Any]:
    table: type[Dataset] | type[Model] = Dataset if type_ == "dataset" else Model
    found: Any = session.execute(
        select(table, Run)
        .join(Run, Run.id == table.run_id)
        .where(table.project_id == project_id, table.id == ref)
        .with_for_update(read=True, key_share=True, of=table)
    ).one_or_none()
    if found is None:
        raise NotFound(f"There is no {type_} {ref} in this project.")
    entity: Dataset | Model = found[0]
    run: Run = found[1]
    if run.state != RunState.SUCCEEDED:
        raise NotReady(
            f"{type_.capitalize()} {entity.name!r} is not ready: its run {run.id} is {run.state}.",
            remedy="Make it again under the same name." if run.state in TERMINAL else None,
        )
    files = session.execute(
        select(Artifact.name, Artifact.key).where(
            Artifact.run_id == run.id, Artifact.attempt == run.attempt, Artifact.role == "artifact"
        )
    )
    pinned = {
        str(ref): {
            "type": type_,
            "name": entity.name,
            "result": (run.envelope or {}).get("result") or {},
            "files": {row.name: row.key for row in files},
        }
    }
    if isinstance(entity, Model):
        pinned |= _made(session, project_id, "dataset", entity.dataset_id)
    return pinned
