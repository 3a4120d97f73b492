"""Commands that are loaded when they are called: the one place where a module is imported by its name.

`faultline --help` lists names and one line each out of a table, so it needs neither httpx nor pydantic nor rich.
"""

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from shared.errors import FaultlineError

INTERRUPTED = 130
#: the first word of a shell that asks what may come next
COMPLETE = "__complete"


@dataclass(frozen=True)
class Lazy:
    """Where a command lives: `module:attribute`, a typer app or a plain function."""

    target: str
    help: str
    panel: str


def load(target: str) -> Any:
    """The object that `module:attribute` names."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


class Group(TyperGroup):
    """A group that shows its help where no command is given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, or help."""
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help())
            raise typer.Exit
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The first sentence of each command, in full."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        lines = [(name, first_sentence(command.help)) for name, command in found if command and not command.hidden]
        if lines:
            with formatter.section("Commands"):
                formatter.write_dl(lines)


class ListingGroup(Group):
    """A group that lists where no command is given: `faultline workers` is `faultline workers list`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; without a command it is `list`."""
        if not ctx.resilient_parsing and not {"-h", "--help"} & set(args[:1]) and (not args or args[0][:1] == "-"):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def first_sentence(text: str | None) -> str:
    """Of a docstring, in one line and without its full stop."""
    paragraph = " ".join((text or "").strip().partition("\n\n")[0].split())
    return paragraph.partition(". ")[0].rstrip(".")


class LazyGroup(Group):
    """The root: knows its commands by table, loads the one that is called, and turns errors into one panel."""

    table: ClassVar[Mapping[str, Lazy]] = {}

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """Names in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """A stand-in that knows its line of help; `resolve_command` loads the real one."""
        lazy = self.table.get(cmd_name)
        if lazy is None:
            return None
        return self.commands.get(cmd_name) or TyperCommand(cmd_name, help=lazy.help, rich_markup_mode=None)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The real command of `args[0]`."""
        name = args[0]
        self.resolve(name)
        near = get_close_matches(name, self.table)
        if name not in self.table and near:
            ctx.fail(f"There is no command {name!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def resolve(self, name: str) -> Any:
        """The real command of that name; None if there is none."""
        if name in self.table and name not in self.commands:
            self.commands[name] = _command(name, self.table[name])
        return self.commands.get(name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """One section of help per panel."""
        width = max(map(len, self.table))
        for panel in dict.fromkeys(lazy.panel for lazy in self.table.values()):
            with formatter.section(panel):
                formatter.write_dl(
                    [(name.ljust(width), lazy.help) for name, lazy in self.table.items() if lazy.panel == panel]
                )

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run and exit; every error of a user becomes one panel and an exit code."""
        given = list(sys.argv[1:] if args is None else args)
        try:
            if given[:1] == [COMPLETE]:
                return load("services.cli.completing:answer")(self, given[1:])
            code = super().main(given, prog_name, complete_var, False, windows_expand_args, **extra)
        except (TyperException, FaultlineError, typer.Abort, OSError) as error:
            code = load("services.cli.ui.errors:report")(error, as_json="--json" in given)
            if isinstance(error, OSError) and error.filename is None:
                _give_up_stdout()
        if standalone_mode:
            sys.exit(code if isinstance(code, int) else 0)
        return code


def _give_up_stdout() -> None:
    """What could not be written is not tried again while Python ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _command(name: str, lazy: Lazy) -> Any:
    target = load(lazy.target)
    if not isinstance(target, typer.Typer):
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(name, help=None if target.__doc__ else lazy.help)(target)
        target = app
    command = get_command(target)
    command.name = name
    return command
