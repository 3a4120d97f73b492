"""Every route, called by everybody: what each may do, and that nobody sees another project."""

import re
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from services.api.access.needs import Needs
from shared.contracts.roles import Role, Scope
from tests.api.people import Person, bearer, change, member, project
from tests.api.routes import (
    CHANGES_NOTHING,
    EXAMPLES,
    FILL,
    LIKE_ANOTHER,
    NOTHING,
    OWN,
    PLATFORM_WIDE,
    PUBLIC,
    READING,
    SIGNED,
    Route,
    World,
    documented,
    routes,
)
from tests.support.platform import API_KEY, Platform

ROUTES = [route for route in routes() if route.path not in PUBLIC | SIGNED]
CHANGING = [route for route in ROUTES if route.method not in READING and str(route) not in CHANGES_NOTHING]
WHERE = "tests/api/routes.py"


@pytest.fixture
def owner(client: TestClient) -> Person:
    return Person(client, "bootstrap-default", API_KEY)


@pytest.fixture
def world(client: TestClient, platform: Platform) -> World:
    return World(client, platform)


@pytest.fixture
def stranger(client: TestClient) -> Person:
    """The owner of another project, no operator."""
    return member(project(client, "other"), client, "stranger", Role.OWNER)


def test_every_route_says_what_it_needs(client: TestClient) -> None:
    assert isinstance(client.app, FastAPI)
    shown = {str(route) for route in routes() if route.method != "HEAD"}
    assert shown == documented(client.app), "list every router in MODULES of app.py"
    for route in ROUTES:
        assert len(route.needs) == 1, f"{route}: take one of the dependencies of deps.py that end in Dep"
        unknown = set(re.findall(r"\{(\w+)", route.path)) - set(FILL)
        assert not unknown, f"{route}: add {unknown} to FILL of {WHERE}"


def test_what_changes_something_needs_more_than_reading() -> None:
    for route in ROUTES:
        needs = route.needs[0]
        if route.method in READING or str(route) in CHANGES_NOTHING:
            continue
        assert needs.scope != Scope.READ, route
        assert needs.role is None or needs.role.covers(Role.EDITOR) or str(route) in OWN, route


def test_a_signed_address_that_nobody_signed_opens_nothing(world: World) -> None:
    ids = {name: make(world) for name, make in FILL.items()} | {"number": "1"}
    for route in [route for route in routes() if route.path in SIGNED]:
        for signature in ("", "?signature=", f"?signature={'x' * 40}"):
            answer = world.client.request(route.method, route.filled(ids) + signature, content=b"1,2\n")
            assert answer.status_code in {401, 410, 422}, (str(route), signature, answer.text)


@pytest.fixture
def callers(client: TestClient, owner: Person, platform: Platform) -> dict[str, Person]:
    """Everybody whom a route may meet, by what they are."""
    found = {str(role): member(owner, client, f"{role}-1", role) for role in Role}
    found["nobody"] = Person(client, "nobody", "")
    found["garbage"] = Person(client, "garbage", f"fl_{'x' * 43}")
    for gone, column in (("expired", "expires_at"), ("revoked", "revoked_at")):
        found[gone] = member(owner, client, gone, Role.OWNER)
        change(platform, f"UPDATE api_keys SET {column} = now() WHERE prefix = :prefix", prefix=found[gone].key[:10])
    for scope in Scope:
        found[f"owner, {scope} only"] = member(owner, client, f"{scope.name}-only", Role.OWNER, scopes=[scope])
    owner.ok("PUT", "/v1/members/viewer-1", json={"role": "viewer"})
    assert client.post("/v1/principals", json={"kind": "user", "name": "operator"}).is_success
    owner.ok("PUT", "/v1/members/operator", json={"role": "viewer"})
    owner.ok("PATCH", "/v1/principals/operator", json={"operator": True})
    made = owner.ok("POST", "/v1/keys", json={"name": "k", "principal": "operator"})
    found["operator"] = Person(client, "operator", made["key"])
    return found


def _expected(needs: Needs, who: str) -> str:
    """`401`, `403` or `in`: worked out from the words of the rules, not by the code that applies them."""
    if who in {"nobody", "garbage", "expired", "revoked"}:
        return "401"
    role = Role.VIEWER if who == "operator" else Role(who.partition(",")[0])
    if ", " in who and needs.scope not in (Scope.READ, who.split(", ")[1].removesuffix(" only")):
        return "403"
    if needs.operator and who == "operator":
        return "in"
    if needs.role is None:
        return "403"
    order = ["viewer", "editor", "admin", "owner"]
    return "in" if order.index(role) >= order.index(needs.role) else "403"


def _knock(person: Person, route: Route, ids: dict[str, str], expected: str) -> str:
    """Call without a body; what comes of it as `_expected` says it. A stream that opens is asked for a place that is
    none, and so does not go on.
    """
    params = {"after": "no place"} if route.is_stream and expected == "in" else {}
    headers = bearer(person.key) if person.key else {"Authorization": ""}
    answer = person.client.request(route.method, route.filled(ids), params=params, headers=headers)
    assert answer.status_code < 500, (str(route), answer.text)
    return str(answer.status_code) if answer.status_code in {401, 403} else "in"


@pytest.mark.timeout(600)
def test_everybody_may_do_what_their_role_and_scope_allow_and_nothing_else(
    callers: dict[str, Person], world: World
) -> None:
    real = {name: make(world) for name, make in FILL.items()}
    wrong = []
    for route in ROUTES:
        for who, person in callers.items():
            expected = _expected(route.needs[0], who)
            met = _knock(person, route, NOTHING if expected == "in" else real, expected)
            if met != expected:
                wrong.append((str(route), who, met, f"not {expected}"))
    assert wrong == []
    for name in ("run_id", "dataset", "project"):
        assert world.client.get(f"/v1/{name.removesuffix('_id')}s/{real[name]}").is_success, "nobody changed anything"


@pytest.mark.timeout(600)
def test_a_stranger_cannot_tell_what_is_from_what_is_not(world: World, stranger: Person) -> None:
    for route in ROUTES:
        if not route.parameters or set(route.parameters) <= PLATFORM_WIDE:
            continue
        real = {name: FILL[name](world) for name in route.parameters}
        example = EXAMPLES.get(str(route))
        assert example or not route.needs_body, f"{route}: add an example to EXAMPLES of {WHERE}"
        arguments = example.arguments(world) if example else {}
        answers = [stranger(route.method, route.filled(ids), **arguments) for ids in (real, NOTHING)]
        told = [_without(answer.text, ids) for answer, ids in zip(answers, (real, NOTHING), strict=True)]
        assert answers[0].status_code in {403, 404} if route.needs[0].operator else answers[0].status_code == 404, (
            str(route),
            answers[0].text,
        )
        assert told[0] == told[1], str(route)


def _without(text: str, ids: dict[str, str]) -> str:
    for value in ids.values():
        text = text.replace(value, "<id>")
    return text


@pytest.mark.timeout(600)
def test_no_list_shows_a_stranger_anything_of_the_project(world: World, stranger: Person) -> None:
    for make in FILL.values():
        make(world)
    for route in ROUTES:
        if route.method == "GET" and not route.parameters and not route.is_stream:
            seen = stranger("GET", route.path).text
            shown = [mark for mark in world.marks if mark in seen]
            assert shown == [], f"{route} shows a stranger {shown}"


def _last(route: Route) -> bool:
    return str(route) == "DELETE /v1/projects/{project}"


@pytest.mark.timeout(600)
def test_every_change_is_written_to_the_audit_log(world: World, platform: Platform) -> None:
    wrong = []
    for route in sorted(CHANGING, key=_last):
        if LIKE_ANOTHER.get(str(route)) in EXAMPLES:
            continue
        example = EXAMPLES.get(str(route))
        ids = {name: FILL[name](world) for name in route.parameters}
        if example and example.before:
            change(platform, example.before, **ids)
        written = len(platform.rows("SELECT 1 FROM audit_log"))
        arguments: dict[str, Any] = example.arguments(world) if example else {}
        answer = world.client.request(route.method, route.filled(ids), **arguments)
        if not answer.is_success:
            wrong.append(f"{route}: add an example of a good request to EXAMPLES of {WHERE}: {answer.text}")
        elif len(platform.rows("SELECT 1 FROM audit_log")) == written:
            wrong.append(f"{route}: call audit(...) in its transaction")
    assert wrong == []
    hashes = [row["sha256"] for row in platform.rows("SELECT sha256 FROM api_keys")]
    log = str(platform.rows("SELECT * FROM audit_log"))
    assert API_KEY not in log
    assert not re.search(r"fl_[\w-]{20,}", log), "no key"
    assert not any(digest in log for digest in hashes)
