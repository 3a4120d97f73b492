"""Names that the API knows, for shells that complete them. Called by `completing.py`; silent about what goes wrong."""

import threading
from collections.abc import Callable
from zoneinfo import available_timezones

from services.cli.credentials import resolve
from services.cli.sdk import Client
from shared.contracts.kinds import KINDS
from shared.contracts.notices import NOTICES
from shared.errors import FaultlineError

#: Longer than an API beside us needs, too short to be felt while typing.
PATIENCE_S = 0.3
_NEWEST = 100
#: name and a few words about it
Known = tuple[str, str]


def _runs(client: Client) -> list[Known]:
    found = client.runs(limit=_NEWEST)
    named = [(str(run.id)[-8:], f"{run.kind} {run.spec.get('name', '')} {run.state.value}") for run in found]
    return [*named, ("last", "the newest run")]


def _datasets(client: Client) -> list[Known]:
    return [(dataset.name, dataset.state.value) for dataset in client.datasets(_NEWEST)]


def _models(client: Client) -> list[Known]:
    return [(model.name, model.state.value) for model in client.models(_NEWEST)]


def _workers(client: Client) -> list[Known]:
    return [(worker.name, ", ".join(worker.pools)) for worker in client.workers()]


def _pools(client: Client) -> list[Known]:
    return [(pool.name, f"{pool.busy} of {pool.slots} busy") for pool in client.pools()]


def _schedules(client: Client) -> list[Known]:
    return [(one.name, f"{one.kind} at {one.cron}") for one in client.schedules(_NEWEST)]


def _campaigns(client: Client) -> list[Known]:
    return [(one.name, f"{one.spec.kind} {one.state.value}") for one in client.campaigns(_NEWEST)]


def _channels(client: Client) -> list[Known]:
    return [(one.name, f"{one.shown} {one.state}") for one in client.channels(_NEWEST)]


def _subscriptions(client: Client) -> list[Known]:
    return [(str(one.id)[-8:], ", ".join(one.kinds)) for one in client.subscriptions(_NEWEST)]


def _projects(client: Client) -> list[Known]:
    return [(project.name, project.role.value if project.role else "") for project in client.projects(_NEWEST)]


def _principals(client: Client) -> list[Known]:
    return [(member.principal, member.role.value) for member in client.members(limit=_NEWEST)]


def _keys(client: Client) -> list[Known]:
    return [(key.name, f"{key.prefix} of {key.principal}") for key in client.keys(_NEWEST) if not key.revoked_at]


#: metavar of an argument or option -> who knows its values
_LISTERS: dict[str, Callable[[Client], list[Known]]] = {
    "RUN": _runs,
    "DATASET": _datasets,
    "MODEL": _models,
    "WORKER": _workers,
    "POOL": _pools,
    "SCHEDULE": _schedules,
    "CAMPAIGN": _campaigns,
    "CHANNEL": _channels,
    "SUBSCRIPTION": _subscriptions,
    "PROJECT": _projects,
    "PRINCIPAL": _principals,
    "WHICH": _keys,
}


def names(metavar: str, url: str | None, key: str | None) -> list[Known]:
    """What may stand for `metavar`; nothing where the API does not say so within `PATIENCE_S`."""
    if metavar == "KIND":
        return [(name, "") for name in KINDS]
    if metavar == "NOTICE":
        return [(kind.name, kind.about) for kind in NOTICES.values() if kind.subscribable]
    if metavar == "ZONE":
        return [(name, "") for name in sorted(available_timezones())]
    lister = _LISTERS.get(metavar)
    if lister is None:
        return []
    found: list[Known] = []

    def ask() -> None:
        try:
            known = resolve(url, key)
            with Client(known.url, known.api_key, timeout_s=PATIENCE_S, retries=0) as client:
                found.extend(lister(client))
        except (FaultlineError, OSError):
            return

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    return list(found)
