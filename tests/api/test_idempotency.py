"""Every POST can be sent twice: it makes one thing under one key, or asks for a state that it has reached already."""

from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from tests.api.people import bearer, change
from tests.api.routes import EXAMPLES, FILL, LIKE_ANOTHER, SAME_TWICE, SIGNED, Route, World, routes
from tests.support.platform import Platform

POSTS = {str(route): route for route in routes() if route.method == "POST" and route.path not in SIGNED}
#: a route like another shares what makes the thing, but the key is its own affair
MAKING = [name for name in POSTS if name not in SAME_TWICE and name not in LIKE_ANOTHER]
ASKING = [name for name in POSTS if name in SAME_TWICE and name not in LIKE_ANOTHER]
WHERE = "tests/api/routes.py"


@pytest.fixture
def world(client: TestClient, platform: Platform) -> World:
    return World(client, platform)


def _request(world: World, route: Route) -> dict[str, Any]:
    """A good request, unlike every other."""
    example = EXAMPLES.get(str(route))
    ids = {name: FILL[name](world) for name in route.parameters}
    if example and example.before:
        change(world.platform, example.before, **ids)
    return {"url": route.filled(ids), **(example.arguments(world) if example else {})}


def test_every_post_takes_a_key_or_asks_for_a_state() -> None:
    for name, route in POSTS.items():
        assert route.takes_key != (name in SAME_TWICE), (
            f"{name}: take OnceDep, or if a repeat does nothing more, add it to SAME_TWICE of {WHERE}"
        )


@pytest.mark.parametrize("name", MAKING)
def test_a_repeat_under_one_key_makes_nothing_more_and_is_answered_the_same(world: World, name: str) -> None:
    request, once = _request(world, POSTS[name]), {"Idempotency-Key": uuid4().hex}
    first, again = (world.client.post(**request, headers=once) for _ in range(2))
    assert first.is_success, first.text
    assert (again.status_code, again.headers.get("Location")) == (first.status_code, first.headers.get("Location"))
    assert _without_secrets(again.json()) == _without_secrets(first.json())
    other = world.client.post(**_request(world, POSTS[name]), headers=once)
    assert other.status_code == 409, f"{name}: the key stood for something else: {other.text}"
    assert "Idempotency-Key" in other.json()["detail"]


def _without_secrets(answer: dict[str, Any]) -> dict[str, Any]:
    """Keys, and URLs that are signed, are not kept for a repeat."""
    if "parts" in answer:
        return answer | {"parts": [part | {"url": None, "expires_at": None} for part in answer["parts"]]}
    if isinstance(answer.get("key"), dict):
        return answer | {"key": _without_secrets(answer["key"])}
    return answer | {"key": None, "prefix": None}


@pytest.mark.parametrize("name", ASKING)
def test_what_asks_for_a_state_can_be_asked_again(world: World, name: str) -> None:
    request = _request(world, POSTS[name])
    first, again = (world.client.post(**request) for _ in range(2))
    assert first.is_success, first.text
    assert again.status_code == first.status_code, again.text


def test_what_was_refused_can_be_asked_for_again_under_its_key(client: TestClient) -> None:
    body, once = {"kind": "user", "name": "ada"}, {"Idempotency-Key": "one"}
    client.post("/v1/principals", json=body)
    assert client.post("/v1/principals", json=body, headers=once).status_code == 409
    assert client.post("/v1/principals", json=body | {"name": "eve"}, headers=once).status_code == 201


@pytest.mark.parametrize("path", ["/v1/keys", "/v1/projects"])
def test_a_key_whose_first_answer_was_lost_is_shown_anew_and_one_that_is_used_is_not(
    client: TestClient, platform: Platform, path: str
) -> None:
    def ask() -> Any:
        return client.post(path, json={"name": "new"}, headers={"Idempotency-Key": "one"})

    def secret(answer: Any) -> str:
        key = answer.json()["key"]
        return str(key["key"] if isinstance(key, dict) else key)

    lost, seen = secret(ask()), secret(ask())
    kept = str(platform.rows("SELECT * FROM idempotency_keys"))
    assert lost not in kept
    assert seen not in kept
    assert client.get("/v1/me", headers=bearer(lost)).status_code == 401, "nobody has it, so nobody must use it"
    assert client.get("/v1/me", headers=bearer(seen)).json()["key_prefix"] == seen[:10]
    late = ask()
    assert (late.status_code, seen[:10] in late.json()["detail"]) == (409, True), late.text
    assert client.get("/v1/me", headers=bearer(seen)).status_code == 200


def test_a_key_that_was_revoked_does_not_come_back_by_a_repeat(client: TestClient) -> None:
    once = {"Idempotency-Key": "one"}
    made = client.post("/v1/keys", json={"name": "new"}, headers=once).json()
    assert client.delete(f"/v1/keys/{made['id']}").is_success
    assert client.post("/v1/keys", json={"name": "new"}, headers=once).status_code == 409


def test_the_key_of_one_caller_says_nothing_to_another(client: TestClient) -> None:
    client.post("/v1/principals", json={"kind": "user", "name": "ada"})
    client.put("/v1/members/ada", json={"role": "owner"})
    hers = bearer(client.post("/v1/keys", json={"name": "hers", "principal": "ada"}).json()["key"])
    once = {"Idempotency-Key": "one"}
    assert client.post("/v1/keys", json={"name": "new"}, headers=once).status_code == 201
    assert client.post("/v1/keys", json={"name": "new"}, headers={**once, **hers}).status_code == 409
