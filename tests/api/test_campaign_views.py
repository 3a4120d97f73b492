"""Views of a campaign over the API."""

from fastapi.testclient import TestClient

from shared.contracts.campaign_views import ViewName
from tests.api.routes import World
from tests.support.platform import Platform


def test_every_view_of_a_campaign_that_has_just_begun_can_be_asked_for(client: TestClient, platform: Platform) -> None:
    campaign = World(client, platform).campaign()
    for name in set(ViewName) - {ViewName.PARETO, ViewName.CONTOUR}:  # one objective, one parameter
        answer = client.get(f"/v1/campaigns/{campaign}/views/{name}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["view"] == name


def test_what_there_is_not_is_refused_with_words(client: TestClient, platform: Platform) -> None:
    campaign = World(client, platform).campaign()
    assert client.get("/v1/campaigns/nothing/views/history").status_code == 404
    assert client.get(f"/v1/campaigns/{campaign}/views/nothing").status_code == 422
    refused = client.get(f"/v1/campaigns/{campaign}/views/slice", params={"x": "nothing"})
    assert refused.status_code == 422
    assert "units_per_fault" in refused.json()["remedy"]
