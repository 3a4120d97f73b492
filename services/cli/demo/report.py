"""What a demo shows: a line per stage, then the scores and how to read them."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from services.cli.demo.plan import Plan
from services.cli.session import Session
from services.cli.ui.result import scores_picture
from services.cli.ui.text import duration
from shared.contracts.results import EvaluationResult

_WIDEST = 100
_TITLE, _TIME = 12, 8


def print_stage(session: Session, stage: str, words: str, seconds: float) -> None:
    """A stage that is done."""
    line = Table.grid(padding=(0, 1, 0, 0))
    line.add_column(width=1)
    line.add_column(width=_TITLE)
    line.add_column(width=min(session.out.width, _WIDEST) - _TITLE - _TIME - 5)
    line.add_column(width=_TIME, justify="right")
    line.add_row(Text("✓", "good"), Text(stage, "name"), words, Text(duration(seconds), "quiet"))
    session.say(line)


def working(session: Session, words: str) -> AbstractContextManager[object]:
    """A sign of life while a stage says nothing; on a terminal only."""
    if session.as_json or not session.out.is_terminal:
        return nullcontext()
    return session.out.status(Text(words, style="quiet"), spinner="dots", spinner_style="key")


def print_report(
    session: Session, plan: Plan, scores: Mapping[str, Mapping[str, EvaluationResult]], words: str
) -> None:
    """Scores by experiment, the headline first, and the paragraph that goes with them."""
    width = min(session.out.width, _WIDEST)
    for experiment in plan.experiments:
        session.say("")
        session.say(Text.assemble((experiment.title, "name")))
        session.say(Text(experiment.rule, style="quiet"))
        session.say("")
        session.say(
            Padding(
                scores_picture(scores[experiment.key], plan.units, method=experiment.role == "headline"),
                (0, 0, 0, 2),
                expand=False,
            )
        )
    session.say("")
    session.say(Text("How to read this", style="name"))
    session.out.print(Padding(Text(words), (0, 0, 0, 2)), width=width)
