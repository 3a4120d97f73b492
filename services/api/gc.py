"""Entry of the garbage collector: `python -m services.api.gc --dry-run|--apply`; the reconciler calls it as well."""

import argparse
import sys
import threading

import orjson
from sqlalchemy.exc import SQLAlchemyError

from shared.artifacts import ArtifactStore
from shared.db.revision import check_revision
from shared.db.session import make_engine
from shared.errors import FaultlineError
from shared.observability.logs import setup_logging
from shared.queue.threads import keep_going
from shared.runs.collector import collect
from shared.runs.freed import Freed, Report
from shared.settings import Settings, load_settings

#: A process that is restarted again and again must come to collect as well.
_FIRST_S = 60.0


def start_collecting(settings: Settings, over: threading.Event) -> threading.Thread:
    """Collect every `gc_interval_s` in a thread of its own: a large store takes long, a lost lease must not wait."""
    engine = make_engine(settings.database_url, pool_size=1)
    store = ArtifactStore(settings.artifact_store_url, settings.s3)
    wait_s = min(_FIRST_S, settings.gc_interval_s)

    def once() -> None:
        nonlocal wait_s
        if not over.wait(wait_s):
            wait_s = settings.gc_interval_s
            collect(engine, store, settings, dry_run=False, over=over.is_set)

    thread = threading.Thread(target=keep_going, args=("collector", over, once), name="collector", daemon=True)
    thread.start()
    return thread


def table(report: Report) -> str:
    """The report for a person."""
    head = ("what", "count", "bytes", "oldest")
    total = Freed()
    for freed in report.classes.values():
        total.add(freed.count, freed.size_bytes, freed.oldest)
    rows = [head] + [_row(name, freed) for name, freed in [*report.classes.items(), ("all", total)]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:<{widths[3]}}".rstrip()
        for row in rows
    ]
    end = "Nothing was removed; --apply removes it." if report.dry_run else "Removed."
    return "\n".join([*lines, "", end])


def document(report: Report) -> str:
    """The report for a program."""
    return orjson.dumps(report).decode()


def _row(name: str, freed: Freed) -> tuple[str, str, str, str]:
    oldest = freed.oldest.strftime("%Y-%m-%d %H:%M") if freed.oldest else "-"
    return name, f"{freed.count:,}", f"{freed.size_bytes:,}", oldest


def main() -> None:
    """Show what is over, or remove it."""
    parser = argparse.ArgumentParser(prog="python -m services.api.gc", description=__doc__)
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--dry-run", action="store_true", help="only show what would be removed")
    how.add_argument("--apply", action="store_true", help="remove it")
    parser.add_argument("--json", action="store_true", help="the report as one line of JSON")
    given = parser.parse_args()
    try:
        settings = load_settings()
        setup_logging("gc", settings.log_level)
        engine = make_engine(settings.database_url, pool_size=1)
        check_revision(engine)
        store = ArtifactStore(settings.artifact_store_url, settings.s3)
        report = collect(engine, store, settings, dry_run=given.dry_run)
    except FaultlineError as error:
        sys.exit(f"{error.message} {error.remedy}")
    except SQLAlchemyError as error:
        sys.exit(f"The database does not answer: {str(error).splitlines()[0]}. Bring it back, then try again.")
    if report is None:
        sys.exit("Another collector is at work; nothing was done. Try again when it has ended.")
    sys.stdout.write((document(report) if given.json else table(report)) + "\n")


if __name__ == "__main__":
    main()
