"""Deleting what runs made: the row goes and frees the name, the files of its run go by the clean-up step.

The run itself stays, as history with its log. Submitting locks what it names (`inputs.py`), and so does this: whoever
comes first wins, and the other one sees it.
"""

from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.errors import Conflict, NotFound
from shared.runs import outbox

Table = Literal["datasets", "models"]
_READERS = text(
    "SELECT id FROM runs WHERE project_id = :project AND finished_at IS NULL AND jsonb_exists(inputs, :id) LIMIT 3"
)
_MODELS = text("SELECT name FROM models WHERE dataset_id = :id ORDER BY name LIMIT 3")
_OPEN = text("SELECT 1 FROM runs WHERE id = :run AND finished_at IS NULL")
_RELEASE = text("DELETE FROM artifacts WHERE run_id = :run AND role <> 'log'")


def delete_made(session: Session, project_id: UUID, table: Table, ref: str) -> tuple[UUID, str]:
    """Delete the dataset or model that has `ref` as its id or name; its id and name.

    Raises `NotFound`; `Conflict` while its run or a run that reads it has not ended, or a model points at the dataset.
    """
    noun = table.removesuffix("s")
    row = session.execute(
        text(
            f"SELECT id, name, run_id FROM {table} WHERE project_id = :project "  # noqa: S608 - one of two constants
            "AND (CAST(id AS text) = lower(:ref) OR name = :ref) ORDER BY name = :ref LIMIT 1 FOR UPDATE"
        ),
        {"project": project_id, "ref": ref},
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no {noun} {ref[:80]!r} in this project.")
    _refuse_if_in_use(session, project_id, noun, row)
    session.execute(text(f"DELETE FROM {table} WHERE id = :id"), {"id": row.id})  # noqa: S608 - one of two constants
    session.execute(_RELEASE, {"run": row.run_id})
    outbox.put(session, "run.cleanup", {"run_id": str(row.run_id)})
    return row.id, row.name


def _refuse_if_in_use(session: Session, project_id: UUID, noun: str, row: Any) -> None:
    """A statement of its own after the lock: it sees what was committed before."""
    if session.execute(_OPEN, {"run": row.run_id}).first():
        raise Conflict(f"The {noun} {row.name!r} is still being made.", remedy=f"Cancel its run {row.run_id} first.")
    readers = session.execute(_READERS, {"project": project_id, "id": str(row.id)}).scalars().all()
    if readers:
        raise Conflict(
            f"The {noun} {row.name!r} is read by runs that have not ended: {', '.join(map(str, readers))}.",
            remedy="Wait for their end, or cancel them first.",
        )
    models = session.execute(_MODELS, {"id": row.id}).scalars().all() if noun == "dataset" else []
    if models:
        raise Conflict(
            f"Models were trained on the dataset {row.name!r}: {', '.join(models)}.",
            remedy="Delete these models first.",
        )
