"""Every operation of the described API, called with what the description allows and with what it does not.

Whatever comes back is as described: no 5xx, and a status, a type and a body that are written there. The cases come from
a fixed seed; each is sent as it was made and once more with ids of what exists. `CHAOS=long` sends ten times as many.
"""

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest
import requests
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.strategies import one_of
from schemathesis import BaseSchema, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.api.app import build
from tests.api.people import bearer
from tests.api.routes import FILL, Route, World, routes
from tests.support.platform import API_KEY, Platform, settings_from

SEED = 7
CASES = 100 if os.environ.get("CHAOS") == "long" else 10
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
MODES = list(GenerationMode)
#: HEAD is a GET without a body, and not described.
DESCRIBED = [route for route in routes() if route.method != "HEAD"]


@pytest.fixture(scope="module")
def described(shared_platform: Platform) -> BaseSchema:
    """What a process of the API says of itself. A stream, which never ends, is read up to its first event."""
    url = shared_platform.start_api()
    how = ProjectConfig(base_url=url, max_stream_events=1, request_timeout=1.0)
    config = SchemathesisConfig(seed=SEED, projects=ProjectsConfig(default=how))
    return schemathesis.openapi.from_url(f"{url}/openapi.json", config=config)


@pytest.fixture(scope="module")
def world(shared_platform: Platform) -> Iterator[World]:
    """Makes what a path can name."""
    with settings_from(shared_platform.environment) as own, TestClient(build(own), headers=bearer(API_KEY)) as client:
        yield World(client, shared_platform)


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """Connections of a caller."""
    with requests.Session() as opened:
        yield opened


def _project(world: World) -> str:
    """Not the one that all of this happens in: a case would end it."""
    made = world.client.post("/v1/projects", json={"name": f"p-{uuid4().hex[:8]}"})
    return str(made.json()["id"])


MAKE = FILL | {"project": _project}


def _existing(route: Route, world: World) -> dict[str, str]:
    """Ids for the route's path."""
    return {name: MAKE[name](world) for name in route.parameters if name in MAKE}


@pytest.mark.parametrize("route", DESCRIBED, ids=str)
def test_every_answer_is_as_described(
    route: Route, described: BaseSchema, world: World, session: requests.Session
) -> None:
    operation = described[route.path][route.method]
    existing = _existing(route, world)

    def send(case: Case) -> None:
        case.call_and_validate(session=session, headers=bearer(API_KEY), checks=CHECKS)

    for case in described.iter_coverage_cases(operation, generation_modes=MODES, generation_config=GenerationConfig()):
        send(case)

    @seed(SEED)
    @settings(max_examples=CASES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(one_of([operation.as_strategy(mode) for mode in MODES]))
    def fuzz(case: Case) -> None:
        send(case)
        if existing:
            case.path_parameters = {**case.path_parameters, **existing}
            send(case)

    fuzz()
