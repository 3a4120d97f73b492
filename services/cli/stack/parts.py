"""The parts of the stack as data: what to start, after what, when it is ready, how it stops.

Whatever the user has already set in the environment wins: with FAULTLINE_DATABASE_URL there is no embedded database,
with CELERY_BROKER_URL no embedded broker.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from services.cli.stack.engines import Engine, postgres_engine, valkey_engine
from services.cli.stack.probes import Probe, serves, serves_metrics, survives
from services.cli.stack.processes import As, Start
from services.cli.stack.state import ROOT, StateFolder

#: found in the environment of every process of a stack: the path of its state folder
MARK = "FAULTLINE_STACK"
_BOOTSTRAP_KEY = "FAULTLINE_BOOTSTRAP_KEY"
_SECRET_KEYS, _SEAL_KEYS = "FAULTLINE_SECRET_KEYS", "FAULTLINE_SEAL_KEYS"
#: set per process by the supervisor, so one value for all of them cannot be meant
_OWN = ("API_FD", "WORKER_NAME", "WORKER_POOLS", "METRICS_PORT", "WORK_DIR", "STACK")
#: numerical libraries: one thread each, because slots are processes
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
#: longer than checkpoint_grace_s, so that an interrupted training keeps its work
_WORKER_GRACE_S = 30.0
_ENGINE_GRACE_S = 20.0


@dataclass(frozen=True)
class Part:
    """One part of the stack."""

    name: str
    start: Start
    after: tuple[str, ...] = ()  #: started once these are ready, stopped before they are
    once: bool = False  #: runs to its end; ready when that was good
    probe: Probe = field(default_factory=lambda: survives(0))
    metrics: bool = False  #: gets a port for its metrics at each start
    stop_signal: signal.Signals = signal.SIGTERM
    grace_s: float = 10.0
    prepare: Callable[[], int] | None = None  #: before each start; a descriptor to hand down


@dataclass(frozen=True)
class Plan:
    """What one stack consists of."""

    parts: list[Part]
    url: str
    api_key: str


def platform(folder: StateFolder, sockets: Path, environment: Mapping[str, str], api_fd: int, url: str) -> Plan:
    """The whole stack of this checkout."""
    shared = {name: value for name, value in environment.items() if name.removeprefix("FAULTLINE_") not in _OWN}
    for name in (_BOOTSTRAP_KEY, _SECRET_KEYS, _SEAL_KEYS, "PROMETHEUS_MULTIPROC_DIR"):
        shared.pop(name, None)
    shared |= {MARK: str(folder.path), "PYTHONUNBUFFERED": "1"}
    parts: list[Part] = []
    if not shared.get("CELERY_BROKER_URL"):
        broker = valkey_engine(folder.path / "valkey", sockets=sockets)
        shared["CELERY_BROKER_URL"] = broker.url
        parts.append(_engine(broker))
    if not shared.get("CELERY_RESULT_BACKEND"):
        shared["CELERY_RESULT_BACKEND"] = shared["CELERY_BROKER_URL"]
    if not shared.get("FAULTLINE_DATABASE_URL"):
        database = postgres_engine(folder.path / "postgres", sockets=sockets)
        shared["FAULTLINE_DATABASE_URL"] = database.url
        parts.append(_engine(database))
    if not shared.get("FAULTLINE_ARTIFACT_STORE_URL"):
        (folder.path / "artifacts").mkdir(exist_ok=True)
        shared["FAULTLINE_ARTIFACT_STORE_URL"] = f"file://{folder.path / 'artifacts'}"
    api_key = folder.api_key(environment)
    keys = {_SECRET_KEYS: folder.secret_keys(environment), _SEAL_KEYS: folder.seal_keys(environment)}
    services = _services(folder, shared, keys, api_fd, url, api_key)
    engines = tuple(part.name for part in parts)
    return Plan([*parts, *(replace(part, after=(*engines, *part.after)) for part in services)], url, api_key)


def _services(
    folder: StateFolder, shared: Mapping[str, str], keys: Mapping[str, str], api_fd: int, url: str, api_key: str
) -> list[Part]:
    api = _module("api", "services.api.main", {**shared, **keys, "FAULTLINE_API_FD": str(api_fd)}, "migrate")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [
        replace(
            _module("migrate", "shared.db.migrate", shared),
            once=True,
            start=_run("shared.db.migrate", shared, "upgrade"),
        ),
        replace(
            _module("bootstrap", "services.api.bootstrap", {**shared, _BOOTSTRAP_KEY: api_key}, "migrate"), once=True
        ),
        replace(api, start=replace(api.start, pass_fds=(api_fd,)), probe=serves(f"{url}/readyz")),
        _serving_metrics(_module("dispatcher", "services.api.dispatcher", shared, "migrate")),
        _serving_metrics(_module("reconciler", "services.api.reconciler", shared, "migrate")),
        _worker("generation", ["generation"], 1, folder, shared),
        _worker("training", ["training-cpu", "analysis"], max(2, cores), folder, shared),
        _worker("hpo", ["hpo"], 1, folder, shared),
        _worker("notifier", [], 2, folder, {"FAULTLINE_PUBLIC_URL": url, **shared, **keys}),
    ]


def _engine(engine: Engine) -> Part:
    return Part(
        name=engine.name,
        start=engine.start,
        probe=lambda _: engine.ready(),
        stop_signal=engine.stop_signal,
        grace_s=_ENGINE_GRACE_S,
        prepare=engine.prepare,
    )


def _run(module: str, environment: Mapping[str, str], *arguments: str) -> Start:
    return Start([sys.executable, "-m", module, *arguments], environment, ROOT, As())


def _module(name: str, module: str, environment: Mapping[str, str], *after: str) -> Part:
    return Part(name, _run(module, environment), after)


def _worker(name: str, pools: list[str], slots: int, folder: StateFolder, shared: Mapping[str, str]) -> Part:
    work, metrics = folder.path / "work" / name, folder.path / "metrics" / name
    for path in (work, metrics):
        path.mkdir(parents=True, exist_ok=True)
    environment = {
        **dict.fromkeys(_ONE_THREAD, "1"),
        "FAULTLINE_WORKER_SLOTS": str(slots),
        **shared,
        "FAULTLINE_WORKER_NAME": f"{name}-local",
        "FAULTLINE_WORKER_POOLS": json.dumps(pools),
        "FAULTLINE_WORK_DIR": str(work),
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),  # where the worker's processes meet
    }
    part = _module(f"{name} worker", f"services.{name}.worker", environment, "migrate")
    return replace(_serving_metrics(part), grace_s=_WORKER_GRACE_S)


def _serving_metrics(part: Part) -> Part:
    return replace(part, probe=serves_metrics, metrics=True)
