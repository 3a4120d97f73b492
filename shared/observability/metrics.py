"""Every metric of the system, declared once. Dashboards and alerts may use these names and no others.

Workers prefork, so they run with `PROMETHEUS_MULTIPROC_DIR`: the folder where their processes' counts meet.
"""

import os
from pathlib import Path
from wsgiref.simple_server import WSGIServer

from prometheus_client import REGISTRY as _PROCESS_REGISTRY
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
    start_http_server,
)


def _multiprocess_dir() -> Path | None:
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return Path(folder) if folder else None


#: The client library opens its files as soon as a metric is declared, so the folder is needed first.
if _multiprocess_dir() is not None:
    Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).mkdir(parents=True, exist_ok=True)

_LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)
_DELIVERY_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 60, 600, 3600)
_DURATION_S = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)

CLAIMS = Counter("faultline_claims", "Attempts that took their run.", ["kind"])
DUPLICATES = Counter("faultline_duplicate_deliveries", "Messages whose run was not theirs to take.", ["kind"])
FINISHED = Counter("faultline_attempts_ended", "Attempts that ended, by what became of the run.", ["kind", "state"])
RUN_SECONDS = Histogram("faultline_attempt_seconds", "Length of an attempt.", ["kind"], buckets=_DURATION_S)
STAGE_SECONDS = Histogram("faultline_stage_seconds", "Length of a stage.", ["kind", "stage"], buckets=_DURATION_S)
START_SECONDS = Histogram("faultline_start_seconds", "Queued until claimed.", ["pool"], buckets=_LATENCY_S)
DISPATCHED = Counter("faultline_dispatched", "Messages sent for runs.", ["pool"])
REAPED = Counter("faultline_reaped", "Runs taken back, by reason.", ["reason"])
OUTBOX_SENT = Counter("faultline_outbox_sent", "Steps sent.", ["step"])
STEPS_FAILED = Counter("faultline_steps_failed", "Steps given back to the outbox, or given up.", ["step", "outcome"])
FREED = Counter("faultline_freed", "Rows and files that were removed because their time was over.", ["what"])
FREED_BYTES = Counter("faultline_freed_bytes", "Bytes of files that were removed.", ["what"])
MIRROR_FAILURES = Counter("faultline_mirror_failures", "Progress or results that Celery's backend did not take.")
NOTICES = Counter("faultline_notices", "Notices for a subscription or an inbox, by kind.", ["kind"])
NOTICES_NOT_UNDERSTOOD = Counter("faultline_notices_not_understood", "Events that could not be made a notice.")
NOTICE_SECONDS = Histogram(
    "faultline_notice_seconds", "From an event to the end of the first attempt to deliver it.", buckets=_DELIVERY_S
)
DELIVERIES = Counter("faultline_deliveries", "Attempts to deliver a notice.", ["service", "outcome"])
DELIVERY_SECONDS = Histogram("faultline_delivery_seconds", "One attempt to deliver.", ["service"], buckets=_DELIVERY_S)
DELIVERIES_WAITING = Gauge("faultline_deliveries_waiting", "Deliveries on their way, by state.", ["state"])
OLDEST_DELIVERY_SECONDS = Gauge("faultline_oldest_delivery_seconds", "For how long the oldest one has been due.")
CHANNELS_DISABLED = Counter("faultline_channels_disabled", "Channels switched off after failing for long.", ["service"])
REQUEST_SECONDS = Histogram(
    "faultline_request_seconds", "API requests.", ["method", "route", "status"], buckets=_LATENCY_S
)
WATCHERS = Gauge("faultline_watchers", "Open event streams.", multiprocess_mode="livesum")
HUB_SECONDS = Histogram("faultline_hub_tick_seconds", "One round of reading for all watchers.", buckets=_LATENCY_S)
STREAM_LAG_SECONDS = Gauge(
    "faultline_stream_lag_seconds",
    "How long the oldest committed event waits behind an open transaction.",
    multiprocess_mode="max",
)
THREAD_FAILURES = Counter("faultline_thread_failures", "Unforeseen failures that a thread outlived.", ["thread"])
RUNS = Gauge("faultline_runs", "Runs that are not finished.", ["pool", "state"], multiprocess_mode="mostrecent")
OLDEST_QUEUED_SECONDS = Gauge(
    "faultline_oldest_queued_seconds", "Age of the oldest queued run.", ["pool"], multiprocess_mode="mostrecent"
)
PASS_AGE_SECONDS = Gauge(
    "faultline_pass_age_seconds",
    "Since a pass of the reconciler last went through, or was left to the leader.",
    ["name"],
)
LEADER = Gauge("faultline_leader", "1 where this reconciler does what must happen once.")
LIVE_SLOTS = Gauge("faultline_live_slots", "Slots of live workers.", ["pool"], multiprocess_mode="mostrecent")


def start_metrics_folder() -> None:
    """Once per worker, before its first fork: counts of an earlier life go."""
    if folder := _multiprocess_dir():
        for path in folder.glob("*.db"):
            if not path.stem.endswith(f"_{os.getpid()}"):
                path.unlink()


def registry() -> CollectorRegistry:
    """What `/metrics` shows: this process, or all processes of this worker."""
    if _multiprocess_dir() is None:
        return _PROCESS_REGISTRY
    merged = CollectorRegistry()
    multiprocess.MultiProcessCollector(merged)  # type: ignore[no-untyped-call]
    return merged


def render() -> bytes:
    """The exposition text."""
    return generate_latest(registry())


def serve_metrics(port: int | None, address: str = "0.0.0.0") -> WSGIServer | None:  # noqa: S104 - scraped from outside
    """Serve `/metrics` in a thread of its own; None does nothing."""
    if port is None:
        return None
    server, _thread = start_http_server(port, addr=address, registry=registry())
    return server


def forget_process(pid: int) -> None:
    """A child is gone: its live gauges go with it."""
    if _multiprocess_dir() is not None:
        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
