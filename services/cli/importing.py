"""A folder of records into an import: which files, which labels, the uploads.

Used by `datasets import` and by the demo.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from uuid import UUID

from services.cli.arguments import WrongArguments
from services.cli.sdk import ApiNotFound, Client, NotReachable
from shared.contracts.label_rule import compile_label_rule
from shared.contracts.states import TERMINAL, RunState
from shared.errors import Conflict

SUFFIXES = (".mat", ".csv")
LONGEST_NAME = 200  #: of a file, as the API has it
#: Several at once hide the latency of small files; more would only share one disk and one line.
UPLOADS_AT_ONCE = 4
GOES_ON = "large files go on where they were"


@dataclass(frozen=True)
class Found:
    """The files of a folder: those to send, and those that are no records."""

    files: list[Path]
    skipped: list[str]

    @property
    def size(self) -> int:
        """Bytes to send."""
        return sum(path.stat().st_size for path in self.files)


def scan(folder: Path, *, recursive: bool = False) -> Found:
    """Look for records. Raises `WrongArguments` where there are none."""
    if not folder.is_dir():
        raise WrongArguments(f"{str(folder)!r} is not a folder.", remedy="Name the folder that holds the records.")
    try:
        inside = sorted(path for path in (folder.rglob("*") if recursive else folder.iterdir()) if path.is_file())
    except OSError as error:
        raise WrongArguments(
            f"{str(folder)!r} cannot be read ({error.strerror}).", remedy="Check its permissions."
        ) from error
    files = [path for path in inside if path.suffix.lower() in SUFFIXES]
    skipped = [path.name for path in inside if path.suffix.lower() not in SUFFIXES]
    if not files:
        raise WrongArguments(
            f"{str(folder)!r} holds no {' or '.join(SUFFIXES)} file.",
            remedy="Name the folder that holds the records; `--recursive` looks into folders below it.",
        )
    odd = [path.name for path in files if not path.name.isprintable() or len(path.name) > LONGEST_NAME]
    if odd:
        raise WrongArguments(
            f"{odd[0]!r} cannot be the name of a record.",
            remedy=f"Rename it: at most {LONGEST_NAME} characters, no control characters.",
        )
    twice = {path.name for path in files if [other.name for other in files].count(path.name) > 1}
    if twice:
        raise WrongArguments(
            f"Two files are named {min(twice)!r}; a record is known by its file name.",
            remedy="Rename one of them, or import the folders one by one.",
        )
    return Found(files, skipped)


def check_free(client: Client, name: str) -> None:
    """Raises `Conflict` where a dataset has the name: said before gigabytes are sent, not after."""
    try:
        taken = client.dataset(name)
    except ApiNotFound:
        return
    if taken.state not in TERMINAL or taken.state is RunState.SUCCEEDED:
        raise Conflict(
            f"There is a dataset named {name!r} already ({taken.state.value}).",
            remedy="Choose another with --name, or delete it: `faultline datasets delete`.",
        )


def match(files: Sequence[Path], rule: str) -> tuple[list[Path], list[Path]]:
    """Files whose name fits a label rule, and the others. Raises `WrongArguments` for a rule that can never work."""
    if "(?P<fault>" not in rule:
        raise WrongArguments(
            "--rule has no group named `fault`.",
            remedy=r"Name the part of the file name that tells the fault, e.g. (?P<fault>[a-z]+)_\d+.",
        )
    try:
        pattern = compile_label_rule(rule, [])
    except ValueError as error:
        raise WrongArguments(f"{error}.", remedy="Correct --rule.") from error
    fits = [path for path in files if pattern.search(path.name)]
    return fits, [path for path in files if path not in set(fits)]


def upload(client: Client, files: Sequence[Path], report: Callable[[Path, int], None] | None = None) -> list[UUID]:
    """Send files, a few at once; their ids in the order of `files`. `report` is told the bytes sent of each file."""
    over = Event()

    def send(path: Path) -> UUID:
        def told(sent: int) -> None:
            if over.is_set():
                raise _StoppedError
            if report is not None:
                report(path, sent)

        try:
            return client.upload(path, told).id
        except NotReachable as error:
            raise NotReachable(error.message, remedy=f"Once it answers, import again: {GOES_ON}.") from error
        except OSError as error:
            raise WrongArguments(
                f"{path.name} cannot be read ({error.strerror}).", remedy="Check its permissions, then import again."
            ) from error

    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        futures = [pool.submit(send, path) for path in files]
        try:
            for sent in as_completed(futures):
                sent.result()  # the first that fails ends all, whichever it is
            return [future.result() for future in futures]
        finally:
            over.set()
            pool.shutdown(wait=False, cancel_futures=True)


class _StoppedError(Exception):
    """Another file has failed, or nobody wants them any more."""
