"""`faultline audit`: who asked for what, page by page, for those who may see it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import Result

from services.cli.sdk import ApiForbidden, Client
from shared.contracts.roles import Role, Scope
from shared.contracts.specs import GenerateSpec
from tests.cli.conftest import MakeClient

Faultline = Callable[..., Result]


@pytest.fixture(autouse=True)
def a_past(client: Client) -> None:
    """Ada comes, gets a key, and three runs are asked for."""
    client.create_principal("ada")
    client.set_member("ada", Role.EDITOR)
    client.create_key("hers", principal="ada")
    for number in range(3):
        client.submit("dataset.generate", GenerateSpec(name=f"d{number}"))


def entries(result: Result) -> list[Any]:
    """What was given as JSON."""
    assert result.exit_code == 0, result.output
    found: list[Any] = json.loads(result.stdout)
    return found


def test_it_is_read_page_by_page_each_entry_once(real: Faultline, client: Client):
    whole = client.audit(limit=1000)
    assert [entry.id for entry in whole] == sorted((entry.id for entry in whole), reverse=True)
    seen: list[Any] = []
    while page := entries(real("audit", "--limit", "2", "--json", *(["--before", str(seen[-1])] if seen else []))):
        seen += [entry["id"] for entry in page]
    assert seen == [entry.id for entry in whole]


def test_more_than_is_shown_is_told_with_the_words_to_type(real: Faultline, client: Client):
    last = client.audit(limit=2)[-1]
    assert f"--before {last.id}" in real("audit", "--limit", "2").stdout
    assert "--before" not in real("audit", "--limit", "100").stdout


@pytest.mark.parametrize(
    ("words", "actions"),
    [
        (["--action", "run.submit"], ["run.submit"] * 3),
        (["--action", "key."], ["key.create"]),
        (["--action", "run.submit", "--since", "1h", "--by", "bootstrap-default"], ["run.submit"] * 3),
        (["--by", "ada"], []),
        (["--since", (datetime.now(UTC) + timedelta(days=1)).isoformat()], []),
    ],
)
def test_all_that_is_given_must_hold(real: Faultline, words: list[str], actions: list[str]):
    assert [entry["action"] for entry in entries(real("audit", *words, "--json"))] == actions


def test_the_table_tells_who_did_what_to_what(real: Faultline):
    shown = real("audit", "--action", "run.").stdout
    assert shown.count("run.submit") == 3
    assert "bootstrap-default" in shown
    assert "kind dataset.generate" in shown
    assert "Nobody has asked" in real("audit", "--by", "ada").stdout


@pytest.mark.parametrize(
    ("words", "reason"),
    [(["--since", "yesterday"], "is no time"), (["--before", "0"], "before"), (["--limit", "0"], "limit")],
)
def test_what_cannot_be_meant_is_refused(real: Faultline, words: list[str], reason: str):
    result = real("audit", *words)
    assert result.exit_code == 2
    assert reason in result.stderr


def test_who_is_no_admin_is_refused(client: Client, make: MakeClient):
    reader = make(client.create_key("narrow", scopes=[Scope.READ]).key)
    with pytest.raises(ApiForbidden):
        reader.audit()
