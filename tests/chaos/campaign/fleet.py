"""The processes of the platform, and a supervisor that starts again what has died."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil

from tests.support.platform import ROOT, Platform, free_port

#: As a supervisor would: not in the same instant.
_AGAIN_S = 0.5


@dataclass
class Member:
    """One process that is to run always."""

    name: str
    module: str
    environment: dict[str, str] = field(default_factory=dict)
    died_s: float | None = None


class Fleet:
    """Two dispatchers, two reconcilers, an API and workers of several pools and both ways to start a trainer."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.port = free_port()
        self.restarts = 0
        self.members = {
            member.name: member
            for member in (
                Member("api", "tests.support.api", {"FAULTLINE_API_PORT": str(self.port)}),
                Member("dispatcher-1", "services.api.dispatcher"),
                Member("dispatcher-2", "services.api.dispatcher"),
                Member("reconciler-1", "services.api.reconciler"),
                Member("reconciler-2", "services.api.reconciler"),
                self._worker("worker-fork", '["test"]', 2, "forkserver"),
                self._worker("worker-spawn", '["test"]', 1, "spawn"),
                self._worker("worker-other", '["analysis"]', 2, "forkserver"),
            )
        }

    @property
    def url(self) -> str:
        """Of the API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def workers(self) -> list[str]:
        """Names of the workers."""
        return [name for name in self.members if name.startswith("worker")]

    def start(self) -> None:
        """Start all of them."""
        for name in self.members:
            self._start(name)

    def revive(self) -> None:
        """Start again what has died a moment ago."""
        for name, member in self.members.items():
            if self.platform.processes[name].poll() is None:
                continue
            now_s = time.monotonic()
            if member.died_s is None:
                member.died_s = now_s
            elif now_s - member.died_s >= _AGAIN_S:
                member.died_s = None
                self.restarts += 1
                self._start(name)

    def main(self, name: str) -> psutil.Process | None:
        """The main process of a member, if it lives."""
        process = self.platform.processes[name]
        return psutil.Process(process.pid) if process.poll() is None else None

    def below(self, name: str) -> Iterator[tuple[str, psutil.Process]]:
        """What a worker has started: (`pool child`, `fork server` or `trainer`, process)."""
        main = self.main(name)
        if main is None:
            return
        for child in main.children():
            yield "pool child", child
            for grandchild in child.children():
                if "shared.queue.forkserver" in grandchild.cmdline():
                    yield "fork server", grandchild
                    yield from (("trainer", trainer) for trainer in grandchild.children())
                elif "shared.queue.trainer" in grandchild.cmdline():
                    yield "trainer", grandchild

    def _start(self, name: str) -> None:
        member = self.members[name]
        self.platform.start(name, member.module, ROOT, **member.environment)

    def _worker(self, name: str, pools: str, slots: int, start: str) -> Member:
        return Member(
            name,
            "tests.support.worker",
            {
                "FAULTLINE_WORKER_NAME": name,
                "FAULTLINE_WORKER_POOLS": pools,
                "FAULTLINE_WORKER_SLOTS": str(slots),
                "FAULTLINE_TRAINER_START": start,
                "PROMETHEUS_MULTIPROC_DIR": str(self.platform.folder / f"{name}-metrics"),
            },
        )
