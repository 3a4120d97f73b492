"""Routes about the platform: who I am, how it is."""

from services.cli.sdk.transport import Transport, parse
from shared.contracts.diagnostics import DiagnosticsView
from shared.contracts.stream import VersionView
from shared.contracts.views import MeView


class SystemCalls:
    """Ask about the platform."""

    http: Transport

    def me(self) -> MeView:
        """Who the key belongs to."""
        return parse(MeView, self.http.get("/v1/me"))

    def version(self) -> VersionView:
        """What the server runs: its release, the version of its API, the revision of its database."""
        return parse(VersionView, self.http.get("/v1/version"))

    def diagnostics(self) -> DiagnosticsView:
        """The health of everything that the platform consists of, as facts; an operator's key is needed."""
        return parse(DiagnosticsView, self.http.get("/v1/diagnostics"))
