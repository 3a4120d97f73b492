"""Routes about runs of any kind."""

from collections.abc import Iterator
from uuid import UUID

from services.cli.sdk.events import Rising, Stream, ends
from services.cli.sdk.filters import RunFilter
from services.cli.sdk.pages import pages
from services.cli.sdk.transport import Transport, parse
from shared.contracts.specs import Spec
from shared.contracts.states import TERMINAL
from shared.contracts.views import ArtifactView, EventView, LogLine, MetricPoint, Page, RunView, SubmitRequest


class RunCalls:
    """Submit, look at and follow runs."""

    http: Transport

    def submit(
        self,
        kind: str,
        spec: Spec,
        *,
        pool: str | None = None,
        priority: int = 0,
        labels: dict[str, str] | None = None,
        key: str | None = None,
    ) -> RunView:
        """Ask for a run of any kind. With a `key` of your own, asking twice makes one run, also from two processes.

        client.submit("model.train", spec, labels={"sweep": "7"}, key="sweep-7-lr-0.01")
        """
        request = SubmitRequest(
            kind=kind, spec=spec.model_dump(mode="json"), pool=pool, priority=priority, labels=labels or {}
        )
        body = request.model_dump(mode="json", exclude_unset=True)
        return parse(RunView, self.http.post("/v1/runs", body, key=key))

    def runs(self, wanted: RunFilter | None = None, *, limit: int = 50) -> list[RunView]:
        """Runs that fit, newest first unless said otherwise, at most `limit`."""
        return pages(self.http, "/v1/runs", Page[RunView], limit, (wanted or RunFilter()).query())

    def run(self, run_id: UUID) -> RunView:
        """One run."""
        return parse(RunView, self.http.get(f"/v1/runs/{run_id}"))

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
