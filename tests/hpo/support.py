"""Starts campaigns and looks at their rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.hpo.advance import advance_campaign
from shared.campaigns.submit import submit_campaign
from shared.contracts.campaigns import CampaignRequest
from shared.contracts.envelope import Envelope
from shared.contracts.states import TERMINAL, RunState
from shared.contracts.views import MetricPoint
from shared.db.models import Run
from shared.db.session import transaction
from shared.queue.runtime import make_runtime
from shared.runs import sync
from shared.runs.errors import cancelled, failure
from tests.support.platform import Platform, until
from tests.support.seeking import SeekSpec, campaign, value_of


@dataclass
class Campaigns:
    """A platform, and what tests of campaigns do with it."""

    platform: Platform

    def start(self, *, workers: int = 1, slots: int = 2, coordinators: int = 1, **environment: str) -> None:
        """Dispatcher, reconciler, workers, coordinators."""
        self.platform.start_core()
        for number in range(workers):
            self.start_worker(f"worker-{number}", slots, **environment)
        for number in range(coordinators):
            self.start_coordinator(f"hpo-{number}")

    def start_worker(self, name: str, slots: int, **environment: str) -> None:
        """One worker for trials."""
        self.platform.start_worker(name, "tests.support.worker", FAULTLINE_WORKER_SLOTS=str(slots), **environment)  # type: ignore[arg-type]

    def start_coordinator(self, name: str) -> None:
        """One coordinator."""
        self.platform.start_worker(name, "tests.support.hpo_worker", FAULTLINE_WORKER_POOLS='["hpo"]')

    def submit(self, *, pool: Any = None, **fields: Any) -> UUID:
        """Begin a campaign over `test.seek`."""
        request = CampaignRequest.model_validate({"spec": campaign(**fields), "pool": pool})
        with transaction(self.platform.engine) as session:
            return submit_campaign(session, self.platform.settings, self.platform.caller, request)

    def advance(self, campaign_id: UUID) -> None:
        """One step of the coordinator, in this process."""
        runtime = make_runtime(self.platform.settings, "test", lifeline=None)
        try:
            advance_campaign({"run_id": str(campaign_id)}, runtime)
        finally:
            runtime.close()

    def play(self, campaign_id: UUID, order: Callable[[list[UUID]], list[UUID]] = sorted) -> int:
        """End every queued trial in this process, as a worker would; returns how many."""
        queued = self.platform.rows(
            "SELECT id, spec, kind FROM runs WHERE parent_id = :id AND state IN ('queued', 'dispatched')",
            id=campaign_id,
        )
        specs = {run["id"]: run["spec"] for run in queued}
        for run_id in order(list(specs)):
            self.end(run_id, value_of(SeekSpec.model_validate(specs[run_id])))
        return len(queued)

    def end(self, run_id: UUID, value: float) -> None:
        """End a run that has claimed its slot."""
        with transaction(self.platform.engine) as session:
            sync.claim(session, run_id, 1, "here", 60)
            assert sync.finish(session, run_id, RunState.SUCCEEDED, ended_well(run_id, value), attempt=1)

    def give_up(self, run_id: UUID) -> None:
        """End a run that was asked to stop."""
        with transaction(self.platform.engine) as session:
            run = session.get_one(Run, run_id)
            sync.finish(session, run_id, RunState.CANCELLED, failure(run, cancelled()), attempt=1)

    def report(self, run_id: UUID, step: int, value: float) -> None:
        """Let a run claim its slot, if it has not, and report one value."""
        with transaction(self.platform.engine) as session:
            sync.claim(session, run_id, 1, "here", 60)
            point = MetricPoint(name="value", step=step, value=value, attempt=1)
            assert sync.add_metrics(session, run_id, 1, [point])

    def drive(self, campaign_id: UUID, before: Callable[[], None] = lambda: None) -> list[dict[str, Any]]:
        """Advance and play until its end, in this process; its trials."""
        while self.platform.run(campaign_id)["state"] == "waiting":
            before()
            self.advance(campaign_id)
            self.play(campaign_id)
        return self.trials(campaign_id)

    def trials(self, campaign_id: UUID) -> list[dict[str, Any]]:
        """The trials' rows, by number."""
        return self.platform.rows("SELECT * FROM trials WHERE campaign_id = :id ORDER BY number", id=campaign_id)

    def row(self, campaign_id: UUID) -> dict[str, Any]:
        """The campaign's row."""
        return self.platform.rows("SELECT * FROM campaigns WHERE id = :id", id=campaign_id)[0]

    def ended(self, campaign_id: UUID, timeout_s: float = 60.0) -> dict[str, Any]:
        """Wait for its end; the row of its parent run."""

        def over() -> dict[str, Any] | None:
            run = self.platform.run(campaign_id)
            return run if run["state"] in TERMINAL else None

        try:
            found: dict[str, Any] = until(over, timeout_s)
        except TimeoutError:
            logs = "\n".join(self.platform.log(name) for name in self.platform.processes if name.startswith("hpo"))
            raise TimeoutError(f"{self.row(campaign_id)}\n{self.trials(campaign_id)}\n{logs}") from None
        return found


def ended_well(run_id: UUID, value: float) -> Envelope:
    """What a trial returns."""
    return Envelope(
        success=True,
        run_id=run_id,
        attempt=1,
        task_id=f"{run_id}:1",
        kind="test.seek",
        duration_seconds=0.1,
        result={"value": value, "other": -value, "cost": abs(value - 3)},
        error=None,
    )
