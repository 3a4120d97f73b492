"""Campaigns to and from a relational storage of Optuna, for its dashboard and for studies that were made elsewhere.

python -m services.hpo.optuna_io export|import --campaign NAME --project P --storage URL [--study S] [--replace]
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import optuna
import orjson
from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as Theirs
from sqlalchemy import select, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session

from services.hpo.study import distribution, frozen
from shared.campaigns.control import find, spec_of
from shared.contracts.campaigns import CampaignSpec
from shared.contracts.space import Categorical, Flat, Point, check_point, flat
from shared.contracts.states import TERMINAL
from shared.db.models import Campaign, Project, Run, Trial
from shared.db.session import make_engine, transaction
from shared.errors import Conflict, NotFound, UserError
from shared.runs import parents
from shared.settings import Settings

_KNOWN = text("SELECT params, scores FROM trials WHERE campaign_id = :id AND origin = 'carried' AND run_id IS NULL")
_CARRY = text(
    """
    INSERT INTO trials (campaign_id, number, state, origin, params, scores, violations, revision, finished_at)
    VALUES (:id, :number, 'complete', 'carried', CAST(:params AS jsonb), CAST(:scores AS double precision[]),
        CAST(:violations AS double precision[]), :revision, now())
    """
)


def export_campaign(session: Session, campaign: Campaign, url: str, name: str, *, replace: bool) -> int:
    """Write every trial of a campaign as a study; returns how many.

    Raises `UserError` for a storage that cannot be opened, `Conflict` for a study that is there already."""
    spec = spec_of(session.get_one(Run, campaign.id))
    storage = _storage(url)
    names = {study.study_name for study in optuna.get_all_study_summaries(storage, include_best_trial=False)}
    if name in names and not replace:
        raise Conflict(f"There is a study {name!r} in this storage.", remedy="Name another one, or pass --replace.")
    if name in names:
        optuna.delete_study(study_name=name, storage=storage)
    directions = [objective.goal for objective in spec.objectives]
    study = optuna.create_study(storage=storage, study_name=name, directions=directions)
    study.set_user_attr("campaign", campaign.name)
    study.set_user_attr("campaign_id", str(campaign.id))
    distributions = {parameter.name: distribution(parameter.leaf) for parameter in flat(spec.space)}
    rows = session.scalars(select(Trial).where(Trial.campaign_id == campaign.id).order_by(Trial.number)).all()
    study.add_trials([_as_theirs(row, distributions) for row in rows])
    return len(rows)


def _as_theirs(row: Trial, distributions: Mapping[str, BaseDistribution]) -> FrozenTrial:
    trial = frozen(row, distributions)
    about = {"run_id": row.run_id and str(row.run_id), "origin": row.origin, "error": row.error, "state": row.state}
    for name, value in about.items():
        if value is not None:
            trial.set_user_attr(name, value)
    if trial.state != Theirs.WAITING:
        trial.datetime_start = _local(row.created_at)
    if trial.state.is_finished():
        trial.datetime_complete = _local(row.finished_at or row.created_at)
    return trial


def _local(at: datetime) -> datetime:
    """As Optuna keeps times: of this machine's clock, without a zone."""
    return at.astimezone().replace(tzinfo=None)


def import_study(session: Session, campaign: Campaign, url: str, name: str) -> tuple[int, int]:
    """Carry the complete trials of a study that fit the space into a campaign that goes on: its sampler knows them.
    Having no run, none of them can be the winner. Returns how many were carried, without those that an earlier import
    brought, and how many did not fit.

    Raises `UserError` for a storage that cannot be opened or other objectives, `NotFound` for a study that there is
    not, `Conflict` for a campaign that has ended."""
    study = _study(_storage(url), name)
    run = session.get_one(Run, campaign.id, with_for_update=True, populate_existing=True)
    session.refresh(campaign)
    if run.state in TERMINAL or run.cancel_requested_at is not None or campaign.winner_run_id is not None:
        raise Conflict(f"Campaign {campaign.name!r} has ended.", remedy="Fork it, and import into the fork.")
    spec = spec_of(run)
    goals = ["maximize" if direction == StudyDirection.MAXIMIZE else "minimize" for direction in study.directions]
    if goals != [objective.goal for objective in spec.objectives]:
        raise UserError(
            f"Study {name!r} is to {' and '.join(goals)}, which is not what the campaign seeks.",
            remedy="Import a study with the same objectives in the same order.",
        )
    trials = study.get_trials(deepcopy=False, states=(Theirs.COMPLETE,))
    known = [(row.params, list(row.scores)) for row in session.execute(_KNOWN, {"id": campaign.id})]
    found = [ours for ours in (_as_ours(spec, flat(spec.space), trial) for trial in trials) if ours is not None]
    fitting = [(point, scores, broken) for point, scores, broken in found if (point, scores) not in known]
    for offset, (point, scores, violations) in enumerate(fitting):
        values = {"id": campaign.id, "number": campaign.asked + offset, "revision": campaign.revision + 1}
        values |= {"params": orjson.dumps(point).decode(), "scores": scores, "violations": violations}
        session.execute(_CARRY, values)
    if fitting:
        campaign.asked += len(fitting)
        campaign.carried += len(fitting)
        campaign.revision += 1
        session.flush()
        parents.wake(session, run)
    return len(fitting), len(trials) - len(found)


def _as_ours(
    spec: CampaignSpec, parameters: list[Flat], trial: FrozenTrial
) -> tuple[Point, list[float], list[float]] | None:
    """Point, values and limits of a trial. None: it does not fit."""
    known = {parameter.name: parameter for parameter in parameters}
    if not set(trial.params) <= set(known):
        return None
    point = {name: _decoded(known[name], value) for name, value in trial.params.items()}
    violations = _violations(trial)
    try:
        check_point(parameters, point, whole=True)
    except UserError:
        return None
    if len(violations) != len(spec.constraints):
        return None
    return point, list(trial.values), violations


def _decoded(parameter: Flat, value: Any) -> Any:
    """A choice that is a list is its JSON there."""
    if isinstance(parameter.leaf, Categorical) and isinstance(value, str):
        lists = {orjson.dumps(choice).decode(): choice for choice in parameter.leaf.choices if isinstance(choice, list)}
        return lists.get(value, value)
    return value


def _violations(trial: FrozenTrial) -> list[float]:
    """Of Optuna 5, or of the releases before, which kept them together."""
    if "constraints" in trial.system_attrs:
        return [float(broken) for broken in trial.system_attrs["constraints"] or []]
    found = {name: broken for name, broken in trial.system_attrs.items() if name.startswith("constraints:")}
    return [float(found[name]) for name in sorted(found, key=lambda name: int(name.partition(":")[2]))]


def _storage(url: str) -> RDBStorage:
    try:
        return RDBStorage(url)
    except (ArgumentError, SQLAlchemyError, StorageInternalError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"The storage cannot be opened: {reason}.", remedy="Name it as sqlite:///file.db or postgresql://..."
        ) from error


def _study(storage: RDBStorage, name: str) -> optuna.Study:
    try:
        return optuna.load_study(study_name=name, storage=storage)
    except KeyError as error:
        raise NotFound(f"There is no study {name!r} in this storage.", remedy="Name it with --study.") from error


def _project(session: Session, ref: str) -> UUID:
    found = session.scalars(select(Project.id).where(Project.name == ref)).one_or_none()
    if found is None:
        raise NotFound(f"There is no project {ref!r}.")
    return found


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m services.hpo.optuna_io", description=__doc__)
    parser.add_argument("action", choices=["export", "import"])
    parser.add_argument("--campaign", required=True, help="its name or id")
    parser.add_argument("--project", required=True, help="its name")
    parser.add_argument("--storage", required=True, help="sqlite:///file.db, postgresql://...")
    parser.add_argument("--study", help="default: the campaign's name")
    parser.add_argument("--replace", action="store_true", help="export over a study that is there")
    return parser.parse_args(given)


def main(given: Sequence[str]) -> int:
    """Do it and say what was done; the exit code."""
    asked = _arguments(given)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    engine = make_engine(Settings().database_url, pooled=False)
    try:
        with transaction(engine) as session:
            campaign = find(session, _project(session, asked.project), asked.campaign)
            study = asked.study or campaign.name
            if asked.action == "export":
                count = export_campaign(session, campaign, asked.storage, study, replace=asked.replace)
                words = f"{count} trials of {campaign.name} written to study {study}."
            else:
                carried, left = import_study(session, campaign, asked.storage, study)
                words = f"{carried} trials of study {study} carried into {campaign.name}; {left} do not fit."
    except (UserError, NotFound, Conflict) as error:
        sys.stderr.write(f"{error}\n{getattr(error, 'remedy', None) or ''}\n")
        return 1
    sys.stdout.write(f"{words}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
