"""What may come next on a command line: commands, options, choices, and names that the API knows.

The shells call `faultline __complete WORD ...` (see `commands/completion.py`), whose last word is the one being typed;
each answer is a line `value TAB help`, or `:files`. Nothing is ever said about what goes wrong.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from services.cli.lazy import LazyGroup, first_sentence, load

FILES = ":files"


@dataclass(frozen=True)
class Candidate:
    """One word that may come next."""

    value: str
    help: str = ""

    def line(self) -> str:
        """As the shells read it."""
        return f"{_plain(self.value)}\t{_plain(self.help)}".rstrip()


def answer(root: LazyGroup, words: Sequence[str]) -> int:
    """Print what may stand in the place of the last word; the exit code is 0 whatever happens."""
    *before, typed = words or [""]
    for line in dict.fromkeys(candidates(root, before, typed)):
        sys.stdout.write(f"{line}\n")
    return 0


def candidates(root: LazyGroup, before: Sequence[str], typed: str) -> Iterator[str]:
    """Lines for the shell."""
    place = _Place(root, before)
    option = place.waiting
    name, sign, value = typed.partition("=")
    if sign and name.startswith("--"):
        option, typed = place.option(name), value
    if option is not None:
        yield from _values(option, typed, place, f"{name}=" if sign else "")
    elif typed.startswith("-"):
        yield from (found.line() for found in place.options(typed))
    elif place.subcommands is not None:
        yield from (found.line() for found in place.subcommands if found.value.startswith(typed))
    elif place.argument is not None:
        yield from _values(place.argument, typed, place, "")


class _Place:
    """Where the cursor stands: the command so far, what it was given, and what it waits for."""

    def __init__(self, root: LazyGroup, words: Sequence[str]) -> None:
        self.command: Any = root
        self.given: dict[str, str] = {}
        self.waiting: Any = None  #: an option whose value comes next
        arguments = 0
        for word in words:
            if self.waiting is not None:
                self.given[self.waiting.name] = word
                self.waiting = None
            elif word.startswith("-") and word != "-":
                name, sign, value = word.partition("=")
                found = self.option(name)
                if found is not None and sign:
                    self.given[found.name] = value
                elif found is not None and not getattr(found, "is_flag", False):
                    self.waiting = found
            elif not self._enter(word):
                arguments += 1
        self._arguments = arguments

    def _enter(self, word: str) -> bool:
        commands = getattr(self.command, "commands", None)
        if commands is None:
            return False
        self.command = self.command.resolve(word) if isinstance(self.command, LazyGroup) else commands.get(word)
        return True

    @property
    def params(self) -> list[Any]:
        """Options and arguments of the command."""
        return list(getattr(self.command, "params", []))

    @property
    def subcommands(self) -> list[Candidate] | None:
        """Of a group; None where no command comes next."""
        if isinstance(self.command, LazyGroup):
            return [Candidate(name, _first_line(lazy.help)) for name, lazy in self.command.table.items()]
        commands = getattr(self.command, "commands", None)
        if commands is None:
            return None
        return [Candidate(name, _first_line(command.help)) for name, command in commands.items()]

    @property
    def argument(self) -> Any:
        """The argument that comes next, if one does."""
        wanted = [param for param in self.params if param.param_type_name == "argument"]
        if len(wanted) > self._arguments:
            return wanted[self._arguments]
        return wanted[-1] if wanted and wanted[-1].nargs == -1 else None

    def option(self, name: str) -> Any:
        """The option of that name."""
        return next((param for param in self.params if name in (*param.opts, *param.secondary_opts)), None)

    def options(self, typed: str) -> list[Candidate]:
        """Options that begin so; one that was given already may come again."""
        found = [
            Candidate(name, _first_line(getattr(param, "help", "")))
            for param in self.params
            if param.param_type_name == "option"
            for name in (*param.opts, *param.secondary_opts)
            if name.startswith(typed) and (name.startswith("--") or typed == name)
        ]
        return [*found, *([Candidate("--help", "Show what this command does")] if "--help".startswith(typed) else [])]


def _values(param: Any, typed: str, place: _Place, prefix: str) -> Iterator[str]:
    """Values of an option or argument that begin as typed."""
    annotation = param.type_descriptor.annotation
    kinds = (annotation, *get_args(annotation))
    if Path in kinds:
        yield FILES
        return
    enum = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Enum)), None)
    word = (param.metavar or "").strip("[].").rstrip(".")
    if enum is not None:
        found = [Candidate(str(member.value)) for member in enum]
    else:
        names = load("services.cli.known:names")(word, place.given.get("url"), place.given.get("key"))
        found = [Candidate(*name) for name in names]
    for candidate in found:
        if candidate.value.startswith(typed):
            yield Candidate(prefix + candidate.value, candidate.help).line()


def _first_line(text: str | None) -> str:
    return re.split(r"[;:]\s", first_sentence(text))[0]


def _plain(text: str) -> str:
    """One that a shell can show: no control signs."""
    return "".join(sign for sign in text if sign.isprintable())
