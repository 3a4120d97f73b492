"""What only the server can know about its own health: facts, not verdicts. `GET /v1/diagnostics` answers with it."""

from datetime import datetime

from pydantic import Field

from shared.contracts.base import View


class Reached(View):
    """Whether a dependency answered."""

    error: str | None = None  #: None: it did
    seconds: float | None = None  #: how long that took


class DatabaseHealth(Reached):
    """The database."""

    revision: str | None = None
    required_revision: str
    #: the database's clock less this process's, in seconds; exact to half of `seconds`
    clock_ahead_s: float | None = None
    connections: int | None = None
    max_connections: int | None = None


class BrokerHealth(Reached):
    """The broker."""

    queues: dict[str, int] = Field(default_factory=dict)  #: messages that wait
    visibility_timeout_s: float  #: after so long an unacknowledged message is given to another worker
    longest_step_s: float  #: only steps are acknowledged late


class StoreHealth(Reached):
    """The artifact store: one small file was written, read and deleted."""

    scheme: str
    free_bytes: int | None = None  #: None: it does not say


class WorkerHealth(View):
    """One registered worker."""

    name: str
    pools: list[str]
    slots: int
    busy: int
    alive: bool
    draining: bool
    version: str
    heartbeat_age_s: float
    clock_ahead_s: float | None = None  #: its clock less the database's; None: not told


class PoolHealth(View):
    """One pool of the settings."""

    name: str
    workers: int  #: alive and not draining
    slots: int
    busy: int
    queued: int
    oldest_queued_s: float | None = None
    paused: bool = False


class LoopHealth(View):
    """A process that works in the background: the dispatcher, the reconciler."""

    name: str
    connections: int  #: to the database; none: it does not run, or not with this database
    idle_s: float | None = None  #: since the newest sign of life of any of them


class DiagnosticsView(View):
    """Everything that the server knows about its health."""

    version: str
    now: datetime  #: this process's clock
    eager: bool  #: runs end inside their request: no broker, no workers are needed
    lease_s: float
    heartbeat_s: float
    database: DatabaseHealth
    broker: BrokerHealth
    store: StoreHealth
    workers: list[WorkerHealth] = Field(default_factory=list)
    pools: list[PoolHealth] = Field(default_factory=list)
    loops: list[LoopHealth] = Field(default_factory=list)
    expired_leases: int = 0  #: runs whose worker is lost and that nobody has taken back for ten seconds
