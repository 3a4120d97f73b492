"""Campaigns: how well slots are used by short trials, and what a durable history costs beside Optuna in memory."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from uuid import UUID

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from sqlalchemy import text

from services.hpo import rows
from services.hpo.study import CampaignStudy
from shared.campaigns.submit import submit_campaign
from shared.contracts.campaigns import CampaignRequest, Random, Sampler, Tpe, TrialState
from shared.db.session import transaction
from tests.bench.figures import Benchmark, Figure, Sample, Variant
from tests.bench.timing import quantile
from tests.bench.world import Size, World
from tests.support.databases import create_database
from tests.support.platform import Platform, until

SLOTS, TRIAL_S = 8, 0.25
_SPACE = {name: {"type": "float", "low": -5.0, "high": 5.0} for name in "abcdef"}
_ASKED = 20
_TOOK = """
    SELECT extract(epoch FROM max(runs.finished_at) - min(parent.created_at)) AS seconds
    FROM runs JOIN runs AS parent ON parent.id = runs.parent_id WHERE parent.id = :id
"""
_HISTORY = text(
    """
    INSERT INTO trials (campaign_id, number, state, origin, params, scores, revision, finished_at)
    SELECT :id, n, 'complete', 'sampler', jsonb_build_object('a', random() * 10 - 5, 'b', random() * 10 - 5,
        'c', random() * 10 - 5, 'd', random() * 10 - 5, 'e', random() * 10 - 5, 'f', random() * 10 - 5),
        ARRAY[random()], 0, now()
    FROM generate_series(0, :count - 1) AS n
    """
)


def spec(name: str, kind: str, trials: int, sampler: str = "tpe") -> CampaignRequest:
    """A campaign over six numbers."""
    return CampaignRequest.model_validate(
        {
            "spec": {
                "name": name,
                "kind": kind,
                "base": {"sleep_s": TRIAL_S},
                "space": _SPACE,
                "objectives": [{"result": "value", "goal": "minimize"}],
                "sampler": {"type": sampler},
                "budget": {"trials": trials},
                "max_parallel": SLOTS,
            }
        }
    )


def _begin(platform: Platform, request: CampaignRequest) -> UUID:
    with transaction(platform.engine) as session:
        return submit_campaign(session, platform.settings, platform.caller, request)


def _campaign(platform: Platform, kind: str, trials: int) -> Sample:
    """Efficiency: the ideal time over that from the submit to the end of the last trial."""
    campaign = _begin(platform, spec(f"c{time.monotonic_ns()}", kind, trials))
    ended = "SELECT 1 FROM runs WHERE id = :id AND state = 'succeeded'"
    until(lambda: platform.rows(ended, id=campaign), 120, "the campaign does not end")
    (took,) = platform.rows(_TOOK, id=campaign)
    return {"efficiency": trials * TRIAL_S / SLOTS / float(took["seconds"])}


def _rdb(world: World, trials: int) -> Sample:
    """Eight processes on one study in Postgres."""
    url = create_database(world.postgres_url).replace("postgresql://", "postgresql+psycopg2://")
    optuna.storages.RDBStorage(url)
    optuna.create_study(storage=url, study_name="bench")
    began = world.folder / f"go-{time.monotonic_ns()}"
    argv = ("tests.bench.peers.rdb_worker", url, str(trials), str(TRIAL_S), str(began))
    peers = [world.peer(*argv) for _ in range(SLOTS)]
    processes = [peer.__enter__() for peer in peers]
    try:
        until(lambda: len(list(world.folder.glob(f"{began.name}.ready-*"))) == SLOTS, 60, "the workers do not start")
        began_s = time.monotonic()
        began.touch()
        for process in processes:
            process.wait(120)
        return {"efficiency": trials * TRIAL_S / SLOTS / (time.monotonic() - began_s)}
    finally:
        for peer in peers:
            peer.__exit__(None, None, None)


@contextmanager
def _prepare(world: World, size: Size) -> Iterator[Mapping[str, Variant]]:
    pools = '[{"name": "bench", "lead": 8}, {"name": "hpo"}]'
    with world.platform(FAULTLINE_POOLS=pools) as platform:
        platform.start("dispatcher", "tests.bench.dispatcher")
        platform.start_worker(
            "w", "tests.bench.worker", FAULTLINE_WORKER_POOLS='["bench"]', FAULTLINE_WORKER_SLOTS=str(SLOTS)
        )
        platform.start_worker("hpo", "tests.bench.hpo_worker", FAULTLINE_WORKER_POOLS='["hpo"]')
        _campaign(platform, "test.trial", SLOTS)
        yield {
            "faultline": lambda: _campaign(platform, "test.trial", size.trials),
            "supervised trials": lambda: _campaign(platform, "test.trial.supervised", size.trials),
            "RDBStorage": lambda: _rdb(world, size.trials // 2),
        }


def _study(count: int, sampler: str) -> optuna.Study:
    """Optuna by itself, with a history."""
    if sampler == "tpe":
        made: optuna.samplers.BaseSampler = optuna.samplers.TPESampler(
            multivariate=True, constant_liar=True, n_startup_trials=10, seed=7
        )
    else:
        made = optuna.samplers.RandomSampler(7)
    study = optuna.create_study(sampler=made)
    dice = random.Random(7)
    ranges: dict[str, BaseDistribution] = {name: FloatDistribution(-5.0, 5.0) for name in _SPACE}
    for _ in range(count):
        params = {name: dice.uniform(-5, 5) for name in _SPACE}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=ranges, value=dice.random()))
    return study


def _asked(study: optuna.Study) -> optuna.Trial:
    trial = study.ask()
    for name in _SPACE:
        trial.suggest_float(name, -5.0, 5.0)
    return trial


def _in_memory(count: int, sampler: str, together: int = 1) -> float:
    """Tell `together` trials, ask for as many; ms per trial."""
    study = _study(count, sampler)
    running: list[optuna.Trial] = []
    took: list[float] = []
    for _ in range(_ASKED):
        began_s = time.perf_counter()
        for trial in running:
            study.tell(trial, float(trial.number % 3))
        running = [_asked(study) for _ in range(together)]
        took.append((time.perf_counter() - began_s) / together)
    return quantile(took, 0.5) * 1e3


def _durable(platform: Platform, count: int, sampler: str, together: int = 1) -> float:
    """The same, and write both under the campaign's lock in one commit, as a step of the coordinator does."""
    request = spec(f"d{time.monotonic_ns()}", "test.trial", 100_000, sampler)
    campaign = _begin(platform, request)
    with transaction(platform.engine) as session:
        session.execute(_HISTORY, {"id": campaign, "count": count})
        session.execute(text("UPDATE campaigns SET asked = :n WHERE id = :id"), {"n": count, "id": campaign})
    used: Sampler = Tpe(startup_trials=10) if sampler == "tpe" else Random()
    study = CampaignStudy(request.spec, used)
    took: list[float] = []
    running: list[int] = []
    for _ in range(_ASKED):
        began_s = time.perf_counter()
        running = _step(platform, campaign, study, running, together)
        took.append((time.perf_counter() - began_s) / together)
    return quantile(took, 0.5) * 1e3


def _step(platform: Platform, campaign: UUID, study: CampaignStudy, running: Sequence[int], together: int) -> list[int]:
    """Tell what runs, ask for as many; the numbers of these."""
    asked = []
    with transaction(platform.engine) as session:
        row = rows.lock(session, campaign, 60)
        assert row is not None
        study.catch_up(session, campaign, row.revision, row.study_attrs)
        for number in running:
            study.tell(number, TrialState.COMPLETE, [float(number % 3)])
            attrs = study.trial_attrs(number)
            rows.told(row, number, TrialState.COMPLETE, attrs, ended=True, scores=[float(number % 3)])
        for _ in range(together):
            number, point = study.ask()
            rows.started(row, number, TrialState.RUNNING, "sampler", point, study.trial_attrs(number))
            asked.append(number)
        rows.write(session, row, study.attrs, None)
    study.is_at(row.revision + 1)
    return asked


@contextmanager
def _prepare_history(world: World, size: Size) -> Iterator[Mapping[str, Variant]]:
    with world.platform(FAULTLINE_POOLS='[{"name": "bench"}, {"name": "hpo"}]') as platform:

        def each(measure: Callable[[int, str, int], float]) -> Sample:
            found = {f"tpe at {count}": measure(count, "tpe", 1) for count in size.histories}
            found |= {f"tpe at {count}, {SLOTS} at once": measure(count, "tpe", SLOTS) for count in size.histories}
            long = 10 * size.histories[-1]
            found["few"], found["many"] = measure(size.histories[0], "random", 1), measure(long, "random", 1)
            return found | {"growth": found["many"] - found["few"]}

        yield {
            "faultline": lambda: each(lambda count, sampler, together: _durable(platform, count, sampler, together)),
            "in memory": lambda: each(_in_memory),
        }


CAMPAIGN = Benchmark(
    "campaign",
    _prepare,
    [
        Figure("8 slots, 250 ms trials", "", "efficiency", "faultline", "RDBStorage", 1.7, 0.95, at_least=True),
        Figure("the same, supervised", "", "efficiency", "supervised trials"),
    ],
)
HISTORY = Benchmark(
    "history",
    _prepare_history,
    [
        *(
            Figure(f"ask + tell at {count}", "ms", f"tpe at {count}", "faultline", "in memory", 1.3)
            for count in (10, 100, 1000)
        ),
        *(
            Figure(
                f"the same at {count}, {SLOTS} in a commit",
                "ms",
                f"tpe at {count}, {SLOTS} at once",
                "faultline",
                "in memory",
                1.3,
            )
            for count in (10, 100, 1000)
        ),
        Figure("growth over 10,000 trials, random", "ms", "growth", "faultline", "in memory", limit=0.5),
    ],
)
