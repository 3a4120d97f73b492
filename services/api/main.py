"""Entry of the API: `python -m services.api.main`."""

import socket
import sys

import uvicorn

from services.api.app import build
from shared.db.migrate import check_revision
from shared.db.session import make_engine
from shared.errors import FaultlineError
from shared.observability.logs import setup_logging
from shared.observability.tracing import start_tracing
from shared.settings import load_settings


def main() -> None:
    """Serve until told to end."""
    try:
        settings = load_settings()
        setup_logging("api", settings.log_level)
        start_tracing("api")
        check_revision(make_engine(settings.database_url, pooled=False))
        app = build(settings)
    except FaultlineError as error:
        sys.exit(f"{error.message} {error.remedy}")
    config = uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(settings.graceful_shutdown_s),
    )
    handed_down = [socket.socket(fileno=settings.api_fd)] if settings.api_fd is not None else None
    uvicorn.Server(config).run(sockets=handed_down)


if __name__ == "__main__":
    main()
