"""What the follower makes of events, and whom it tells."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from services.notifier.follower import Follower
from shared.contracts.states import RunState
from shared.db.session import transaction
from tests.support.notices import Local

CHANNEL_URL = "http://127.0.0.1:9/nobody"


def kinds_of(local: Local) -> list[str]:
    return [row["kind"] for row in local.deliveries()]


def test_who_subscribed_to_a_kind_gets_one_delivery_and_who_did_not_gets_none(local: Local) -> None:
    channel = local.channel(CHANNEL_URL)
    local.subscribe("run.failed", channel=channel)
    local.subscribe("run.cancelled", channel=channel)
    local.end(local.run(), RunState.FAILED)
    local.follower.once()
    assert kinds_of(local) == ["run.failed"]


def test_a_follower_that_starts_anew_tells_nothing_twice_and_loses_nothing(local: Local) -> None:
    local.subscribe("run.succeeded", channel=local.channel(CHANNEL_URL))
    for _ in range(3):
        local.end(local.run())
        Follower(local.platform.engine, local.platform.settings).once()
    local.end(local.run())
    local.follower.once()
    assert len(local.deliveries()) == 4


def test_an_event_whose_transaction_commits_late_is_told_and_holds_up_no_other(local: Local) -> None:
    local.subscribe("run.succeeded", channel=local.channel(CHANNEL_URL))
    slow, fast = local.run(), local.run()
    with transaction(local.platform.engine) as session:
        session.execute(text("SELECT pg_current_xact_id()"))
        local.end(fast)
        local.follower.once()
        assert [row["data"]["run_id"] for row in local.deliveries()] == [str(fast)]
        session.execute(
            text(
                "INSERT INTO run_events (run_id, seq, attempt, type, data) "
                "VALUES (:id, 99, 1, 'state', '{\"state\": \"succeeded\"}')"
            ),
            {"id": slow},
        )
    local.follower.once()
    assert [row["data"]["run_id"] for row in local.deliveries()] == [str(fast), str(slow)]
    Follower(local.platform.engine, local.platform.settings).once()
    assert len(local.deliveries()) == 2


def test_an_event_that_makes_no_sense_stops_nothing(local: Local) -> None:
    local.subscribe("campaign.best", "run.succeeded", channel=local.channel(CHANNEL_URL))
    run_id = local.run()
    local.event(run_id, "best", nonsense=True)
    local.end(run_id)
    local.follower.once()
    assert kinds_of(local) == ["run.succeeded"]


@pytest.mark.parametrize(
    "more",
    [
        {"quiet": {"begin": "00:00:00", "end": "23:59:59"}},
        {
            "digest": {"every": "day", "at": "09:00:00", "weekday": 0},
            "next_digest_at": datetime.now(UTC) - timedelta(hours=1),
        },
    ],
    ids=["quiet", "digest"],
)
def test_a_zone_that_this_process_does_not_know_stops_nothing(local: Local, more: dict[str, object]) -> None:
    channel = local.channel(CHANNEL_URL)
    local.subscribe("run.succeeded", channel=channel, timezone="Mars/Utopia", **more)
    local.subscribe("run.succeeded", channel=channel)
    local.end(local.run())
    local.follower.once()
    assert [row["rung_at"] is not None for row in local.deliveries()].count(True) >= 1


def test_a_round_that_has_told_all_is_the_last(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[object] = []

    def ring(*given: object) -> bool:
        rounds.append(given)
        return False

    monkeypatch.setattr("services.notifier.follower.ring", ring)
    local.subscribe("run.succeeded", channel=local.channel(CHANNEL_URL))
    local.end(local.run())
    local.follower.once()
    assert len(rounds) == 1


def test_a_failed_round_is_read_again(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    local.subscribe("run.succeeded", channel=local.channel(CHANNEL_URL))
    local.end(local.run())
    with monkeypatch.context() as patched:
        patched.setattr("services.notifier.follower.make_digests", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            local.follower.once()
    local.follower.once()
    assert len(local.deliveries()) == 1


def test_a_progress_milestone_is_told_once_and_each_share_of_its_own(local: Local) -> None:
    channel = local.channel(CHANNEL_URL)
    local.subscribe("run.progress", channel=channel)
    local.subscribe("run.progress", channel=channel, filter={"progress_at": 0.9})
    run_id = local.run()
    for fraction in (0.2, 0.55, 0.7, 0.95, 0.99):
        local.event(run_id, "progress", fraction=fraction, stage="count", eta_seconds=1.0)
        local.follower.once()
    assert [row["data"]["milestone"] for row in local.deliveries()] == [0.5, 0.9]
    assert local.deliveries()[0]["data"]["fraction"] == 0.55


def test_an_accuracy_milestone_comes_from_metrics_and_is_told_once(local: Local) -> None:
    local.subscribe("accuracy.milestone", channel=local.channel(CHANNEL_URL), filter={"accuracy_at": 0.9})
    run_id = local.run()
    for step, value in enumerate((0.5, 0.92, 0.97)):
        local.event(run_id, "metrics", up_to_step=step, latest={"validation_accuracy": value})
        local.follower.once()
    local.end(run_id, validation_accuracy=0.98)
    local.follower.once()
    assert [row["data"]["accuracy"] for row in local.deliveries()] == [0.92]


@pytest.mark.parametrize(
    ("filter_", "told"),
    [
        ({}, True),
        ({"labels": {"line": "4"}}, True),
        ({"labels": {"line": "5"}}, False),
        ({"run_kinds": ["test.inline"]}, True),
        ({"run_kinds": ["model.train"]}, False),
        ({"model_types": ["rf"]}, False),
        ({"mine": True}, True),
    ],
)
def test_a_filter_lets_pass_what_it_names(local: Local, filter_: dict[str, object], told: bool) -> None:
    local.subscribe("run.succeeded", channel=local.channel(CHANNEL_URL), filter=filter_)
    local.end(local.run(labels={"line": "4"}))
    local.follower.once()
    assert bool(local.deliveries()) is told


def test_children_are_told_to_who_asks_for_them_only(local: Local) -> None:
    channel = local.channel(CHANNEL_URL)
    local.subscribe("run.succeeded", channel=channel)
    asks = local.subscribe("run.succeeded", channel=channel, filter={"children": True})
    local.end(local.run(parent_id=local.run()))
    local.follower.once()
    assert [row["subscription_id"] for row in local.deliveries()] == [asks]


def test_muted_subscriptions_and_those_of_former_members_are_told_nothing(local: Local) -> None:
    channel = local.channel(CHANNEL_URL)
    local.subscribe("run.succeeded", channel=channel, muted_until=datetime.now(UTC) + timedelta(hours=1))
    local.end(local.run())
    local.follower.once()
    assert local.deliveries() == []
    local.subscribe("run.succeeded", channel=channel)
    with transaction(local.platform.engine) as session:
        session.execute(text("DELETE FROM memberships"))
    local.end(local.run())
    local.follower.once()
    assert local.deliveries() == []


def test_what_happened_before_a_subscription_is_not_told(local: Local) -> None:
    local.end(local.run())
    local.subscribe("run.succeeded", channel=local.channel(CHANNEL_URL))
    local.follower.once()
    assert local.deliveries() == []


def test_a_failure_reaches_the_inbox_of_who_started_the_run_without_any_subscription(local: Local) -> None:
    local.end(local.run(), RunState.FAILED)
    local.follower.once()
    (place,) = local.inbox()
    assert place["principal_id"] == local.platform.caller.principal_id
    assert place["kind"] == "run.failed"
    assert place["data"]["remedy"] == "Mend it."


def test_a_resumed_run_is_not_a_new_one(local: Local) -> None:
    channel = local.channel(CHANNEL_URL)
    local.subscribe("run.queued", "run.resumed", "run.paused", channel=channel)
    run_id = local.run()
    with transaction(local.platform.engine) as session:
        session.execute(
            text(
                "INSERT INTO run_events (run_id, seq, attempt, type, data) VALUES "
                "(:id, 90, 1, 'state', '{\"state\": \"paused\"}'), (:id, 91, 1, 'state', '{\"state\": \"queued\"}')"
            ),
            {"id": run_id},
        )
    local.follower.once()
    assert kinds_of(local) == ["run.queued", "run.paused", "run.resumed"]


def test_a_thousand_events_in_one_go_are_all_told(local: Local) -> None:
    local.subscribe("run.queued", channel=local.channel(CHANNEL_URL))
    for _ in range(40):
        run_id = local.run()
        with transaction(local.platform.engine) as session:
            session.execute(
                text(
                    "INSERT INTO run_events (run_id, seq, attempt, type, data) "
                    "SELECT :id, n, 1, 'metrics', '{}' FROM generate_series(100, 160) AS n"
                ),
                {"id": run_id},
            )
    local.follower.once()
    assert len(local.deliveries()) == 40


def test_a_follower_with_nothing_to_tell_writes_nothing(local: Local) -> None:
    written = "SELECT CAST(xmin AS text) AS written FROM news_places"
    before = local.platform.rows(written)
    for _ in range(5):
        local.follower.once()
    assert local.platform.rows(written) == before
