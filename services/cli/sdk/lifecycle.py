"""Routes that act on runs that exist: cancel, pause, resume; retry and clone, which make new ones."""

from typing import Any
from uuid import UUID

from services.cli.sdk.transport import Transport, parse
from shared.contracts.lifecycle import CloneRequest
from shared.contracts.views import RunView


class LifecycleCalls:
    """Act on runs."""

    http: Transport

    def cancel(self, run_id: UUID) -> RunView:
        """Ask a run to stop; its state follows."""
        return self._act(run_id, "cancel")

    def pause(self, run_id: UUID) -> RunView:
        """Ask a run to rest without a slot; one that runs checkpoints first."""
        return self._act(run_id, "pause")

    def resume(self, run_id: UUID) -> RunView:
        """Let a paused run go on from its last checkpoint."""
        return self._act(run_id, "resume")

    def retry(self, run_id: UUID) -> RunView:
        """Run again, as a new run, what has failed, was cancelled or quarantined."""
        return self._act(run_id, "retry")

    def clone(
        self,
        run_id: UUID,
        spec: dict[str, Any] | None = None,
        *,
        pool: str | None = None,
        priority: int | None = None,
        labels: dict[str, str] | None = None,
    ) -> RunView:
        """The same once more, edited: `spec` is merged into the old one, null brings a default back.

        client.clone(run.id, {"name": "wider", "recipe": {"width": 32}})
        """
        body = CloneRequest(spec=spec or {}, pool=pool, priority=priority, labels=labels)
        return parse(RunView, self.http.post(f"/v1/runs/{run_id}/clone", body.model_dump(mode="json")))

    def _act(self, run_id: UUID, action: str) -> RunView:
        return parse(RunView, self.http.post(f"/v1/runs/{run_id}/{action}"))
