"""Routes about campaigns: searches by many runs under one parent."""

from collections.abc import Iterator, Sequence
from typing import Any

from services.cli.sdk.pages import LARGEST_PAGE, each_page, pages
from services.cli.sdk.transport import Transport, parse, segment, tag_of
from shared.contracts.campaigns import (
    CampaignChange,
    CampaignRequest,
    CampaignView,
    EnqueueRequest,
    ForkRequest,
    StopRequest,
    TrialState,
    TrialView,
)
from shared.contracts.views import Page, SubmitRequest


class CampaignCalls:
    """Begin, steer and look at campaigns."""

    http: Transport

    def campaigns(self, limit: int = 50) -> list[CampaignView]:
        """The campaigns of the project, newest first."""
        return pages(self.http, "/v1/campaigns", Page[CampaignView], limit)

    def campaign(self, ref: str) -> CampaignView:
        """One campaign by id or name."""
        return self.campaign_and_tag(ref)[0]

    def campaign_and_tag(self, ref: str) -> tuple[CampaignView, str]:
        """The same, and the tag of its budget and slots as they are now."""
        answer = self.http.get(f"/v1/campaigns/{segment(ref)}")
        return parse(CampaignView, answer), tag_of(answer)

    def create_campaign(self, request: CampaignRequest, *, key: str | None = None) -> CampaignView:
        """Begin a search. Raises `ApiInvalid` for what cannot work, `ApiConflict` for a name that is taken.

        client.create_campaign(CampaignRequest(spec=CampaignSpec(name="rates", base={"dataset_id": ...}, space={...},
                                                                 budget=Budget(trials=50))))
        """
        body = request.model_dump(mode="json", exclude_unset=True)
        return parse(CampaignView, self.http.post("/v1/campaigns", body, key=key))

    def change_campaign(self, ref: str, *, if_match: str | None = None, **changes: Any) -> CampaignView:
        """Change `max_parallel`, or fields of the budget; the others stay.

        client.change_campaign("rates", budget={"trials": 100})

        Raises `ApiConflict`: the campaign has ended, or (412) is not any more as `if_match` has it."""
        body = CampaignChange(**changes).model_dump(mode="json", exclude_unset=True)
        return parse(CampaignView, self.http.patch(f"/v1/campaigns/{segment(ref)}", body, if_match=if_match))

    def stop_campaign(self, ref: str, *, cancel_running: bool = False) -> CampaignView:
        """Try nothing more, and end with the best so far; what runs is finished, or cancelled."""
        body = StopRequest(running="cancel" if cancel_running else "finish").model_dump(mode="json")
        return parse(CampaignView, self.http.post(f"/v1/campaigns/{segment(ref)}/stop", body))

    def pause_campaign(self, ref: str) -> CampaignView:
        """Let it and its trials rest without slots."""
        return parse(CampaignView, self.http.post(f"/v1/campaigns/{segment(ref)}/pause"))

    def resume_campaign(self, ref: str) -> CampaignView:
        """Let it and its trials go on."""
        return parse(CampaignView, self.http.post(f"/v1/campaigns/{segment(ref)}/resume"))

    def enqueue_trial(self, ref: str, params: dict[str, Any]) -> TrialView:
        """Have a point tried next; parameters that are left out are sampled.

        client.enqueue_trial("rates", {"recipe.learning_rate": 0.001})
        """
        body = EnqueueRequest(params=params).model_dump(mode="json")
        return parse(TrialView, self.http.post(f"/v1/campaigns/{segment(ref)}/trials", body))

    def fork_campaign(self, ref: str, name: str, changes: dict[str, Any] | None = None) -> CampaignView:
        """Begin a campaign like this one, with some fields of its spec replaced, that knows every trial of this one."""
        body = ForkRequest(name=name, changes=changes or {}).model_dump(mode="json")
        return parse(CampaignView, self.http.post(f"/v1/campaigns/{segment(ref)}/fork", body))

    def trials(self, ref: str, *, states: Sequence[TrialState] = (), limit: int = 50) -> list[TrialView]:
        """Trials by number, in one of these states if some are named."""
        query = {"state": [state.value for state in states] or None}
        return pages(self.http, f"/v1/campaigns/{segment(ref)}/trials", Page[TrialView], limit, query)

    def changed_trials(self, ref: str, since: int) -> list[TrialView]:
        """All trials that changed after a revision, in the order of their changes; the last one's is asked for next."""
        query = {"changed_since": since}
        return pages(self.http, f"/v1/campaigns/{segment(ref)}/trials", Page[TrialView], 1_000 * LARGEST_PAGE, query)

    def trials_by_page(self, ref: str, *, since: int | None = None) -> Iterator[list[TrialView]]:
        """The same as `trials`, or with a revision `since` as `changed_trials`, whole, a page at a time as it comes."""
        query = {"changed_since": since}
        yield from each_page(self.http, f"/v1/campaigns/{segment(ref)}/trials", Page[TrialView], query)

    def best_trial(self, ref: str) -> SubmitRequest:
        """The best trial as a request that can be submitted again. Raises `ApiNotFound` while there is none."""
        return parse(SubmitRequest, self.http.get(f"/v1/campaigns/{segment(ref)}/best"))

    def trials_csv(self, ref: str) -> Iterator[bytes]:
        """Every trial as comma-separated values, in blocks as they come."""
        with self.http.stream(f"/v1/campaigns/{segment(ref)}/trials.csv", {}) as response:
            yield from response.iter_bytes()
