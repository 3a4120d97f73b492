"""`campaign.importance`: which parameters matter, found from our rows beside the coordinator's work.

fANOVA (Hutter, Hoos and Leyton-Brown, ICML 2014): a forest is fitted to the values, and its variance is divided among
the parameters. Parameters that all trials have are compared over all trials. One with a condition is compared with all
that is there where it is: its share is of the variance among the trials that have it.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial
from sqlalchemy import text

from services.hpo.rows import CampaignRow
from services.hpo.study import distribution, encoded
from shared.campaigns.views import aims, complete_trials, looked_at
from shared.contracts.campaign_views import ConditionalShare, ImportanceView, ObjectiveImportance, Share
from shared.contracts.campaigns import CampaignSpec
from shared.contracts.space import flat
from shared.db.session import Executes, transaction
from shared.queue import step_task
from shared.queue.runtime import Runtime
from shared.runs import outbox

IMPORTANCE = "campaign.importance"
#: The time grows with the square of the trials; DECISIONS.md has the figures. An even choice of them is taken.
_MOST_TRIALS, _TREES = 500, 32
#: Sets of trials that have some conditional parameter: each costs a forest of its own.
_MOST_PARTS, _MOST_IN_PART = 4, 200
#: Deeper trees cost ten times as much and move the largest share in its third digit.
_DEPTH = 6
#: With fewer trials the forest knows nothing; it is asked again when a fifth more have ended.
_FEWEST, _GROWTH = 10, 1.2
#: It holds the coordinator for a quarter of a second, so short trials do not ask for it more often than this.
_QUIET_S = 30.0
_WAITS = text("SELECT 1 FROM outbox WHERE sent_at IS NULL AND step = :step AND args ->> 'run_id' = :id LIMIT 1")
_ENDED = text("SELECT ended, CAST(importance ->> 'ended' AS integer) AS found FROM campaigns WHERE id = :id")
_FOUND = text(
    "UPDATE campaigns SET importance = CAST(:found AS jsonb) "
    "WHERE id = :id AND coalesce(CAST(importance ->> 'ended' AS integer), 0) <= :ended"
)


def ask_if_due(session: Executes, row: CampaignRow, *, last: bool) -> None:
    """Ask for it if the trials that have ended have grown by a fifth, in a while; now if nothing more will end."""
    if not row.changed or row.ended_before == row.ended:
        return
    grown = _mark(row.ended_before) < _mark(row.ended)
    if last:
        outbox.put(session, IMPORTANCE, {"run_id": str(row.id)})
    elif grown and session.execute(_WAITS, {"step": IMPORTANCE, "id": str(row.id)}).first() is None:
        outbox.put(session, IMPORTANCE, {"run_id": str(row.id)}, delay_s=_QUIET_S)


def _mark(ended: int) -> int:
    """How many of the marks 10, 12, 14.4, ... are passed."""
    return 0 if ended < _FEWEST else 1 + int(math.log(ended / _FEWEST) / math.log(_GROWTH) + 1e-9)


@step_task(IMPORTANCE)
def find_importance(args: dict[str, Any], runtime: Runtime) -> None:
    """Find it for one campaign and keep it, unless it is known of these trials. The database is left alone meanwhile;
    what is older than what is there is dropped."""
    with transaction(runtime.engine) as session:
        now = session.execute(_ENDED, {"id": args["run_id"]}).one_or_none()
        if now is None or now.found == now.ended:
            return
        campaign = looked_at(session, UUID(args["run_id"]))
        rows, _total = complete_trials(session, campaign.id, most=_MOST_TRIALS)
    found = importance_of(campaign.spec, rows).model_copy(update={"ended": now.ended})
    with transaction(runtime.engine) as session:
        values = {"id": campaign.id, "found": found.model_dump_json(), "ended": now.ended}
        session.execute(_FOUND, values)


def importance_of(spec: CampaignSpec, rows: Sequence[Any]) -> ImportanceView:
    """Shares of the parameters in the variance of each objective, from complete trials (params, scores)."""
    distributions = {parameter.name: distribution(parameter.leaf) for parameter in flat(spec.space)}
    everywhere, *parts = _parts(list(distributions), rows)
    told: dict[str, Any] = {
        "trials": len(rows),
        "left_out": [name for name in distributions if name not in everywhere.names],
    }
    if len(rows) < _FEWEST:
        return ImportanceView(note=f"It needs {_FEWEST} complete trials.", **told)
    objectives = []
    for index, aim in enumerate(aims(spec)):
        shares = everywhere.shares(distributions, index, spec.seed)
        inner = [share for part in parts for share in part.conditional(distributions, index, spec.seed)]
        inner.sort(key=lambda share: -share.share)
        objectives.append(ObjectiveImportance(objective=aim, shares=shares, conditional=inner))
    found = {share.name for each in objectives for share in each.conditional}
    told["left_out"] = [name for name in told["left_out"] if name not in found]
    note = None
    if not any(each.shares for each in objectives):
        note = "All trials have the same value." if everywhere.names else "No parameter is searched in every trial."
    return ImportanceView(objectives=objectives, note=note, **told)


@dataclass(frozen=True)
class _Part:
    """Trials that have something in common."""

    rows: Sequence[Any]
    names: list[str]  #: parameters that all of them have
    own: list[str]  #: those of them that are looked at here
    trials: int  #: how many there are; `rows` is an even choice of them

    def conditional(
        self, distributions: Mapping[str, BaseDistribution], index: int, seed: int
    ) -> list[ConditionalShare]:
        """Of the parameters that are looked at here."""
        found = self.shares(distributions, index, seed)
        return [
            ConditionalShare(name=share.name, share=share.share, trials=self.trials)
            for share in found
            if share.name in self.own
        ]

    def shares(self, distributions: Mapping[str, BaseDistribution], index: int, seed: int) -> list[Share]:
        """For one objective, the largest first; empty where there is nothing to compare."""
        if not self.names or len({row.scores[index] for row in self.rows}) == 1:
            return []
        study = optuna.create_study()
        known = {name: distributions[name] for name in self.names}
        for row in self.rows:
            params = encoded({name: row.params[name] for name in self.names})
            study.add_trial(create_trial(params=params, distributions=known, value=row.scores[index]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            evaluator = FanovaImportanceEvaluator(n_trees=_TREES, max_depth=_DEPTH, seed=seed)
            found = get_param_importances(study, evaluator=evaluator, params=self.names)
        return [Share(name=name, share=float(share)) for name, share in found.items()]


def _parts(names: list[str], rows: Sequence[Any]) -> list[_Part]:
    """All trials; then, the largest first, those that have some parameter which others lack."""
    having: dict[tuple[int, ...], list[str]] = {}
    for name in names:
        having.setdefault(tuple(place for place, row in enumerate(rows) if name in row.params), []).append(name)
    everywhere = having.pop(tuple(range(len(rows))), [])
    parts = [_Part(rows, everywhere, everywhere, len(rows))]
    for places in sorted(having, key=len, reverse=True)[:_MOST_PARTS]:
        if len(places) >= _FEWEST:
            step = max(len(places) / _MOST_IN_PART, 1.0)
            chosen = [rows[places[int(index * step)]] for index in range(min(len(places), _MOST_IN_PART))]
            shared = [name for name in names if all(name in row.params for row in chosen)]
            parts.append(_Part(chosen, shared, having[places], len(places)))
    return parts
