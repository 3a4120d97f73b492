"""`faultline runs submit`: a run that a file describes."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.arguments import build, settings
from services.cli.commands.campaign_files import put
from services.cli.documents import read_document
from services.cli.lookup import dataset_id
from services.cli.outcome import Wait, Watch, follow_up
from services.cli.session import Session
from shared.contracts.kinds import kind_named
from shared.contracts.views import SubmitRequest

File = Annotated[Path, typer.Argument(metavar="FILE", help="YAML or JSON; `-` reads stdin.", show_default=False)]
Fields = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Of the file, e.g. spec.recipe.epochs=20 (repeat)."),
]


def submit(session: Session, file: File, fields: Fields = None, wait: Wait = False, watch: Watch = False) -> None:
    """Submit a run that a file describes: its kind and spec, and pool, priority and labels if wanted.

    `faultline campaigns export --format yaml` writes such a file; the dataset may be given by its name.

    \b
    Examples:
      faultline runs submit best.yaml --watch
      faultline runs submit best.yaml --set spec.name=final --set spec.seed=8
    """
    document = read_document(file, "run", "Write its `kind` and its `spec`.")
    for place, value in settings(fields).items():
        put(document, place, value)
    request = build(SubmitRequest, **document)
    spec = dict(request.spec)
    if isinstance(spec.get("dataset_id"), str):
        spec["dataset_id"] = dataset_id(session.client, spec["dataset_id"])
    checked = build(kind_named(request.kind).spec, **spec)
    pool, priority, labels = request.pool, request.priority, request.labels
    run = session.client.submit(request.kind, checked, pool=pool, priority=priority, labels=labels)
    follow_up(session, run, wait=wait, watching=watch)
