"""Routes about schedules: runs by the clock of a time zone."""

from typing import Any

from services.cli.sdk.pages import pages
from services.cli.sdk.transport import Transport, parse, segment, tag_of
from shared.contracts.schedules import ScheduleChange, ScheduleRequest, ScheduleView
from shared.contracts.views import Page, RunView


class ScheduleCalls:
    """Make, change and end schedules."""

    http: Transport

    def schedules(self, limit: int = 50) -> list[ScheduleView]:
        """The schedules of the project, newest first."""
        return pages(self.http, "/v1/schedules", Page[ScheduleView], limit)

    def schedule(self, ref: str) -> ScheduleView:
        """One schedule by id or name, with its next five times."""
        return self.schedule_and_tag(ref)[0]

    def schedule_and_tag(self, ref: str) -> tuple[ScheduleView, str]:
        """The same, and the tag of how it is now: what is sent with the tag changes nothing that was not seen.

        seen, tag = client.schedule_and_tag("nightly")
        client.change_schedule("nightly", spec={**seen.spec, "seed": 9}, if_match=tag)
        """
        answer = self.http.get(f"/v1/schedules/{segment(ref)}")
        return parse(ScheduleView, answer), tag_of(answer)

    def create_schedule(self, request: ScheduleRequest) -> ScheduleView:
        """Submit a run again and again, on the caller's behalf. Raises `ApiConflict` for a name that is taken.

        client.create_schedule(ScheduleRequest(name="nightly", cron="0 2 * * *", timezone="Europe/Berlin",
                                               kind="dataset.generate", spec={"name": "night-{time}"}))
        """
        answer = self.http.post("/v1/schedules", request.model_dump(mode="json", exclude_unset=True))
        return parse(ScheduleView, answer)

    def change_schedule(self, ref: str, *, if_match: str | None = None, **changes: Any) -> ScheduleView:
        """Change some fields of `ScheduleChange`; the others stay. From now on it submits on the caller's behalf.

        client.change_schedule("nightly", enabled=False)

        Raises `ApiConflict` (412) if it is not any more as `if_match` has it. A change that bears a tag is repeated
        only where the first try cannot have arrived: it would refuse itself.
        """
        body = ScheduleChange(**changes).model_dump(mode="json", include=set(changes))
        return parse(ScheduleView, self.http.patch(f"/v1/schedules/{segment(ref)}", body, if_match=if_match))

    def delete_schedule(self, ref: str, *, if_match: str | None = None) -> None:
        """End a schedule; its runs stay. Raises `ApiConflict` (412) as `change_schedule` does."""
        self.http.delete(f"/v1/schedules/{segment(ref)}", if_match=if_match)

    def run_schedule(self, ref: str) -> RunView:
        """Submit its run now, beside its times and on the caller's behalf."""
        return parse(RunView, self.http.post(f"/v1/schedules/{segment(ref)}/run"))
