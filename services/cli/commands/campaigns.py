"""`faultline campaigns`: searches by many runs. Begin, look at, steer; their files are in `campaign_export.py`."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from services.cli.arguments import WrongArguments, build, settings
from services.cli.commands.campaign_export import export_campaign
from services.cli.commands.campaign_files import EXAMPLE, FORM, put, request_of
from services.cli.commands.run_filter import span_s
from services.cli.documents import read_document
from services.cli.lazy import ListingGroup
from services.cli.lookup import dataset_id
from services.cli.outcome import conclude, wait_for
from services.cli.session import Session, command
from services.cli.ui.campaign_watch import watch
from services.cli.ui.campaigns import campaign_view, campaigns_table, trials_table
from services.cli.ui.text import plural, safe
from shared.contracts.campaigns import Budget, CampaignView, EnqueueRequest, TrialState

app = typer.Typer(
    cls=ListingGroup, rich_markup_mode=None, add_completion=False, help="Search settings of a spec by many runs."
)
Campaign = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="Name or id.", show_default=False)]
File = Annotated[Path, typer.Argument(metavar="FILE", help="YAML or JSON; `-` reads stdin.", show_default=False)]
Fields = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Of the file, e.g. budget.trials=50 (repeat); null: left out."),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait in silence until it is over.")]
Watch = Annotated[bool, typer.Option("--watch", help="Show its trials live until it is over.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]
_AT_STOP = {False: "finish", True: "cancel"}
_MORE = re.compile(r"(\+?)\s*(\S+)")


@command(app, "list")
def list_campaigns(session: Session, limit: Limit = 20) -> None:
    """List campaigns, newest first: how far they are, and the best so far."""
    found = session.client.campaigns(limit)
    session.show(found, campaigns_table(found))


@command(app, "example")
def show_example(session: Session) -> None:
    """Print a campaign to start from.

    Example: faultline campaigns example > search.yaml
    """
    if session.as_json:
        session.emit({"yaml": EXAMPLE})
    else:
        session.out.file.write(EXAMPLE)


@command(app, "create")
def create_campaign(
    session: Session, file: File, fields: Fields = None, wait: Wait = False, watching: Watch = False
) -> None:
    """Begin a search that a file describes.

    The file holds the fields of the campaign, and beside them pool, priority and labels; `base.dataset_id` may be the
    name of a dataset.

    \b
    Examples:
      faultline campaigns example > search.yaml
      faultline campaigns create search.yaml --set budget.trials=50 --watch
    """
    document = read_document(file, "campaign", FORM)
    for place, value in settings(fields).items():
        put(document, place, value)
    base = document.get("base")
    request = request_of(document)  # refused before anybody is asked
    if isinstance(base, dict) and isinstance(base.get("dataset_id"), str):
        base["dataset_id"] = dataset_id(session.client, base["dataset_id"])
        request = request_of(document)
    begun = session.client.create_campaign(request)
    _follow(session, begun, wait=wait, watching=watching)


@command(app, "show")
def show_campaign(session: Session, campaign: Campaign) -> None:
    """Show a campaign: its space, its budget, its best."""
    found = session.client.campaign(campaign)
    session.show(found, campaign_view(found))


@command(app, "watch")
def watch_campaign(session: Session, campaign: Campaign) -> None:
    """Watch its trials live until it is over. Ctrl-C ends the watching, not the campaign."""
    _follow(session, session.client.campaign(campaign), wait=False, watching=True)


@command(app, "trials")
def list_trials(
    session: Session,
    campaign: Campaign,
    states: Annotated[
        list[TrialState] | None, typer.Option("--state", metavar="STATE", help="In this state (repeat).")
    ] = None,
    limit: Limit = 1000,
) -> None:
    """List the trials of a campaign by number.

    Example: faultline campaigns trials rates --state failed
    """
    found = session.client.trials(campaign, states=states or [], limit=limit)
    session.show(found, trials_table(found, session.client.campaign(campaign)) if not session.as_json else "")


@command(app, "pause")
def pause_campaign(session: Session, campaign: Campaign) -> None:
    """Let it and its trials rest without slots; its clock stands."""
    _told(session, session.client.pause_campaign(campaign), "rests; `faultline campaigns resume {}` lets it go on.")


@command(app, "resume")
def resume_campaign(session: Session, campaign: Campaign) -> None:
    """Let it and its trials go on."""
    _told(session, session.client.resume_campaign(campaign), "goes on.")


@command(app, "stop")
def stop_campaign(
    session: Session,
    campaign: Campaign,
    cancel_running: Annotated[bool, typer.Option("--cancel-running", help="Do not finish what runs.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Try nothing more, and end with the best so far. It cannot go on afterwards; `pause` lets it rest instead.

    Example: faultline campaigns stop rates --cancel-running --yes
    """
    name = session.client.campaign(campaign).name
    session.confirm(f"Stop the campaign {name!r} for good, and {_AT_STOP[cancel_running]} what runs?", yes=yes)
    stopped = session.client.stop_campaign(campaign, cancel_running=cancel_running)
    _told(session, stopped, f"ends; trials that run are {'cancelled' if cancel_running else 'finished'}.")


@command(app, "extend")
def extend_campaign(
    session: Session,
    campaign: Campaign,
    trials: Annotated[str | None, typer.Option(metavar="N", help="Trials: +50 more, or 100 in all.")] = None,
    wall: Annotated[str | None, typer.Option(metavar="TIME", help="Time: +2h more, or 6h in all.")] = None,
    gpu_hours: Annotated[str | None, typer.Option(metavar="H", help="GPU hours: +5 more, or 20 in all.")] = None,
    cost: Annotated[str | None, typer.Option(metavar="C", help="Cost: +5 more, or 20 in all.")] = None,
) -> None:
    """Give a campaign more to use. If somebody else changes its budget meanwhile, nothing is done.

    \b
    Examples:
      faultline campaigns extend rates --trials +50
      faultline campaigns extend rates --wall 6h
    """
    given = {"trials": trials, "wall_s": wall, "gpu_hours": gpu_hours, "cost": cost}
    if not any(given.values()):
        raise WrongArguments("Nothing is to be changed.", remedy="Give --trials, --wall, --gpu-hours or --cost.")
    found, tag = session.client.campaign_and_tag(campaign)
    budget = {name: _sum(name, word, getattr(found.budget, name)) for name, word in given.items() if word is not None}
    changed = session.client.change_campaign(
        campaign, if_match=tag, budget=build(Budget, **budget).model_dump(exclude_unset=True)
    )
    session.show(changed, campaign_view(changed))


@command(app, "set")
def set_campaign(
    session: Session,
    campaign: Campaign,
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=1000, help="So many trials at a time.")],
) -> None:
    """Change how many trials run at a time.

    Example: faultline campaigns set rates --parallel 8
    """
    changed = session.client.change_campaign(campaign, max_parallel=parallel)
    _told(session, changed, f"tries {plural(parallel, 'point')} at a time.")


@command(app, "enqueue")
def enqueue_trial(
    session: Session,
    campaign: Campaign,
    params: Annotated[list[str], typer.Argument(metavar="NAME=VALUE...", help="What is left out is sampled.")],
) -> None:
    """Have a point tried next.

    Example: faultline campaigns enqueue rates recipe.learning_rate=0.001 recipe.width=16
    """
    request = build(EnqueueRequest, params=settings(params, "parameter"))
    trial = session.client.enqueue_trial(campaign, request.params)
    session.show(trial, Text(f"Trial {trial.number} of {safe(campaign)} is tried next."))


@command(app, "fork")
def fork_campaign(
    session: Session,
    campaign: Campaign,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the new campaign.", show_default=False)],
    fields: Fields = None,
    wait: Wait = False,
    watching: Watch = False,
) -> None:
    """Begin a campaign like another one, with some fields changed, that knows every trial of it.

    Example: faultline campaigns fork rates wider --set space.recipe.width.high=64 --set budget.trials=100
    """
    changes: dict[str, Any] = {}
    if fields:
        found = session.client.campaign(campaign)
        now = found.spec.model_dump(mode="json") | {"max_parallel": found.max_parallel}
        now["budget"] = found.budget.model_dump()
        for place, value in settings(fields).items():
            put(now, place, value)
            field = place.partition(".")[0]
            changes[field] = now.get(field)
    _follow(session, session.client.fork_campaign(campaign, name, changes), wait=wait, watching=watching)


command(app, "export")(export_campaign)


def _follow(session: Session, campaign: CampaignView, *, wait: bool, watching: bool) -> None:
    """Tell of a campaign, or stay with it. Raises `RunFailed`."""
    if watching:
        watch(session, campaign)
        conclude(session, session.client.run(campaign.id), silent=session.as_json)
    elif wait:
        conclude(session, wait_for(session, session.client.run(campaign.id)))
    else:
        trials = campaign.budget.trials
        much = f": {plural(trials, 'trial')}, " if trials is not None else ", "
        _told(session, campaign, f"begins{much}{campaign.sampler}. `faultline campaigns watch {{}}` shows it.")


def _told(session: Session, campaign: CampaignView, words: str) -> None:
    name = safe(campaign.name)
    session.show(campaign, Text.assemble("Campaign ", (name, "name"), f" {words.format(name)}"))


def _sum(name: str, word: str, now: float | None) -> float:
    """A budget as it is to be: `+50` on top of what there is, or a whole. Raises `WrongArguments`."""
    found = _MORE.fullmatch(word.strip())
    more, amount = (found[1], found[2]) if found else ("", "")
    try:
        value = span_s(amount) if name == "wall_s" else int(amount) if name == "trials" else float(amount)
    except ValueError:
        value = None
    if value is None:
        form = "+2h, 90min" if name == "wall_s" else "+50, 100"
        raise WrongArguments(f"{word!r} is no amount.", remedy=f"Write it as {form}.")
    if more and now is None:
        raise WrongArguments(f"There is no budget of {name}, so there is nothing to add to.", remedy="Leave the + out.")
    return value + (now or 0) if more else value
