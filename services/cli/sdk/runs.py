"""Routes about runs of any kind."""

from collections.abc import Iterator
from uuid import UUID

from services.cli.sdk.events import Rising, Stream, ends
from services.cli.sdk.pages import pages
from services.cli.sdk.transport import Transport, parse
from shared.contracts.specs import Spec
from shared.contracts.states import TERMINAL
from shared.contracts.views import ArtifactView, EventView, LogLine, MetricPoint, Page, RunView, SubmitRequest


class RunCalls:
    """Submit, look at, follow and cancel runs."""

    http: Transport

    def submit(
        self,
        kind: str,
        spec: Spec,
        *,
        pool: str | None = None,
        priority: int = 0,
        labels: dict[str, str] | None = None,
    ) -> RunView:
        """Ask for a run of any kind."""
        request = SubmitRequest(
            kind=kind, spec=spec.model_dump(mode="json"), pool=pool, priority=priority, labels=labels or {}
        )
        return parse(RunView, self.http.post("/v1/runs", request.model_dump(mode="json")))

    def runs(self, *, kind: str | None = None, state: str | None = None, limit: int = 50) -> list[RunView]:
        """The newest runs, at most `limit`."""
        return pages(self.http, "/v1/runs", Page[RunView], limit, {"kind": kind, "state": state})

    def run(self, run_id: UUID) -> RunView:
        """One run."""
        return parse(RunView, self.http.get(f"/v1/runs/{run_id}"))

    def cancel(self, run_id: UUID) -> RunView:
        """Ask a run to stop; its state follows."""
        return parse(RunView, self.http.post(f"/v1/runs/{run_id}/cancel"))

    def events(self, run_id: UUID, after: int = 0) -> Iterator[EventView]:
        """Events with `seq > after`, in order, each once, until the run is terminal; survives restarts of the API."""
        path, last = f"/v1/runs/{run_id}/events", str(after) if after else ""

        def over() -> bool:
            return self.run(run_id).state in TERMINAL

        return Stream(self.http, path, EventView, last, Rising(after), ends, over).follow()

    def wait(self, run_id: UUID) -> RunView:
        """The run once it is terminal."""
        for _ in self.events(run_id):
            pass
        return self.run(run_id)

    def logs(self, run_id: UUID, after: str | None = None) -> Page[LogLine]:
        """Log lines after a cursor."""
        return parse(Page[LogLine], self.http.get(f"/v1/runs/{run_id}/logs", {"after": after}))

    def metrics(self, run_id: UUID, after: str | None = None) -> Page[MetricPoint]:
        """Metric points after a cursor."""
        return parse(Page[MetricPoint], self.http.get(f"/v1/runs/{run_id}/metrics", {"after": after}))

    def artifacts(self, run_id: UUID) -> list[ArtifactView]:
        """The files that a run made."""
        return parse(Page[ArtifactView], self.http.get(f"/v1/runs/{run_id}/artifacts")).items
