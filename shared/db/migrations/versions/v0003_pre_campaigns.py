"""Campaigns and their trials.

Only adds; the previous release runs on it.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

_ADD = """
CREATE TABLE campaigns (
    id UUID NOT NULL,
    project_id UUID NOT NULL,
    name TEXT NOT NULL,
    pool TEXT NOT NULL,
    max_parallel INTEGER NOT NULL,
    budget JSONB NOT NULL,
    sampler JSONB NOT NULL,
    stopping TEXT,
    reason TEXT,
    asked INTEGER DEFAULT 0 NOT NULL,
    carried INTEGER DEFAULT 0 NOT NULL,
    ended INTEGER DEFAULT 0 NOT NULL,
    failures INTEGER DEFAULT 0 NOT NULL,
    front JSONB DEFAULT '[]' NOT NULL,
    improved_at INTEGER DEFAULT 0 NOT NULL,
    gpu_s DOUBLE PRECISION DEFAULT 0 NOT NULL,
    cost DOUBLE PRECISION DEFAULT 0 NOT NULL,
    revision BIGINT DEFAULT 0 NOT NULL,
    study_attrs JSONB DEFAULT '{}' NOT NULL,
    active_since TIMESTAMP WITH TIME ZONE,
    active_s DOUBLE PRECISION DEFAULT 0 NOT NULL,
    look_at TIMESTAMP WITH TIME ZONE,
    winner_run_id UUID,
    score_run_id UUID,
    importance JSONB,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (project_id, name),
    FOREIGN KEY(id) REFERENCES runs (id),
    FOREIGN KEY(project_id) REFERENCES projects (id),
    FOREIGN KEY(winner_run_id) REFERENCES runs (id),
    FOREIGN KEY(score_run_id) REFERENCES runs (id)
);

CREATE INDEX campaigns_due ON campaigns (look_at) WHERE look_at IS NOT NULL;

CREATE TABLE trials (
    campaign_id UUID NOT NULL,
    number INTEGER NOT NULL,
    state TEXT NOT NULL,
    origin TEXT NOT NULL,
    params JSONB NOT NULL,
    scores DOUBLE PRECISION[],
    violations DOUBLE PRECISION[],
    reports JSONB DEFAULT '{}' NOT NULL,
    next_rung BIGINT,
    run_id UUID,
    tries INTEGER DEFAULT 0 NOT NULL,
    attrs JSONB DEFAULT '{}' NOT NULL,
    error TEXT,
    revision BIGINT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (campaign_id, number),
    FOREIGN KEY(campaign_id) REFERENCES campaigns (id) ON DELETE CASCADE,
    FOREIGN KEY(run_id) REFERENCES runs (id)
);

CREATE INDEX trials_open ON trials (campaign_id, number) WHERE finished_at IS NULL;
CREATE INDEX trials_by_run ON trials (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX trials_by_revision ON trials (campaign_id, revision);
"""


def upgrade() -> None:
    """Add what is new."""
    op.execute(_ADD)
