"""Notices: who is told what, where, and what came of it.

Only adds; the previous release runs on it.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

_ADD = """
CREATE TABLE news_places (
    name TEXT NOT NULL,
    xid XID8 NOT NULL,
    id BIGINT NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE notices (
    id UUID NOT NULL,
    project_id UUID,
    principal_id UUID,
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    data JSONB NOT NULL,
    run_id UUID,
    traceparent TEXT,
    at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    acknowledged_at TIMESTAMP WITH TIME ZONE,
    acknowledged_by UUID,
    spread_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    FOREIGN KEY(project_id) REFERENCES projects (id),
    FOREIGN KEY(principal_id) REFERENCES principals (id),
    FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE,
    FOREIGN KEY(acknowledged_by) REFERENCES principals (id)
);
CREATE INDEX notices_by_age ON notices (at);
CREATE INDEX notices_by_run ON notices (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX notices_to_spread ON notices (at) WHERE spread_at IS NULL;

CREATE TABLE channels (
    id UUID NOT NULL,
    project_id UUID NOT NULL,
    created_by UUID NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    service TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    shown TEXT NOT NULL,
    per_minute DOUBLE PRECISION NOT NULL,
    free_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    failures INTEGER DEFAULT 0 NOT NULL,
    failing_since TIMESTAMP WITH TIME ZONE,
    retry_at TIMESTAMP WITH TIME ZONE,
    last_error TEXT,
    disabled_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (project_id, name),
    FOREIGN KEY(project_id) REFERENCES projects (id),
    FOREIGN KEY(created_by) REFERENCES principals (id)
);

CREATE TABLE subscriptions (
    id UUID NOT NULL,
    project_id UUID NOT NULL,
    principal_id UUID NOT NULL,
    channel_id UUID,
    kinds TEXT[] NOT NULL,
    filter JSONB NOT NULL,
    digest JSONB,
    quiet JSONB,
    timezone TEXT DEFAULT 'UTC' NOT NULL,
    escalate_after_s INTEGER,
    escalate_to UUID,
    enabled BOOLEAN DEFAULT true NOT NULL,
    muted_until TIMESTAMP WITH TIME ZONE,
    next_digest_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(project_id) REFERENCES projects (id),
    FOREIGN KEY(principal_id) REFERENCES principals (id),
    FOREIGN KEY(channel_id) REFERENCES channels (id) ON DELETE CASCADE,
    FOREIGN KEY(escalate_to) REFERENCES channels (id) ON DELETE SET NULL
);
CREATE INDEX subscriptions_by_channel ON subscriptions (channel_id) WHERE channel_id IS NOT NULL;
CREATE INDEX subscriptions_by_project ON subscriptions (project_id) WHERE enabled;
CREATE INDEX subscriptions_due ON subscriptions (next_digest_at) WHERE next_digest_at IS NOT NULL;

CREATE TABLE deliveries (
    id UUID NOT NULL,
    notice_id UUID NOT NULL,
    channel_id UUID NOT NULL,
    subscription_id UUID,
    escalates BOOLEAN DEFAULT false NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    paced BOOLEAN DEFAULT false NOT NULL,
    rung_at TIMESTAMP WITH TIME ZONE,
    lease_expires_at TIMESTAMP WITH TIME ZONE,
    give_up_at TIMESTAMP WITH TIME ZONE,
    reason TEXT,
    last_error TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    delivered_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    UNIQUE (notice_id, channel_id, subscription_id),
    FOREIGN KEY(notice_id) REFERENCES notices (id) ON DELETE CASCADE,
    FOREIGN KEY(channel_id) REFERENCES channels (id) ON DELETE CASCADE,
    FOREIGN KEY(subscription_id) REFERENCES subscriptions (id) ON DELETE CASCADE
);
CREATE INDEX deliveries_by_channel ON deliveries (channel_id, id);
CREATE INDEX deliveries_by_subscription ON deliveries (subscription_id);
CREATE INDEX deliveries_dead ON deliveries (channel_id, id) WHERE state = 'dead';
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE state IN ('pending', 'sending');
CREATE INDEX deliveries_held ON deliveries (subscription_id) WHERE state = 'held';

CREATE TABLE delivery_attempts (
    delivery_id UUID NOT NULL,
    attempt INTEGER NOT NULL,
    at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    ok BOOLEAN NOT NULL,
    status INTEGER,
    latency_ms DOUBLE PRECISION NOT NULL,
    error TEXT,
    excerpt TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (delivery_id, attempt),
    FOREIGN KEY(delivery_id) REFERENCES deliveries (id) ON DELETE CASCADE
);

CREATE TABLE inbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    project_id UUID NOT NULL,
    principal_id UUID NOT NULL,
    notice_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    read_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    UNIQUE (principal_id, notice_id, project_id),
    FOREIGN KEY(project_id) REFERENCES projects (id),
    FOREIGN KEY(principal_id) REFERENCES principals (id),
    FOREIGN KEY(notice_id) REFERENCES notices (id) ON DELETE CASCADE
);
CREATE INDEX inbox_by_notice ON inbox (notice_id);
CREATE INDEX inbox_by_reader ON inbox (principal_id, project_id, id);
CREATE INDEX inbox_unread ON inbox (principal_id, project_id) WHERE read_at IS NULL;

CREATE TABLE used_links (
    nonce TEXT NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (nonce)
);
"""


def upgrade() -> None:
    """Add what is new."""
    op.execute(_ADD)
