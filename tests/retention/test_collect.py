"""What is over goes and is counted; what is in use stays."""

import threading
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from uuid6 import uuid7

from shared.contracts.specs import ImportSpec
from shared.db.session import make_engine, transaction
from shared.errors import NotFound
from shared.runs.collector import _LOCK, collect
from shared.runs.inputs import pin_inputs
from tests.retention.support import Attic


def test_a_dry_run_counts_and_removes_nothing(attic: Attic) -> None:
    run_id = attic.ended_run()
    attic.artifact(run_id, "log/000000.jsonl", b"x" * 70, role="log")
    attic.store.put(attic.run_key(run_id, "lost.bin"), b"y" * 30)
    attic.age()
    before = attic.bytes_on_disk()
    found = attic.collect(dry_run=True)
    assert {name: (freed.count, freed.size_bytes) for name, freed in found.items()} == {
        "run logs": (1, 70),
        "files without a row": (1, 30),
    }
    assert attic.bytes_on_disk() == before
    assert len(attic.platform.rows("SELECT 1 FROM artifacts")) == 1


def test_files_without_a_row_are_removed_and_their_bytes_are_counted_on_disk(attic: Attic) -> None:
    run_id = attic.ended_run()
    kept = attic.artifact(run_id, "model.bin", b"m" * 1000)
    attic.store.put(attic.run_key(run_id, "never-committed.bin"), b"x" * 300)
    attic.store.put(f"projects/{uuid7()}/runs/{uuid7()}/1/of-nobody", b"x" * 20)
    (attic.folder / attic.run_key(run_id, "half.bin#1")).write_bytes(b"x" * 7)
    attic.age()
    before = attic.bytes_on_disk()
    freed = attic.collect()["files without a row"]
    assert (freed.count, freed.size_bytes) == (3, 327)
    assert before - attic.bytes_on_disk() == 327
    assert attic.store.keys("projects") == [kept]


def test_young_files_and_those_that_may_still_be_published_stay(attic: Attic) -> None:
    ended, live = attic.ended_run(), attic.platform.submit("test.inline")
    attic.sql("UPDATE runs SET attempt = 2, state = 'running' WHERE id = :id", id=live)
    coming = attic.run_key(live, "coming.bin", attempt=2)
    lost = attic.run_key(live, "lost.bin", attempt=1)
    young = attic.run_key(ended, "young.bin")
    for key in (coming, lost, young):
        attic.store.put(key, b"x")
    attic.age(coming, lost)
    assert attic.collect()["files without a row"].count == 1
    assert attic.store.keys("projects") == sorted([coming, young])


def test_what_is_not_the_platforms_stays(attic: Attic) -> None:
    for key in ("projects/notes.txt", "projects/a/b", "elsewhere/x"):
        attic.store.put(key, b"somebody else's")
    attic.age()
    assert attic.collect() == {}
    assert len(attic.files()) == 3


def test_files_of_ended_runs_go_by_their_class(attic: Attic) -> None:
    run_id = attic.ended_run(attempt=2, days=10)
    stays = [
        attic.artifact(run_id, "model.bin", b"m" * 50, attempt=2),
        attic.artifact(run_id, "log/0.jsonl", b"l" * 60, role="log", attempt=2),
    ]
    attic.artifact(run_id, "model.bin", b"m" * 3, attempt=1)
    attic.artifact(run_id, "checkpoints/c", b"c" * 40, role="checkpoint", attempt=2)
    attic.artifact(attic.ended_run("failed", days=10), "partial.bin", b"p" * 7)
    attic.artifact(attic.platform.submit("test.inline"), "checkpoints/c", b"c" * 9, role="checkpoint")
    found = attic.collect()
    assert {name: (freed.count, freed.size_bytes) for name, freed in found.items()} == {"spent files of runs": (3, 50)}
    assert set(stays) < set(attic.store.keys("projects"))
    assert attic.bytes_on_disk() == 119


def test_an_upload_goes_when_no_run_will_read_it(attic: Attic) -> None:
    old, young, pinned = attic.upload(b"x" * 11, days=40), attic.upload(b"x", days=2), attic.upload(b"x", days=40)
    run_id = attic.platform.submit("test.inline")
    attic.sql(f"""UPDATE runs SET inputs = '{{"{pinned}": {{}}}}' WHERE id = :id""", id=run_id)
    freed = attic.collect()["unused uploads"]
    assert (freed.count, freed.size_bytes) == (1, 11)
    assert {row["id"] for row in attic.platform.rows("SELECT id FROM uploads")} == {young, pinned}
    assert str(old) not in " ".join(attic.store.keys("projects"))


def _import_spec(upload_id: UUID) -> ImportSpec:
    return ImportSpec.model_validate(
        {
            "name": "i",
            "uploads": [str(upload_id)],
            "label_rule": "(?P<fault>x)",
            "sample_rate_candidates_hz": [12000],
        }
    )


def test_an_upload_that_is_just_being_named_is_passed_over(attic: Attic) -> None:
    upload_id = attic.upload(b"x", days=40)
    with transaction(attic.platform.engine) as session:
        assert pin_inputs(session, attic.platform.caller.project_id, _import_spec(upload_id))
        assert "unused uploads" not in attic.collect()
    assert attic.collect()["unused uploads"].count == 1
    with transaction(attic.platform.engine) as session, pytest.raises(NotFound):
        pin_inputs(session, attic.platform.caller.project_id, _import_spec(upload_id))


ROWS: dict[str, tuple[str, str, str]] = {
    "sent steps": (
        "outbox",
        "INSERT INTO outbox (step, args, sent_at) VALUES ('s', '{}', now() - interval '8 days'), "
        "('s', '{}', now() - interval '8 days')",
        "INSERT INTO outbox (step, args, sent_at) VALUES ('s', '{}', now()), ('s', '{}', NULL)",
    ),
    "idempotency keys": (
        "idempotency_keys",
        "INSERT INTO idempotency_keys (project_id, key, request_sha256, created_at) "
        "SELECT id, 'k' || g, '', now() - interval '8 days' FROM projects, generate_series(1, 2) g",
        "INSERT INTO idempotency_keys (project_id, key, request_sha256, created_at) "
        "SELECT id, 'l' || g, '', now() - interval '6 days' FROM projects, generate_series(1, 2) g",
    ),
}


@pytest.mark.parametrize("what", ROWS)
def test_old_rows_go_and_young_ones_stay(attic: Attic, what: str) -> None:
    table, old, young = ROWS[what]
    attic.sql(old)
    attic.sql(young)
    assert attic.collect(dry_run=True)[what].count == 2
    found = attic.collect()
    assert [(name, freed.count) for name, freed in found.items()] == [(what, 2)]
    assert found[what].oldest is not None
    assert len(attic.platform.rows(f"SELECT 1 FROM {table}")) == 2
    assert attic.collect() == {}


def test_more_than_one_batch_is_removed(attic: Attic) -> None:
    attic.sql(
        "INSERT INTO outbox (step, args, sent_at) "
        "SELECT 's', '{}', now() - interval '8 days' FROM generate_series(1, 1203)"
    )
    assert attic.collect()["sent steps"].count == 1203
    assert attic.platform.rows("SELECT 1 FROM outbox") == []


def test_of_old_progress_the_last_stays(attic: Attic) -> None:
    ended, live = attic.ended_run(days=8), attic.platform.submit("test.inline")
    for run_id in (ended, live):
        attic.sql(
            "INSERT INTO run_events (run_id, seq, attempt, type, data) "
            "SELECT :id, g, 1, CASE WHEN g < 6 THEN 'progress' ELSE 'state' END, '{}' FROM generate_series(2, 6) g",
            id=run_id,
        )
    assert attic.collect()["progress events"].count == 3
    rows = attic.platform.rows("SELECT seq FROM run_events WHERE run_id = :id ORDER BY seq", id=ended)
    assert [row["seq"] for row in rows] == [1, 5, 6]


def test_zero_days_keep_for_ever(make_platform: Any) -> None:
    attic = Attic(make_platform(FAULTLINE_KEEP_UPLOADS_DAYS="0", FAULTLINE_KEEP_SENT_STEPS_DAYS="0"))
    attic.upload(b"x", days=4000)
    attic.sql("INSERT INTO outbox (step, args, sent_at) VALUES ('s', '{}', now() - interval '4000 days')")
    assert attic.collect() == {}


def test_of_a_deleted_project_nothing_stays_but_its_name_and_who_deleted_it(attic: Attic) -> None:
    run_id = attic.ended_run(days=40)
    again = attic.platform.submit("test.inline")
    attic.sql("UPDATE runs SET retry_of = :old WHERE id = :id", old=run_id, id=again)
    attic.artifact(run_id, "model.bin", b"m" * 100)
    attic.upload(b"u" * 10, days=1)
    attic.age()
    assert "deleted projects" not in attic.collect()
    attic.sql("UPDATE projects SET deleted_at = now() - interval '31 days'")
    assert attic.collect(dry_run=True)["deleted projects"].count == 5
    found = attic.collect()
    assert found["deleted projects"].count == 5  # two runs, an upload, a key and a membership
    assert found["files without a row"].size_bytes == 110
    assert attic.bytes_on_disk() == 0
    for table in ("runs", "artifacts", "run_events", "uploads", "api_keys", "memberships"):
        assert attic.platform.rows(f"SELECT 1 FROM {table}") == [], table
    assert len(attic.platform.rows("SELECT 1 FROM projects")) == 1
    assert attic.collect() == {}


def test_only_one_collects_at_a_time(attic: Attic) -> None:
    settings = attic.platform.settings
    with make_engine(settings.direct_url, pooled=False).connect() as other:
        other.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        assert collect(attic.platform.engine, attic.store, settings, dry_run=True) is None
    assert collect(attic.platform.engine, attic.store, settings, dry_run=True) is not None


def test_two_at_once_free_what_one_would(attic: Attic) -> None:
    run_id = attic.ended_run()
    for number in range(300):
        attic.store.put(attic.run_key(run_id, f"{number}.bin"), b"x" * 10)
    attic.age()
    freed: list[int] = []

    def work() -> None:
        report = collect(attic.platform.engine, attic.store, attic.platform.settings, dry_run=False)
        freed.append(report.of("files without a row").size_bytes if report else 0)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(freed) == 3000
    assert attic.bytes_on_disk() == 0
