"""Every route of the API and what tests need to call it. A new route is found by itself.

A test that fails with "add ..." wants one line here: how a path's parameter is filled, or an example of a good request.
"""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from services.api.access.needs import Needs
from services.api.app import MODULES
from services.api.deps import Asks
from shared.contracts.notices import SUBSCRIBABLE
from tests.api.people import change
from tests.support.platform import Platform

#: need no key
PUBLIC = frozenset({"/livez", "/readyz", "/metrics"})
#: work without a key: their signed URLs are one
SIGNED = frozenset(
    {
        "/v1/uploads/sessions/{session_id}/parts/{number}",
        "/v1/artifacts/{artifact_id}/content",
        "/v1/links/{token}",
    }
)
READING = frozenset({"GET", "HEAD"})
#: parts of a path that name what belongs to no project
PLATFORM_WIDE = frozenset({"principal", "name", "view"})


@dataclass(frozen=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    needs: tuple[Needs, ...]
    parameters: tuple[str, ...]
    needs_body: bool
    takes_key: bool  #: looks at `Idempotency-Key`

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_stream(self) -> bool:
        """Whether it goes on until somebody hangs up."""
        return self.path.endswith("/events")

    def filled(self, values: dict[str, str]) -> str:
        """The path with its parameters."""
        path = self.path
        for name in self.parameters:
            path = path.replace(f"{{{name}}}", values[name])
        return path


def _needs(dependant: Dependant) -> Iterator[Needs]:
    for inner in dependant.dependencies:
        if isinstance(inner.call, Asks):
            yield inner.call.needs
        yield from _needs(inner)


def _takes_key(dependant: Dependant) -> bool:
    own = any(field.alias == "Idempotency-Key" for field in dependant.header_params)
    return own or any(map(_takes_key, dependant.dependencies))


def routes() -> list[Route]:
    """All routes of the API."""
    found = []
    for module in MODULES:
        for route in module.router.routes:
            assert isinstance(route, APIRoute), route
            body = route.body_field
            parameters = tuple(re.findall(r"\{(\w+)", route.path))
            needs_body = body is not None and body.field_info.is_required()
            for method in route.methods or ():
                needs = tuple(dict.fromkeys(_needs(route.dependant)))
                takes_key = _takes_key(route.dependant)
                found.append(Route(method, route.path, needs, parameters, needs_body, takes_key))
    return found


def documented(app: FastAPI) -> set[str]:
    """Every route that the application itself knows of, in the words of `str(Route)`."""
    return {f"{method.upper()} {path}" for path, methods in app.openapi()["paths"].items() for method in methods}


@dataclass
class _Runs:
    """Runs and what belongs to them."""

    client: TestClient
    platform: Platform
    #: words and ids that nobody else may see
    marks: set[str] = field(default_factory=set)

    def _mark(self, word: Any) -> str:
        self.marks.add(str(word))
        return str(word)

    def generate(self) -> dict[str, Any]:
        """A spec that is good and has a name of its own."""
        name = self._mark(f"hidden-{uuid4().hex[:8]}")
        return {"name": name, "units_per_fault": 1, "records_per_unit": 1, "duration_s": 0.5}

    def run(self) -> str:
        """A queued run."""
        made = self.client.post("/v1/datasets/generate", json=self.generate())
        assert made.status_code == 202, made.text
        return self._mark(made.json()["id"])

    def dataset(self) -> str:
        """A dataset that is being made."""
        return self._mark(self.platform.rows("SELECT id FROM datasets WHERE run_id = :run", run=self.run())[0]["id"])

    def model(self) -> str:
        """A model, as a row."""
        model = self._mark(uuid4())
        sql = "INSERT INTO models (id, project_id, name, run_id, dataset_id) SELECT :id, project_id, :name, run_id, id"
        change(self.platform, f"{sql} FROM datasets WHERE id = :dataset", id=model, name=model, dataset=self.dataset())
        return model

    def artifact(self) -> str:
        """A file, as a row."""
        artifact = self._mark(uuid4())
        change(
            self.platform,
            "INSERT INTO artifacts (id, run_id, attempt, role, name, key, size_bytes, sha256, content_type) "
            "VALUES (:id, :run, 1, 'output', 'f', :id, 1, '', 'text/plain')",
            id=artifact,
            run=self.run(),
        )
        return artifact

    def principal(self) -> str:
        """A member of the project."""
        name = self._mark(f"hidden-{uuid4().hex[:8]}")
        assert self.client.post("/v1/principals", json={"kind": "user", "name": name}).is_success
        assert self.client.put(f"/v1/members/{name}", json={"role": "viewer"}).is_success
        return name

    def key(self) -> str:
        """A key of the project."""
        return self._mark(self.client.post("/v1/keys", json={"name": "k"}).json()["id"])

    def session(self) -> str:
        """An upload that has begun."""
        body = {"file_name": "a.csv", "size_bytes": 4, "sha256": "0" * 64}
        return self._mark(self.client.post("/v1/uploads/sessions", json=body).json()["id"])

    def schedule(self) -> str:
        """A schedule."""
        made = self.client.post("/v1/schedules", json=_nightly(self))
        assert made.status_code == 201, made.text
        return self._mark(made.json()["id"])

    def view(self) -> str:
        """A way to look at a campaign."""
        return "history"

    def campaign(self) -> str:
        """A campaign that nobody moves on."""
        made = self.client.post("/v1/campaigns", json=_search(self))
        assert made.status_code == 202, made.text
        return self._mark(made.json()["id"])

    def name(self) -> str:
        """What a pool and a worker are called."""
        change(
            self.platform,
            "INSERT INTO workers (name, pools, kinds, slots, host, pid, version) "
            "VALUES (:name, ARRAY['test'], ARRAY['test.inline'], 1, 'h', 1, '0') ON CONFLICT DO NOTHING",
            name="test",
        )
        return "test"

    def signature(self) -> str:
        """A family of failures."""
        signature = self._mark(uuid4().hex[:16])
        change(
            self.platform,
            "UPDATE runs SET state = 'failed', finished_at = now(), error_signature = :signature, cause = 'bug', "
            "envelope = jsonb_build_object('success', false, 'run_id', id, 'attempt', 1, 'task_id', 't', 'kind', kind, "
            "'duration_seconds', 0, 'error', jsonb_build_object('type', 'UserError', 'message', 'm', 'remedy', 'r', "
            "'error_id', 'e')) WHERE id = :run",
            signature=signature,
            run=self.run(),
        )
        return signature

    def project(self) -> str:
        """The project itself."""
        return self._mark(self.platform.caller.project_id)


class World(_Runs):
    """Things of the client's project, made when asked for."""

    def channel(self) -> str:
        """A webhook."""
        made = self.client.post("/v1/channels", json=_hook())
        assert made.status_code == 201, made.text
        return self._mark(made.json()["id"])

    def subscription(self) -> str:
        """A subscription of the owner."""
        made = self.client.post("/v1/subscriptions", json={"kinds": ["run.failed"]})
        assert made.status_code == 201, made.text
        return self._mark(made.json()["id"])

    def delivery(self) -> str:
        """A delivery that was given up."""
        delivery = self._mark(self.client.post(f"/v1/channels/{self.channel()}/test").json()["id"])
        change(self.platform, "UPDATE deliveries SET state = 'dead' WHERE id = :id", id=delivery)
        return delivery

    def token(self) -> str:
        """What looks like a link and was signed by nobody."""
        return self._mark(uuid4().hex)

    def notice(self) -> str:
        """A notice of the project."""
        sql = "SELECT notice_id FROM deliveries WHERE id = :id"
        return self._mark(self.platform.rows(sql, id=self.delivery())[0]["notice_id"])


#: parameter of a path -> makes what it can name
FILL: dict[str, Callable[[World], str]] = {
    "run_id": World.run,
    "dataset": World.dataset,
    "model": World.model,
    "artifact_id": World.artifact,
    "principal": World.principal,
    "key_id": World.key,
    "project": World.project,
    "signature": World.signature,
    "session_id": World.session,
    "schedule": World.schedule,
    "campaign": World.campaign,
    "channel": World.channel,
    "subscription_id": World.subscription,
    "delivery_id": World.delivery,
    "notice_id": World.notice,
    "token": World.token,
    "view": World.view,
    "name": World.name,
}
#: ids that name nothing
NOTHING = {name: str(uuid4()) for name in FILL} | {"signature": "0" * 16, "view": "history"}


@dataclass(frozen=True)
class Example:
    """A good request: its arguments, and what must be done to the thing in its path before."""

    arguments: Callable[[World], dict[str, Any]] = lambda _: {}
    before: str = ""


def _any_kind(world: World) -> dict[str, Any]:
    return {"json": {"kind": "dataset.generate", "spec": world.generate()}}


def _nightly(world: _Runs) -> dict[str, Any]:
    spec = world.generate()
    spec["name"] += "-{time}"
    name = f"s-{uuid4().hex[:8]}"
    return {"name": name, "cron": "30 2 * * *", "kind": "dataset.generate", "spec": spec}


def _hook() -> dict[str, Any]:
    return {"name": f"c-{uuid4().hex[:8]}", "target": {"type": "webhook", "url": "https://hooks.example.org/x"}}


def _any_kinds() -> list[str]:
    """Unlike every other, as far as there are enough."""
    return random.sample(SUBSCRIBABLE, 5)


def _search(world: _Runs) -> dict[str, Any]:
    base = world.generate()
    spec = {"name": base.pop("name"), "kind": "dataset.generate", "base": base, "objectives": [{"result": "records"}]}
    del base["units_per_fault"]
    space = {"units_per_fault": {"type": "int", "low": 1, "high": 9}}
    return {"spec": {**spec, "space": space, "budget": {"trials": 9}}}


def _ended(table: str, parameter: str) -> str:
    made_by = f"(SELECT run_id FROM {table} WHERE id = :{parameter})"
    return f"UPDATE runs SET state = 'succeeded', finished_at = now() WHERE id = {made_by}"


def _file_name() -> str:
    return f"{uuid4().hex[:8]}.csv"


#: of routes that change something and need more than their path; no two requests are equal
EXAMPLES: dict[str, Example] = {
    "POST /v1/datasets/generate": Example(lambda world: {"json": world.generate()}),
    "POST /v1/runs": Example(_any_kind),
    "POST /v1/runs/{run_id}/clone": Example(lambda world: {"json": {"spec": {"name": world.generate()["name"]}}}),
    "POST /v1/runs/{run_id}/resume": Example(before="UPDATE runs SET state = 'paused' WHERE id = :run_id"),
    "POST /v1/runs/{run_id}/retry": Example(
        before="UPDATE runs SET state = 'cancelled', finished_at = now() WHERE id = :run_id"
    ),
    "POST /v1/batches": Example(lambda world: {"json": {"runs": [_any_kind(world)["json"]]}}),
    "POST /v1/runs/actions": Example(lambda world: {"json": {"action": "cancel", "run_ids": [world.run()]}}),
    "POST /v1/uploads": Example(lambda _: {"files": {"file": (_file_name(), b"1,2\n")}}),
    "POST /v1/uploads/sessions": Example(
        lambda _: {"json": {"file_name": _file_name(), "size_bytes": 4, "sha256": "0" * 64}}
    ),
    "POST /v1/tickets": Example(lambda _: {"json": {}}),
    "POST /v1/artifacts/{artifact_id}/link": Example(lambda _: {"json": {"expires_in_s": 60}}),
    "DELETE /v1/datasets/{dataset}": Example(before=_ended("datasets", "dataset")),
    "DELETE /v1/models/{model}": Example(before=_ended("models", "model")),
    "POST /v1/schedules": Example(lambda world: {"json": _nightly(world)}),
    "PATCH /v1/schedules/{schedule}": Example(lambda _: {"json": {"enabled": False}}),
    "POST /v1/campaigns": Example(lambda world: {"json": _search(world)}),
    "PATCH /v1/campaigns/{campaign}": Example(lambda _: {"json": {"max_parallel": 2}}),
    "POST /v1/campaigns/{campaign}/fork": Example(lambda world: {"json": {"name": world.generate()["name"]}}),
    "POST /v1/campaigns/{campaign}/trials": Example(lambda _: {"json": {"params": {"units_per_fault": 3}}}),
    "POST /v1/channels": Example(lambda _: {"json": _hook()}),
    "POST /v1/subscriptions": Example(lambda _: {"json": {"kinds": _any_kinds()}}),
    "PATCH /v1/subscriptions/{subscription_id}": Example(lambda _: {"json": {"enabled": False}}),
    "POST /v1/deliveries/replay": Example(lambda world: {"json": {"channel": world.channel()}}),
    "POST /v1/inbox/read": Example(lambda _: {"json": {"all": True}}),
    "POST /v1/maintenance": Example(lambda _: {"json": {"message": f"at {uuid4()}"}}),
    "POST /v1/projects": Example(lambda _: {"json": {"name": f"p-{uuid4().hex[:8]}"}}),
    "PATCH /v1/projects/{project}": Example(lambda _: {"json": {"share": 2}}),
    "POST /v1/principals": Example(lambda _: {"json": {"kind": "service", "name": f"s-{uuid4().hex[:8]}"}}),
    "PATCH /v1/principals/{principal}": Example(lambda _: {"json": {"disabled": True}}),
    "PUT /v1/members/{principal}": Example(lambda _: {"json": {"role": "editor"}}),
    "POST /v1/keys": Example(lambda _: {"json": {"name": f"k-{uuid4().hex[:8]}"}}),
    "POST /v1/pools/{name}/pause": Example(lambda _: {"json": {"reason": "a test"}}),
    "DELETE /v1/projects/{project}": Example(lambda _: {"params": {"force": True}}),
}
#: change something, but only through what these share with a route that has an example
LIKE_ANOTHER = {
    "POST /v1/datasets/import": "POST /v1/datasets/generate",
    "POST /v1/trainings": "POST /v1/datasets/generate",
    "POST /v1/evaluations": "POST /v1/datasets/generate",
    "POST /v1/uploads/sessions/{session_id}/complete": "POST /v1/uploads",
}
#: POST only because the answer must not be kept by anybody: nothing changes
CHANGES_NOTHING = frozenset({"POST /v1/tickets", "POST /v1/artifacts/{artifact_id}/link"})
#: twice is as good as once: these ask for a state, and make nothing
SAME_TWICE = CHANGES_NOTHING | {
    "POST /v1/runs/{run_id}/cancel",
    "POST /v1/runs/{run_id}/pause",
    "POST /v1/runs/{run_id}/resume",
    "POST /v1/campaigns/{campaign}/pause",
    "POST /v1/campaigns/{campaign}/resume",
    "POST /v1/pools/{name}/pause",
    "POST /v1/pools/{name}/resume",
    "POST /v1/workers/{name}/drain",
    "POST /v1/workers/{name}/undrain",
    "POST /v1/channels/{channel}/enable",
    "POST /v1/inbox/read",
    "POST /v1/notices/{notice_id}/acknowledge",
    "POST /v1/uploads/sessions/{session_id}/complete",  # an upload has the id of its session
}
#: a member may do this to what is its own, whatever its role
OWN = frozenset(
    {
        "POST /v1/keys",
        "DELETE /v1/keys/{key_id}",
        "POST /v1/subscriptions",
        "PATCH /v1/subscriptions/{subscription_id}",
        "DELETE /v1/subscriptions/{subscription_id}",
        "POST /v1/inbox/read",
        "POST /v1/notices/{notice_id}/acknowledge",
    }
)
