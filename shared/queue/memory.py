"""Evidence that the kernel killed for want of memory: its counters, read before and after."""

import re
from pathlib import Path

_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def oom_kills(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Processes of our control group that were killed for memory; of the whole machine where groups do not count it.

    None where nothing counts it.
    """
    for path in [*_group_counters(proc, cgroups), proc / "vmstat"]:
        try:
            found = _KILLS.search(path.read_text())
        except OSError:
            continue
        if found:
            return int(found[1])
    return None


def _group_counters(proc: Path, cgroups: Path) -> list[Path]:
    """Where version 2 and version 1 of control groups count for this process."""
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _number, controllers, group = line.split(":", 2)
        if not controllers:
            found.append(cgroups / group.lstrip("/") / "memory.events")
        elif "memory" in controllers.split(","):
            found.append(cgroups / "memory" / group.lstrip("/") / "memory.oom_control")
    return found


class MemoryWatch:
    """Remembers the count at its making."""

    def __init__(self) -> None:
        self._before = oom_kills()

    def killed(self) -> bool:
        """Whether the kernel has killed for memory since."""
        now = oom_kills()
        return self._before is not None and now is not None and now > self._before
