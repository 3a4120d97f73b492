"""Evidence: how a process ended, and whether the kernel killed for memory."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from shared.contracts.causes import Cause
from shared.queue.memory import oom_kills
from shared.queue.outcome import Crashed, Stopped
from shared.queue.supervised import unexplained
from shared.queue.trainers import Trainer


def test_a_kill_is_blamed_on_memory_only_with_evidence() -> None:
    told = unexplained(-9, None, True, "")
    assert isinstance(told, Crashed)
    assert told.cause == Cause.OUT_OF_MEMORY
    told = unexplained(-9, None, False, "")
    assert isinstance(told, Crashed)
    assert (told.cause, "SIGKILL (signal 9)" in told.what) == (Cause.KILLED_BY_SIGNAL, True)


def test_what_was_asked_to_stop_has_stopped() -> None:
    assert unexplained(-9, "pause", True, "") == Stopped("pause")


@pytest.mark.parametrize(
    ("group", "file", "text"),
    [
        ("0::/pod/worker", "pod/worker/memory.events", "low 0\noom 4\noom_kill 3\n"),
        ("5:cpu,memory:/pod", "memory/pod/memory.oom_control", "oom_kill_disable 0\noom_kill 3\n"),
        ("0::/", "memory.events", "oom_kill 3\noom_group_kill 9\n"),
    ],
)
def test_the_kills_of_the_own_control_group_are_counted(tmp_path: Path, group: str, file: str, text: str) -> None:
    proc, groups = tmp_path / "proc", tmp_path / "groups"
    (proc / "self").mkdir(parents=True)
    (proc / "self/cgroup").write_text(f"1:name=systemd:/\n{group}\n")
    (proc / "vmstat").write_text("oom_kill 99\n")
    (groups / file).parent.mkdir(parents=True, exist_ok=True)
    (groups / file).write_text(text)
    assert oom_kills(proc, groups) == 3


def test_without_a_group_the_machine_is_asked_and_without_that_nobody(tmp_path: Path) -> None:
    assert oom_kills(tmp_path, tmp_path) is None
    (tmp_path / "vmstat").write_text("pgfault 1\noom_kill 2\n")
    assert oom_kills(tmp_path, tmp_path) == 2


class _Waited:
    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process

    def status(self, _pid: int) -> int:
        return self.process.wait()


def test_a_trainer_without_a_group_of_its_own_is_killed_all_the_same() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    assert os.getpgid(process.pid) != process.pid, "it is as a forked trainer before its setsid"
    ends = [end for pair in (socket.socketpair() for _ in range(3)) for end in pair]
    orders, messages, log = (end.detach() for end in ends[:3])
    trainer = Trainer(process.pid, os.pidfd_open(process.pid), orders, messages, log, _Waited(process))
    trainer.kill()
    assert trainer.close() == -signal.SIGKILL
    trainer.kill()
    for end in ends[3:]:
        end.close()
