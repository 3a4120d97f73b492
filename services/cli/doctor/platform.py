"""Verdicts on what the server says about itself (`shared/contracts/diagnostics.py`)."""

from collections.abc import Iterator
from datetime import datetime

from services.cli.doctor.check import PLATFORM, Check
from services.cli.ui.text import duration, plural, size
from shared.contracts.diagnostics import DiagnosticsView, LoopHealth, PoolHealth
from shared.version import VERSION

#: Leases go by the database's clock alone, so skew breaks nothing at once; logs, schedules and signed URLs suffer.
SKEW_WARN_S, SKEW_FAIL_S = 2.0, 60.0
LOW_STORE_BYTES = 5 << 30
SLOW_S = 2.0
#: A background process asks the database every second or so.
IDLE_WARN_S = 30.0
LONG_WAIT_S = 60.0
_FULL = 0.9


def platform_checks(seen: DiagnosticsView, asked_at: datetime, seconds: float) -> Iterator[Check]:
    """All of them. `asked_at` is our clock in the middle of the request, which took `seconds`."""
    yield from _versions(seen)
    yield from _clocks(seen, (seen.now - asked_at).total_seconds(), seconds)
    yield from _database(seen)
    yield _broker(seen)
    yield _visibility(seen)
    yield _store(seen)
    if seen.database.error is None:
        yield from _loops(seen)
        if not seen.eager:
            yield from (_pool(pool) for pool in seen.pools)
            yield from _workers(seen)


def _versions(seen: DiagnosticsView) -> Iterator[Check]:
    if _release(seen.version) != _release(VERSION):
        fix = "Install the client of the server's release, or upgrade the server."
        yield PLATFORM.warn("versions", f"server {seen.version}, this client {VERSION}", fix)
    others = {worker.name: worker.version for worker in seen.workers if worker.alive and worker.version != seen.version}
    if others:
        words = ", ".join(f"{name} {version}" for name, version in sorted(others.items())[:4])
        fix = "Finish the roll-out: drain and restart these workers on the server's release."
        yield PLATFORM.warn("versions", f"server {seen.version}, but workers {words}", fix)
    elif _release(seen.version) == _release(VERSION):
        yield PLATFORM.ok("versions", f"server, workers and client {VERSION}")


def _release(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _clocks(seen: DiagnosticsView, api_ahead_s: float, seconds: float) -> Iterator[Check]:
    database = seen.database.clock_ahead_s
    known = {"this machine": -api_ahead_s} if abs(api_ahead_s) > seconds else {}
    if database is not None:
        known["database"] = database
    for worker in seen.workers:
        if worker.alive and worker.clock_ahead_s is not None:
            known[worker.name] = worker.clock_ahead_s + (database or 0.0)
    off = {name: value for name, value in known.items() if abs(value) > SKEW_WARN_S}
    if not off:
        told = "API, database and workers" if database is not None else "API"
        yield PLATFORM.ok("clocks", f"{told} agree with this machine")
    for name, value in off.items():
        words = f"{name} is {duration(abs(value))} {'ahead of' if value > 0 else 'behind'} the API"
        fix = f"Set the clock of {name} by NTP (`timedatectl set-ntp true`, chrony)."
        yield (PLATFORM.fail if abs(value) > SKEW_FAIL_S else PLATFORM.warn)("clocks", words, fix)


def _database(seen: DiagnosticsView) -> Iterator[Check]:
    found = seen.database
    if found.error is not None:
        fix = "Bring it back, and check FAULTLINE_DATABASE_URL of the server; its log has the rest."
        yield PLATFORM.fail("database", found.error, fix)
        return
    if found.revision is None or found.revision < found.required_revision:
        words = f"revision {found.revision or 'none'}, this release needs {found.required_revision}"
        yield PLATFORM.fail("database", words, "Run `python -m shared.db.migrate upgrade` with the server's settings.")
    else:
        newer = " (newer than needed)" if found.revision > found.required_revision else ""
        yield PLATFORM.ok("database", f"revision {found.revision}{newer}, answers in {_ms(found.seconds)}")
    if found.connections and found.max_connections and found.connections > _FULL * found.max_connections:
        words = f"{found.connections} of {found.max_connections} connections are taken"
        yield PLATFORM.warn("database", words, "Raise max_connections, put a pooler before it, or run fewer processes.")


def _broker(seen: DiagnosticsView) -> Check:
    found = seen.broker
    if found.error is not None:
        fix = "Bring it back, and check CELERY_BROKER_URL of the server; runs wait as rows meanwhile, none is lost."
        return (PLATFORM.warn if seen.eager else PLATFORM.fail)("broker", found.error, fix)
    waiting = sum(found.queues.values())
    return PLATFORM.ok("broker", f"answers in {_ms(found.seconds)}, {plural(waiting, 'message')} in its queues")


def _visibility(seen: DiagnosticsView) -> Check:
    timeout, longest = seen.broker.visibility_timeout_s, seen.broker.longest_step_s
    words = f"visibility timeout {duration(timeout)}, longest step {duration(longest)}"
    if timeout < 2 * longest:
        fix = "Make visibility_timeout at least twice FAULTLINE_STEP_TIME_LIMIT_S, or steps are done twice."
        return PLATFORM.fail("visibility", words, fix)
    return PLATFORM.ok("visibility", words)


def _store(seen: DiagnosticsView) -> Check:
    found = seen.store
    if found.error is not None:
        fix = "Make room in it, or check FAULTLINE_ARTIFACT_STORE_URL of the server, its rights and the way to it."
        return PLATFORM.fail("store", found.error, fix)
    free = "" if found.free_bytes is None else f", {size(found.free_bytes)} free"
    words = f"{found.scheme}:// takes and gives in {_ms(found.seconds)}{free}"
    if found.free_bytes is not None and found.free_bytes < LOW_STORE_BYTES:
        return PLATFORM.warn("store", words, "Make room: `faultline gc --dry-run` counts what may go.")
    if found.seconds is not None and found.seconds > SLOW_S:
        return PLATFORM.warn("store", words, "Find out what is slow: the disk, or the network to the store.")
    return PLATFORM.ok("store", words)


def _loops(seen: DiagnosticsView) -> Iterator[Check]:
    for loop in seen.loops:
        yield _loop(loop)
    if seen.expired_leases:
        words = f"{plural(seen.expired_leases, 'run')} with an ended lease not taken back"
        yield PLATFORM.fail("leases", words, "Start the reconciler, or read its log: it should do so within seconds.")


def _loop(loop: LoopHealth) -> Check:
    if not loop.connections:
        fix = f"Start it: `python -m services.api.{loop.name}`; a local stack does so by `faultline up`."
        return PLATFORM.fail(loop.name, "does not run", fix)
    if loop.idle_s is not None and loop.idle_s > IDLE_WARN_S:
        words = f"has asked the database nothing for {duration(loop.idle_s)}"
        return PLATFORM.fail(loop.name, words, f"Read the log of the {loop.name}, then restart it.")
    return PLATFORM.ok(loop.name, "alive")


def _pool(pool: PoolHealth) -> Check:
    name = f"pool {pool.name}"
    waiting = plural(pool.queued, "run") + " queued"
    if pool.paused:
        fix = f"`faultline pools resume {pool.name}` when it may go on."
        return PLATFORM.warn(name, f"paused, {waiting}", fix)
    if not pool.workers:
        fix = (
            f"Start a worker with FAULTLINE_WORKER_POOLS='[\"{pool.name}\"]', or take the pool out of FAULTLINE_POOLS."
        )
        return (PLATFORM.fail if pool.queued else PLATFORM.warn)(name, f"no live worker, {waiting}", fix)
    words = f"{plural(pool.workers, 'worker')}, {pool.busy} of {plural(pool.slots, 'slot')} busy, {waiting}"
    if pool.oldest_queued_s and pool.oldest_queued_s > LONG_WAIT_S and pool.busy < pool.slots:
        fix = "`faultline runs why RUN` says what a run waits for; if nothing, read the dispatcher's log."
        return PLATFORM.warn(name, f"{words} for {duration(pool.oldest_queued_s)} though slots are free", fix)
    return PLATFORM.ok(name, words)


def _workers(seen: DiagnosticsView) -> Iterator[Check]:
    for worker in seen.workers:
        if not worker.alive:
            words = f"{worker.name} has said nothing for {duration(worker.heartbeat_age_s)}"
            fix = "Restart it; its runs go on elsewhere. A worker that is gone for good disappears by itself."
            yield PLATFORM.warn("worker", words, fix)


def _ms(seconds: float | None) -> str:
    return "–" if seconds is None else f"{1000 * seconds:.0f} ms"
