"""`faultline campaigns export`: all trials as a table, or the spec of the best one."""

import json
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.text import Text

from services.cli.arguments import WrongArguments
from services.cli.session import Session
from services.cli.ui.text import safe
from shared.errors import NotFound


class Format(StrEnum):
    """What is written."""

    CSV = "csv"
    JSON = "json"
    YAML = "yaml"


Campaign = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="Name or id.", show_default=False)]
As = Annotated[Format, typer.Option("--format", "-f", help="csv: every trial; json, yaml: the spec of the best one.")]
To = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Default: stdout.")]


def export_campaign(session: Session, campaign: Campaign, form: As = Format.CSV, to: To = None) -> None:
    """Write all trials as a table, or the spec of the best trial, whole: to be trained again as it is.

    \b
    Examples:
      faultline campaigns export rates --format csv -o rates.csv
      faultline campaigns export rates --format yaml -o best.yaml
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
    spec = _best_spec(session, campaign)
    if form is Format.JSON:
        yield (json.dumps(spec, indent=2, ensure_ascii=False) + "\n").encode()
    else:
        yield yaml.safe_dump(spec, sort_keys=False, allow_unicode=True).encode()


def _best_spec(session: Session, campaign: str) -> dict[str, Any]:
    """The spec of the best trial's run. Raises `NotFound` where there is none."""
    best = session.client.campaign(campaign).best
    if best is None or best.run_id is None:
        raise NotFound(
            f"Campaign {campaign!r} has no best trial yet.", remedy=f"`faultline campaigns watch {campaign}` shows it."
        )
    return session.client.run(best.run_id).spec
