"""Submits and cancels over the API, and tries again for as long as the API is away: with one key for each run."""

import time
from uuid import UUID

import httpx

from tests.chaos.campaign.plan import Planned
from tests.support.platform import API_KEY, Platform

_TRY_AGAIN_S = 0.3
_ACCEPTED = 202
_TOO_MANY = 429
_SERVER_FAULT = 500


class Client:
    """Does what is due at each call of `work`."""

    def __init__(self, platform: Platform, url: str, planned: list[Planned], began_s: float) -> None:
        self.answers_s: list[float] = []  #: when the API answered, seconds since the epoch
        self._platform = platform
        self._planned = planned
        self._began_s = began_s
        self._again_s = 0.0
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {API_KEY}"}, timeout=5.0)

    def work(self) -> None:
        """Send what is due, as far as the API takes it."""
        now_s = time.monotonic()
        if now_s < self._again_s:
            return
        try:
            for run in self._planned:
                if run.run_id is None and now_s - self._began_s >= run.submit_s:
                    self._submit(run)
                waits = run.run_id is not None and run.cancel_s is not None and not run.cancelled
                if waits and time.monotonic() - run.accepted_s >= (run.cancel_s or 0.0):
                    self._post(f"/v1/runs/{run.run_id}/cancel")
                    run.cancelled = True
        except httpx.TransportError:
            self._again_s = time.monotonic() + _TRY_AGAIN_S

    @property
    def finished(self) -> bool:
        """Whether everything was accepted."""
        return all(run.run_id and (run.cancelled or run.cancel_s is None) for run in self._planned)

    def close(self) -> None:
        """Free the connections."""
        self._http.close()

    def _submit(self, run: Planned) -> None:
        spec = {**run.spec, "journal": str(self._platform.journal(run.journal)), "marked": True}
        body = {"kind": run.kind, "spec": spec, "pool": run.pool, "priority": run.priority}
        answer = self._post("/v1/runs", body, {"Idempotency-Key": f"campaign-{run.number}"})
        run.run_id, run.accepted_s = UUID(answer["id"]), time.monotonic()

    def _post(self, path: str, body: object = None, headers: dict[str, str] | None = None) -> dict[str, str]:
        """Raises `httpx.TransportError` while the API is away or overloaded, `RuntimeError` if it refuses."""
        answer = self._http.post(path, json=body, headers=headers)
        if answer.status_code == _TOO_MANY or answer.status_code >= _SERVER_FAULT:
            raise httpx.TransportError(answer.text)
        if answer.status_code != _ACCEPTED:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")
        self.answers_s.append(time.time())
        found: dict[str, str] = answer.json()
        return found
