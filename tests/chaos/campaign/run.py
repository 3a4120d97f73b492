"""The campaign: many runs of every sort on a whole platform, while an adversary breaks it; then the verdict."""

import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.api.bootstrap import grant
from services.cli.stack.engines import postgres_engine, valkey_engine
from shared.contracts.states import TERMINAL
from shared.db.migrate import upgrade
from shared.db.session import make_engine, transaction
from shared.runs.submit import Caller
from tests.chaos.campaign.adversary import Adversary
from tests.chaos.campaign.client import Client
from tests.chaos.campaign.fleet import Fleet
from tests.chaos.campaign.plan import plan
from tests.chaos.campaign.report import Report, lines_of
from tests.chaos.campaign.verdict import Verdict, judge, leftovers
from tests.support.platform import API_KEY, Platform, environment_for, settings_from, until
from tests.support.servers import Server, serving

_TICK_S = 0.05
_LOOK_S = 0.5
_STOP_S = 60.0
#: Longer than a step takes that was lost with its broker: it is sent again after 5 x its limit.
_CLEAN_S = 90.0
_SETTINGS = {
    "FAULTLINE_MAX_CRASHES": "100",  # whoever is hit again and again must succeed all the same
    "FAULTLINE_STEP_TIME_LIMIT_S": "3",
    "FAULTLINE_LOG_LEVEL": "INFO",
    # a clean-up that was lost with the broker is made good by the collector, here within seconds instead of a day
    "FAULTLINE_KEEP_SPENT_FILES_DAYS": str(10 / 86_400),
    "FAULTLINE_GC_GRACE_S": "10",
    "FAULTLINE_GC_INTERVAL_S": "2",
}

Progress = Callable[[int, int, int], None]  #: (accepted, ended, faults)


@dataclass(frozen=True)
class Form:
    """How large a campaign is."""

    runs: int
    seed: int
    run_every_s: float
    fault_every_s: float
    limit_s: float  #: what has not ended by then is stuck


SHORT = {"runs": 60, "run_every_s": 0.25, "fault_every_s": 0.9, "limit_s": 600.0}
LONG = {"runs": 500, "run_every_s": 0.3, "fault_every_s": 1.2, "limit_s": 3600.0}


@contextmanager
def _platform(folder: Path) -> Iterator[tuple[Platform, Server, Server]]:
    """A platform on servers of its own."""
    with ExitStack() as stack:
        database = stack.enter_context(serving(postgres_engine(folder / "postgres", durable=False)))
        broker = stack.enter_context(serving(valkey_engine(folder / "valkey", durable=False)))
        values = environment_for(folder, database.engine.url, broker.engine.url, **_SETTINGS)
        with settings_from(values) as settings:
            engine = make_engine(settings.database_url, pool_size=5)
        upgrade(engine)
        grant(engine, "default", API_KEY)
        with transaction(engine) as session:
            row = session.connection().exec_driver_sql("SELECT principal_id, project_id FROM api_keys").one()
        platform = Platform(folder, values, settings, engine, Caller(row.principal_id, row.project_id))
        stack.callback(platform.end)
        yield platform, broker, database


def campaign(form: Form, folder: Path, progress: Progress) -> Report:
    """Run it to its end; nothing of it stays but the files in `folder`."""
    dice = random.Random(form.seed)
    planned = plan(form.runs, dice, form.run_every_s, ["test", "test", "analysis"])
    with _platform(folder) as (platform, broker, database):
        fleet = Fleet(platform)
        fleet.start()
        until(lambda: len(platform.rows("SELECT 1 FROM workers")) == len(fleet.workers), 120, "no workers")
        began_s = time.monotonic()
        adversary = Adversary(fleet, broker, database, dice, form.fault_every_s)
        client = Client(platform, fleet.url, planned, began_s)
        ended = look_s = 0.0
        while time.monotonic() - began_s < form.limit_s and not (client.finished and ended >= form.runs):
            fleet.revive()
            client.work()
            if time.monotonic() >= look_s:
                look_s = time.monotonic() + _LOOK_S
                ended = _ended(platform)
                progress(sum(run.run_id is not None for run in planned), int(ended), len(adversary.faults))
            # the last tenth may end in peace: a campaign that breaks on for ever never ends
            if ended < 0.9 * form.runs:
                adversary.act()
            else:
                adversary.rest()
            time.sleep(_TICK_S)
        adversary.rest()
        client.close()
        seconds = time.monotonic() - began_s
        _clean(platform, fleet)
        verdict = judge(platform, planned, adversary.frozen_runs)
        _stop(platform, verdict)
        wrong = {str(run.run_id) for run in planned if any(str(run.run_id) in line for line in verdict.lines())}
        attempts = platform.rows("SELECT sum(attempt) AS n FROM runs")[0]["n"]
        lines = lines_of(platform, adversary.faults, wrong)
        return Report(form.seed, form.runs, seconds, fleet.restarts, int(attempts or 0), lines, verdict)


def _ended(platform: Platform) -> float:
    states = [state.value for state in TERMINAL]
    return float(platform.rows("SELECT count(*) AS n FROM runs WHERE state = ANY(:states)", states=states)[0]["n"])


def _clean(platform: Platform, fleet: Fleet) -> None:
    """Give the clean-up its time: what was lost with the broker is left to the collector."""

    def clean() -> bool:
        fleet.revive()
        due = platform.rows("SELECT 1 FROM outbox WHERE step = 'run.cleanup' AND sent_at IS NULL")
        return not due and not _spent(platform) and not leftovers(platform)

    try:
        until(clean, _CLEAN_S)
    except TimeoutError:
        return  # the verdict names what is left


def _spent(platform: Platform) -> bool:
    """Whether rows of files are left that no run needs any more."""
    spent = "a.role = 'checkpoint' OR a.attempt < r.attempt OR r.state <> 'succeeded'"
    return bool(
        platform.rows(f"SELECT 1 FROM artifacts a JOIN runs r ON r.id = a.run_id WHERE a.role <> 'log' AND ({spent})")
    )


def _stop(platform: Platform, verdict: Verdict) -> None:
    """Ask every process to end; whatever lives on then is an orphan."""
    for process in platform.processes.values():
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    deadline_s = time.monotonic() + _STOP_S
    for name, process in platform.processes.items():
        try:
            process.wait(max(0.1, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            verdict.orphans.append(f"{name} does not end")
    try:
        until(lambda: not platform.trainers(), 10)
    except TimeoutError:
        verdict.orphans += [f"{orphan.pid}: {' '.join(orphan.cmdline())}" for orphan in platform.trainers()]
