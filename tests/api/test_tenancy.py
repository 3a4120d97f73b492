"""Projects, principals, members and keys."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.api.access.identity import hash_key
from shared.contracts.roles import Role
from tests.api.people import Person, change, member, project
from tests.support.platform import API_KEY, Platform

GENERATE = {"name": "bearings", "units_per_fault": 1, "records_per_unit": 1, "duration_s": 0.5}


@pytest.fixture
def owner(client: TestClient) -> Person:
    """The owner of a project, who happens to be the operator as well."""
    return Person(client, "bootstrap-default", API_KEY)


@pytest.fixture
def people(client: TestClient, owner: Person) -> dict[Role, Person]:
    """One member for each role; none of them an operator."""
    return {role: member(owner, client, f"{role}-1", role) for role in Role}


def test_me_tells_role_scopes_operator_and_expiry(client: TestClient, owner: Person) -> None:
    expires_at = datetime.now(UTC) + timedelta(hours=1)
    ed = member(owner, client, "ed", Role.EDITOR, scopes=["runs:write"], expires_at=expires_at.isoformat())
    me = ed.ok("GET", "/v1/me")
    assert (me["principal"], me["project"], me["role"], me["operator"]) == ("ed", "default", "editor", False)
    assert me["scopes"] == ["runs:write"]
    assert datetime.fromisoformat(me["key_expires_at"]) == expires_at
    assert ed.key.startswith(me["key_prefix"])
    mine = owner.ok("GET", "/v1/me")
    assert (mine["role"], mine["operator"], mine["scopes"]) == ("owner", True, None)


def test_a_key_is_shown_once_and_kept_as_a_hash(owner: Person, platform: Platform) -> None:
    made = owner.ok("POST", "/v1/keys", json={"name": "ci"})
    assert len(made["key"]) == 46
    assert made["key"].startswith("fl_")
    assert made["key"].startswith(made["prefix"])
    shown = owner.ok("GET", "/v1/keys")["items"][0]
    assert shown == {name: value for name, value in made.items() if name != "key"}
    row = platform.rows("SELECT to_jsonb(k) AS whole, sha256 FROM api_keys k WHERE name = 'ci'")[0]
    assert row["sha256"] == hash_key(made["key"])
    assert made["key"] not in str(row)
    assert made["key"] not in str(platform.rows("SELECT * FROM audit_log"))
    assert made["key"][12:] not in str(platform.rows("SELECT * FROM audit_log"))


def test_a_revoked_key_is_refused_at_once(client: TestClient, owner: Person) -> None:
    made = owner.ok("POST", "/v1/keys", json={"name": "ci"})
    ci = Person(client, "ci", made["key"])
    ci.ok("GET", "/v1/me")
    revoked = owner.ok("DELETE", f"/v1/keys/{made['id']}")
    assert revoked["revoked_at"]
    assert ci("GET", "/v1/me").status_code == 401
    assert owner.ok("DELETE", f"/v1/keys/{made['id']}")["revoked_at"] == revoked["revoked_at"], "the first time stays"


def test_a_key_stops_when_it_expires(client: TestClient, owner: Person, platform: Platform) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    made = owner.ok("POST", "/v1/keys", json={"name": "ci", "expires_at": soon})
    ci = Person(client, "ci", made["key"])
    ci.ok("GET", "/v1/me")
    change(platform, "UPDATE api_keys SET expires_at = now() WHERE name = 'ci'")
    assert ci("GET", "/v1/me").status_code == 401


@pytest.mark.parametrize(
    ("scopes", "refused", "asked"),
    [
        (["read"], "runs:write", ("POST", "/v1/datasets/generate", GENERATE)),
        (["data:write"], "runs:write", ("POST", "/v1/datasets/generate", GENERATE)),
        (["runs:write"], "admin", ("POST", "/v1/keys", {"name": "more"})),
        (["read", "runs:write", "data:write"], "admin", ("POST", "/v1/principals", {"kind": "user", "name": "x"})),
    ],
)
def test_scopes_narrow_what_the_role_allows(
    client: TestClient, owner: Person, scopes: list[str], refused: str, asked: tuple[str, str, dict[str, Any]]
) -> None:
    made = owner.ok("POST", "/v1/keys", json={"name": "narrow", "scopes": scopes})
    narrow = Person(client, "narrow", made["key"])
    narrow.ok("GET", "/v1/runs")
    method, path, body = asked
    answer = narrow(method, path, json=body)
    assert answer.status_code == 403
    assert f"the scope {refused}" in answer.json()["detail"]


def test_a_key_cannot_grant_more_than_it_has(client: TestClient, owner: Person) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    made = owner.ok(
        "POST", "/v1/keys", json={"name": "n", "scopes": ["admin", "read"], "expires_at": tomorrow.isoformat()}
    )
    narrow = Person(client, "narrow", made["key"])
    assert narrow("POST", "/v1/keys", json={"name": "m", "scopes": ["runs:write"]}).status_code == 403
    longer = (tomorrow + timedelta(days=1)).isoformat()
    assert narrow("POST", "/v1/keys", json={"name": "m", "expires_at": longer}).status_code == 403
    child = narrow.ok("POST", "/v1/keys", json={"name": "m"})
    assert child["scopes"] == ["admin", "read"]
    assert datetime.fromisoformat(child["expires_at"]) == tomorrow


def test_nobody_gains_a_role_by_making_a_key_for_somebody_else(people: dict[Role, Person]) -> None:
    admin, editor = people[Role.ADMIN], people[Role.EDITOR]
    admin.ok("POST", "/v1/keys", json={"name": "k", "principal": editor.name})
    for holder in (people[Role.OWNER].name, "bootstrap-default"):
        assert admin("POST", "/v1/keys", json={"name": "k", "principal": holder}).status_code == 403
    assert editor("POST", "/v1/keys", json={"name": "k", "principal": people[Role.VIEWER].name}).status_code == 403
    editor.ok("POST", "/v1/keys", json={"name": "k", "principal": editor.name})


def test_an_admin_cannot_become_an_operator_through_one(people: dict[Role, Person], client: TestClient) -> None:
    people[Role.OWNER].ok("PUT", "/v1/members/bootstrap-default", json={"role": "viewer"})
    answer = people[Role.OWNER]("POST", "/v1/keys", json={"name": "k", "principal": "bootstrap-default"})
    assert answer.status_code == 403
    assert "operator" in answer.json()["detail"]


def test_a_key_that_others_made_is_revoked_when_its_holder_becomes_an_operator(
    people: dict[Role, Person], owner: Person
) -> None:
    admin, editor = people[Role.ADMIN], people[Role.EDITOR]
    own = Person(admin.client, editor.name, editor.ok("POST", "/v1/keys", json={"name": "own"})["key"])
    owner.ok("PATCH", f"/v1/principals/{editor.name}", json={"operator": True})
    assert editor("GET", "/v1/me").status_code == 401, "an admin made this key and may have kept it"
    assert own.ok("GET", "/v1/me")["operator"] is True


def test_members_see_their_keys_and_admins_see_all(people: dict[Role, Person]) -> None:
    seen = {role: {key["principal"] for key in people[role].ok("GET", "/v1/keys")["items"]} for role in Role}
    assert seen[Role.VIEWER] == {"viewer-1"}
    assert seen[Role.EDITOR] == {"editor-1"}
    everybody = {"bootstrap-default", *(person.name for person in people.values())}
    assert seen[Role.ADMIN] == seen[Role.OWNER] == everybody


def test_a_member_may_revoke_its_own_keys_only(people: dict[Role, Person]) -> None:
    keys = {key["principal"]: key["id"] for key in people[Role.ADMIN].ok("GET", "/v1/keys")["items"]}
    editor = people[Role.EDITOR]
    assert editor("DELETE", f"/v1/keys/{keys['viewer-1']}").status_code == 404
    assert people[Role.ADMIN]("DELETE", f"/v1/keys/{keys['owner-1']}").status_code == 403
    people[Role.ADMIN].ok("DELETE", f"/v1/keys/{keys['viewer-1']}")
    assert people[Role.VIEWER]("GET", "/v1/me").status_code == 401
    editor.ok("DELETE", f"/v1/keys/{keys['editor-1']}")
    assert editor("GET", "/v1/me").status_code == 401


def test_owners_are_made_changed_and_removed_by_owners_only(people: dict[Role, Person]) -> None:
    admin = people[Role.ADMIN]
    assert admin("PUT", "/v1/members/editor-1", json={"role": "owner"}).status_code == 403
    assert admin("PUT", "/v1/members/owner-1", json={"role": "viewer"}).status_code == 403
    assert admin("DELETE", "/v1/members/owner-1").status_code == 403
    admin.ok("PUT", "/v1/members/editor-1", json={"role": "admin"})
    assert people[Role.EDITOR].ok("GET", "/v1/me")["role"] == "admin", "a change holds at once"


@pytest.mark.parametrize("how", ["demote", "remove"])
def test_the_last_owner_stays(people: dict[Role, Person], owner: Person, how: str) -> None:
    other = people[Role.OWNER]
    other.ok("DELETE", f"/v1/members/{owner.name}")
    arguments = {"json": {"role": "admin"}} if how == "demote" else {}
    answer = other("PUT" if how == "demote" else "DELETE", f"/v1/members/{other.name}", **arguments)
    assert answer.status_code == 409
    assert other.ok("GET", "/v1/me")["role"] == "owner"


def test_keys_of_a_removed_member_do_not_come_back_with_it(people: dict[Role, Person]) -> None:
    admin, editor = people[Role.ADMIN], people[Role.EDITOR]
    admin.ok("DELETE", f"/v1/members/{editor.name}")
    assert editor("GET", "/v1/me").status_code == 401
    admin.ok("PUT", f"/v1/members/{editor.name}", json={"role": "editor"})
    assert editor("GET", "/v1/me").status_code == 401


def test_a_disabled_principal_is_out_until_it_is_let_in_again(people: dict[Role, Person], owner: Person) -> None:
    editor = people[Role.EDITOR]
    owner.ok("PATCH", f"/v1/principals/{editor.name}", json={"disabled": True})
    assert editor("GET", "/v1/me").status_code == 401
    assert [member["disabled"] for member in owner.ok("GET", "/v1/members?role=editor")["items"]] == [True]
    owner.ok("PATCH", f"/v1/principals/{editor.name}", json={"disabled": False})
    editor.ok("GET", "/v1/me")


@pytest.mark.parametrize("wish", [{"disabled": True}, {"operator": False}])
def test_the_last_operator_stays(owner: Person, wish: dict[str, bool]) -> None:
    assert owner("PATCH", f"/v1/principals/{owner.name}", json=wish).status_code == 409
    assert owner.ok("GET", "/v1/me")["operator"] is True


def test_projects_are_the_callers_own_and_an_operator_sees_all(client: TestClient, people: dict[Role, Person]) -> None:
    project(client, "other")
    assert [item["name"] for item in people[Role.OWNER].ok("GET", "/v1/projects")["items"]] == ["default"]
    assert people[Role.OWNER]("GET", "/v1/projects/other").status_code == 404
    assert {item["name"] for item in client.get("/v1/projects").json()["items"]} == {"default", "other"}


def test_names_of_projects_are_the_owners_and_limits_the_operators_to_change(people: dict[Role, Person]) -> None:
    owner, admin = people[Role.OWNER], people[Role.ADMIN]
    assert admin("PATCH", "/v1/projects/default", json={"name": "renamed"}).status_code == 403
    assert owner("PATCH", "/v1/projects/default", json={"max_running": 3}).status_code == 403
    assert owner.ok("PATCH", "/v1/projects/default", json={"name": "renamed"})["name"] == "renamed"
    operator = Person(owner.client, "bootstrap-default", API_KEY)
    limits = {"max_running": 3, "share": 2.5, "gpu_hours_per_day": 12.5}
    changed = operator.ok("PATCH", "/v1/projects/renamed", json=limits)
    assert {name: changed[name] for name in limits} == limits
    assert operator.ok("PATCH", "/v1/projects/renamed", json={"max_running": None})["max_running"] is None


def test_a_name_is_given_once(client: TestClient, owner: Person) -> None:
    other = project(client, "other")
    assert client.post("/v1/projects", json={"name": "other"}).status_code == 409
    assert other("PATCH", "/v1/projects/other", json={"name": "default"}).status_code == 409
    assert other("PATCH", "/v1/projects/default", json={"name": "mine"}).status_code == 403, "the key is of another"


def test_a_deleted_project_is_gone_at_once_and_its_queued_runs_are_cancelled(
    client: TestClient, platform: Platform
) -> None:
    other = project(client, "other")
    run = other.ok("POST", "/v1/datasets/generate", json=GENERATE)["id"]
    kept = client.post("/v1/datasets/generate", json=GENERATE).json()["id"]
    assert other.ok("DELETE", "/v1/projects/other")["deleted_at"]
    assert other("GET", "/v1/me").status_code == 401
    assert platform.run(run)["state"] == "cancelled"
    assert platform.run(kept)["state"] == "queued"
    assert client.get("/v1/projects/other").status_code == 404
    assert client.post("/v1/projects", json={"name": "other"}).status_code == 409, "its rows are kept for a while"


def test_a_project_with_running_runs_is_deleted_by_force_only(client: TestClient, platform: Platform) -> None:
    other = project(client, "other")
    run = other.ok("POST", "/v1/datasets/generate", json=GENERATE)["id"]
    change(platform, "UPDATE runs SET state = 'running', worker = 'w' WHERE id = :id", id=run)
    assert other("DELETE", "/v1/projects/other").status_code == 409
    other.ok("DELETE", "/v1/projects/other?force=true")
    assert platform.run(run)["cancel_requested_at"] is not None


BAD = {
    "a project with a name that is none": ("POST", "/v1/projects", {"name": "No Name"}),
    "a project named like an id": ("POST", "/v1/projects", {"name": "0196f0c2-0000-7000-8000-000000000000"}),
    "a share of nothing": ("PATCH", "/v1/projects/default", {"share": 0}),
    "a share of null": ("PATCH", "/v1/projects/default", {"share": None}),
    "a change of nothing": ("PATCH", "/v1/projects/default", {}),
    "a limit below zero": ("PATCH", "/v1/projects/default", {"max_running": -1}),
    "a limit beyond the column": ("PATCH", "/v1/projects/default", {"max_running": 2**31}),
    "a principal of no kind": ("POST", "/v1/principals", {"kind": "robot", "name": "r"}),
    "a principal named by a path": ("POST", "/v1/principals", {"kind": "user", "name": "../x"}),
    "an unknown role": ("PUT", "/v1/members/bootstrap-default", {"role": "god"}),
    "an unknown scope": ("POST", "/v1/keys", {"name": "k", "scopes": ["everything"]}),
    "no scopes at all": ("POST", "/v1/keys", {"name": "k", "scopes": []}),
    "a key that has expired": ("POST", "/v1/keys", {"name": "k", "expires_at": "2020-01-01T00:00:00Z"}),
    "a key for ever": ("POST", "/v1/keys", {"name": "k", "expires_at": "9999-01-01T00:00:00Z"}),
    "a time without a zone": ("POST", "/v1/keys", {"name": "k", "expires_at": "2100-01-01T00:00:00"}),
    "a name that cannot be printed": ("POST", "/v1/keys", {"name": "a\u0007b"}),
}


@pytest.mark.parametrize("case", BAD, ids=[name.replace(" ", "-") for name in BAD])
def test_bad_input_about_access_is_refused_with_a_remedy(client: TestClient, case: str) -> None:
    method, path, body = BAD[case]
    answer = client.request(method, path, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["remedy"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/v1/members/nobody"), ("DELETE", "/v1/members/nobody"), ("GET", "/v1/principals/nobody")],
)
def test_who_is_unknown_is_not_found(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path, json={"role": "viewer"})
    assert answer.status_code == 404
    assert "nobody" in answer.json()["detail"]
