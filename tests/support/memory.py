"""How much memory a process takes for a while: the peak that its kernel saw, beyond what it had when it was idle."""

from pathlib import Path


class Peak:
    """Begins now. The process must belong to the user."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")
        (self._folder / "clear_refs").write_text("5")  # the kernel forgets the peak so far
        self._idle_bytes = self._read("VmRSS")

    def growth_bytes(self) -> int:
        """The peak since, less what there was."""
        return self._read("VmHWM") - self._idle_bytes

    def _read(self, field: str) -> int:
        lines = (self._folder / "status").read_text().splitlines()
        [kibibytes] = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
        return int(kibibytes) << 10
