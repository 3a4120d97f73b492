"""Pins what a spec points at: ids become files, once, when the run is submitted. Later changes cannot reach the run."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from pydantic.fields import FieldInfo
from sqlalchemy import text

from shared.contracts.refs import Ref, RefType
from shared.contracts.specs import Spec
from shared.contracts.states import TERMINAL, RunState
from shared.db.session import Executes
from shared.errors import Fatal, NotFound, NotReady

#: (session, project, id) -> what is pinned of it. Raises `NotFound` for an id that the project does not have.
Pin = Callable[[Executes, UUID, UUID], dict[str, Any]]
_PINS: dict[RefType, Pin] = {}


def register_pin(type_: RefType, pin: Pin) -> None:
    """Say what is pinned of a type that a layer above knows, in the processes that submit."""
    _PINS[type_] = pin


def pin_inputs(session: Executes, project_id: UUID, spec: Spec) -> dict[str, Any]:
    """Files of everything that `spec` names. A model brings its dataset along. What is named cannot be deleted before
    the end of this transaction; afterwards the run that reads it stands in the way.

    Raises `NotFound` for an id that this project does not have, `NotReady` for one that is still being made.
    """
    pinned: dict[str, Any] = {}
    if uploads := [ref for type_, ref in _refs(spec) if type_ == "upload"]:
        pinned.update(_uploads(session, project_id, uploads))
    for type_, ref in _refs(spec):
        if type_ in {"dataset", "model"}:
            pinned.update(_made(session, project_id, type_, ref))
        elif type_ != "upload":
            if type_ not in _PINS:
                raise Fatal(f"nothing here knows what to pin of a {type_}")
            pinned[str(ref)] = _PINS[type_](session, project_id, ref)
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


_UPLOADS = text("SELECT id, file_name, key FROM uploads WHERE project_id = :project AND id = ANY(:ids) FOR KEY SHARE")


def _uploads(session: Executes, project_id: UUID, ids: list[UUID]) -> dict[str, Any]:
    rows = session.execute(_UPLOADS, {"project": project_id, "ids": ids}).all()
    missing = set(ids) - {row.id for row in rows}
    if missing:
        raise NotFound(f"There is no upload {min(missing)} in this project.", remedy="Send the file first.")
    return {
        str(row.id): {"type": "upload", "name": row.file_name, "result": {}, "files": {row.file_name: row.key}}
        for row in rows
    }


_MADE = """
    SELECT made.name, {dataset_id} AS dataset_id, runs.id AS run_id, runs.state, runs.attempt,
        runs.envelope -> 'result' AS result
    FROM {table} AS made JOIN runs ON runs.id = made.run_id
    WHERE made.project_id = :project AND made.id = :id FOR KEY SHARE OF made
"""
_MADE_AS = {
    "dataset": text(_MADE.format(table="datasets", dataset_id="NULL")),
    "model": text(_MADE.format(table="models", dataset_id="made.dataset_id")),
}
_FILES = text("SELECT name, key FROM artifacts WHERE run_id = :run AND attempt = :attempt AND role = 'artifact'")


def _made(session: Executes, project_id: UUID, type_: RefType, ref: UUID) -> dict[str, Any]:
    found = session.execute(_MADE_AS[type_], {"project": project_id, "id": ref}).one_or_none()
    if found is None:
        raise NotFound(f"There is no {type_} {ref} in this project.")
    if found.state != RunState.SUCCEEDED:
        raise NotReady(
            f"{type_.capitalize()} {found.name!r} is not ready: its run {found.run_id} is {found.state}.",
            remedy="Make it again under the same name." if found.state in TERMINAL else None,
        )
    files = session.execute(_FILES, {"run": found.run_id, "attempt": found.attempt}).all()
    pinned = {
        str(ref): {
            "type": type_,
            "name": found.name,
            "result": found.result or {},
            "files": {row.name: row.key for row in files},
        }
    }
    if found.dataset_id is not None:
        pinned |= _made(session, project_id, "dataset", found.dataset_id)
    return pinned
