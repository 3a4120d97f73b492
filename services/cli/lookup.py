"""From what a user types to an id."""

from uuid import UUID

from services.cli.sdk import Client
from shared.contracts.views import RunView
from shared.errors import NotFound

_LOOKED_THROUGH = 500
_SHORTEST = 4


def find_run(client: Client, word: str) -> RunView:
    """A run by its id, the beginning or end of it, or `last`. Raises `NotFound`."""
    try:
        return client.run(UUID(word))
    except ValueError:
        pass
    if word == "last":
        newest = client.runs(limit=1)
        if newest:
            return newest[0]
        raise NotFound("There is no run yet.", remedy="`faultline train` or `faultline datasets generate` makes one.")
    part = word.lower().strip("…")
    if len(part) < _SHORTEST:
        raise NotFound(f"{word!r} is too short to name a run.", remedy="Give at least four signs of its id.")
    found = [run for run in client.runs(limit=_LOOKED_THROUGH) if _names(part, str(run.id))]
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFound(f"{word!r} names {len(found)} runs.", remedy="Give more signs of the id.")
    raise NotFound(f"No run has an id that begins or ends with {word!r}.", remedy="`faultline runs list` shows them.")


def _names(part: str, run_id: str) -> bool:
    return run_id.startswith(part) or run_id.endswith(part)


def dataset_id(client: Client, word: str) -> str:
    """The id of a dataset by its id or name. Raises `NotFound`."""
    try:
        return str(UUID(word))
    except ValueError:
        return str(client.dataset(word).id)
