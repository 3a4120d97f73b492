"""`Client`: the API as typed methods, joined from one class per topic. Used by the commands; a script may as well.

with Client("http://127.0.0.1:8000", key) as client:
    run = client.train(TrainingSpec(...))
    print(client.wait(run.id).state)
"""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import httpx

from services.cli.sdk.access import KeyCalls, ProjectCalls
from services.cli.sdk.audit import AuditCalls
from services.cli.sdk.batches import BatchCalls
from services.cli.sdk.campaigns import CampaignCalls
from services.cli.sdk.data import DataCalls, ModelCalls
from services.cli.sdk.downloads import DownloadCalls
from services.cli.sdk.inbox import DeliveryCalls, InboxCalls
from services.cli.sdk.lifecycle import LifecycleCalls
from services.cli.sdk.notifying import ChannelCalls, SubscriptionCalls
from services.cli.sdk.patience import RETRIES
from services.cli.sdk.pools import PoolCalls
from services.cli.sdk.runs import RunCalls
from services.cli.sdk.schedules import ScheduleCalls
from services.cli.sdk.system import SystemCalls
from services.cli.sdk.transport import TIMEOUT_S, Transport
from services.cli.sdk.uploads import UploadCalls
from services.cli.sdk.watching import NewsCalls


class Client(
    RunCalls,
    LifecycleCalls,
    BatchCalls,
    ScheduleCalls,
    CampaignCalls,
    NewsCalls,
    ChannelCalls,
    SubscriptionCalls,
    DeliveryCalls,
    InboxCalls,
    UploadCalls,
    DataCalls,
    ModelCalls,
    DownloadCalls,
    ProjectCalls,
    KeyCalls,
    AuditCalls,
    PoolCalls,
    SystemCalls,
):
    """One user of one API. Methods may be called from several threads.

    Every method raises `ApiError` where the API refuses, and `NotReachable` where it does not answer after
    `retries` more tries; what is repeated is carried out once.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        timeout_s: float = TIMEOUT_S,
        retries: int = RETRIES,
    ) -> None:
        self.http = Transport(url, api_key, transport=transport, sleep=sleep, timeout_s=timeout_s, retries=retries)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.http.close()

    @property
    def url(self) -> str:
        """Where the API is."""
        return self.http.url
