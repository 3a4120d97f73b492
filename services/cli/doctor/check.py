"""One thing that was looked at."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How it stands."""

    OK = "ok"
    WARN = "warn"  #: works, but not as it should, or not for long
    FAIL = "FAIL"  #: does not work


@dataclass(frozen=True)
class Check:
    """What was found, and what to do about it unless it is well."""

    place: str  #: this machine, local stack, platform
    name: str
    verdict: Verdict
    words: str
    fix: str | None = None
    details: str = ""  #: lines of a log, say


@dataclass(frozen=True)
class Place:
    """Makes the checks of one place."""

    name: str

    def ok(self, name: str, words: str) -> Check:
        """It is well."""
        return Check(self.name, name, Verdict.OK, words)

    def warn(self, name: str, words: str, fix: str) -> Check:
        """It works, but."""
        return Check(self.name, name, Verdict.WARN, words, fix)

    def fail(self, name: str, words: str, fix: str, details: str = "") -> Check:
        """It does not work."""
        return Check(self.name, name, Verdict.FAIL, words, fix, details)


MACHINE = Place("this machine")
STACK = Place("local stack")
PLATFORM = Place("platform")
