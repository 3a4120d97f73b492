"""`faultline notify`: one command to be told, and all that follows from it, on the real API."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from typer.testing import Result

from services.cli.commands.notify_subscribe import local_zone
from services.cli.commands.notify_targets import name_for
from services.cli.sdk import ApiConflict, Client
from services.cli.ui.notices import groups
from shared.contracts.notices import SUBSCRIBABLE
from shared.contracts.notifying import ChannelRequest, ChatTarget, EmailTarget, Target, WebhookTarget
from tests.api.notices import deliver, put, tell
from tests.cli.conftest import LosesAnswers, MakeClient
from tests.support.platform import API_KEY, Platform

Faultline = Callable[..., Result]
HOOK = "https://hooks.example.org/T0PSECRET"


def shown(result: Result) -> Any:
    """The one document on stdout."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def said(result: Result) -> str:
    """What was said on stdout, by a command that went well."""
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


def words(result: Result) -> str:
    """What was said on stderr, without its frame."""
    return " ".join(result.stderr.replace("│", " ").split())


def test_one_command_makes_the_channel_too_and_shows_the_secret_of_a_webhook_once(real: Faultline, client: Client):
    made = said(real("notify", "subscribe", "run.failed", "campaign.*", "--webhook", HOOK))
    secret = re.search(r"whsec_\S+", made)
    assert secret is not None
    assert "T0PSECRET" not in made
    assert [channel.name for channel in client.channels()] == ["hooks-example-org"]
    one = client.subscriptions()[0]
    assert (one.channel, "run.failed" in one.kinds, "campaign.best" in one.kinds) == ("hooks-example-org", True, True)
    later = "".join(said(real("notify", word)) for word in ("channels", "subscriptions"))
    assert secret[0] not in later
    again = shown(real("notify", "subscribe", "run.failed", "--webhook", HOOK, "--json"))
    assert again["channel"]["name"] == "hooks-example-org-2", "a name that is free"
    assert again["channel"]["secret"].startswith("whsec_")
    assert again["subscription"]["channel"] == "hooks-example-org-2"


@pytest.mark.parametrize(
    ("kinds", "named"),
    [
        (SUBSCRIBABLE, ["everything"]),
        (["run.failed"], ["run.failed"]),
        (["quota.near", *(kind for kind in SUBSCRIBABLE if kind.startswith("run."))], ["quota.near", "run.*"]),
        (["kind.of.later"], ["kind.of.later"]),
    ],
)
def test_kinds_are_shown_as_one_would_type_them(kinds: list[str], named: list[str]):
    assert groups(kinds) == named


def test_without_a_channel_the_inbox_is_told(real: Faultline, client: Client):
    assert "your inbox" in said(real("notify", "subscribe", "run.failed", "--mine", "--label", "line=press-4"))
    one = client.subscriptions()[0]
    assert (one.channel, one.filter.mine, one.filter.labels) == (None, True, {"line": "press-4"})


def test_a_digest_and_quiet_hours_go_by_the_clock_of_here(
    real: Faultline, client: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    where = ["--chat", "https://hooks.slack.com/services/T1/B2/SECRET", "--name", "ops"]
    weekly = ["--digest", "week", "--weekday", "fri", "--at", "16:30"]
    assert "Fridays at 16:30 in Asia/Tokyo" in said(real("notify", "subscribe", "run.*", *where, *weekly))
    quiet = said(real("notify", "subscribe", "run.failed", "--channel", "ops", "--quiet", "22:00-07:00"))
    assert "22:00 to 07:00 in Asia/Tokyo" in quiet
    newest = client.subscriptions()[0]
    assert (newest.digest, newest.channel) == (None, "ops")


@pytest.mark.parametrize("named", ["Europe/Berlin", ":Europe/Berlin", "/usr/share/zoneinfo/Europe/Berlin"])
def test_the_zone_of_here_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch, named: str):
    monkeypatch.setenv("TZ", named)
    assert local_zone() == "Europe/Berlin"


@pytest.mark.parametrize(
    ("target", "taken", "name"),
    [
        (WebhookTarget(url=SecretStr(HOOK)), set(), "hooks-example-org"),
        (WebhookTarget(url=SecretStr(HOOK)), {"hooks-example-org", "hooks-example-org-2"}, "hooks-example-org-3"),
        (EmailTarget(to=["Ada.Lovelace@example.org"]), set(), "mail-ada-lovelace"),
        (ChatTarget(url=SecretStr("slack://T0K3N/x/y")), set(), "slack"),
        (ChatTarget(url=SecretStr("https://discord.com/api/webhooks/1/T0K3N")), set(), "discord-com"),
        (ChatTarget(url=SecretStr("https://[broken")), set(), "chat"),
    ],
)
def test_a_channel_is_named_after_where_it_leads_and_nothing_secret(target: Target, taken: set[str], name: str):
    assert name_for(target, taken) == name


def test_a_channel_whose_subscription_is_refused_is_not_left_behind(real: Faultline, client: Client):
    refused = real("notify", "subscribe", "run.failed", "--webhook", HOOK, "--kind", "model.bake")
    assert (refused.exit_code, "model.bake" in words(refused)) == (2, True)
    assert client.channels() == []


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["subscribe", "run.explodes"], "no notice named 'run.explodes'"),
        (["subscribe", "model.deployed"], "no release promotes models"),
        (["subscribe", "run.failed", "--webhook", HOOK, "--chat", "slack://a/b/c"], "are two channels"),
        (["subscribe", "run.failed", "--webhook", HOOK, "--channel", "ops"], "one that there is"),
        (["subscribe", "run.failed", "--channel", "nowhere"], "no channel 'nowhere'"),
        (["subscribe", "run.failed", "--name", "ops"], "of a new channel"),
        (["subscribe", "run.failed", "--digest", "day"], "makes no sound"),
        (["subscribe", "run.failed", "--at", "07:00"], "of a digest"),
        (["subscribe", "run.failed", "--webhook", HOOK, "--digest", "day", "--at", "soon"], "at"),
        (["subscribe", "run.failed", "--webhook", HOOK, "--quiet", "night"], "HH:MM-HH:MM"),
        (["subscribe", "run.failed", "--webhook", "http://example.org/"], "not encrypted"),
        (["subscribe", "run.failed", "--webhook", "https://10.0.0.1/"], "10.0.0.1 is private"),
        (["subscribe", "run.failed", "--email", "ada@example.org"], "sends no mail"),
        (["subscribe", "run.failed", "--email", "ada"], "to.0"),
        (["channel", "add", "ops"], "Where it leads is not said"),
        (["channel", "remove", "nowhere", "--yes"], "no channel 'nowhere'"),
        (["mute", "abc", "--for", "2h"], "too short"),
        (["mute", "0badc0de"], "names none of your subscriptions"),
        (["unsubscribe", "123e4567-e89b-42d3-a456-426614174000"], "no subscription"),
        (["replay"], "not said"),
        (["replay", "--dead"], "not said"),
        (["replay", "0badc0de"], "names none"),
        (["ack", "117"], "no '117' in your inbox"),
        (["announce", "x", "--begins", "2126-01-02T00:00:00", "--ends", "2126-01-01T00:00:00"], "before it begins"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_changes_nothing(
    real: Faultline, client: Client, given: list[str], reason: str
):
    result = real("notify", *given)
    assert result.exit_code == 2, result.output
    assert reason in words(result)
    assert "do " in words(result)
    assert (client.channels(), client.subscriptions()) == ([], [])


def test_a_subscription_is_muted_and_told_again_and_ended_by_a_part_of_its_id(real: Faultline, client: Client):
    real("notify", "subscribe", "run.failed")
    part = str(client.subscriptions()[0].id)[-8:]
    assert "muted" in said(real("notify", "mute", part, "--for", "2h"))
    assert "muted" in said(real("notify", "subscriptions"))
    assert "at once" in said(real("notify", "mute", part, "--off"))
    assert "1 subscription removed" in said(real("notify", "unsubscribe", part))
    assert client.subscriptions() == []


def test_a_channel_is_added_rotated_enabled_and_removed(real: Faultline, client: Client):
    first = shown(real("notify", "channel", "add", "ops", "--webhook", HOOK, "--json"))["secret"]
    second = shown(real("notify", "channel", "rotate", "ops", "--json"))["secret"]
    assert first != second
    assert "Only the newest" in said(real("notify", "channel", "rotate", "ops", "--drop-old"))
    assert "enabled" in said(real("notify", "channel", "enable", "ops"))
    refused = real("notify", "channel", "remove", "ops")
    assert (refused.exit_code, "--yes" in words(refused)) == (2, True)
    assert "removed" in said(real("notify", "channel", "remove", "ops", "--yes"))
    assert client.channels() == []


def test_an_answer_with_a_secret_that_was_lost_on_the_way_is_asked_for_again(server: TestClient, make: MakeClient):
    lossy = make(API_KEY, LosesAnswers(server))
    lossy.http.retries = 2
    request = ChannelRequest(name="ops", target=WebhookTarget(url=SecretStr(HOOK)))
    made = lossy.create_channel(request)
    assert made.secret is not None
    assert len(lossy.channels()) == 1
    with pytest.raises(ApiConflict):
        lossy.create_channel(request)


def test_a_test_says_what_came_of_it_or_that_nothing_did(real: Faultline):
    real("notify", "channel", "add", "ops", "--webhook", HOOK)
    result = real("notify", "channel", "test", "ops", "--wait", "0")
    assert "pending" in said(result)
    assert "is a notifier running" in words(result)


def test_deliveries_are_listed_shown_and_sent_again(real: Faultline, client: Client, platform: Platform):
    real("notify", "channel", "add", "ops", "--webhook", HOOK)
    hook = str(client.channel("ops").id)
    one, other = (str(deliver(platform, hook, tell(platform))) for _ in range(2))
    assert said(real("notify", "deliveries", "--state", "dead")).count("run.failed") == 2
    picture = said(real("notify", "delivery", one))
    assert "HTTP 500" in picture
    assert '"type": "run.failed"' in picture
    assert shown(real("notify", "replay", one[-8:], "--json"))[0]["state"] == "pending"
    assert "1 delivery to ops" in said(real("notify", "replay", "--dead", "--channel", "ops"))
    assert {one.state for one in client.deliveries()} == {"pending"}
    refused = real("notify", "replay", other)
    assert (refused.exit_code, "pending already" in words(refused)) == (2, True)


def test_the_inbox_is_shown_read_and_taken_on(real: Faultline, client: Client, platform: Platform):
    assert "Nothing here" in said(real("notify", "inbox"))
    places = [put(platform, tell(platform, kind)) for kind in ("run.succeeded", "run.failed")]
    picture = said(real("notify", "inbox"))
    assert "Training bearing-cnn has failed" in picture
    assert "2 unread, 1 urgent" in picture
    assert "Taken on: Training bearing-cnn has failed" in said(real("notify", "ack", str(places[1])))
    assert "1 unread" in said(real("notify", "inbox"))
    assert [item["id"] for item in shown(real("notify", "inbox", "--unread", "--read", "--json"))] == [places[0]]
    assert client.inbox_count().unread == 0


def test_kinds_are_listed_and_completed(real: Faultline):
    picture = said(real("notify", "kinds"))
    assert all(kind in picture for kind in SUBSCRIBABLE)
    completed = real("__complete", "notify", "subscribe", "run.f").stdout
    assert completed.startswith("run.failed")


def test_work_on_the_platform_is_announced(real: Faultline, platform: Platform):
    assert "Announced: New disks." in said(real("notify", "announce", "New disks.", "--begins", "2126-01-01T20:00:00"))
    assert platform.rows("SELECT data ->> 'message' AS message FROM notices") == [{"message": "New disks."}]


def test_the_inbox_is_followed_live_until_ctrl_c(platform: Platform):
    put(platform, tell(platform, "run.started"))
    environment = {**os.environ, "FAULTLINE_URL": platform.start_api(), "FAULTLINE_API_KEY": API_KEY}
    command = [sys.executable, "-m", "services.cli", "notify", "inbox", "--follow", "--json"]
    heeds = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # what runs in the background ignores it
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, preexec_fn=heeds) as following:
        assert following.stdout is not None
        assert json.loads(following.stdout.readline())["kind"] == "run.started"
        put(platform, tell(platform, "run.failed"))
        assert json.loads(following.stdout.readline())["title"] == "Training bearing-cnn has failed"
        following.send_signal(signal.SIGINT)
        assert following.wait(30) == 130
