"""Typed settings from the environment, read once per process by its `main()` and handed down as an argument.

Everything has the prefix `FAULTLINE_`, but for the three names that Celery users expect.
"""

import os
import socket
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import UserError

SecretKey = Annotated[SecretStr, Field(min_length=32)]


class Pool(BaseModel):
    """A group of worker slots that share a queue."""

    #: also the name of its queue
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")
    #: messages sent ahead of a free slot; 0 keeps order and priority exact, more hides the dispatcher's latency.
    lead: int = Field(1, ge=0, le=1000)
    #: what a slot of it is; hours of a `gpu` slot count towards a project's `gpu_hours_per_day`
    resource_class: Literal["cpu", "gpu"] = "cpu"
    price_per_hour: float = Field(0.0, ge=0)  #: of one slot, in the currency of the budgets of campaigns


class S3(BaseModel):
    """How an S3 store is reached; what is not set here is read from the usual `AWS_*` variables."""

    model_config = ConfigDict(frozen=True)

    endpoint: str | None = None
    public_endpoint: str | None = None  #: for links handed to clients, where they know the store by another address
    region: str | None = None
    path_style: bool = True  #: bucket in the path (MinIO, SeaweedFS, Ceph), not in the host name
    allow_http: bool = False  #: without TLS keys and files can be read on the way
    access_key_id: str | None = None
    secret_access_key: SecretStr | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "S3":
        for name, url in (("s3_endpoint", self.endpoint), ("s3_public_endpoint", self.public_endpoint)):
            if url is None:
                continue
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
                raise ValueError(f"{name} must be https://host, without credentials")
            if parts.scheme == "http" and not self.allow_http:
                raise ValueError(f"{name} is not encrypted; set FAULTLINE_S3_ALLOW_HTTP=true if that is meant")
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("s3_access_key_id and s3_secret_access_key belong together")
        return self

    def plain(self) -> dict[str, Any]:
        """With the secret readable, for a process of our own; never for a log."""
        secret = self.secret_access_key.get_secret_value() if self.secret_access_key else None
        return self.model_dump() | {"secret_access_key": secret}


class Rate(BaseModel):
    """So many per second for long, and so many at once."""

    per_s: float = Field(gt=0)
    burst: int = Field(ge=1)


#: What services allow, or bear.
_PER_MINUTE = {
    "webhook": 6000.0,
    "email": 100.0,
    "slack": 60.0,
    "msteams": 120.0,
    "discord": 30.0,
    "tgram": 60.0,
    "pagerduty": 120.0,
    "default": 60.0,
}
_POOLS = [Pool(name="generation"), Pool(name="training-cpu", lead=0), Pool(name="analysis"), Pool(name="hpo")]


class Settings(BaseSettings):
    """Settings shared by all processes of the platform."""

    model_config = SettingsConfigDict(env_prefix="FAULTLINE_", secrets_dir=None, frozen=True, populate_by_name=True)

    # -- what it connects to
    database_url: str
    database_direct_url: str = ""  #: for LISTEN and advisory locks, where a pooler stands in between
    database_pool_size: int = Field(10, ge=1, le=500)
    broker_url: str = Field(validation_alias="CELERY_BROKER_URL")
    result_backend: str | None = Field(None, validation_alias="CELERY_RESULT_BACKEND")
    always_eager: bool = Field(False, validation_alias="CELERY_ALWAYS_EAGER")
    artifact_store_url: str
    s3_endpoint: str | None = None
    s3_public_endpoint: str | None = None
    s3_region: str | None = None
    s3_path_style: bool = True
    s3_allow_http: bool = False
    s3_access_key_id: str | None = None
    s3_secret_access_key: SecretStr | None = None

    # -- the life of a run
    pools: list[Pool] = Field(default_factory=lambda: list(_POOLS), min_length=1)
    heartbeat_s: float = Field(5.0, gt=0, le=300)
    lease_s: float = Field(30.0, gt=0, le=3600)
    cancel_grace_s: float = Field(4.0, gt=0, le=600)  #: between asking a body to stop and killing it
    checkpoint_grace_s: float = Field(25.0, gt=0, le=3600)  #: the same on preemption and pause
    max_crashes: int = Field(3, ge=1, le=100)  #: lost leases before a run is quarantined
    #: waited for what a run needs and is away, with growing pauses, since its last checkpoint: then it fails
    dependency_away_s: float = Field(3600.0, ge=0)
    dispatch_timeout_s: float = Field(15.0, gt=0, le=3600)  #: unclaimed and no longer in the broker: lost
    dispatch_stale_s: float = Field(900.0, gt=0)  #: unclaimed although in the broker: sent again
    dispatch_poll_s: float = Field(1.0, gt=0, le=60)
    reaper_interval_s: float = Field(1.0, gt=0, le=60)
    leader_timeout_s: float = Field(15.0, gt=0, le=300)  #: a leader that stands still is replaced after so long
    worker_kept_s: float = Field(3600.0, gt=0)  #: a worker that died is shown so long
    progress_interval_s: float = Field(
        1.0, gt=0, le=60
    )  #: newest progress to the database; a young run tells more often
    #: kind -> (soft, hard) seconds, where the limits of `contracts.kinds` do not suit
    kind_limits_s: dict[str, tuple[float, float]] = Field(default_factory=dict)
    #: how a supervised body gets its process: fresh, or forked from one that has the imports done (40 ms, not seconds)
    trainer_start: Literal["spawn", "forkserver"] = "forkserver"
    result_limit_bytes: int = Field(262_144, ge=1024)
    result_expires_s: float = Field(86_400.0, gt=0)
    mirror_interval_s: float = Field(2.0, gt=0)  #: progress to Celery's result backend
    step_time_limit_s: float = Field(120.0, gt=0)
    step_max_retries: int = Field(5, ge=0)

    # -- how long things are kept, in days; 0: for ever
    keep_sent_steps_days: float = Field(7.0, ge=0)
    keep_idempotency_keys_days: float = Field(7.0, ge=0)  #: at least one day, so that a late repeat finds its key
    keep_progress_days: float = Field(7.0, ge=0)  #: progress events of ended runs; the last one stays
    keep_logs_days: float = Field(30.0, ge=0)
    keep_spent_files_days: float = Field(1.0, ge=0)  #: of ended runs: checkpoints, files of lost attempts
    keep_uploads_days: float = Field(30.0, ge=0)
    keep_deleted_projects_days: float = Field(30.0, ge=0)
    #: a file without a row is removed when it is older; longer than any upload may take
    gc_grace_s: float = Field(86_400.0, gt=0)
    gc_interval_s: float = Field(3600.0, gt=0)
    step_retry_days: float = Field(3.0, gt=0)  #: a step that fails again and again is given up after so long

    # -- a worker
    #: two workers of one name would share a row; on a cluster it is the pod's name
    worker_name: str = Field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}", min_length=1)
    worker_pools: list[str] = Field(default_factory=list)
    worker_slots: int = Field(1, ge=1, le=256)
    work_dir: Path | None = None  #: scratch space of attempts; default: the system's temp folder

    # -- the api
    api_host: str = "127.0.0.1"
    api_port: int = Field(8000, ge=0, le=65_535)
    api_fd: int | None = None  #: a listening socket handed down by a supervisor
    api_threads: int = Field(16, ge=1, le=500)
    upload_limit_bytes: int = Field(2 << 30, ge=1024)
    upload_session_s: float = Field(86_400.0, gt=0, le=604_800)  #: a file that comes in parts must be there by then
    public_url: str = ""  #: how clients reach the API, for links; default: the address that the request used
    body_limit_bytes: int = Field(4 << 20, ge=1024)
    event_poll_s: float = Field(0.1, gt=0, le=10)
    graceful_shutdown_s: float = Field(5.0, gt=0)
    bootstrap_key: str | None = Field(None, min_length=24)  #: first API key; stored as a hash only
    bootstrap_project: str = "default"
    #: requests; each API process counts for itself, so that replicas multiply them. Behind a proxy set uvicorn's
    #: FORWARDED_ALLOW_IPS too, or all clients share the proxy's address
    key_rate: Rate = Rate(per_s=200, burst=1000)  #: of one key
    anonymous_rate: Rate = Rate(per_s=20, burst=100)  #: of one address, without a key that is known to be good
    failed_rate: Rate = Rate(per_s=0.5, burst=20)  #: of one address, with keys that are not good
    #: sign what the API gives out for a while (tickets); the first signs, all are believed
    secret_keys: list[SecretKey] = Field(default_factory=list)
    #: seal the secrets of channels in the database; the first seals, all open
    seal_keys: list[SecretKey] = Field(default_factory=list)

    # -- notices
    notify_poll_s: float = Field(0.25, gt=0, le=60)  #: events without a bell of their own, and what has become due
    notify_lease_s: float = Field(60.0, gt=0)  #: a delivery that a worker took and never came back from
    notify_connect_s: float = Field(5.0, gt=0, le=60)
    notify_total_s: float = Field(10.0, gt=0, le=60)  #: one attempt, whatever the receiver does
    notify_answer_bytes: int = Field(65_536, ge=1024)  #: read of an answer
    #: pauses before the second, third, ... attempt, each made up to a fifth longer by chance; the last one repeats
    notify_backoff_s: list[float] = Field(
        default_factory=lambda: [5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0], min_length=1
    )
    notify_give_up_s: float = Field(86_400.0, gt=0)  #: after the first attempt
    notify_breaker_failures: int = Field(5, ge=1)  #: in a row: then a channel rests, longer and longer
    notify_breaker_longest_s: float = Field(900.0, gt=0)
    notify_disable_after_s: float = Field(86_400.0, gt=0)  #: nothing got through for so long: switched off
    #: networks that channels may reach although they are not public, e.g. ["10.2.0.0/16"]
    notify_allowed_networks: list[IPv4Network | IPv6Network] = Field(default_factory=list)
    notify_allow_http: bool = False  #: without TLS everybody on the way can read and change notices
    #: at most so many per minute and channel, by service, where the channel says nothing else
    notify_per_minute: dict[str, float] = Field(default_factory=lambda: dict(_PER_MINUTE))
    notify_most_channels: int = Field(500, ge=1)  #: of one project
    notify_most_subscriptions: int = Field(100, ge=1)  #: of one member in one project
    notify_link_expires_s: float = Field(604_800.0, gt=0)
    notify_quota_share: float = Field(0.8, gt=0, le=1)  #: of a quota: then its people are told
    smtp_host: str | None = None
    smtp_port: int = Field(587, ge=1, le=65_535)
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    mail_from: str | None = None
    keep_notices_days: float = Field(90.0, ge=0)

    # -- what is seen of it
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    metrics_port: int | None = Field(None, ge=0, le=65_535)
    eager_task_modules: list[str] = Field(
        default_factory=lambda: [
            "services.generation.tasks",
            "services.training.tasks",
            "services.hpo.tasks",
            "services.notifier.tasks",
        ]
    )

    @field_validator("database_url", "database_direct_url")
    @classmethod
    def _psycopg2(cls, url: str) -> str:
        """SQLAlchemy 2.1 reads a bare `postgresql://` as psycopg 3; this system runs on psycopg2."""
        scheme, _, rest = url.partition("://")
        if url and scheme not in {"postgres", "postgresql", "postgresql+psycopg2"}:
            raise ValueError("must start with postgresql://")
        return f"postgresql+psycopg2://{rest}" if url else url

    @field_validator("broker_url")
    @classmethod
    def _broker(cls, url: str) -> str:
        if url.partition("://")[0] not in {"redis", "rediss", "redis+socket", "sentinel", "memory"}:
            raise ValueError("must start with redis://, rediss://, redis+socket:// or sentinel:// (Valkey too)")
        return url

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if self.lease_s < 3 * self.heartbeat_s:
            raise ValueError("lease_s must be at least three heartbeats (3 x heartbeat_s)")
        if 0 < self.keep_idempotency_keys_days < 1:
            raise ValueError("keep_idempotency_keys_days must be 0 (for ever) or at least 1")
        if (self.smtp_user is None) != (self.smtp_password is None):
            raise ValueError("smtp_user and smtp_password belong together")
        if self.smtp_host and not self.mail_from:
            raise ValueError("mail_from: say from whom mail comes, e.g. faultline@example.org")
        if not all(0.001 <= rate <= 600_000 for rate in self.notify_per_minute.values()):
            raise ValueError("notify_per_minute: each must lie between 0.001 and 600000")
        if self.notify_total_s >= self.notify_lease_s:
            raise ValueError("notify_lease_s must be longer than notify_total_s")
        _ = self.s3  # its own rules hold from the start
        names = [pool.name for pool in self.pools]
        if len(set(names)) != len(names):
            raise ValueError("pools: names must differ")
        for kind, (soft_s, hard_s) in self.kind_limits_s.items():
            if not 0 < soft_s <= hard_s:
                raise ValueError(f"kind_limits_s: {kind} must have 0 < soft <= hard seconds")
        unknown = set(self.worker_pools) - set(names)
        if unknown:
            raise ValueError(f"worker_pools: {', '.join(sorted(unknown))} not among pools ({', '.join(names)})")
        return self

    @property
    def s3(self) -> S3:
        """How the store is reached, if it is S3."""
        return S3(**{name: getattr(self, f"s3_{name}") for name in S3.model_fields})

    @property
    def direct_url(self) -> str:
        """Where LISTEN and advisory locks go."""
        return self.database_direct_url or self.database_url

    @property
    def prepares(self) -> bool:
        """Whether statements may stay prepared in a connection: not where a pooler hands out another each time."""
        return not self.database_direct_url

    def pool(self, name: str) -> Pool:
        """The pool of that name. Raises `UserError`."""
        for pool in self.pools:
            if pool.name == name:
                return pool
        raise UserError(
            f"There is no pool named {name!r}.", remedy=f"Use one of: {', '.join(pool.name for pool in self.pools)}."
        )


def load_settings() -> Settings:
    """Read the environment. Raises `UserError` that names each variable that is missing or wrong."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [f"{_variable(item['loc'])}: {item['msg']}" for item in error.errors()]
        raise UserError(
            "The settings are not usable: " + "; ".join(lines) + ".",
            remedy="Set these environment variables; `faultline up` sets all of them for a local stack.",
        ) from error


def _variable(location: tuple[int | str, ...]) -> str:
    name = str(location[0]) if location else "settings"
    return name if name.startswith("CELERY_") else f"FAULTLINE_{name.upper()}"
