"""`faultline runs clone`: the same once more, edited."""

from typing import Annotated, Any

import typer

from services.cli.arguments import WrongArguments, pairs, settings
from services.cli.commands.run_files import Run
from services.cli.lookup import find_run
from services.cli.outcome import Pool, Wait, Watch, follow_up
from services.cli.session import Session

Name = Annotated[str | None, typer.Option("--name", metavar="NAME", help="Of the new dataset or model.")]
Edits = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Field of the spec, e.g. recipe.epochs=20; null: its default."),
]
Labels = Annotated[
    list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="Labels in place of the old ones (repeat).")
]
Priority = Annotated[int | None, typer.Option("--priority", min=-100, max=100, help="Higher goes first.")]


def clone(
    session: Session,
    run: Run,
    name: Name = None,
    edits: Edits = None,
    labels: Labels = None,
    pool: Pool = None,
    priority: Priority = None,
    wait: Wait = False,
    watch: Watch = False,
) -> None:
    """Submit a run like another one, with some fields changed; all others stay as they were.

    \b
    Examples:
      faultline runs clone last --name second --set recipe.epochs=30 --set seed=8 --watch
      faultline runs clone 4f2a91c0 --name wide --set recipe.width=32 --label sweep=7
    """
    found = find_run(session.client, run)
    spec = nested(settings(edits))
    if name is not None:
        spec["name"] = name
    given = pairs(labels, "--label") if labels else None
    new = session.client.clone(found.id, spec, pool=pool, priority=priority, labels=given)
    follow_up(session, new, wait=wait, watching=watch)


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """`{"recipe.epochs": 20}` as `{"recipe": {"epochs": 20}}`. Raises `WrongArguments` where two do not fit."""
    whole: dict[str, Any] = {}
    for path, value in flat.items():
        place: Any = whole
        *parents, last = path.split(".")
        for part in parents:
            place = place.setdefault(part, {}) if isinstance(place, dict) else None
        if not isinstance(place, dict) or not last or last in place:
            raise WrongArguments(f"--set {path}: another --set says something else of it.")
        place[last] = value
    return whole
