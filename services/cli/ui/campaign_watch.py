"""Watching a campaign: a live table on a terminal, a line for each trial in a pipe, JSON of trials under `--json`.

Ctrl-C ends the watching, never the campaign.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import typer
from rich.live import Live

from services.cli.lazy import INTERRUPTED
from services.cli.sdk import RunFilter
from services.cli.session import Session
from services.cli.ui.campaign_live import Scene, frame, line_of
from services.cli.ui.result import facts
from services.cli.ui.text import safe
from shared.contracts.campaigns import ENDED, CampaignView, TrialView
from shared.contracts.states import TERMINAL, RunState

EVERY_S = 1.0
_MOST, _MOST_RUNNING = 1_000_000, 200


def watch(session: Session, campaign: CampaignView) -> CampaignView:
    """Show a campaign until it has ended; the campaign as it ended."""
    scene = Scene(campaign)
    try:
        if session.as_json:
            for changed in _looks(session, scene):
                for trial in changed:
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


def _looks(session: Session, scene: Scene) -> Iterator[list[TrialView]]:
    """Look again and again until the end; what changed each time."""
    client, ref = session.client, str(scene.campaign.id)
    known: int | None = None
    while True:
        scene.campaign = client.campaign(ref)  # before its trials: no change up to its revision is missed
        changed = client.trials(ref, limit=_MOST) if known is None else client.changed_trials(ref, known)
        known = scene.campaign.revision
        scene.trials |= {trial.number: trial for trial in changed}
        scene.at = datetime.now(UTC)
        yield changed
        if scene.campaign.state in TERMINAL:
            return
        time.sleep(EVERY_S)


def _live(session: Session, scene: Scene) -> None:
    out = session.out
    with Live(console=out, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
        for _changed in _looks(session, scene):
            wanted = RunFilter(states=[RunState.RUNNING], parent=scene.campaign.id)
            running = session.client.runs(wanted, limit=_MOST_RUNNING)
            scene.progress = {run.id: run.progress.fraction for run in running}
            live.update(frame(scene, out.width, out.height - 1), refresh=True)


def _lines(session: Session, scene: Scene) -> None:
    told: set[int] = set()
    for changed in _looks(session, scene):
        for trial in changed:
            if trial.state in ENDED and trial.origin != "carried" and trial.number not in told:
                told.add(trial.number)
                session.out.print(line_of(scene, trial), soft_wrap=True)
