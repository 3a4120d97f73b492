"""Entry of the API: `python -m services.api.main`."""

import gc
import socket
import sys

import uvicorn

from services.api.app import build
from services.api.hub import EventHub
from shared.db.revision import check_revision
from shared.db.session import make_engine
from shared.errors import FaultlineError
from shared.observability.logs import setup_logging
from shared.observability.tracing import start_tracing
from shared.settings import load_settings


class _Server(uvicorn.Server):
    """Ends open streams when it is told to end, so that their readers go elsewhere at once."""

    def __init__(self, config: uvicorn.Config, hub: EventHub) -> None:
        super().__init__(config)
        self._hub = hub

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn: it waits here for what is still open."""
        self._hub.end_streams()
        await super().shutdown(sockets)


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
    gc.freeze()  # what is loaded by now stays: no collection has to look at it, while requests wait
    handed_down = [socket.socket(fileno=settings.api_fd)] if settings.api_fd is not None else None
    _Server(config, app.state.parts.hub).run(sockets=handed_down)


if __name__ == "__main__":
    main()
