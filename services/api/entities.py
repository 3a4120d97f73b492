"""Datasets and models: what runs made, by id or by name."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from services.api.deps import After, Limit, SessionDep, ViewerDep
from services.api.views import page_of
from shared.contracts.states import RunState
from shared.contracts.views import DatasetView, ModelView, Page
from shared.db.models import Dataset, Model, Run
from shared.errors import NotFound

router = APIRouter(prefix="/v1", tags=["datasets and models"])


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


@router.get("/datasets")
def list_datasets(
    session: SessionDep, identity: ViewerDep, cursor: After = None, limit: Limit = 50
) -> Page[DatasetView]:
    """Newest first."""
    query = _datasets(identity.project_id).order_by(Dataset.id.desc()).limit(limit + 1)
    rows = session.execute(query.where(Dataset.id < cursor) if cursor else query).all()
    return page_of([dataset for dataset, _ in rows], [_dataset_view(*row) for row in rows], limit)


@router.get("/datasets/{dataset}")
def show_dataset(dataset: str, session: SessionDep, identity: ViewerDep) -> DatasetView:
    """One dataset, by id or name."""
    return _dataset_view(*_one(session, _datasets(identity.project_id), Dataset, dataset))


@router.get("/models")
def list_models(session: SessionDep, identity: ViewerDep, cursor: After = None, limit: Limit = 50) -> Page[ModelView]:
    """Newest first."""
    query = _models(identity.project_id).order_by(Model.id.desc()).limit(limit + 1)
    rows = session.execute(query.where(Model.id < cursor) if cursor else query).all()
    return page_of([model for model, _ in rows], [_model_view(*row) for row in rows], limit)


@router.get("/models/{model}")
def show_model(model: str, session: SessionDep, identity: ViewerDep) -> ModelView:
    """One model, by id or name."""
    return _model_view(*_one(session, _models(identity.project_id), Model, model))
