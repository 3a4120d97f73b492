"""Links in messages: a GET only shows, a POST acts once, for whom it was sent to and as far as they still may."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient

from shared.contracts.roles import Role
from shared.contracts.specs import GenerateSpec
from shared.db.session import transaction
from shared.notices.links import Link, make_link
from shared.runs.submit import Request, submit
from shared.signing import Signer
from tests.api.notices import deliver, tell
from tests.api.people import Person, change, member
from tests.api.test_channels import make
from tests.support.platform import API_KEY, Platform

NOBODY = {"Authorization": ""}
RUN_ACTS = {"retry": "failed", "pause": "queued", "resume": "paused", "cancel": "queued"}


def address(platform: Platform, action: str, subject: object, *, principal: UUID | None = None, days: float = 7) -> str:
    """Of a link that was sent to the platform's caller, or to another."""
    link = Link(
        action,
        UUID(str(subject)),
        principal or platform.caller.principal_id,
        datetime.now(UTC) + timedelta(days=days),
    )
    return f"/v1/links/{make_link(Signer(platform.settings.secret_keys), link)}"


def run_that_is(platform: Platform, state: str, name: str = "press-4") -> UUID:
    with transaction(platform.engine) as session:
        request = Request("dataset.generate", GenerateSpec(name=name, units_per_fault=1, records_per_unit=1))
        run = submit(session, platform.settings, platform.caller, request)
    change(platform, "UPDATE runs SET state = :state WHERE id = :id", state=state, id=run)
    if state == "failed":
        change(platform, "UPDATE runs SET finished_at = now() WHERE id = :id", id=run)
    return run


def everything(platform: Platform) -> list[Any]:
    """What an act could change."""
    tables = ("runs", "notices", "subscriptions", "used_links", "audit_log")
    return [platform.rows(f"SELECT * FROM {table} ORDER BY 1") for table in tables]


@pytest.mark.parametrize(("action", "state"), RUN_ACTS.items())
def test_a_link_about_a_run_shows_it_first_and_acts_once(
    client: TestClient, platform: Platform, action: str, state: str
) -> None:
    run = run_that_is(platform, state)
    link, before = address(platform, action, run), everything(platform)
    for _ in range(2):
        shown = client.get(link, headers=NOBODY)
        assert shown.status_code == 200, shown.text
        assert "Generation press-4" in shown.text
        assert shown.text.count("<button>") == 1
    assert everything(platform) == before, "looking changes nothing"
    done = client.post(link, headers=NOBODY)
    assert (done.status_code, "Done" in done.text) == (200, True), done.text
    entry = platform.rows("SELECT action, target, principal_id, key_prefix FROM audit_log ORDER BY id DESC LIMIT 1")[0]
    assert entry == {
        "action": f"run.{action}",
        "target": str(run),
        "principal_id": platform.caller.principal_id,
        "key_prefix": "link",
    }
    after = everything(platform)
    for method in ("POST", "GET"):
        again = client.request(method, link, headers=NOBODY)
        assert again.status_code == 410
        assert "<button>" not in again.text
    assert everything(platform) == after
    runs = platform.rows("SELECT * FROM runs ORDER BY id")
    told = {
        "retry": len(runs) == 2 and runs[1]["retry_of"] == run,
        "pause": runs[0]["state"] == "paused",
        "resume": runs[0]["state"] == "queued",
        "cancel": runs[0]["state"] == "cancelled",
    }
    assert told[action]


def test_of_many_who_press_the_button_at_once_one_acts(client: TestClient, platform: Platform) -> None:
    run = run_that_is(platform, "failed")
    link = address(platform, "retry", run)
    with ThreadPoolExecutor(8) as several:
        answers = list(several.map(lambda _: client.post(link, headers=NOBODY).status_code, range(8)))
    assert sorted(answers) == [200] + 7 * [410]
    assert len(platform.rows("SELECT 1 FROM runs WHERE retry_of = :run", run=run)) == 1


def test_a_notice_is_taken_on_by_its_link(client: TestClient, platform: Platform) -> None:
    notice = tell(platform)
    assert client.post(address(platform, "acknowledge", notice), headers=NOBODY).status_code == 200
    row = platform.rows("SELECT acknowledged_at, acknowledged_by FROM notices")[0]
    assert row["acknowledged_at"] is not None
    assert row["acknowledged_by"] == platform.caller.principal_id


def test_a_mail_program_unsubscribes_by_one_post_and_nothing_more_is_sent(
    client: TestClient, platform: Platform
) -> None:
    hook = make(client)["id"]
    body = {"kinds": ["run.failed"], "channel": "ops-hook", "digest": {"every": "hour"}}
    subscription = client.post("/v1/subscriptions", json=body).json()["id"]
    for state in ("pending", "held", "delivered"):
        deliver(platform, hook, tell(platform), state)
    change(platform, "UPDATE deliveries SET subscription_id = :id", id=subscription)
    answer = client.post(
        address(platform, "unsubscribe", subscription), headers=NOBODY, data={"List-Unsubscribe": "One-Click"}
    )
    assert answer.status_code == 200, answer.text
    shown = client.get(f"/v1/subscriptions/{subscription}").json()
    assert (shown["enabled"], shown["next_digest_at"]) == (False, None)
    states = [row["state"] for row in platform.rows("SELECT state FROM deliveries ORDER BY id")]
    assert states == ["dropped", "dropped", "delivered"]


@pytest.mark.parametrize("how", ["role", "member", "principal"])
def test_a_link_does_no_more_than_its_person_may_today(client: TestClient, platform: Platform, how: str) -> None:
    owner = Person(client, "bootstrap-default", API_KEY)
    member(owner, client, "eddie", Role.EDITOR)
    eddie = UUID(str(platform.rows("SELECT id FROM principals WHERE name = 'eddie'")[0]["id"]))
    run = run_that_is(platform, "queued")
    link = address(platform, "cancel", run, principal=eddie)
    assert client.get(link, headers=NOBODY).status_code == 200
    if how == "role":
        owner.ok("PUT", "/v1/members/eddie", json={"role": "viewer"})
    elif how == "member":
        owner.ok("DELETE", "/v1/members/eddie")
    else:
        assert client.patch("/v1/principals/eddie", json={"disabled": True}).is_success
    for method in ("GET", "POST"):
        refused = client.request(method, link, headers=NOBODY)
        assert refused.status_code == 403, refused.text
        assert "<button>" not in refused.text
    assert platform.run(run)["state"] == "queued"
    assert platform.rows("SELECT 1 FROM used_links") == []


def test_what_is_refused_now_can_be_done_by_the_same_link_later(client: TestClient, platform: Platform) -> None:
    run = run_that_is(platform, "failed")
    link = address(platform, "pause", run)
    refused = client.post(link, headers=NOBODY)
    assert (refused.status_code, "has ended" in refused.text) == (409, True), refused.text
    change(platform, "UPDATE runs SET state = 'queued' WHERE id = :id", id=run)
    assert client.post(link, headers=NOBODY).status_code == 200


def test_a_link_that_is_not_ours_too_old_or_about_nothing_gets_a_page_and_does_nothing(
    client: TestClient, platform: Platform
) -> None:
    run = run_that_is(platform, "queued")
    good = address(platform, "cancel", run)
    bad = {
        good[:-3] + "abc": 410,
        "/v1/links/x": 410,
        address(platform, "cancel", run, days=-1): 410,
        address(platform, "explode", run): 410,
        address(platform, "cancel", uuid4()): 404,
        address(platform, "unsubscribe", uuid4()): 404,
        address(platform, "acknowledge", uuid4()): 404,
    }
    for link, status in bad.items():
        for method in ("GET", "POST"):
            answer = client.request(method, link, headers=NOBODY)
            assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert platform.run(run)["state"] == "queued"


def test_nobody_ends_the_subscription_of_another(client: TestClient, platform: Platform) -> None:
    owner = Person(client, "bootstrap-default", API_KEY)
    hers = member(owner, client, "vera", Role.VIEWER).ok("POST", "/v1/subscriptions", json={"kinds": ["run.failed"]})
    assert client.post(address(platform, "unsubscribe", hers["id"]), headers=NOBODY).status_code == 404


def test_a_page_runs_nothing_and_shows_what_users_wrote_as_text(client: TestClient, platform: Platform) -> None:
    run = run_that_is(platform, "queued")
    change(
        platform, """UPDATE runs SET spec = spec || '{"name": "<script>alert(1)</script>"}' WHERE id = :id""", id=run
    )
    shown = client.get(address(platform, "cancel", run), headers=NOBODY)
    assert "<script" not in shown.text
    assert "&lt;script&gt;" in shown.text
    policy = shown.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert not re.search(r"(src|href)=", shown.text), "nothing from elsewhere"
    assert shown.headers["Cache-Control"] == "no-store"
