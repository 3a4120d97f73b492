"""`campaign.importance`: which parameters matter, found from our rows beside the coordinator's work.

fANOVA (Hutter, Hoos and Leyton-Brown, ICML 2014): a forest is fitted to the values, and its variance is divided among
the parameters. Only parameters that all trials have can be compared; the others are named as left out.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, create_trial
from sqlalchemy import text

from services.hpo.rows import CampaignRow
from services.hpo.study import distribution, encoded
from shared.campaigns.views import aims, complete_trials, looked_at
from shared.contracts.campaign_views import ImportanceView, ObjectiveImportance, Share
from shared.contracts.campaigns import CampaignSpec
from shared.contracts.space import flat
from shared.db.session import Executes, transaction
from shared.queue import step_task
from shared.queue.runtime import Runtime
from shared.runs import outbox

IMPORTANCE = "campaign.importance"
#: The time grows with the square of the trials; DECISIONS.md has the figures. An even choice of them is taken.
_MOST_TRIALS, _TREES = 500, 32
#: Deeper trees cost ten times as much and move the largest share in its third digit.
_DEPTH = 6
#: With fewer trials the forest knows nothing; it is asked again when a fifth more have ended.
_FEWEST, _GROWTH = 10, 1.2
_ENDED = text("SELECT ended FROM campaigns WHERE id = :id")
_FOUND = text(
    "UPDATE campaigns SET importance = CAST(:found AS jsonb) "
    "WHERE id = :id AND coalesce(CAST(importance ->> 'ended' AS integer), 0) <= :ended"
)


def ask_if_due(session: Executes, row: CampaignRow, *, last: bool) -> None:
    """Ask for it if the trials that have ended have grown by a fifth, or if nothing more will end."""
    if not row.changed:
        return
    before = row.ended_before
    if _mark(before) < _mark(row.ended) or (last and before < row.ended):
        outbox.put(session, IMPORTANCE, {"run_id": str(row.id)})


def _mark(ended: int) -> int:
    """How many of the marks 10, 12, 14.4, ... are passed."""
    return 0 if ended < _FEWEST else 1 + int(math.log(ended / _FEWEST) / math.log(_GROWTH) + 1e-9)


@step_task(IMPORTANCE)
def find_importance(args: dict[str, Any], runtime: Runtime) -> None:
    """Find it for one campaign and keep it. The database is left alone meanwhile; what is older than what is there is
    dropped."""
    with transaction(runtime.engine) as session:
        ended = session.execute(_ENDED, {"id": args["run_id"]}).scalar()
        if ended is None:
            return
        campaign = looked_at(session, UUID(args["run_id"]))
        rows, _total = complete_trials(session, campaign.id, most=_MOST_TRIALS)
    found = importance_of(campaign.spec, rows).model_copy(update={"ended": ended})
    with transaction(runtime.engine) as session:
        values = {"id": campaign.id, "found": found.model_dump_json(), "ended": ended}
        session.execute(_FOUND, values)


def importance_of(spec: CampaignSpec, rows: Sequence[Any]) -> ImportanceView:
    """Shares of the parameters in the variance of each objective, from complete trials (params, scores)."""
    parameters = flat(spec.space)
    shared = [parameter for parameter in parameters if all(parameter.name in row.params for row in rows)]
    names = [parameter.name for parameter in shared]
    about: dict[str, Any] = {
        "trials": len(rows),
        "left_out": [parameter.name for parameter in parameters if parameter.name not in names],
    }
    if len(rows) < _FEWEST:
        return ImportanceView(note=f"It needs {_FEWEST} complete trials.", **about)
    if not names:
        return ImportanceView(note="No parameter is searched in every trial.", **about)
    distributions = {parameter.name: distribution(parameter.leaf) for parameter in shared}
    trials = [
        create_trial(
            params=encoded({name: row.params[name] for name in names}), distributions=distributions, values=row.scores
        )
        for row in rows
    ]
    told = [
        ObjectiveImportance(objective=aim, shares=_shares(trials, names, index, spec.seed))
        for index, aim in enumerate(aims(spec))
    ]
    note = None if any(each.shares for each in told) else "All trials have the same value."
    return ImportanceView(objectives=told, note=note, **about)


def _shares(trials: list[FrozenTrial], names: list[str], index: int, seed: int) -> list[Share]:
    """For one objective, the largest first; empty where all values are equal."""
    if len({(trial.values or [0.0])[index] for trial in trials}) == 1:
        return []
    study = optuna.create_study()
    for trial in trials:
        value = (trial.values or [0.0])[index]
        study.add_trial(create_trial(params=trial.params, distributions=trial.distributions, value=value))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        evaluator = FanovaImportanceEvaluator(n_trees=_TREES, max_depth=_DEPTH, seed=seed)
        found = get_param_importances(study, evaluator=evaluator, params=names)
    return [Share(name=name, share=float(share)) for name, share in found.items()]
