"""Which runs are meant: the filters of `GET /v1/runs`, as one value."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from services.cli.sdk.transport import Query
from shared.contracts.states import RunState
from shared.contracts.views import RunView


@dataclass(frozen=True)
class RunFilter:
    """All that is given must hold. Times need a time zone.

    client.runs(RunFilter(states=[RunState.FAILED], labels={"sweep": "7"}), limit=200)
    """

    kinds: list[str] = field(default_factory=list)  #: one of these
    states: list[RunState] = field(default_factory=list)  #: one of these
    pool: str | None = None
    labels: dict[str, str] = field(default_factory=dict)  #: all of these
    created_after: datetime | None = None
    created_before: datetime | None = None
    parent: UUID | None = None
    retry_of: UUID | None = None
    schedule: UUID | None = None
    created_by: UUID | None = None
    error_signature: str | None = None
    text: str | None = None  #: in the name, a label or the error, or how the id begins
    oldest_first: bool = False

    def query(self) -> Query:
        """As the API wants it."""
        return {
            "kind": self.kinds or None,
            "state": [state.value for state in self.states] or None,
            "pool": self.pool,
            "label": [f"{name}:{value}" for name, value in self.labels.items()] or None,
            "created_after": self.created_after.isoformat() if self.created_after else None,
            "created_before": self.created_before.isoformat() if self.created_before else None,
            "parent": _text(self.parent),
            "retry_of": _text(self.retry_of),
            "schedule": _text(self.schedule),
            "created_by": _text(self.created_by),
            "error_signature": self.error_signature,
            "q": self.text,
            "order": "oldest" if self.oldest_first else None,
        }

    def fits(self, run: RunView) -> bool:
        """Whether a run is meant, as far as the run itself tells: a server that knows fewer filters gives too many."""
        return (
            (not self.kinds or run.kind in self.kinds)
            and (not self.states or run.state in self.states)
            and (self.pool is None or run.pool == self.pool)
            and self.labels.items() <= run.labels.items()
            and (self.created_after is None or run.created_at >= self.created_after)
            and (self.created_before is None or run.created_at < self.created_before)
            and (self.parent is None or run.parent_id == self.parent)
            and (self.retry_of is None or run.retry_of == self.retry_of)
            and (self.error_signature is None or run.error_signature == self.error_signature)
        )


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
