"""People for the tests of access: principals, projects and keys, made over the API."""

from dataclasses import dataclass
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import text

from shared.contracts.roles import Role
from shared.db.session import transaction
from tests.support.platform import Platform


def bearer(key: str) -> dict[str, str]:
    """The header of a key."""
    return {"Authorization": f"Bearer {key}"}


@dataclass(frozen=True)
class Person:
    """A caller: the test's client with a key of its own."""

    client: TestClient
    name: str
    key: str

    def __call__(self, method: str, path: str, **arguments: Any) -> Any:
        """Send a request with the person's key."""
        headers = {**bearer(self.key), **arguments.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **arguments)

    def ok(self, method: str, path: str, **arguments: Any) -> Any:
        """The JSON of an answer that must be good."""
        answer = self(method, path, **arguments)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None


def change(platform: Platform, sql: str, **values: Any) -> None:
    """Change rows behind the platform's back."""
    with transaction(platform.engine) as session:
        session.execute(text(sql), values)


def project(client: TestClient, name: str) -> Person:
    """A new project; its owner, who is the client's operator."""
    made = client.post("/v1/projects", json={"name": name})
    assert made.status_code == 201, made.text
    return Person(client, "bootstrap-default", made.json()["key"]["key"])


def member(owner: Person, operator: TestClient, name: str, role: Role, **key: Any) -> Person:
    """A new user with that role and a key."""
    assert operator.post("/v1/principals", json={"kind": "user", "name": name}).is_success
    owner.ok("PUT", f"/v1/members/{name}", json={"role": role})
    made = owner.ok("POST", "/v1/keys", json={"name": "test", "principal": name, **key})
    return Person(owner.client, name, made["key"])
