"""What a principal may do in a project; each role includes those before it."""

from enum import StrEnum


class Role(StrEnum):
    """A role, weakest first."""

    VIEWER = "viewer"  #: reads everything of the project
    EDITOR = "editor"  #: makes and changes runs, datasets, models, schedules
    ADMIN = "admin"  #: manages members and keys
    OWNER = "owner"  #: disposes of the project

    def covers(self, needed: "Role") -> bool:
        """Whether whoever has this role may do what `needed` may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)
