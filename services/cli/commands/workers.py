"""`faultline workers`."""

from services.cli.session import Session, with_session
from services.cli.ui.tables import workers_table


def _workers(session: Session) -> None:
    """Show workers, their pools and load."""
    found = session.client.workers()
    session.show(found, workers_table(found))


workers = with_session(_workers)
