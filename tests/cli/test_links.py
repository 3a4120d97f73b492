"""What works without a key for a while: links to files, and tickets for streams."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from typer.testing import Result

from services.cli.sdk import ApiNotFound, Client
from shared.contracts.specs import GenerateSpec
from tests.cli.fake_api import FakeApi
from tests.retention.support import Attic
from tests.support.platform import Platform

Faultline = Callable[..., Result]


@pytest.fixture
def run(platform: Platform) -> str:
    """The id of a run that has left two files."""
    attic = Attic(platform)
    run = attic.ended_run()
    attic.artifact(run, "model.json", b"{}")
    attic.artifact(run, "curve.csv", b"1,2")
    return str(run)


def test_one_named_file_is_an_address_alone_that_needs_no_key(real: Faultline, run: str, server: TestClient):
    result = real("runs", "link", run, "model.json")
    [url] = result.stdout.splitlines()
    assert server.get(url).content == b"{}"
    assert "Whoever has the link" in result.stderr


def test_without_names_every_file_is_linked_below_its_name(real: Faultline, run: str):
    lines = real("runs", "link", run).stdout.splitlines()
    assert sorted(lines[::2]) == ["curve.csv", "model.json"]
    assert all(line.startswith("http://testserver/v1/artifacts/") for line in lines[1::2])


def test_a_link_works_as_long_as_it_was_asked_for(real: Faultline, run: str):
    [link] = json.loads(real("runs", "link", run, "model.json", "--for", "2h", "--json").stdout)["links"]
    left = datetime.fromisoformat(link["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=110) < left <= timedelta(hours=2)
    assert (link["name"], link["size_bytes"]) == ("model.json", 2)


@pytest.mark.parametrize("life", ["3d", "0h", "soon", "-1h", ""])
def test_a_life_that_cannot_be_is_refused(real: Faultline, run: str, life: str):
    result = real("runs", "link", run, "--for", life)
    assert result.exit_code == 2
    assert "30min, 2h or 1d" in result.stderr


def test_a_file_that_there_is_not_is_told(real: Faultline, run: str):
    result = real("runs", "link", run, "nope")
    assert (result.exit_code, "no file 'nope'" in result.stderr) == (2, True)


def test_the_files_of_a_model_are_linked_by_its_name(faultline: Faultline, api: FakeApi):
    api.submit("dataset.generate", {"name": "d1"})
    api.submit("model.train", {"name": "m1", "dataset_id": str(api.datasets[0].id), "recipe": {"type": "rf"}})
    api.files = {"model.json": b"{}"}
    result = faultline("models", "link", "m1", "model.json")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("https://store.example/")


def test_a_ticket_opens_the_stream_of_one_run_without_a_key(client: Client, server: TestClient):
    run = client.submit("dataset.generate", GenerateSpec(name="d1"))
    client.cancel(run.id)
    ticket = client.ticket(run.id)
    assert server.get(ticket.url.partition("?")[0]).status_code == 401
    told = server.get(client.url + ticket.url)
    assert told.status_code == 200
    assert '"cancelled"' in told.text
    with pytest.raises(ApiNotFound):
        client.ticket(uuid4())
