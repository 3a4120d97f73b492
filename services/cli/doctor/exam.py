"""The whole examination: the machine, the local stack, then the platform behind the API if it answers."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.cli.credentials import Credentials, resolve
from services.cli.doctor.check import PLATFORM, Check
from services.cli.doctor.machine import Probes, machine_checks
from services.cli.doctor.platform import platform_checks
from services.cli.doctor.stack import stack_checks
from services.cli.sdk import ApiError, ApiFailed, ApiForbidden, ApiNotFound, ApiUnauthorized, Client, NotReachable
from services.cli.stack.state import StateFolder
from shared.contracts.views import MeView
from shared.errors import UserError

#: A key that ends so soon is to be replaced now.
SOON = timedelta(days=7)
Connect = Callable[[Credentials], Client]


@dataclass(frozen=True)
class Exam:
    """One examination."""

    url: str | None
    key: str | None
    folder: StateFolder
    probes: Probes
    connect: Connect
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def checks(self) -> Iterator[Check]:
        """Each as soon as it is known."""
        yield from machine_checks(self.probes, self.folder.path)
        local = self.folder.credentials().get("url", "")
        try:
            credentials = resolve(self.url, self.key, self.probes.environment)
        except UserError as error:
            yield from stack_checks(self.folder, remote=False)
            yield PLATFORM.fail("api", error.message, error.remedy)
            return
        remote = credentials.url.rstrip("/") != local.rstrip("/")
        yield from stack_checks(self.folder, remote=remote)
        yield from self._api(credentials)

    def _api(self, credentials: Credentials) -> Iterator[Check]:
        try:
            with self.connect(credentials) as client:
                me = client.me()
                yield PLATFORM.ok("api", f"answers at {client.url} to {me.principal}, project {me.project}")
                yield from self._key(me)
                yield from self._platform(client)
        except NotReachable as error:
            yield PLATFORM.fail("api", error.message, error.remedy)
        except ApiUnauthorized as error:
            fix = f"The key is from {credentials.source}. Log in again: `faultline login --url {credentials.url}`."
            yield PLATFORM.fail("api", error.message, fix)
        except ApiFailed as error:
            fix = f"Its database may be away: look at the API's log{_id(error)}. {error.remedy}"
            yield PLATFORM.fail("api", f"answers at {credentials.url} that {error.message}", fix)
        except (ApiError, UserError) as error:
            yield PLATFORM.fail("api", error.message, error.remedy)

    def _key(self, me: MeView) -> Iterator[Check]:
        if me.key_expires_at is None:
            return
        left = me.key_expires_at - self.now()
        words = f"{me.key_prefix}… expires on {me.key_expires_at:%Y-%m-%d %H:%M} UTC"
        if left < SOON:
            fix = "Make a new one while this one still works: `faultline keys create NAME`, then `faultline login`."
            yield PLATFORM.warn("key", words, fix)
        else:
            yield PLATFORM.ok("key", words)

    def _platform(self, client: Client) -> Iterator[Check]:
        began, asked = time.perf_counter(), self.now()
        try:
            seen = client.diagnostics()
        except (ApiForbidden, ApiNotFound) as error:
            fix = "Use the key of an operator to see database, broker, store and workers."
            yield PLATFORM.warn("server", error.message, fix)
            return
        seconds = time.perf_counter() - began
        yield from platform_checks(seen, asked + timedelta(seconds=seconds / 2), seconds)


def _id(error: ApiError) -> str:
    return f" for {error.error_id}" if error.error_id else ""
