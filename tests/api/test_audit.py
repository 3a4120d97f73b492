"""Reading who did what."""

from datetime import UTC, datetime, timedelta

from fastapi.testclient import TestClient

from shared.contracts.roles import Role
from tests.api.people import Person, change, member, project
from tests.support.platform import API_KEY, Platform

GENERATE = {"name": "bearings", "units_per_fault": 1, "records_per_unit": 1, "duration_s": 0.5}


def test_an_admin_reads_who_did_what_newest_first(client: TestClient) -> None:
    owner = Person(client, "bootstrap-default", API_KEY)
    editor = member(owner, client, "ed", Role.EDITOR)
    run = editor.ok("POST", "/v1/datasets/generate", json=GENERATE)["id"]
    editor.ok("POST", f"/v1/runs/{run}/cancel")
    items = owner.ok("GET", "/v1/audit")["items"]
    assert [item["action"] for item in items[:4]] == ["run.cancel", "run.submit", "key.create", "member.set"]
    assert (items[0]["principal"], items[0]["key_prefix"], items[0]["target"]) == ("ed", editor.key[:10], run)
    assert [item["id"] for item in items] == sorted((item["id"] for item in items), reverse=True)


def test_the_log_is_filtered(client: TestClient, platform: Platform) -> None:
    owner = Person(client, "bootstrap-default", API_KEY)
    editor = member(owner, client, "ed", Role.EDITOR)
    run = editor.ok("POST", "/v1/datasets/generate", json=GENERATE)["id"]
    owner.ok("POST", f"/v1/runs/{run}/cancel")

    def actions(**params: str) -> set[str]:
        return {item["action"] for item in owner.ok("GET", "/v1/audit", params=params)["items"]}

    assert actions(action="run.cancel") == {"run.cancel"}
    assert actions(action="run.") == {"run.cancel", "run.submit"}
    assert actions(principal="ed") == {"run.submit"}
    assert actions(principal="nobody") == set()
    assert actions(since=(datetime.now(UTC) + timedelta(hours=1)).isoformat()) == set()
    change(platform, "UPDATE audit_log SET at = at - interval '2 hours' WHERE action = 'run.submit'")
    assert "run.submit" not in actions(since=(datetime.now(UTC) - timedelta(hours=1)).isoformat())
    assert owner("GET", "/v1/audit", params={"since": "2020-01-01T00:00:00"}).status_code == 422, "no zone"


def test_the_log_is_read_page_by_page(client: TestClient) -> None:
    for number in range(5):
        client.post("/v1/keys", json={"name": f"k{number}"})
    whole = client.get("/v1/audit").json()["items"]
    paged, cursor = [], None
    while True:
        page = client.get("/v1/audit", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        paged += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert paged == whole


def test_what_an_operator_does_to_a_project_is_in_the_log_of_that_project(client: TestClient) -> None:
    other = project(client, "other")
    assert client.patch("/v1/projects/other", json={"max_running": 2}).is_success
    items = other.ok("GET", "/v1/audit")["items"]
    assert [item["action"] for item in items] == ["project.change", "project.create"]
    assert items[0]["data"] == {"max_running": 2}
