"""What a collection found or removed, by class."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class Freed:
    """One class: things, bytes of files, the oldest of them."""

    count: int = 0
    size_bytes: int = 0
    oldest: datetime | None = None

    def add(self, count: int, size_bytes: int = 0, oldest: datetime | None = None) -> None:
        """Count some more."""
        self.count += count
        self.size_bytes += size_bytes
        if oldest is not None:
            self.oldest = oldest if self.oldest is None else min(self.oldest, oldest)


@dataclass
class Report:
    """Every class that was looked at."""

    dry_run: bool
    classes: dict[str, Freed] = field(default_factory=dict)

    def of(self, name: str) -> Freed:
        """The class of that name."""
        return self.classes.setdefault(name, Freed())
