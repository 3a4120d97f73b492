"""An API in memory, behind `httpx.MockTransport`: the routes that the command line uses, and ways to misbehave."""

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5

import httpx

from services.cli.sdk import Client
from shared.contracts.diagnostics import DiagnosticsView
from shared.contracts.envelope import Envelope, ErrorInfo
from shared.contracts.files import LinkView
from shared.contracts.views import (
    ArtifactView,
    DatasetView,
    EventView,
    LogLine,
    ModelView,
    Problem,
    RunView,
    UploadView,
    WorkerView,
)
from tests.cli import results

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
URL = "http://127.0.0.1:8123"
KEY = "fl_key"
FAILURE = ErrorInfo(type="UserError", message="One fault only.", remedy="Use more.", error_id="e1")


class Dropping(httpx.SyncByteStream):
    """A body that breaks off."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self.content
        raise httpx.ReadError("connection reset by peer")


class _Files:
    """What every run has left, by name."""

    files: dict[str, bytes]

    def _get_artifacts(self, _request: httpx.Request, parts: list[str]) -> httpx.Response:
        name = next(name for name in self.files if str(self.artifact(UUID(int=0), name).id) == parts[0])
        return httpx.Response(200, content=self.files[name])

    def _post_artifacts(self, _request: httpx.Request, parts: list[str]) -> httpx.Response:
        return answer(200, LinkView(url=f"https://store.example/{parts[0]}", expires_at=NOW))

    def artifact(self, run_id: UUID, name: str) -> ArtifactView:
        """A file of a run."""
        content = self.files[name]
        return ArtifactView(
            id=uuid5(UUID(int=0), name), run_id=run_id, attempt=1, name=name, role="artifact",
            size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), content_type="text/plain",
            created_at=NOW,
        )  # fmt: skip


class _Platform:
    """Who asks, and how the platform is."""

    key_expires_at: datetime | None = None
    health: DiagnosticsView | None = None
    workers: list[WorkerView]

    def _get_me(self, _request: httpx.Request, _parts: list[str]) -> httpx.Response:
        expires = self.key_expires_at.isoformat() if self.key_expires_at else None
        me = {"principal": "ada", "project": "default", "key_prefix": "fl_k", "role": "owner", "operator": True}
        return httpx.Response(200, json={**me, "scopes": None, "key_expires_at": expires})

    def _get_diagnostics(self, _request: httpx.Request, _parts: list[str]) -> httpx.Response:
        return answer(200, self.health) if self.health else problem(403, "No operator.", "Use another key.")

    def _get_workers(self, _request: httpx.Request, parts: list[str]) -> httpx.Response:
        return listed(self.workers, parts, "worker")


class FakeApi(_Files, _Platform):
    """Runs end at once; what they say on the way can be read again and again."""

    def __init__(self) -> None:
        self.runs: dict[UUID, RunView] = {}
        self.events: dict[UUID, list[EventView]] = {}
        self.datasets: list[DatasetView] = []
        self.models: list[ModelView] = []
        self.workers = []
        self.uploads: list[tuple[str, bytes]] = []
        self.log: list[LogLine] = []
        self.requests: list[httpx.Request] = []
        self.outages: list[int | Exception] = []  #: answers of a gateway, or errors, before each of the next requests
        self.cuts: list[int] = []  #: the next streams break off after so many events
        self.failing: set[str] = set()  #: kinds whose runs fail
        self.cancelled: list[UUID] = []
        self.files = {}

    def client(self, sleep: Callable[[float], None] = lambda _: None) -> Client:
        """A client of this API."""
        return Client(URL, KEY, transport=httpx.MockTransport(self), sleep=sleep)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        if self.outages:
            outage = self.outages.pop(0)
            if isinstance(outage, Exception):
                raise outage
            return httpx.Response(outage, text="<html>bad gateway</html>")
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return problem(401, "The API key is unknown.", "Run `faultline login`.")
        parts = request.url.path.strip("/").split("/")[1:]
        route = getattr(self, f"_{request.method.lower()}_{parts[0]}", None)
        return route(request, parts[1:]) if route else problem(404, "There is no such route.", "See /docs.")

    def submit(self, kind: str, spec: dict[str, Any], labels: dict[str, str] | None = None) -> RunView:
        """A run that has already ended."""
        ok = kind not in self.failing
        run_id = uuid4()
        name = str(spec.get("name", ""))
        if kind == "model.evaluate":
            names = [next(model.name for model in self.models if str(model.id) == id) for id in spec["model_ids"]]
            result: dict[str, Any] = results.evaluation("rf" if "-rf-" in names[0] else "cnn1d").model_dump(mode="json")
        else:
            result = results.dataset() if kind.startswith("dataset.") else results.training(spec)
        run = RunView(
            id=run_id, kind=kind, state="succeeded" if ok else "failed", pool="training-cpu", priority=0, attempt=1,
            progress={"fraction": 1.0 if ok else 0.4, "stage": "training"}, spec=spec, labels=labels or {},
            wait_reason=None, retry_of=None, parent_id=None, cancel_requested_at=None, created_at=NOW,
            started_at=NOW, finished_at=NOW + timedelta(seconds=8), worker="w1",
            envelope=Envelope(
                success=ok, run_id=run_id, attempt=1, task_id=f"{run_id}:1", kind=kind, duration_seconds=8.0,
                result=result if ok else None,
                error=None if ok else FAILURE,
            ),
        )  # fmt: skip
        self.runs[run_id] = run
        self.events[run_id] = story(run_id, ok=ok)
        if kind.startswith("dataset."):
            self.datasets.append(
                DatasetView(id=uuid4(), name=name, run_id=run_id, state=run.state, created_at=NOW, result=result)
            )
        elif kind == "model.train":
            dataset_id = UUID(spec["dataset_id"])
            self.models.append(
                ModelView(id=uuid4(), name=name, run_id=run_id, dataset_id=dataset_id, state=run.state, created_at=NOW,
                          result=result)
            )  # fmt: skip
        return run

    # -- routes

    def _post_uploads(self, request: httpx.Request, _parts: list[str]) -> httpx.Response:
        head, _, rest = request.content.partition(b"\r\n\r\n")
        name = head.partition(b'filename="')[2].partition(b'"')[0].decode()
        content = rest.rpartition(b"\r\n--")[0]
        self.uploads.append((name, content))
        return answer(
            201, UploadView(id=uuid4(), file_name=name, size_bytes=len(content), sha256="0" * 64, created_at=NOW)
        )

    def _post_datasets(self, request: httpx.Request, parts: list[str]) -> httpx.Response:
        return answer(202, self.submit(f"dataset.{parts[0]}", json.loads(request.content)))

    def _post_trainings(self, request: httpx.Request, _parts: list[str]) -> httpx.Response:
        return answer(202, self.submit("model.train", json.loads(request.content)))

    def _post_evaluations(self, request: httpx.Request, _parts: list[str]) -> httpx.Response:
        return answer(202, self.submit("model.evaluate", json.loads(request.content)))

    def _post_runs(self, request: httpx.Request, parts: list[str]) -> httpx.Response:
        if parts:
            self.cancelled.append(UUID(parts[0]))
            return answer(202, self.runs[UUID(parts[0])])
        asked = json.loads(request.content)
        return answer(202, self.submit(asked["kind"], asked["spec"], asked["labels"]))

    def _get_datasets(self, _request: httpx.Request, parts: list[str]) -> httpx.Response:
        return listed(self.datasets, parts, "dataset")

    def _get_models(self, _request: httpx.Request, parts: list[str]) -> httpx.Response:
        return listed(self.models, parts, "model")

    def _get_runs(self, request: httpx.Request, parts: list[str]) -> httpx.Response:
        if not parts:
            start, limit = int(request.url.params.get("cursor", 0)), int(request.url.params["limit"])
            newest = list(reversed(self.runs.values()))
            more = str(start + limit) if len(newest) > start + limit else None
            items = [run.model_dump(mode="json") for run in newest[start : start + limit]]
            return httpx.Response(200, json={"items": items, "next_cursor": more})
        run = self.runs.get(UUID(parts[0]))
        if run is None:
            return problem(404, "There is no such run.", "Check the id.")
        if parts[1:] == ["events"]:
            return self._stream(request, run.id)
        if parts[1:] == ["logs"]:
            return httpx.Response(200, json={"items": [line.model_dump() for line in self.log], "next_cursor": None})
        if parts[1:] == ["artifacts"]:
            views = [self.artifact(run.id, name).model_dump(mode="json") for name in self.files]
            return httpx.Response(200, json={"items": views, "next_cursor": None})
        if parts[1:] == ["metrics"]:
            points = [{"name": "train_loss", "step": step, "value": 1 / step, "attempt": 1} for step in (1, 2, 3)]
            return httpx.Response(200, json={"items": points, "next_cursor": None})
        return answer(200, run)

    def _stream(self, request: httpx.Request, run_id: UUID) -> httpx.Response:
        last = int(request.headers.get("Last-Event-ID", 0))
        left = [event for event in self.events[run_id] if event.seq > last]
        cut = self.cuts.pop(0) if self.cuts else None
        body = ": hello\n\n" + "".join(
            f"id: {event.seq}\nevent: {event.type}\ndata: {event.model_dump_json()}\n\n" for event in left[:cut]
        )
        headers = {"Content-Type": "text/event-stream"}
        if cut is not None:
            half = f"id: {last + cut + 1}\nevent: state\ndata: {{"
            return httpx.Response(200, headers=headers, stream=Dropping((body + half).encode()))
        return httpx.Response(200, headers=headers, content=body + "event: end\ndata: {}\n\n")


def story(run_id: UUID, *, ok: bool = True) -> list[EventView]:
    """What happens to a run."""
    said: list[tuple[str, dict[str, Any]]] = [
        ("state", {"state": "queued"}),
        ("state", {"state": "dispatched", "from": "queued"}),
        ("state", {"state": "running", "from": "dispatched"}),
        ("progress", {"fraction": 0.4, "stage": "training", "current": 1, "total": 3, "eta_seconds": 2.0}),
        ("metrics", {"up_to_step": 1, "latest": {"train_loss": 1.0, "validation_accuracy": 0.5}}),
        ("metrics", {"up_to_step": 2, "latest": {"train_loss": 0.5, "validation_accuracy": 0.8}}),
        ("state", {"state": "succeeded" if ok else "failed", "from": "running"}),
    ]
    return [
        EventView(run_id=run_id, seq=seq, attempt=1, type=type, at=NOW + timedelta(seconds=seq), data=data)
        for seq, (type, data) in enumerate(said, 1)
    ]


def problem(status: int, detail: str, remedy: str, errors: list[dict[str, Any]] | None = None) -> httpx.Response:
    """RFC 9457."""
    body = Problem(title="Refused", status=status, detail=detail, remedy=remedy, errors=errors or [])
    return httpx.Response(status, json=body.model_dump(mode="json"))


def answer(status: int, view: Any) -> httpx.Response:
    """A view."""
    return httpx.Response(status, json=view.model_dump(mode="json"))


def listed(items: list[Any], parts: list[str], what: str) -> httpx.Response:
    """A page, or one by name or id."""
    if not parts:
        page = [item.model_dump(mode="json") for item in reversed(items)]
        return httpx.Response(200, json={"items": page, "next_cursor": None})
    found = next((item for item in items if parts[0] in {item.name, str(item.id)}), None)
    return answer(200, found) if found else problem(404, f"There is no {what} named {parts[0]!r}.", "List them.")
