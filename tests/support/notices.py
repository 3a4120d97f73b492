"""Channels and subscriptions of a test platform, and what became of its deliveries."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from uuid6 import uuid7

from services.notifier.deliver import deliver
from services.notifier.follower import Follower
from services.notifier.webhook import new_secret
from shared.contracts.envelope import Envelope, ErrorInfo
from shared.contracts.notifying import DELIVER
from shared.contracts.states import RunState
from shared.db.session import transaction
from shared.notices.seal import Seal
from shared.queue.runtime import make_runtime
from shared.runs import sync
from shared.runs.outbox import relay_once
from shared.runs.submit import Request, submit
from tests.support.bodies import CountSpec
from tests.support.platform import ROOT, Platform, until

#: what a notifier of a test may do: loopback without TLS, and quick
ENVIRONMENT = {
    "FAULTLINE_SEAL_KEYS": json.dumps(["a test's key for what is secret, 32 signs"]),
    "FAULTLINE_NOTIFY_ALLOWED_NETWORKS": json.dumps(["127.0.0.0/8"]),
    "FAULTLINE_NOTIFY_ALLOW_HTTP": "true",
    "FAULTLINE_NOTIFY_POLL_S": "0.1",
    "FAULTLINE_NOTIFY_TOTAL_S": "2",
    "FAULTLINE_NOTIFY_LEASE_S": "3",
    "FAULTLINE_NOTIFY_BACKOFF_S": "[0.3, 0.5]",
    "FAULTLINE_NOTIFY_BREAKER_FAILURES": "1000",
}
_CHANNEL = text(
    "INSERT INTO channels (id, project_id, created_by, name, type, service, sealed, shown, per_minute) "
    "VALUES (:id, :project, :principal, :name, 'webhook', 'webhook', :sealed, 'http://***', :per_minute)"
)
_SUBSCRIBE = text(
    """
    INSERT INTO subscriptions (id, project_id, principal_id, channel_id, kinds, filter, digest, quiet, timezone,
        escalate_after_s, escalate_to, next_digest_at, muted_until)
    VALUES (:id, :project, :principal, :channel, :kinds, CAST(:filter AS jsonb), CAST(:digest AS jsonb),
        CAST(:quiet AS jsonb), :timezone, :escalate_after_s, :escalate_to, :next_digest_at, :muted_until)
    """
)


@dataclass
class Notices:
    """The notices of one platform."""

    platform: Platform

    def channel(self, url: str, *, per_minute: float = 60_000.0, secret: str | None = None) -> UUID:
        """A webhook."""
        channel_id = uuid7()
        where = {"url": url, "secrets": [secret or new_secret()]}
        sealed = Seal(self.platform.settings.seal_keys).seal(where, bound_to=str(channel_id))
        values = {
            "id": channel_id,
            "project": self.platform.caller.project_id,
            "principal": self.platform.caller.principal_id,
            "name": f"hook-{channel_id.hex[-8:]}",
            "sealed": sealed,
            "per_minute": per_minute,
        }
        with transaction(self.platform.engine) as session:
            session.execute(_CHANNEL, values)
        return channel_id

    def subscribe(self, *kinds: str, channel: UUID | None = None, **more: Any) -> UUID:
        """Of the platform's caller."""
        values: dict[str, Any] = {
            "id": uuid7(),
            "project": self.platform.caller.project_id,
            "principal": self.platform.caller.principal_id,
            "channel": channel,
            "kinds": list(kinds),
            "timezone": "UTC",
            "escalate_after_s": None,
            "escalate_to": None,
            "next_digest_at": None,
            "muted_until": None,
        } | more
        for name in ("filter", "digest", "quiet"):
            value = values.get(name)
            values[name] = None if value is None and name != "filter" else orjson.dumps(value or {}).decode()
        with transaction(self.platform.engine) as session:
            session.execute(_SUBSCRIBE, values)
        return UUID(str(values["id"]))

    def start(self, name: str = "notifier", **environment: str) -> None:
        """Start a notifier and wait until it follows."""
        slots = environment.pop("FAULTLINE_WORKER_SLOTS", "2")
        own = ENVIRONMENT | environment | {"FAULTLINE_WORKER_POOLS": "[]", "FAULTLINE_WORKER_SLOTS": slots}
        self.platform.start_worker(name, "services.notifier.worker", ROOT, **own)
        until(lambda: self.platform.rows("SELECT 1 FROM news_places"), 30, "nobody follows")

    def deliveries(self, **where: Any) -> list[dict[str, Any]]:
        """Deliveries with their kind, oldest first."""
        condition = " AND ".join(f"d.{name} = :{name}" for name in where) or "true"
        return self.platform.rows(
            "SELECT d.*, n.kind, n.data FROM deliveries d JOIN notices n ON n.id = d.notice_id "
            f"WHERE {condition} ORDER BY d.id",
            **where,
        )

    def inbox(self) -> list[dict[str, Any]]:
        """Places in inboxes with their notice."""
        return self.platform.rows(
            "SELECT i.*, n.kind, n.data FROM inbox i JOIN notices n ON n.id = i.notice_id ORDER BY i.id"
        )


class Local(Notices):
    """The same without processes: what a notifier does is done here, when the test says so."""

    def __init__(self, platform: Platform) -> None:
        super().__init__(platform)
        self.follower = Follower(platform.engine, platform.settings)
        self._runtime = make_runtime(platform.settings, "eager", lifeline=None)
        self.follower.once()  # what was before is not told

    def run(self, kind: str = "test.inline", **more: Any) -> UUID:
        """A run that somebody has taken up."""
        with transaction(self.platform.engine) as session:
            spec = CountSpec(journal="nowhere")
            run_id = submit(session, self.platform.settings, self.platform.caller, Request(kind, spec, **more))
            sync.claim(session, run_id, 1, "somebody", 60.0)
        return run_id

    def end(self, run_id: UUID, state: RunState = RunState.SUCCEEDED, **result: Any) -> None:
        """It ends so."""
        error = ErrorInfo(type="UserError", message="It broke.", remedy="Mend it.", error_id="e-1", cause="bad_input")
        well = state == RunState.SUCCEEDED
        envelope = Envelope(
            success=well,
            run_id=run_id,
            attempt=1,
            task_id=f"{run_id}:1",
            kind="test.inline",
            duration_seconds=1.5,
            result=result if well else None,
            error=None if well else error,
        )
        with transaction(self.platform.engine) as session:
            assert sync.finish(session, run_id, state, envelope, attempt=1)

    def event(self, run_id: UUID, type_: str, **data: Any) -> None:
        """Something happens to it."""
        with transaction(self.platform.engine) as session:
            assert sync.tell(session, run_id, 1, type_, data)

    def tell(self) -> None:
        """What a notifier does with all that has happened and is due."""
        self.follower.once()
        while relay_once(self.platform.engine, self._deliver):
            continue

    def _deliver(self, step: str, _task_id: str, args: dict[str, Any], _traceparent: str | None) -> None:
        if step == DELIVER:
            deliver(args, self._runtime)

    def attempts(self) -> list[dict[str, Any]]:
        """The log of deliveries, in order."""
        return self.platform.rows("SELECT * FROM delivery_attempts ORDER BY at")

    def let_pass(self, seconds: float) -> None:
        """As if so much time had passed for all that waits."""
        later = "make_interval(secs => :s)"
        for table, columns in {
            "deliveries": ("due_at", "rung_at", "give_up_at", "lease_expires_at"),
            "channels": ("free_at", "retry_at", "failing_since"),
            "subscriptions": ("next_digest_at", "muted_until"),
        }.items():
            moved = ", ".join(f"{column} = {column} - {later}" for column in columns)
            with transaction(self.platform.engine) as session:
                session.execute(text(f"UPDATE {table} SET {moved}"), {"s": seconds})
