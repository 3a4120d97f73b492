"""Routes about datasets and models, and the runs that make them."""

from services.cli.sdk.pages import pages
from services.cli.sdk.transport import Transport, parse, segment
from shared.contracts.specs import EvaluationSpec, GenerateSpec, ImportSpec, Spec, TrainingSpec
from shared.contracts.views import DatasetView, ModelView, Page, RunView


class DataCalls:
    """Datasets."""

    http: Transport

    def import_dataset(self, spec: ImportSpec, *, pool: str | None = None, priority: int = 0) -> RunView:
        """Make a dataset of uploaded files."""
        return _submit(self.http, "/v1/datasets/import", spec, pool, priority)

    def generate_dataset(self, spec: GenerateSpec, *, pool: str | None = None, priority: int = 0) -> RunView:
        """Make a synthetic dataset.

        run = client.generate_dataset(GenerateSpec(name="first"))
        """
        return _submit(self.http, "/v1/datasets/generate", spec, pool, priority)

    def datasets(self, limit: int = 50) -> list[DatasetView]:
        """The newest datasets."""
        return pages(self.http, "/v1/datasets", Page[DatasetView], limit)

    def dataset(self, ref: str) -> DatasetView:
        """One dataset by id or name."""
        return parse(DatasetView, self.http.get(f"/v1/datasets/{segment(ref)}"))

    def delete_dataset(self, ref: str) -> None:
        """Delete one dataset, by id or name, with its files. Raises `ApiConflict` while something needs it."""
        self.http.delete(f"/v1/datasets/{segment(ref)}")


class ModelCalls:
    """Models and their evaluations."""

    http: Transport

    def train(self, spec: TrainingSpec, *, pool: str | None = None, priority: int = 0) -> RunView:
        """Train one model.

        run = client.train(TrainingSpec(name="m", dataset_id=client.dataset("first").id, recipe={"type": "rf"}))
        """
        return _submit(self.http, "/v1/trainings", spec, pool, priority)

    def evaluate(self, spec: EvaluationSpec, *, pool: str | None = None, priority: int = 0) -> RunView:
        """Score one model, or the folds of one, on what was held out."""
        return _submit(self.http, "/v1/evaluations", spec, pool, priority)

    def models(self, limit: int = 50) -> list[ModelView]:
        """The newest models."""
        return pages(self.http, "/v1/models", Page[ModelView], limit)

    def model(self, ref: str) -> ModelView:
        """One model by id or name."""
        return parse(ModelView, self.http.get(f"/v1/models/{segment(ref)}"))

    def delete_model(self, ref: str) -> None:
        """Delete one model, by id or name, with its files. Raises `ApiConflict` while a run reads it."""
        self.http.delete(f"/v1/models/{segment(ref)}")


def _submit(http: Transport, path: str, spec: Spec, pool: str | None, priority: int) -> RunView:
    query = {"pool": pool, "priority": priority or None}
    return parse(RunView, http.post(path, spec.model_dump(mode="json"), query))
