"""Projects, principals, members and keys as tables."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.text import Text

from services.cli.ui.listing import Listing
from services.cli.ui.result import facts
from services.cli.ui.text import ago, ahead, safe
from shared.contracts.access import KeyView, MemberView, NewKeyView, PrincipalView, ProjectView


def projects_table(found: Sequence[ProjectView]) -> RenderableType:
    """Projects, with the caller's role and the limits."""
    columns = ("project", "role", "share", "running", "queued", "GPU h/day", "made")
    table = Listing(*columns, right=columns[2:6], least=("made", "GPU h/day", "queued", "running", "share"))
    for project in found:
        table.add_row(
            Text(safe(project.name), style="name"),
            project.role.value if project.role else Text("–", style="quiet"),
            f"{project.share:g}",
            *(_limit(value) for value in (project.max_running, project.max_queued, project.gpu_hours_per_day)),
            Text(ago(project.created_at), style="quiet"),
        )
    return table if found else Text("There is no project that you may see.", style="quiet")


def project_view(project: ProjectView) -> RenderableType:
    """One project."""
    return facts(
        ("project", Text(safe(project.name), style="name")),
        ("id", str(project.id)),
        ("your role", project.role.value if project.role else "none"),
        ("share", f"{project.share:g} of a pool, beside other projects that wait for it"),
        ("running", f"at most {project.max_running}" if project.max_running is not None else "no limit"),
        ("queued", f"at most {project.max_queued}" if project.max_queued is not None else "no limit"),
        ("GPU hours", f"{project.gpu_hours_per_day:g} a day" if project.gpu_hours_per_day is not None else "no limit"),
        ("made", ago(project.created_at)),
    )


def principals_table(found: Sequence[PrincipalView]) -> RenderableType:
    """Users and services."""
    table = Listing("principal", "kind", "operator", "state", "made", least=("made", "kind"))
    for principal in found:
        table.add_row(
            Text(safe(principal.name), style="name"),
            safe(principal.kind),
            "yes" if principal.operator else "",
            Text("disabled", "bad") if principal.disabled_at else Text("active", "good"),
            Text(ago(principal.created_at), style="quiet"),
        )
    return table if found else Text("There are no principals.", style="quiet")


def members_table(found: Sequence[MemberView]) -> RenderableType:
    """Members of the project."""
    table = Listing("member", "kind", "role", "state", "since", least=("since", "kind"))
    for member in found:
        table.add_row(
            Text(safe(member.principal), style="name"),
            safe(member.kind),
            member.role.value,
            Text("disabled", "bad") if member.disabled else Text("active", "good"),
            Text(ago(member.created_at), style="quiet"),
        )
    return table if found else Text("The project has no such members.", style="quiet")


def keys_table(found: Sequence[KeyView], now: datetime | None = None) -> RenderableType:
    """Keys: what they are called, whose they are, how they stand."""
    columns = ("key", "begins", "holder", "may", "state", "last used", "expires", "id")
    table = Listing(*columns, least=("id", "last used", "expires", "may", "holder"))
    for key in found:
        table.add_row(
            Text(safe(key.name), style="name"),
            Text(f"{safe(key.prefix)}…", style="key"),
            safe(key.principal),
            ", ".join(key.scopes) if key.scopes else "all of the role",
            key_state(key, now or datetime.now(UTC)),
            Text(ago(key.last_used_at) if key.last_used_at else "never", style="quiet"),
            Text(ahead(key.expires_at) if key.expires_at else "never", style="quiet"),
            Text(str(key.id)[-8:], style="quiet"),
        )
    return table if found else Text("There are no keys: `faultline keys create NAME`.", style="quiet")


def key_state(key: KeyView, now: datetime) -> Text:
    """Whether a key still works."""
    if key.revoked_at is not None:
        return Text("revoked", "bad")
    if key.expires_at is not None and key.expires_at <= now:
        return Text("expired", "bad")
    return Text("active", "good")


def new_key(key: NewKeyView) -> RenderableType:
    """A key, this once."""
    return Group(
        facts(
            ("key", Text(safe(key.key), style="key")),
            ("name", Text(safe(key.name), style="name")),
            ("holder", safe(key.principal)),
            ("may", ", ".join(key.scopes) if key.scopes else "all of the role"),
            ("expires", ahead(key.expires_at) if key.expires_at else "never"),
        ),
        Text("\nIt is shown this once and kept nowhere. `faultline login --key KEY` remembers it here.", style="wait"),
    )


def _limit(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"
