"""Waits for the database: `database` until it answers, `schema` until it has what this release needs."""

import sys
import time

from sqlalchemy.exc import SQLAlchemyError

from shared.db.revision import check_revision, current_revision
from shared.db.session import make_engine
from shared.errors import FaultlineError
from shared.settings import load_settings


def main(what: str, patience_s: float) -> int:
    """Say what is waited for whenever that changes; 1 if it did not come."""
    try:
        engine = make_engine(load_settings().database_url, pooled=False)
    except FaultlineError as error:
        print(error.message, error.remedy, flush=True)
        return 1
    look = check_revision if what == "schema" else current_revision
    until_s, told = time.monotonic() + patience_s, ""
    while True:
        try:
            look(engine)
        except (FaultlineError, SQLAlchemyError) as error:
            words = error.message if isinstance(error, FaultlineError) else "The database does not answer yet."
        else:
            print("The database is ready.", flush=True)
            return 0
        if words != told:
            print(f"Waiting for up to {patience_s:.0f} s: {words}", flush=True)
            told = words
        if time.monotonic() >= until_s:
            print(f"Given up after {patience_s:.0f} s: {words} See the log of the setup job.", flush=True)
            return 1
        time.sleep(1.0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
