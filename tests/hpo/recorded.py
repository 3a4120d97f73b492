"""Campaigns whose trials were written by hand: what was tried is known to the digit."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text

from shared.db.session import transaction
from tests.hpo.support import Campaigns

_TRIAL = text(
    """
    INSERT INTO trials (campaign_id, number, state, origin, params, scores, violations, reports, revision, finished_at)
    VALUES (:id, :number, :state, 'sampler', CAST(:params AS jsonb), CAST(:scores AS double precision[]),
        CAST(:violations AS double precision[]), CAST(:reports AS jsonb), 1, now())
    """
)
_FRONT = text(
    "UPDATE campaigns SET front = CAST(:front AS jsonb), asked = :asked, ended = :asked, revision = 1 WHERE id = :id"
)


def record(
    campaigns: Campaigns, campaign_id: UUID, trials: Sequence[dict[str, Any]], front: Sequence[tuple[int, list[float]]]
) -> None:
    """Write trials: params, and as they are: scores, violations, reports, state."""
    with transaction(campaigns.platform.engine) as session:
        for number, trial in enumerate(trials):
            values = {"state": "complete", "scores": None, "violations": [], **trial}
            values["params"] = orjson.dumps(trial["params"]).decode()
            values["reports"] = orjson.dumps(trial.get("reports", {})).decode()
            session.execute(_TRIAL, {"id": campaign_id, "number": number, **values})
        told = orjson.dumps([list(entry) for entry in front]).decode()
        session.execute(_FRONT, {"id": campaign_id, "front": told, "asked": len(trials)})


def record_many(campaigns: Campaigns, campaign_id: UUID, count: int) -> None:
    """Write so many trials over x and y in the database itself, with runs in 16 slots and reports at five rungs."""
    sql = """
        WITH points AS (
            SELECT CAST(n AS integer) AS n, gen_random_uuid() AS run, (n * 7919 % 10007) / 1000.7 - 5 AS x,
                (n * 104729 % 10009) / 1000.9 - 5 AS y
            FROM generate_series(CAST(0 AS bigint), :count - 1) AS n
        ), worked AS (
            INSERT INTO runs (id, project_id, created_by, kind, spec, spec_version, inputs, labels, pool, priority,
                state, parent_id, started_at, finished_at)
            SELECT run, project_id, created_by, 'test.seek', '{}', 1, '{}',
                jsonb_build_object('trial', CAST(n AS text)), 'test', 0, 'succeeded', runs.id,
                now() + make_interval(secs => n / 16 * 10 + n % 7),
                now() + make_interval(secs => n / 16 * 10 + 10)
            FROM points, runs WHERE runs.id = :id
        )
        INSERT INTO trials (campaign_id, number, state, origin, params, scores, violations, reports, revision, run_id,
            finished_at)
        SELECT :id, n, CASE n % 5 WHEN 4 THEN 'pruned' ELSE 'complete' END, 'sampler',
            jsonb_build_object('x', x, 'y', y), ARRAY[x * x + y * y], '{}',
            CASE n % 5 WHEN 4 THEN jsonb_build_object('1', x * x + 1, '3', x * x)
                ELSE jsonb_build_object('1', x * x + 1, '3', x * x, '9', x, '27', x, '81', x) END, 1, run, now()
        FROM points
    """
    with transaction(campaigns.platform.engine) as session:
        session.execute(text("ALTER TABLE trials DISABLE TRIGGER ALL"))
        session.execute(text(sql), {"id": campaign_id, "count": count})
        session.execute(text("ALTER TABLE trials ENABLE TRIGGER ALL"))
    best = campaigns.platform.rows(
        "SELECT number, scores FROM trials WHERE campaign_id = :id AND state = 'complete' ORDER BY scores[1] LIMIT 1",
        id=campaign_id,
    )[0]
    with transaction(campaigns.platform.engine) as session:
        told = orjson.dumps([[best["number"], best["scores"]]]).decode()
        session.execute(_FRONT, {"id": campaign_id, "front": told, "asked": count})
        session.execute(text("ANALYZE trials, runs"))
