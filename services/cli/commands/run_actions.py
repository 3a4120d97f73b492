"""`faultline runs cancel | pause | resume | retry`: on one run, on several, or on all that a filter finds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from services.cli.arguments import WrongArguments
from services.cli.commands.run_filter import Which
from services.cli.lookup import find_run
from services.cli.outcome import Wait, wait_for
from services.cli.sdk import Client, RunFilter
from services.cli.session import Session
from services.cli.ui.tables import runs_table
from services.cli.ui.text import plural, safe, short_id, state_text
from shared.contracts.actions import Action as Verb
from shared.contracts.actions import ActionResult
from shared.contracts.states import TERMINAL, RunState
from shared.contracts.views import RunView
from shared.errors import NotFound

Runs = Annotated[
    list[str] | None,
    typer.Argument(metavar="[RUN...]", help="Ids, beginnings or ends of them, or `last`; or give a filter.",
                   show_default=False),
]  # fmt: skip
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before acting on all that the filter finds.")]

#: what one call acts on at most; the next call finds the rest
MOST = 1000
_SHOWN = 8
_REFUSED = 2


@dataclass(frozen=True)
class Action:
    """One thing that is done to runs."""

    name: Verb
    did: str  #: what is said of runs afterwards
    states: frozenset[RunState]  #: of the runs that it can be done to
    call: Callable[[Client, UUID], RunView]


OPEN = frozenset(RunState) - TERMINAL
CANCEL = Action("cancel", "asked to stop", OPEN, Client.cancel)
PAUSE = Action("pause", "asked to rest", OPEN - {RunState.PAUSED}, Client.pause)
RESUME = Action("resume", "let go on", frozenset({RunState.PAUSED}), Client.resume)
RETRY = Action("retry", "run again", TERMINAL - {RunState.SUCCEEDED}, Client.retry)


def cancel(session: Session, which: Which, runs: Runs = None, yes: Yes = False, wait: Wait = False) -> None:
    """Ask runs to stop: one, several, or all that a filter finds.

    \b
    Examples:
      faultline runs cancel last --wait
      faultline runs cancel --state queued --label sweep:7
    """
    act(session, CANCEL, runs, which, yes=yes, wait=wait)


def pause(session: Session, which: Which, runs: Runs = None, yes: Yes = False) -> None:
    """Ask runs to rest without a slot; those that run checkpoint first.

    \b
    Examples:
      faultline runs pause last
      faultline runs pause --pool training-cpu --label sweep:7 --yes
    """
    act(session, PAUSE, runs, which, yes=yes)


def resume(session: Session, which: Which, runs: Runs = None, yes: Yes = False) -> None:
    """Let paused runs go on from their last checkpoint.

    \b
    Examples:
      faultline runs resume last
      faultline runs resume --label sweep:7
    """
    act(session, RESUME, runs, which, yes=yes)


def retry(session: Session, which: Which, runs: Runs = None, yes: Yes = False, wait: Wait = False) -> None:
    """Run again, as new runs, what has failed, was cancelled or quarantined.

    \b
    Examples:
      faultline runs retry last --wait
      faultline runs retry --state failed --since 2h
    """
    act(session, RETRY, runs, which, yes=yes, wait=wait)


def act(
    session: Session, action: Action, words: list[str] | None, which: Which, *, yes: bool, wait: bool = False
) -> None:
    """Do it to the runs that are named, or to those that the filter finds. Exit code 2 if any was refused."""
    if words and which.anything:
        raise WrongArguments("Runs are named and a filter is given.", remedy="Give one or the other.")
    if not words and not which.anything:
        raise WrongArguments(
            f"Which runs to {action.name} is not said.",
            remedy="Name runs, or give a filter such as --state or --label.",
        )
    chosen = [find_run(session.client, word) for word in words or ()] or _found(session, action, which.filter, yes=yes)
    if words and len(words) == 1:
        done = action.call(session.client, chosen[0].id)
        done = wait_for(session, done) if wait else done
        session.show(done, _line(action, done))
        return
    result = session.client.act(action.name, list({run.id: None for run in chosen}))
    if wait:
        for run_id in result.done:
            wait_for(session, session.client.run(result.made.get(run_id, run_id)))
    session.show({"action": action.name, **result.model_dump(mode="json")}, _lines(action, result))
    if result.refused:
        raise typer.Exit(_REFUSED)


def _found(session: Session, action: Action, wanted: RunFilter, *, yes: bool) -> list[RunView]:
    """Runs that fit and that it can be done to; asks first. Raises `NotFound`, `WrongArguments`, `typer.Abort`."""
    states = [state for state in wanted.states or RunState if state in action.states]
    if not states:
        raise NotFound(
            f"Runs in these states cannot be asked to {action.name}.",
            remedy=f"Those that can are {', '.join(sorted(state.value for state in action.states))}.",
        )
    asked = RunFilter(**{**vars(wanted), "states": states})
    found = [run for run in session.client.runs(asked, limit=MOST) if asked.fits(run)]
    if not found:
        raise NotFound(f"No run fits that could be asked to {action.name}.", remedy="`faultline runs list` shows runs.")
    if yes:
        return found
    if not session.as_json:
        session.err.print(runs_table(found[:_SHOWN]))
        if len(found) > _SHOWN:
            session.err.print(Text(f"... and {len(found) - _SHOWN:,} more", style="quiet"))
    session.confirm(f"{action.name.capitalize()} {plural(len(found), 'run')}?", yes=yes)
    return found


def _line(action: Action, run: RunView) -> Text:
    text = Text.assemble("Run ", (short_id(run.id), "key"), " is ", state_text(run.state))
    if action is RETRY and run.retry_of:
        return text.append(f", the retry of {short_id(run.retry_of)}.")
    return text.append("." if run.state in TERMINAL or action is RESUME else f"; it was {action.did}.")


def _lines(action: Action, result: ActionResult) -> RenderableType:
    parts: list[RenderableType] = []
    if result.done:
        parts.append(Text(f"{plural(len(result.done), 'run')} {action.did}."))
    parts += [
        Text.assemble((short_id(one.run_id), "key"), f" refused: {safe(one.reason)}", style="wait")
        for one in result.refused[:_SHOWN]
    ]
    if len(result.refused) > _SHOWN:
        parts.append(Text(f"... and {len(result.refused) - _SHOWN:,} more", style="wait"))
    return Group(*parts)
