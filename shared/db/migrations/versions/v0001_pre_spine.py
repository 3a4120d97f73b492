"""The spine: projects, principals, runs with their events, metrics and artifacts, outbox, entities."""

from alembic import op

revision = "0001"
down_revision = None

_TABLES = """
CREATE TABLE outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    step TEXT NOT NULL,
    args JSONB NOT NULL,
    traceparent TEXT,
    not_before TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tries INTEGER DEFAULT 0 NOT NULL,
    last_error TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    sent_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id)
);

CREATE INDEX outbox_unsent ON outbox (not_before) WHERE sent_at IS NULL;

CREATE TABLE principals (
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (name)
);

CREATE TABLE projects (
    id UUID NOT NULL,
    name TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (name)
);

CREATE TABLE workers (
    name TEXT NOT NULL,
    pools TEXT[] NOT NULL,
    kinds TEXT[] NOT NULL,
    slots INTEGER NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    version TEXT NOT NULL,
    draining BOOLEAN DEFAULT false NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    heartbeat_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE api_keys (
    id UUID NOT NULL,
    principal_id UUID NOT NULL,
    project_id UUID NOT NULL,
    prefix TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    last_used_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    FOREIGN KEY(principal_id) REFERENCES principals (id),
    FOREIGN KEY(project_id) REFERENCES projects (id),
    UNIQUE (sha256)
);

CREATE TABLE runs (
    id UUID NOT NULL,
    project_id UUID NOT NULL,
    created_by UUID NOT NULL,
    kind TEXT NOT NULL,
    spec JSONB NOT NULL,
    spec_version INTEGER NOT NULL,
    inputs JSONB NOT NULL,
    labels JSONB NOT NULL,
    pool TEXT NOT NULL,
    priority INTEGER NOT NULL,
    not_before TIMESTAMP WITH TIME ZONE,
    parent_id UUID,
    retry_of UUID,
    state TEXT NOT NULL,
    attempt INTEGER DEFAULT 1 NOT NULL,
    crashes INTEGER DEFAULT 0 NOT NULL,
    worker TEXT,
    lease_expires_at TIMESTAMP WITH TIME ZONE,
    fraction DOUBLE PRECISION DEFAULT 0 NOT NULL,
    stage TEXT,
    stage_current INTEGER,
    stage_total INTEGER,
    eta_seconds DOUBLE PRECISION,
    cancel_requested_at TIMESTAMP WITH TIME ZONE,
    traceparent TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    queued_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    dispatched_at TIMESTAMP WITH TIME ZONE,
    started_at TIMESTAMP WITH TIME ZONE,
    finished_at TIMESTAMP WITH TIME ZONE,
    event_seq INTEGER DEFAULT 0 NOT NULL,
    envelope JSONB,
    PRIMARY KEY (id),
    FOREIGN KEY(project_id) REFERENCES projects (id),
    FOREIGN KEY(created_by) REFERENCES principals (id),
    FOREIGN KEY(parent_id) REFERENCES runs (id),
    FOREIGN KEY(retry_of) REFERENCES runs (id)
);

CREATE INDEX runs_active ON runs (state, pool) WHERE state IN ('dispatched', 'running');

CREATE INDEX runs_by_parent ON runs (parent_id) WHERE parent_id IS NOT NULL;

CREATE INDEX runs_by_project ON runs (project_id, id);

CREATE INDEX runs_open ON runs (pool, state) INCLUDE (queued_at) WHERE finished_at IS NULL;

CREATE INDEX runs_queued ON runs (pool, priority DESC, queued_at) WHERE state = 'queued';

CREATE TABLE uploads (
    id UUID NOT NULL,
    project_id UUID NOT NULL,
    created_by UUID NOT NULL,
    file_name TEXT NOT NULL,
    key TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(project_id) REFERENCES projects (id),
    FOREIGN KEY(created_by) REFERENCES principals (id)
);

CREATE TABLE artifacts (
    id UUID NOT NULL,
    run_id UUID NOT NULL,
    attempt INTEGER NOT NULL,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    step BIGINT,
    key TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    content_type TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (run_id, attempt, role, name),
    FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);

CREATE TABLE datasets (
    id UUID NOT NULL,
    project_id UUID NOT NULL,
    name TEXT NOT NULL,
    run_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (project_id, name),
    FOREIGN KEY(project_id) REFERENCES projects (id),
    FOREIGN KEY(run_id) REFERENCES runs (id)
);

CREATE TABLE idempotency_keys (
    project_id UUID NOT NULL,
    key TEXT NOT NULL,
    request_sha256 TEXT NOT NULL,
    run_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (project_id, key),
    FOREIGN KEY(project_id) REFERENCES projects (id),
    FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);

CREATE TABLE run_events (
    run_id UUID NOT NULL,
    seq INTEGER NOT NULL,
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    attempt INTEGER NOT NULL,
    type TEXT NOT NULL,
    at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    data JSONB NOT NULL,
    PRIMARY KEY (run_id, seq),
    FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE,
    UNIQUE (id)
);

CREATE TABLE run_metrics (
    run_id UUID NOT NULL,
    attempt INTEGER NOT NULL,
    name TEXT NOT NULL,
    step BIGINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (run_id, attempt, name, step),
    FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);

CREATE TABLE models (
    id UUID NOT NULL,
    project_id UUID NOT NULL,
    name TEXT NOT NULL,
    run_id UUID NOT NULL,
    dataset_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (project_id, name),
    FOREIGN KEY(project_id) REFERENCES projects (id),
    FOREIGN KEY(run_id) REFERENCES runs (id),
    FOREIGN KEY(dataset_id) REFERENCES datasets (id)
);
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(_TABLES)
