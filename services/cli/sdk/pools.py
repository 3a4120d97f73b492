"""Routes about pools and workers, and why a run waits."""

from uuid import UUID

from services.cli.sdk.transport import Transport, parse, segment
from shared.contracts.pools import PauseRequest, PoolView, WaitView
from shared.contracts.views import Page, WorkerView
from shared.errors import NotFound


class PoolCalls:
    """Look at pools and workers; pause pools, drain workers."""

    http: Transport

    def pools(self) -> list[PoolView]:
        """Every pool, over all projects."""
        return parse(Page[PoolView], self.http.get("/v1/pools")).items

    def pool(self, name: str) -> PoolView:
        """One pool."""
        return parse(PoolView, self.http.get(f"/v1/pools/{segment(name)}"))

    def pause_pool(self, name: str, reason: str) -> PoolView:
        """Send nothing more of a pool; what runs goes on. For operators."""
        body = PauseRequest(reason=reason).model_dump(mode="json")
        return parse(PoolView, self.http.post(f"/v1/pools/{segment(name)}/pause", body))

    def resume_pool(self, name: str) -> PoolView:
        """Send the pool's runs again. For operators."""
        return parse(PoolView, self.http.post(f"/v1/pools/{segment(name)}/resume"))

    def workers(self) -> list[WorkerView]:
        """The workers and what they are busy with."""
        return parse(Page[WorkerView], self.http.get("/v1/workers")).items

    def worker(self, name: str) -> WorkerView:
        """One worker. Raises `NotFound`."""
        found = next((worker for worker in self.workers() if worker.name == name), None)
        if found is None:
            raise NotFound(f"There is no worker named {name!r}.", remedy="`faultline workers` shows who there is.")
        return found

    def drain_worker(self, name: str) -> WorkerView:
        """It finishes what it runs and takes nothing new, until undrained or restarted. For operators."""
        return parse(WorkerView, self.http.post(f"/v1/workers/{segment(name)}/drain"))

    def undrain_worker(self, name: str) -> WorkerView:
        """It takes work again, from its next heartbeat on. For operators."""
        return parse(WorkerView, self.http.post(f"/v1/workers/{segment(name)}/undrain"))

    def why(self, run_id: UUID) -> WaitView:
        """Why a run has not started, how many are sent before it, and when it may start.

        print(client.why(run.id).sentence)
        """
        return parse(WaitView, self.http.get(f"/v1/runs/{run_id}/wait"))
