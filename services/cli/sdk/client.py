"""`Client`: the API as typed methods. Used by the commands; a script may use it as well.

with Client("http://127.0.0.1:8000", key) as client:
    run = client.train(TrainingSpec(...))
    print(client.wait(run.id).state)
"""

import io
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from services.cli.sdk.pages import pages
from services.cli.sdk.runs import RunCalls
from services.cli.sdk.transport import Transport, parse
from shared.contracts.specs import EvaluationSpec, GenerateSpec, ImportSpec, Spec, TrainingSpec
from shared.contracts.views import DatasetView, MeView, ModelView, Page, RunView, UploadView, WorkerView
from shared.errors import NotFound


class _DataCalls:
    """Datasets, and the files they are made of."""

    http: Transport

    def upload(self, path: Path, report: Callable[[int], None] | None = None) -> UploadView:
        """Send one file; `report` is told the bytes sent so far."""
        answer = self.http.post_file("/v1/uploads", lambda: (path.name, _Watched(path, report)))
        return parse(UploadView, answer)

    def import_dataset(self, spec: ImportSpec, *, pool: str | None = None, priority: int = 0) -> RunView:
        """Make a dataset of uploaded files."""
        return _submit(self.http, "/v1/datasets/import", spec, pool, priority)

    def generate_dataset(self, spec: GenerateSpec, *, pool: str | None = None, priority: int = 0) -> RunView:
        """Make a synthetic dataset."""
        return _submit(self.http, "/v1/datasets/generate", spec, pool, priority)

    def datasets(self, limit: int = 50) -> list[DatasetView]:
        """The newest datasets."""
        return pages(self.http, "/v1/datasets", Page[DatasetView], limit)

    def dataset(self, ref: str) -> DatasetView:
        """One dataset by id or name."""
        return parse(DatasetView, self.http.get(f"/v1/datasets/{_segment(ref)}"))


class _ModelCalls:
    """Models and their evaluations."""

    http: Transport

    def train(self, spec: TrainingSpec, *, pool: str | None = None, priority: int = 0) -> RunView:
        """Train one model."""
        return _submit(self.http, "/v1/trainings", spec, pool, priority)

    def evaluate(self, spec: EvaluationSpec, *, pool: str | None = None, priority: int = 0) -> RunView:
        """Score one model, or the folds of one, on what was held out."""
        return _submit(self.http, "/v1/evaluations", spec, pool, priority)

    def models(self, limit: int = 50) -> list[ModelView]:
        """The newest models."""
        return pages(self.http, "/v1/models", Page[ModelView], limit)

    def model(self, ref: str) -> ModelView:
        """One model by id or name."""
        return parse(ModelView, self.http.get(f"/v1/models/{_segment(ref)}"))


class Client(RunCalls, _DataCalls, _ModelCalls):
    """One user of one API. Methods may be called from several threads."""

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.http = Transport(url, api_key, transport=transport, sleep=sleep)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.http.close()

    @property
    def url(self) -> str:
        """Where the API is."""
        return self.http.url

    def me(self) -> MeView:
        """Who the key belongs to."""
        return parse(MeView, self.http.get("/v1/me"))

    def workers(self) -> list[WorkerView]:
        """The workers and what they are busy with."""
        return parse(Page[WorkerView], self.http.get("/v1/workers")).items


class _Watched(io.FileIO):
    """A file that tells how much of it was read."""

    def __init__(self, path: Path, report: Callable[[int], None] | None) -> None:
        super().__init__(path)
        self._report = report

    def read(self, size: int | None = -1) -> Any:
        """Read and tell."""
        chunk = super().read(-1 if size is None else size)
        if self._report is not None:
            self._report(self.tell())
        return chunk


def _segment(ref: str) -> str:
    """A name or id as one part of an address. Raises `NotFound` for what would be more, or less, than that."""
    if ref in {"", ".", ".."} or "/" in ref or not ref.isprintable():
        raise NotFound(f"Nothing can be named {ref!r}.", remedy="Give a name or an id; `list` shows those that exist.")
    return quote(ref, safe="")


def _submit(http: Transport, path: str, spec: Spec, pool: str | None, priority: int) -> RunView:
    query = {"pool": pool, "priority": priority or None}
    return parse(RunView, http.post(path, spec.model_dump(mode="json"), query))
