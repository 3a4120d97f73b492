"""`DELETE` of datasets and models."""

from fastapi import APIRouter

from services.api.audit import audit
from services.api.deps import DataEditorDep, PartsDep
from shared.db.session import transaction
from shared.runs.deleting import delete_made

router = APIRouter(prefix="/v1", tags=["datasets and models"])


@router.delete("/datasets/{dataset}", status_code=204)
def delete_dataset(dataset: str, parts: PartsDep, identity: DataEditorDep) -> None:
    """Delete one dataset, by id or name, with its files. Its name is free at once."""
    with transaction(parts.engine) as session:
        dataset_id, name = delete_made(session, identity.project_id, "datasets", dataset)
        audit(session, identity, "dataset.delete", dataset_id, name=name)
    parts.after_submit()


@router.delete("/models/{model}", status_code=204)
def delete_model(model: str, parts: PartsDep, identity: DataEditorDep) -> None:
    """Delete one model, by id or name, with its files. Its name is free at once."""
    with transaction(parts.engine) as session:
        model_id, name = delete_made(session, identity.project_id, "models", model)
        audit(session, identity, "model.delete", model_id, name=name)
    parts.after_submit()
