"""What a supervisor says while it works; as JSON lines where the listener is another process."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

Kind = Literal["ready", "died", "up", "failed", "refused", "stopping", "stopped", "note"]


@dataclass(frozen=True)
class Event:
    """One thing that happened. `part` is empty where it concerns the whole."""

    kind: Kind
    part: str = ""
    seconds: float = 0.0
    text: str = ""
    remedy: str = ""

    def line(self) -> str:
        """As one line of JSON."""
        return json.dumps(asdict(self))


Tell = Callable[[Event], None]


def from_line(line: str) -> Event | None:
    """An event that was sent as a line; None if it is something else."""
    try:
        return Event(**json.loads(line))
    except (ValueError, TypeError):
        return None
