"""The route about who asked for what."""

from datetime import datetime

from services.cli.sdk.pages import pages
from services.cli.sdk.transport import Query, Transport
from shared.contracts.access import AuditView
from shared.contracts.views import Page


class AuditCalls:
    """Read the audit log of the project."""

    http: Transport

    def audit(
        self,
        *,
        action: str | None = None,
        principal: str | None = None,
        since: datetime | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[AuditView]:
        """Who asked for what, newest first: all that is given must hold. For admins.

        client.audit(action="key.", principal="ada", since=yesterday)  # `key.`: every action on keys

        `before`: only entries older than the one of this id, to go on behind a list that `limit` has cut.
        """
        query: Query = {"action": action, "principal": principal, "since": since.isoformat() if since else None}
        begin = None if before is None else str(before)
        return pages(self.http, "/v1/audit", Page[AuditView], limit, query, begin)
