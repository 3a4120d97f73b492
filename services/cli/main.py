"""`faultline`: the command line. Only the table of commands; what they do is under `commands/`."""

from typing import Annotated, ClassVar

import typer

from services.cli.lazy import Lazy, LazyGroup
from shared.version import VERSION

_STACK, _DATA, _RUNS = "On this machine", "Data and models", "Runs"
_ACCESS, _MORE = "Access", "More"


class Root(LazyGroup):
    """The commands by name."""

    table: ClassVar[dict[str, Lazy]] = {
        "up": Lazy("services.cli.commands.stack:up", "Start the whole stack on this machine.", _STACK),
        "down": Lazy("services.cli.commands.stack:down", "Stop it; the data stays.", _STACK),
        "status": Lazy("services.cli.commands.stack:status", "Say which parts of it are running.", _STACK),
        "doctor": Lazy("services.cli.commands.doctor:doctor", "Find what is wrong, and what to do about it.", _STACK),
        "gc": Lazy("services.cli.commands.gc:gc", "Count, or remove, what is over.", _STACK),
        "demo": Lazy("services.cli.commands.demo:demo", "From data to honest scores in three minutes.", _STACK),
        "datasets": Lazy("services.cli.commands.datasets:app", "List, show, import, generate, delete datasets.", _DATA),
        "train": Lazy("services.cli.commands.train:train", "Train a model on a dataset.", _DATA),
        "evaluate": Lazy("services.cli.commands.evaluate:evaluate", "Score models on what was held out.", _DATA),
        "models": Lazy("services.cli.commands.models:app", "List, show, link and delete models.", _DATA),
        "runs": Lazy("services.cli.commands.runs:app", "List, watch, steer runs; read logs, fetch files.", _RUNS),
        "batches": Lazy("services.cli.commands.batches:app", "Submit many runs as one.", _RUNS),
        "campaigns": Lazy("services.cli.commands.campaigns:app", "Search settings of a spec by many runs.", _RUNS),
        "events": Lazy("services.cli.commands.events:events", "What happens in the project, as it happens.", _RUNS),
        "top": Lazy("services.cli.commands.top:top", "Watch pools, workers and runs live.", _RUNS),
        "pools": Lazy("services.cli.commands.pools:app", "How pools stand; pause and resume them.", _RUNS),
        "workers": Lazy("services.cli.commands.workers:app", "Show workers and their load; drain them.", _RUNS),
        "schedules": Lazy("services.cli.commands.schedules:app", "Runs by the clock.", _RUNS),
        "notify": Lazy(
            "services.cli.commands.notify:app", "Be told what happens: by webhook, mail, chat, here.", _RUNS
        ),
        "projects": Lazy("services.cli.commands.projects:app", "List, make, limit and delete projects.", _ACCESS),
        "members": Lazy("services.cli.commands.members:app", "Who may do what in the project.", _ACCESS),
        "principals": Lazy("services.cli.commands.members:principals", "Users and services of the platform.", _ACCESS),
        "keys": Lazy("services.cli.commands.keys:app", "API keys: list, make, revoke.", _ACCESS),
        "audit": Lazy("services.cli.commands.audit:audit", "Who asked for what in the project.", _ACCESS),
        "login": Lazy("services.cli.commands.login:login", "Check an API key and remember it.", _ACCESS),
        "completion": Lazy(
            "services.cli.commands.completion:completion", "Teach bash, zsh or fish to complete.", _MORE
        ),
        "version": Lazy("services.cli.commands.version:version", "Show the version and what it runs on.", _MORE),
    }


_EPILOG = """\b
Exit codes:
  0    done
  1    a run failed or was cancelled, `up` could not start the stack, a check of
       `doctor` failed, or a worker was not drained
  2    wrong usage, or the API refused the input
  3    the API or the stack is not running or does not answer
  130  interrupted; runs go on (`faultline runs cancel RUN` stops one)

\b
Every command takes --json: results alone on stdout, errors as JSON on stderr.
The API is found by --url/--key, else FAULTLINE_URL and FAULTLINE_API_KEY, else
the local stack, else what `faultline login` stored."""

app = typer.Typer(
    name="faultline",
    cls=Root,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"faultline {VERSION}")
        raise typer.Exit


@app.callback()
def faultline(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Train and watch machine-fault diagnosis models on vibration signals."""
