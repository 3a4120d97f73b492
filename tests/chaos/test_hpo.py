"""A campaign of 500 trials while its workers and its coordinators are killed and its servers restarted."""

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from services.api.bootstrap import grant
from shared.db.migrate import upgrade
from shared.db.session import make_engine
from tests.conftest import MakePlatform
from tests.hpo.support import Campaigns
from tests.support.platform import API_KEY, until
from tests.support.servers import Server

TRIALS, WORKERS = 500, 8


@pytest.fixture
def own_database_url(database: Server) -> Iterator[str]:
    """A migrated database on a server that may be restarted."""
    url = make_url(database.engine.url).set(drivername="postgresql+psycopg2")
    engine = make_engine(url.render_as_string(hide_password=False), pooled=False)
    upgrade(engine)
    grant(engine, "default", API_KEY)
    engine.dispose()
    yield database.engine.url


def over(campaigns: Campaigns, campaign_id: UUID) -> bool:
    try:
        return bool(campaigns.platform.run(campaign_id)["state"] != "waiting")
    except SQLAlchemyError:
        return False


def torment(campaigns: Campaigns, campaign_id: UUID, servers: list[Server], seed: int) -> Counter[str]:
    """Kill a random worker or coordinator every second or so and start it again, and restart each server once, until
    the campaign has ended. Returns how often what was hit."""
    dice, began_s, faults = random.Random(seed), time.monotonic(), Counter[str]()
    names = ["hpo-0", *(f"worker-{number}" for number in range(WORKERS))]
    while not over(campaigns, campaign_id):
        assert time.monotonic() - began_s < 330, "the campaign does not end"
        time.sleep(dice.uniform(0.2, 1.0))  # the rhythm of the faults
        if faults["server"] < len(servers) and time.monotonic() - began_s > 8 * (faults["server"] + 1):
            server = servers[faults["server"]]
            server.stop()
            server.start()
            faults["server"] += 1
        name = dice.choice(names)
        campaigns.platform.kill(name, signal.SIGKILL)
        faults[name.partition("-")[0]] += 1
        again(campaigns, name)
    return faults


def again(campaigns: Campaigns, name: str) -> None:
    def started() -> bool:
        try:
            if name.startswith("hpo"):
                campaigns.start_coordinator(name)
            else:
                campaigns.start_worker(name, 1)
        except (SQLAlchemyError, AssertionError):
            return False  # the database is on its way
        return True

    until(started, 60, f"{name} does not start again")


@pytest.mark.timeout(400)
def test_five_hundred_trials_end_once_each_whatever_dies(
    make_platform: MakePlatform, broker: Server, database: Server, own_database_url: str
) -> None:
    platform = make_platform(
        FAULTLINE_DATABASE_URL=own_database_url,
        CELERY_BROKER_URL=broker.engine.url,
        CELERY_RESULT_BACKEND=broker.engine.url,
    )
    campaigns = Campaigns(platform)
    campaigns.start(workers=WORKERS, slots=1)
    campaign_id = campaigns.submit(
        base={"sleep_s": 0.25, "steps": 2}, budget={"trials": TRIALS}, max_parallel=WORKERS, retries=10
    )
    faults = torment(campaigns, campaign_id, [broker, database], seed=20261124)
    assert faults["server"] == 2
    assert min(faults["hpo"], faults["worker"]) >= 2, faults
    parent = platform.run(campaign_id)
    assert parent["state"] == "succeeded", parent["envelope"]
    trials = campaigns.trials(campaign_id)
    assert [trial["number"] for trial in trials] == list(range(TRIALS))
    assert Counter(trial["state"] for trial in trials) == {"complete": TRIALS}
    runs = platform.rows("SELECT id, state, labels, finished_at FROM runs WHERE parent_id = :id", id=campaign_id)
    assert all(run["finished_at"] for run in runs)
    ended_well = Counter(run["labels"]["trial"] for run in runs if run["state"] == "succeeded")
    assert set(ended_well.values()) == {1}
    assert len(ended_well) == TRIALS
    assert {trial["run_id"] for trial in trials} == {run["id"] for run in runs if run["state"] == "succeeded"}
    for trial in trials:
        x, y = trial["params"]["x"], trial["params"]["y"]
        assert trial["scores"] == [x * x + y * y]
    before = campaigns.row(campaign_id)
    for _ in range(10):
        campaigns.advance(campaign_id)
    assert campaigns.row(campaign_id) == before
    print(f"faults {dict(faults)}, {len(runs)} runs")  # noqa: T201 - the figure for whoever looks
