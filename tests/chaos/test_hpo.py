"""A campaign of 500 trials while its workers and its coordinators are killed and its servers restarted."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator

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


class Adversary(threading.Thread):
    """Kills a random worker or coordinator every second or two, and starts it again; restarts each server once."""

    def __init__(self, campaigns: Campaigns, servers: list[Server], seed: int) -> None:
        super().__init__(daemon=True)
        self._campaigns, self._servers = campaigns, servers
        self._random = random.Random(seed)
        self.over = threading.Event()
        self.faults: Counter[str] = Counter()

    def run(self) -> None:
        began_s = time.monotonic()
        restarts = [(8.0, self._servers[0]), (16.0, self._servers[1])]
        while not self.over.wait(self._random.uniform(0.5, 1.5)):
            if restarts and time.monotonic() - began_s > restarts[0][0]:
                server = restarts.pop(0)[1]
                server.kill()
                server.start()
                self.faults["server"] += 1
            name = self._random.choice(["hpo-0", *(f"worker-{number}" for number in range(WORKERS))])
            self._campaigns.platform.kill(name, signal.SIGKILL)
            self.faults[name.partition("-")[0]] += 1
            self._again(name)

    def _again(self, name: str) -> None:
        while not self.over.is_set():
            try:
                if name.startswith("hpo"):
                    self._campaigns.start_coordinator(name)
                else:
                    self._campaigns.start_worker(name, 1)
                return
            except (SQLAlchemyError, AssertionError):
                time.sleep(0.2)  # the database is on its way; there is no event to wait for


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
    adversary = Adversary(campaigns, [broker, database], seed=20261124)
    adversary.start()

    def over() -> bool:
        try:
            return bool(platform.run(campaign_id)["state"] != "waiting")
        except SQLAlchemyError:
            return False

    try:
        until(over, 330, "the campaign does not end")
    finally:
        adversary.over.set()
        adversary.join(60)
    platform.engine.dispose()  # its connections are those of before the restart
    assert adversary.faults["server"] == 2
    assert min(adversary.faults["hpo"], adversary.faults["worker"]) >= 2, adversary.faults
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
    print(f"faults {dict(adversary.faults)}, {len(runs)} runs")  # noqa: T201 - the figure for whoever looks
