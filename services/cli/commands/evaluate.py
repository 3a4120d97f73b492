"""`faultline evaluate`."""

from typing import Annotated

import typer

from services.cli.arguments import build
from services.cli.outcome import Pool, Priority, Wait, Watch, follow_up
from services.cli.session import Session, with_session
from shared.contracts.specs import EvaluationSpec


def _evaluate(
    session: Session,
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Names or ids.", show_default=False)],
    confidence: Annotated[float | None, typer.Option("--confidence", help="Of the intervals, e.g. 0.95.")] = None,
    resamples: Annotated[int | None, typer.Option("--resamples", help="Of the bootstrap.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Same seed, same intervals.")] = None,
    pool: Pool = None,
    priority: Priority = 0,
    wait: Wait = False,
    watch: Watch = False,
) -> None:
    """Score a model on what was held out from it. Several models are taken as folds: their test sides are pooled."""
    ids = [session.client.model(name).id for name in models]
    spec = build(EvaluationSpec, model_ids=ids, confidence=confidence, resamples=resamples, seed=seed)
    run = session.client.evaluate(spec, pool=pool, priority=priority)
    follow_up(session, run, wait=wait, watching=watch)


evaluate = with_session(_evaluate)
