"""Many finished runs at once, as rows: what a list meets after a year."""

from typing import Any

from tests.support.platform import Platform

_FILL = """
INSERT INTO runs (id, project_id, created_by, kind, spec, spec_version, inputs, labels, pool, priority, state,
    created_at, queued_at, finished_at, event_seq, error_signature, parent_id, retry_of, envelope)
SELECT CAST(lpad(to_hex(1700000000000 + n * 1000), 12, '0') || '7000' || '8' || lpad(to_hex(n), 15, '0') AS uuid),
    '{project}', '{principal}',
    CASE WHEN n % 1000 = 7 THEN 'model.evaluate' WHEN n % 2 = 0 THEN 'model.train' ELSE 'dataset.generate' END,
    jsonb_build_object('name', 'run number ' || n || CASE WHEN n % 5000 = 3 THEN ' 50%_done' ELSE '' END,
        'recipe', jsonb_build_object('type', 'cnn1d', 'epochs', 30, 'note', repeat('x', 300))),
    1, jsonb_build_object('dataset_id', repeat('y', 200)),
    CASE WHEN n % 500 = 9 THEN jsonb_build_object('team', 'night', 'machine', 'm' || n % 50)
        ELSE jsonb_build_object('team', 'day') END,
    CASE WHEN n % 700 = 5 THEN 'analysis' ELSE 'training-cpu' END, 0,
    CASE WHEN n % 400 = 1 THEN 'quarantined' WHEN n % 10 = 4 THEN 'failed' ELSE 'succeeded' END,
    to_timestamp(1700000000 + n), to_timestamp(1700000000 + n), to_timestamp(1700000060 + n), 5,
    CASE WHEN n % 10 = 4 THEN 'family ' || n % 30 END, NULL, NULL,
    CASE WHEN n % 10 = 4 THEN jsonb_build_object('error', jsonb_build_object('message',
        'the bearing ' || n || ' broke', 'type', 'X', 'remedy', 'none', 'error_id', 'e'), 'success', false,
        'run_id', '00000000-0000-7000-8000-000000000000', 'attempt', 1, 'task_id', 't', 'kind', 'k',
        'duration_seconds', 1) END
FROM generate_series(1, {count}) AS n;
UPDATE runs SET parent_id = (SELECT min(id::text)::uuid FROM runs) WHERE event_seq = 5 AND spec->>'name' LIKE '%77';
UPDATE runs SET retry_of = (SELECT min(id::text)::uuid FROM runs) WHERE event_seq = 5 AND spec->>'name' LIKE '%777';
"""


def fill(platform: Platform, count: int) -> list[dict[str, Any]]:
    """Insert so many runs, the first a second before the next; rows of id and name, oldest first."""
    caller = platform.caller
    sql = _FILL.format(project=caller.project_id, principal=caller.principal_id, count=count)
    with platform.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(sql.replace("%", "%%"))
        connection.exec_driver_sql("VACUUM ANALYZE runs")
    return platform.rows("SELECT id, spec->>'name' AS name FROM runs ORDER BY id")
