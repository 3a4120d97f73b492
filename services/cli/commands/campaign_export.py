"""`faultline campaigns export`: all trials as a table, or the best one as a run."""

import json
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from services.cli.arguments import WrongArguments
from services.cli.session import Session
from services.cli.ui.text import number, safe
from shared.contracts.campaigns import CampaignView
from shared.contracts.written import to_yaml


class Format(StrEnum):
    """What is written."""

    CSV = "csv"
    JSON = "json"
    YAML = "yaml"


Campaign = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="Name or id.", show_default=False)]
As = Annotated[Format, typer.Option("--format", "-f", help="csv: every trial; json, yaml: the best one.")]
To = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Default: stdout.")]


def export_campaign(session: Session, campaign: Campaign, form: As = Format.CSV, to: To = None) -> None:
    """Write all trials as a table, or the best trial as a run that can be submitted again as it is.

    \b
    Examples:
      faultline campaigns export rates --format csv -o rates.csv
      faultline campaigns export rates --format yaml -o best.yaml && faultline runs submit best.yaml
    """
    if to is None or str(to) == "-":
        for block in _blocks(session, campaign, form):
            sys.stdout.buffer.write(block)
        sys.stdout.flush()
        return
    try:
        with to.open("wb") as file:
            size = sum(file.write(block) for block in _blocks(session, campaign, form))
    except OSError as error:
        raise WrongArguments(f"{str(to)!r} cannot be written ({error}).", remedy="Name another file.") from error
    session.show({"file": str(to), "bytes": size}, Text(f"{safe(to)} is written."))


def _blocks(session: Session, campaign: str, form: Format) -> Iterator[bytes]:
    if form is Format.CSV:
        yield from session.client.trials_csv(campaign)
        return
    best = session.client.best_trial(campaign).model_dump(mode="json", exclude_unset=True)
    if form is Format.JSON:
        yield (json.dumps(best, indent=2, ensure_ascii=False) + "\n").encode()
    else:
        yield to_yaml(best, *_scores(session.client.campaign(campaign))).encode()


def _scores(campaign: CampaignView) -> Iterator[str]:
    """What stands above the best trial."""
    best = campaign.best
    if best is None:
        return
    yield f"Trial {best.number} of the campaign {safe(campaign.name)}, the best of {campaign.counts.total}."
    for objective, value in zip(campaign.spec.objectives, best.values, strict=True):
        yield f"{safe(objective.result)}: {number(value)}"
    for name, value in best.params.items():
        yield f"{safe(name)}: {safe(value)}"
    yield "Run it again: faultline runs submit FILE"
