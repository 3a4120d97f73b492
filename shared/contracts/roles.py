"""What a principal may do in a project, and what one of its keys may do of that."""

from enum import StrEnum


class Role(StrEnum):
    """A role, weakest first; each includes those before it."""

    VIEWER = "viewer"  #: reads everything of the project
    EDITOR = "editor"  #: makes and changes runs, datasets, models, schedules
    ADMIN = "admin"  #: manages members and keys
    OWNER = "owner"  #: disposes of the project

    def covers(self, needed: "Role") -> bool:
        """Whether whoever has this role may do what `needed` may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


class Scope(StrEnum):
    """Narrows what a key may do of what its holder's role allows. A key without scopes may do all of it."""

    READ = "read"  #: reads; every key may
    RUNS_WRITE = "runs:write"  #: submits, steers and schedules runs
    DATA_WRITE = "data:write"  #: sends and removes data
    ADMIN = "admin"  #: projects, members, keys, pools, workers
