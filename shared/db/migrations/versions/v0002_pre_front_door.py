"""The front door: roles, quotas, audit, schedules, pauses, failure families, uploads in parts, order over all runs.

Only adds; the previous release runs on it. What it writes without a role is given one here: a principal that holds a
key of a project has owned it so far, and who came first runs the platform.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

_ADD = """
ALTER TABLE projects
    ADD COLUMN share DOUBLE PRECISION DEFAULT 1 NOT NULL,
    ADD COLUMN max_running INTEGER,
    ADD COLUMN max_queued INTEGER,
    ADD COLUMN gpu_hours_per_day DOUBLE PRECISION,
    ADD COLUMN deleted_at TIMESTAMP WITH TIME ZONE;

ALTER TABLE principals
    ADD COLUMN operator BOOLEAN DEFAULT false NOT NULL,
    ADD COLUMN disabled_at TIMESTAMP WITH TIME ZONE;

UPDATE principals SET operator = true WHERE name LIKE 'bootstrap-%';

CREATE TABLE memberships (
    project_id UUID NOT NULL,
    principal_id UUID NOT NULL,
    role TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (project_id, principal_id),
    FOREIGN KEY(project_id) REFERENCES projects (id),
    FOREIGN KEY(principal_id) REFERENCES principals (id)
);

INSERT INTO memberships (project_id, principal_id, role)
SELECT DISTINCT project_id, principal_id, 'owner' FROM api_keys;

ALTER TABLE api_keys
    ADD COLUMN name TEXT DEFAULT '' NOT NULL,
    ADD COLUMN scopes TEXT[],
    ADD COLUMN created_by UUID REFERENCES principals (id);

CREATE TABLE audit_log (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    project_id UUID,
    principal_id UUID,
    key_prefix TEXT,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    data JSONB NOT NULL,
    traceparent TEXT,
    PRIMARY KEY (id),
    FOREIGN KEY(project_id) REFERENCES projects (id),
    FOREIGN KEY(principal_id) REFERENCES principals (id)
);

CREATE INDEX audit_log_by_project ON audit_log (project_id, id);

ALTER TABLE workers
    ADD COLUMN versions JSONB DEFAULT '{}' NOT NULL,
    ADD COLUMN drain_requested_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN clock_ahead_s DOUBLE PRECISION;

CREATE TABLE pool_controls (
    name TEXT NOT NULL,
    paused BOOLEAN DEFAULT false NOT NULL,
    reason TEXT,
    changed_by UUID,
    changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (name),
    FOREIGN KEY(changed_by) REFERENCES principals (id)
);

CREATE TABLE schedules (
    id UUID NOT NULL,
    project_id UUID NOT NULL,
    created_by UUID NOT NULL,
    name TEXT NOT NULL,
    cron TEXT NOT NULL,
    timezone TEXT NOT NULL,
    overlap TEXT NOT NULL,
    enabled BOOLEAN DEFAULT true NOT NULL,
    kind TEXT NOT NULL,
    spec JSONB NOT NULL,
    spec_version INTEGER NOT NULL,
    pool TEXT,
    priority INTEGER NOT NULL,
    labels JSONB NOT NULL,
    next_at TIMESTAMP WITH TIME ZONE,
    last_at TIMESTAMP WITH TIME ZONE,
    last_error TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (project_id, name),
    FOREIGN KEY(project_id) REFERENCES projects (id),
    FOREIGN KEY(created_by) REFERENCES principals (id)
);

CREATE INDEX schedules_due ON schedules (next_at) WHERE enabled;

ALTER TABLE runs
    ADD COLUMN policy TEXT,
    ADD COLUMN schedule_id UUID REFERENCES schedules (id) ON DELETE SET NULL,
    ADD COLUMN away_s DOUBLE PRECISION DEFAULT 0 NOT NULL,
    ADD COLUMN pause_requested_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN cause TEXT,
    ADD COLUMN error_signature TEXT;

CREATE INDEX runs_by_retry ON runs (retry_of) WHERE retry_of IS NOT NULL;
CREATE INDEX runs_by_schedule ON runs (schedule_id, id) WHERE schedule_id IS NOT NULL;
CREATE INDEX runs_by_state ON runs (project_id, state, id);
CREATE INDEX runs_by_label ON runs USING gin (labels jsonb_path_ops);
DROP INDEX runs_queued;
CREATE INDEX runs_queued ON runs (pool, project_id, kind, (- priority), GREATEST(queued_at, not_before), id)
    WHERE state = 'queued';
CREATE INDEX runs_ended ON runs (pool, finished_at) WHERE finished_at IS NOT NULL AND started_at IS NOT NULL;
CREATE INDEX runs_by_failure ON runs (project_id, error_signature) WHERE error_signature IS NOT NULL;

ALTER TABLE run_events ADD COLUMN xid XID8 DEFAULT pg_current_xact_id() NOT NULL;
CREATE INDEX run_events_in_order ON run_events (xid, id);

ALTER TABLE idempotency_keys
    ALTER COLUMN run_id DROP NOT NULL,
    ADD COLUMN answer JSONB;

CREATE TABLE upload_sessions (
    id UUID NOT NULL,
    project_id UUID NOT NULL,
    created_by UUID NOT NULL,
    file_name TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    part_bytes BIGINT NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(project_id) REFERENCES projects (id),
    FOREIGN KEY(created_by) REFERENCES principals (id)
);
"""


def upgrade() -> None:
    """Add what is new."""
    op.execute(_ADD)
