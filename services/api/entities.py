"""Datasets and models: what runs made, by id or by name."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from sqlalchemy import Select, select
from sqlalchemy.orm import Session, load_only

from services.api.deps import SessionDep, ViewerDep
from services.api.search import Paging, PagingDep, begins, holds
from shared.contracts.states import RunState
from shared.contracts.views import DatasetView, ModelView, Page
from shared.db.models import Dataset, Model, Run
from shared.errors import NotFound

router = APIRouter(prefix="/v1", tags=["datasets and models"])
LEAN = [load_only(Run.state, Run.envelope)]  #: of the run, all that is shown


def _result(run: Run) -> dict[str, Any] | None:
    result: dict[str, Any] | None = (run.envelope or {}).get("result")
    return result


def _datasets(project_id: UUID) -> Select[Dataset, Run]:
    return select(Dataset, Run).join(Run, Run.id == Dataset.run_id).where(Dataset.project_id == project_id)


def _models(project_id: UUID) -> Select[Model, Run]:
    return select(Model, Run).join(Run, Run.id == Model.run_id).where(Model.project_id == project_id)


def _dataset_view(dataset: Dataset, run: Run) -> DatasetView:
    return DatasetView(
        id=dataset.id,
        name=dataset.name,
        run_id=run.id,
        state=RunState(run.state),
        created_at=dataset.created_at,
        result=_result(run),
    )


def _model_view(model: Model, run: Run) -> ModelView:
    return ModelView(
        id=model.id,
        name=model.name,
        run_id=run.id,
        dataset_id=model.dataset_id,
        state=RunState(run.state),
        created_at=model.created_at,
        result=_result(run),
    )


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _one(session: Session, query: Select[Any, Run], table: type[Dataset] | type[Model], ref: str) -> Any:
    """The row of `table` that has `ref` as its id or name. Raises `NotFound`."""
    row_id = _uuid(ref)
    row = session.execute(query.where(table.id == row_id if row_id else table.name == ref)).one_or_none()
    if row is None:
        raise NotFound(f"There is no {table.__name__.lower()} {ref[:80]!r} in this project.")
    return row


State = Annotated[list[RunState] | None, Query(max_length=16, description="Of the run that makes it.")]
Text = Annotated[
    str | None,
    Query(min_length=1, max_length=200, description="Text in the name, taken literally, or how the id begins."),
]


@dataclass(frozen=True)
class EntityFilter:
    """Which datasets or models; all that is given must hold."""

    state: State = None
    q: Text = None


Wanted = Annotated[EntityFilter, Depends()]


def _page(
    session: Session, query: Select[Any, Run], table: type[Dataset] | type[Model], wanted: EntityFilter, paging: Paging
) -> tuple[list[Any], str | None]:
    """Rows of one page, and the cursor of the next."""
    of = [table.__tablename__, asdict(wanted)]
    if wanted.state:
        query = query.where(Run.state.in_(sorted(set(wanted.state))))
    if wanted.q is not None:
        query = query.where(holds(wanted.q, table.name) | begins(table.id, wanted.q))
    query = query.where(*paging.beyond(table.id, of)).order_by(paging.sorted(table.id)).limit(paging.limit + 1)
    rows = list(session.execute(query.options(*LEAN)).all())
    more = len(rows) > paging.limit
    return rows[: paging.limit], paging.next_cursor(rows[paging.limit - 1][0].id, of) if more else None


@router.get("/datasets")
def list_datasets(session: SessionDep, identity: ViewerDep, wanted: Wanted, paging: PagingDep) -> Page[DatasetView]:
    """Datasets of the project that fit all that is asked for, newest first unless said otherwise."""
    rows, next_cursor = _page(session, _datasets(identity.project_id), Dataset, wanted, paging)
    return Page(items=[_dataset_view(*row) for row in rows], next_cursor=next_cursor)


@router.get("/datasets/{dataset}")
def show_dataset(dataset: str, session: SessionDep, identity: ViewerDep) -> DatasetView:
    """One dataset, by id or name."""
    return _dataset_view(*_one(session, _datasets(identity.project_id), Dataset, dataset))


@router.get("/models")
def list_models(session: SessionDep, identity: ViewerDep, wanted: Wanted, paging: PagingDep) -> Page[ModelView]:
    """Models of the project that fit all that is asked for, newest first unless said otherwise."""
    rows, next_cursor = _page(session, _models(identity.project_id), Model, wanted, paging)
    return Page(items=[_model_view(*row) for row in rows], next_cursor=next_cursor)


@router.get("/models/{model}")
def show_model(model: str, session: SessionDep, identity: ViewerDep) -> ModelView:
    """One model, by id or name."""
    return _model_view(*_one(session, _models(identity.project_id), Model, model))
