"""Watching a campaign while the API comes and goes, and of many trials only what is shown."""

import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from rich.console import Console
from typer.testing import Result

from services.cli import session as sessions
from services.cli.session import Session
from services.cli.ui import campaign_watch
from services.cli.ui.campaign_live import Scene, frame
from shared.contracts.campaigns import CampaignRequest
from tests.api.people import change
from tests.cli.conftest import InProcess, MakeClient
from tests.hpo.recorded import record_many
from tests.hpo.support import Campaigns
from tests.support.platform import API_KEY, Platform
from tests.support.seeking import campaign

Faultline = Callable[..., Result]


class Away(InProcess):
    """An API that does not answer while `away`; counts what it is asked."""

    def __init__(self, server: TestClient) -> None:
        super().__init__(server)
        self.away = False
        self.asked: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, if there is one."""
        self.asked.append(request.url.path)
        if self.away:
            raise httpx.ConnectError("Connection refused")
        return super().handle_request(request)


@pytest.fixture
def campaigns(platform: Platform) -> Campaigns:
    return Campaigns(platform)


@pytest.fixture
def api(server: TestClient, make: MakeClient, real: Faultline, monkeypatch: pytest.MonkeyPatch) -> Away:
    """What stands between the command line and the real API."""
    del real  # it goes first
    between = Away(server)
    monkeypatch.setattr(sessions, "connect", lambda known: make(known.api_key, between))
    return between


def begin(make: MakeClient, **fields: Any) -> Any:
    return make(API_KEY).create_campaign(CampaignRequest.model_validate({"spec": campaign(**fields)})).id


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_it_outlives_an_api_that_is_away_and_tells_each_trial_once(
    real: Faultline, campaigns: Campaigns, make: MakeClient, api: Away, monkeypatch: pytest.MonkeyPatch, form: list[str]
) -> None:
    campaign_id = begin(make, budget={"trials": 6})
    looks = iter(range(1000))

    def goes_on(_seconds: float) -> None:
        api.away = next(looks) in {2, 3, 4}
        if not api.away:
            campaigns.advance(campaign_id)
            campaigns.play(campaign_id)

    monkeypatch.setattr("services.cli.ui.campaign_watch.time.sleep", goes_on)
    watched = real("campaigns", "watch", "search", *form)
    assert watched.exit_code == 0, watched.output
    assert watched.stderr.count("goes on when it answers again") == 1
    if form:
        ended = [line for line in map(json.loads, watched.stdout.splitlines()) if line["state"] == "complete"]
        assert sorted(line["number"] for line in ended) == list(range(6))
    else:
        assert [watched.stdout.count(f"trial {number} of 6  complete") for number in range(6)] == [1] * 6


def test_the_live_picture_stays_and_says_why_while_the_api_is_away(
    campaigns: Campaigns, make: MakeClient, api: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign_id = begin(make, budget={"trials": 4})
    looks = iter(range(1000))
    out = io.StringIO()

    def goes_on(_seconds: float) -> None:
        api.away = next(looks) == 1
        if not api.away:
            campaigns.advance(campaign_id)
            campaigns.play(campaign_id)

    monkeypatch.setattr("services.cli.ui.campaign_watch.time.sleep", goes_on)
    watching = Session()
    watching.__dict__ |= {
        "client": make(API_KEY, api),
        "out": Console(file=out, width=120, height=30, force_terminal=True),
    }
    seen = campaign_watch.watch(watching, watching.client.campaign("search"))
    assert seen.state == "succeeded"
    assert "Nothing answers" in out.getvalue()
    assert "Nothing answers" not in out.getvalue().rpartition("4 complete")[2]


def test_of_many_trials_the_live_picture_fetches_the_newest_and_shows_the_best(
    campaigns: Campaigns, make: MakeClient, api: Away, platform: Platform
) -> None:
    campaign_id = begin(make, budget={"trials": 2000})
    record_many(campaigns, campaign_id, 1000)
    change(platform, "UPDATE trials SET revision = number WHERE campaign_id = :run", run=campaign_id)
    change(platform, "UPDATE campaigns SET revision = 1000 WHERE id = :run", run=campaign_id)
    client = make(API_KEY, api)
    scene = Scene(client.campaign("search"))
    watching = Session()
    watching.__dict__["client"] = client
    assert campaign_watch._look(watching, scene, None) == 1000
    assert sorted(scene.trials) == list(range(801, 1000))
    assert len(api.asked) < 6
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(frame(scene, 140, 24))
    text = console.export_text()
    (best,) = scene.best
    assert best not in scene.trials
    assert f" {best} " in text
    assert "and 98" in text
    assert "999" in text


def test_nothing_is_stopped_where_nobody_can_answer(real: Faultline, make: MakeClient) -> None:
    begin(make)
    refused = real("campaigns", "stop", "search")
    assert refused.exit_code == 2, refused.output
    assert "--yes" in refused.stderr
    assert make(API_KEY).campaign("search").stopping is None
    assert real("campaigns", "stop", "search", "--yes").exit_code == 0
    assert make(API_KEY).campaign("search").stopping == "finish"
