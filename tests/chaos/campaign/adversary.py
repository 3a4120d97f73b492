"""Breaks one thing after the other, by a seed, and writes down what it did and whom it hit."""

import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import psutil

from tests.chaos.campaign.fleet import Fleet
from tests.support.servers import Server

#: Longest wait for workers to come back.
_PATIENCE_S = 20.0


@dataclass
class Fault:
    """One thing that was broken."""

    name: str
    at: float  #: seconds since the epoch, by the database's clock
    hit: list[tuple[UUID, int]] = field(default_factory=list)  #: (run, attempt) that were under way there


class Adversary:
    """Knows every process of the fleet and both servers."""

    def __init__(self, fleet: Fleet, broker: Server, database: Server, dice: random.Random, every_s: float) -> None:
        self.faults: list[Fault] = []
        self.frozen_runs: set[UUID] = set()
        self._fleet = fleet
        self._broker = broker
        self._database = database
        self._dice = dice
        self._every_s = every_s
        self._last_s = time.monotonic()
        self._next_s = self._last_s + every_s
        self._frozen: list[tuple[float, list[psutil.Process]]] = []
        self._acts: dict[str, tuple[int, Callable[[str], bool]]] = {
            "worker killed": (16, self._kill_worker),
            "pool child killed": (16, self._kill_below),
            "trainer killed": (20, self._kill_below),
            "fork server killed": (8, self._kill_below),
            "dispatcher killed": (10, self._kill_member),
            "reconciler killed": (6, self._kill_member),
            "api killed": (8, self._kill_member),
            "worker frozen beyond its lease": (4, self._freeze_worker),
            "broker restarted empty": (3, self._restart_broker),
            "broker connections cut": (4, self._cut_broker),
            "database restarted": (2, self._restart_database),
            "database sessions ended": (3, self._cut_database),
        }

    def act(self) -> None:
        """Break something if it is time."""
        now_s = time.monotonic()
        for thaw_s, processes in list(self._frozen):
            if now_s >= thaw_s:
                self._frozen.remove((thaw_s, processes))
                _signal(processes, signal.SIGCONT)
        if now_s < self._next_s or (now_s < self._last_s + _PATIENCE_S and self._recovering()):
            return
        self._last_s = now_s
        self._next_s = now_s + self._dice.uniform(0.3, 1.7) * self._every_s
        names = self._dice.choices(list(self._acts), [share for share, _act in self._acts.values()], k=8)
        for name in names:  # some faults find nobody to hit just now
            if self._acts[name][1](name):
                return

    def rest(self) -> None:
        """Nothing more is broken, and what was frozen goes on."""
        for _thaw_s, processes in self._frozen:
            _signal(processes, signal.SIGCONT)
        self._frozen.clear()

    def _note(self, name: str, where: str, **values: object) -> list[tuple[UUID, int]]:
        """Write the fault down, before it happens, with the runs that it will hit."""
        rows = self._fleet.platform.rows(
            "SELECT extract(epoch FROM clock_timestamp()) AS now, "
            f"array(SELECT id::text || ':' || attempt FROM runs WHERE {where}) AS hit",
            **values,
        )
        pairs = [entry.split(":") for entry in rows[0]["hit"]]
        hit = [(UUID(run), int(attempt)) for run, attempt in pairs]
        self.faults.append(Fault(name, float(rows[0]["now"]), hit))
        return hit

    def _recovering(self) -> bool:
        """Whether most workers are not back yet: on a slow machine faults must not come faster than new processes."""
        rows = self._fleet.platform.rows("SELECT pid FROM workers")
        registered = {row["pid"] for row in rows}
        ready = [name for name in self._awake() if (main := self._fleet.main(name)) and main.pid in registered]
        return len(ready) < len(self._fleet.workers) - 1

    def _awake(self) -> list[str]:
        frozen = {process.pid for _thaw_s, processes in self._frozen for process in processes}
        return [
            name
            for name in self._fleet.workers
            if (main := self._fleet.main(name)) is not None and main.pid not in frozen
        ]

    def _kill_worker(self, name: str) -> bool:
        if not (workers := self._awake()):
            return False
        worker = self._dice.choice(workers)
        self._note(name, "state = 'running' AND worker = :worker", worker=worker)
        self._fleet.platform.processes[worker].kill()
        return True

    def _kill_below(self, name: str) -> bool:
        what = name.removesuffix(" killed")
        with suppress(psutil.Error):
            found = [
                (worker, process)
                for worker in self._awake()
                for kind, process in self._fleet.below(worker)
                if kind == what
            ]
            if found:
                worker, process = self._dice.choice(found)
                self._note(name, "state = 'running' AND worker = :worker", worker=worker)
                process.kill()
                return True
        return False

    def _kill_member(self, name: str) -> bool:
        what = name.removesuffix(" killed")
        living = [part for part in self._fleet.members if part.startswith(what) and self._fleet.main(part)]
        if not living:
            return False
        self._note(name, "state IN ('queued', 'dispatched')")
        self._fleet.platform.processes[self._dice.choice(living)].kill()
        return True

    def _freeze_worker(self, name: str) -> bool:
        if not (workers := self._awake()):
            return False
        worker = self._dice.choice(workers)
        with suppress(psutil.Error):
            main = self._fleet.main(worker)
            if main is not None:
                hit = self._note(name, "state = 'running' AND worker = :worker", worker=worker)
                self.frozen_runs |= {run for run, _attempt in hit}
                processes = [main, *main.children(recursive=True)]
                _signal(processes, signal.SIGSTOP)
                self._frozen.append((time.monotonic() + self._fleet.platform.settings.lease_s * 1.7, processes))
                return True
        return False

    def _restart_broker(self, name: str) -> bool:
        self._note(name, "state IN ('running', 'dispatched')")
        self._broker.kill()
        self._broker.start()
        return True

    def _cut_broker(self, name: str) -> bool:
        self._note(name, "state IN ('running', 'dispatched')")
        self._broker.redis().client_kill_filter(_type="normal", skipme=True)
        return True

    def _restart_database(self, name: str) -> bool:
        self._note(name, "state IN ('running', 'dispatched')")
        self._fleet.platform.engine.dispose()
        self._database.stop()
        self._database.start()
        return True

    def _cut_database(self, name: str) -> bool:
        self._note(name, "state IN ('running', 'dispatched')")
        self._fleet.platform.rows(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database() AND backend_type = 'client backend'"
        )
        return True


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(number)
