"""Watching a campaign: a live table on a terminal, a line for each trial in a pipe, JSON of trials under `--json`.

Ctrl-C ends the watching, never the campaign; an API that is away for a while ends neither.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import typer
from rich.live import Live

from services.cli.lazy import INTERRUPTED
from services.cli.sdk import ApiBusy, ApiFailed, NotReachable, RunFilter
from services.cli.session import Session
from services.cli.ui.campaign_live import Scene, frame, line_of
from services.cli.ui.result import facts
from services.cli.ui.text import safe
from shared.contracts.campaigns import ENDED, HOLDING, CampaignView, TrialView
from shared.contracts.states import TERMINAL, RunState

EVERY_S = 1.0
#: The live picture begins with all trials if there are no more than this, else with what changed in as many revisions.
_RECENT = 200
_MOST_RUNNING = 1_000


def watch(session: Session, campaign: CampaignView) -> CampaignView:
    """Show a campaign until it has ended; the campaign as it ended."""
    scene = Scene(campaign)
    try:
        if session.as_json:
            for trial in _changes(session, scene):
                session.emit(trial)
        elif session.out.is_terminal:
            _live(session, scene)
        else:
            _lines(session, scene)
    except KeyboardInterrupt as stop:
        name = safe(campaign.name)
        session.err.print("\nThe campaign goes on.")
        words = ("watch again", "watch"), ("stop it", "stop"), ("let it rest", "pause")
        session.err.print(facts(*((what, f"faultline campaigns {verb} {name}") for what, verb in words)))
        raise typer.Exit(INTERRUPTED) from stop
    return scene.campaign


@contextmanager
def _outliving(scene: Scene) -> Iterator[None]:
    """One look; where the API is away, the scene stays as it is and says why."""
    try:
        yield
        scene.lost, scene.at = "", datetime.now(UTC)
    except (NotReachable, ApiFailed, ApiBusy) as error:
        scene.lost = error.message


def _changes(session: Session, scene: Scene) -> Iterator[TrialView]:
    """Every trial, then each that changes, until the end; a page is handed on as it comes."""
    client, ref = session.client, str(scene.campaign.id)
    known: int | None = None
    told: dict[int, int] = {}
    lost = ""
    while True:
        with _outliving(scene):
            scene.campaign = client.campaign(ref)  # before its trials: no change up to its revision is missed
            for page in client.trials_by_page(ref, since=known):
                news = [trial for trial in page if told.get(trial.number) != trial.revision]
                told |= {trial.number: trial.revision for trial in news}
                yield from news
            known = scene.campaign.revision
        if scene.lost and not lost:
            session.err.print(f"{safe(scene.lost)} The watching goes on when it answers again.", soft_wrap=True)
        lost = scene.lost
        if not lost and scene.campaign.state in TERMINAL:
            return
        time.sleep(EVERY_S)


def _lines(session: Session, scene: Scene) -> None:
    told: set[int] = set()
    for trial in _changes(session, scene):
        if trial.state in ENDED and trial.origin != "carried" and trial.number not in told:
            told.add(trial.number)
            session.out.print(line_of(scene, trial), soft_wrap=True)


def _live(session: Session, scene: Scene) -> None:
    out = session.out
    known: int | None = None
    with Live(console=out, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
        while True:
            with _outliving(scene):
                known = _look(session, scene, known)
            live.update(frame(scene, out.width, out.height - 1), refresh=True)
            if not scene.lost and scene.campaign.state in TERMINAL:
                return
            time.sleep(EVERY_S)


def _look(session: Session, scene: Scene, known: int | None) -> int:
    """Bring the scene up to date with what changed since the revision `known`; the revision that is known then."""
    client, ref = session.client, str(scene.campaign.id)
    campaign = client.campaign(ref)  # before its trials: no change up to its revision is missed
    found: list[TrialView] = []
    if known is None and campaign.counts.total + campaign.counts.carried > _RECENT:
        found = client.trials(ref, states=HOLDING, limit=_MOST_RUNNING)
        known = max(campaign.revision - _RECENT, 0)
    found += client.trials(ref, limit=_RECENT) if known is None else client.changed_trials(ref, known)
    wanted = RunFilter(states=[RunState.RUNNING], parent=campaign.id)
    running = client.runs(wanted, limit=_MOST_RUNNING)
    scene.campaign = campaign
    scene.trials |= {trial.number: trial for trial in found}
    scene.progress = {run.id: run.progress.fraction for run in running}
    return campaign.revision
