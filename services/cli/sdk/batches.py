"""Routes about many runs at once: batches, one action on many, failures by family."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.cli.sdk.pages import pages
from services.cli.sdk.transport import Transport, parse, segment
from shared.contracts.actions import Action, ActionRequest, ActionResult, FailureGroup, FamilyRetried
from shared.contracts.batches import BatchRequest
from shared.contracts.views import Page, RunView


class BatchCalls:
    """Act on many runs."""

    http: Transport

    def submit_batch(self, batch: BatchRequest, *, key: str | None = None) -> RunView:
        """Submit many runs, all or none; the answer is their parent, which ends by its policy.

        client.submit_batch(BatchRequest(runs=[SubmitRequest(kind="model.train", spec=...)], policy="best_effort"))
        """
        body = batch.model_dump(mode="json", exclude_unset=True)
        return parse(RunView, self.http.post("/v1/batches", body, key=key))

    def act(self, action: Action, run_ids: Sequence[UUID]) -> ActionResult:
        """Cancel, pause, resume or retry up to 1,000 runs; what cannot be done to one does not stop the others."""
        body = ActionRequest(action=action, run_ids=list(run_ids)).model_dump(mode="json")
        return parse(ActionResult, self.http.post("/v1/runs/actions", body))

    def failures(self, *, since: datetime | None = None, limit: int = 50) -> list[FailureGroup]:
        """Failed and quarantined runs, grouped by what went wrong; the family of the newest failure first."""
        query = {"since": since.isoformat() if since else None}
        return pages(self.http, "/v1/failures", Page[FailureGroup], limit, query)

    def retry_family(self, signature: str, *, limit: int = 1000) -> FamilyRetried:
        """Retry every run of a family that has not been retried; `left` are still to be retried, by another call."""
        path = f"/v1/failures/{segment(signature)}/retry"
        return parse(FamilyRetried, self.http.post(path, query={"limit": limit}))
