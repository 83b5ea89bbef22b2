-- The control plane: what the platform knows. Ids are ULIDs with a type prefix; times UTC; documents JSON.
CREATE SCHEMA IF NOT EXISTS penstock;

-- One row: which stack this is.
CREATE TABLE penstock.stack (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    id uuid NOT NULL,
    made timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE penstock.template (
    key text COLLATE "C" PRIMARY KEY,
    title text,
    made timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE penstock.template_version (
    template text COLLATE "C" NOT NULL REFERENCES penstock.template,
    version text COLLATE "C" NOT NULL,
    hash text NOT NULL,
    source text NOT NULL, -- as it was written, for error places
    body jsonb NOT NULL,  -- as it was read
    made timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (template, version)
);

CREATE SEQUENCE penstock.wid AS integer; -- a number is never used again
CREATE TABLE penstock.workspace (
    id text COLLATE "C" PRIMARY KEY,
    wid integer NOT NULL UNIQUE DEFAULT nextval('penstock.wid'),
    key text COLLATE "C" NOT NULL UNIQUE,
    title text,
    template text COLLATE "C",
    version text COLLATE "C",
    parameters jsonb NOT NULL DEFAULT '{}',
    local_layer jsonb NOT NULL DEFAULT '{}',
    local_source text,
    generation bigint NOT NULL DEFAULT 1,
    state text COLLATE "C" NOT NULL DEFAULT 'creating'
        CHECK (state IN ('creating', 'active', 'paused', 'deleting', 'failed')),
    role text NOT NULL,
    sealed_password bytea NOT NULL,
    made timestamptz NOT NULL DEFAULT now(),
    changed timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (template, version) REFERENCES penstock.template_version
);

-- The effective definition, one row per declared thing, append-only by generation.
CREATE TABLE penstock.object (
    wid integer NOT NULL,
    class text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    hash text NOT NULL,
    body jsonb, -- NULL: gone since this generation
    made timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (wid, class, key, generation)
);

CREATE TABLE penstock.plan (
    id text COLLATE "C" PRIMARY KEY,
    wid integer,
    generation bigint,
    body jsonb NOT NULL,
    made timestamptz NOT NULL DEFAULT now(),
    expires timestamptz NOT NULL,
    applied timestamptz
);

CREATE TABLE penstock.app_user (
    id text COLLATE "C" PRIMARY KEY,
    issuer text COLLATE "C" NOT NULL DEFAULT 'local',
    subject text COLLATE "C" NOT NULL,
    name text,
    password_hash text,
    disabled boolean NOT NULL DEFAULT false,
    made timestamptz NOT NULL DEFAULT now(),
    UNIQUE (issuer, subject)
);
CREATE TABLE penstock.api_key (
    id text COLLATE "C" PRIMARY KEY,
    hash bytea NOT NULL UNIQUE, -- BLAKE2b of the key; the key itself is nowhere
    name text NOT NULL,
    owner text COLLATE "C" REFERENCES penstock.app_user ON DELETE CASCADE,
    wid integer, -- NULL: the whole platform
    verbs text[] NOT NULL,
    expires timestamptz,
    revoked timestamptz,
    last_used timestamptz,
    made timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE penstock.secret (
    wid integer NOT NULL DEFAULT 0, -- 0: the platform
    key text COLLATE "C" NOT NULL,
    sealed bytea NOT NULL,
    changed timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (wid, key)
);

CREATE TABLE penstock.schedule (
    wid integer NOT NULL,
    class text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    every_us bigint,
    cron text,
    timezone text NOT NULL DEFAULT 'UTC',
    missed text COLLATE "C" NOT NULL DEFAULT 'once' CHECK (missed IN ('once', 'skip')),
    next_fire timestamptz,
    last_fire timestamptz,
    owner text,
    fence bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    PRIMARY KEY (wid, class, key)
);
CREATE INDEX schedule_due ON penstock.schedule (next_fire);

-- One design for tasks, here and in each data plane.
CREATE TABLE penstock.task (
    id text COLLATE "C" PRIMARY KEY,
    wid integer NOT NULL,
    kind text COLLATE "C" NOT NULL,
    lane text COLLATE "C",
    priority smallint NOT NULL DEFAULT 0,
    due timestamptz NOT NULL DEFAULT now(),
    deadline timestamptz,
    attempt integer NOT NULL DEFAULT 0,
    once_key text COLLATE "C",
    state text COLLATE "C" NOT NULL DEFAULT 'ready'
        CHECK (state IN ('ready', 'held', 'claimed', 'waiting', 'unsure', 'done', 'failed', 'cancelled')),
    fence bigint NOT NULL DEFAULT 0,
    owner text,
    lease_until timestamptz,
    cause text,
    UNIQUE (wid, kind, once_key)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX task_due ON penstock.task (due) WHERE state = 'ready';
CREATE INDEX task_lease ON penstock.task (lease_until) WHERE state = 'claimed';

-- What people see of long work: its request, progress and end; the task above is what hosts claim.
CREATE TABLE penstock.job (
    id text COLLATE "C" PRIMARY KEY,
    wid integer,
    kind text COLLATE "C" NOT NULL,
    request jsonb NOT NULL DEFAULT '{}',
    state text COLLATE "C" NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    done bigint NOT NULL DEFAULT 0,
    total bigint,
    message text,
    result jsonb,
    made timestamptz NOT NULL DEFAULT now(),
    began timestamptz,
    ended timestamptz
);
CREATE INDEX job_recent ON penstock.job (made);

CREATE TABLE penstock.run (
    id text COLLATE "C" PRIMARY KEY,
    wid integer NOT NULL,
    class text COLLATE "C" NOT NULL, -- featurestore, model …
    key text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,  -- refresh, backfill, train, infer
    generation bigint,
    state text COLLATE "C" NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'succeeded', 'failed', 'cancelled')),
    rows_in bigint NOT NULL DEFAULT 0,
    rows_out bigint NOT NULL DEFAULT 0,
    detail jsonb,
    error text,
    began timestamptz NOT NULL DEFAULT now(),
    ended timestamptz
);
CREATE INDEX run_recent ON penstock.run (wid, class, key, began);

CREATE TABLE penstock.model_version (
    wid integer NOT NULL,
    model text COLLATE "C" NOT NULL,
    version integer NOT NULL,
    stage text COLLATE "C" NOT NULL DEFAULT 'draft' CHECK (stage IN ('draft', 'shadow', 'champion', 'retired')),
    plugin text NOT NULL,
    plugin_hash text,
    artifact text,
    artifact_hash text,
    parameters jsonb,
    scores jsonb,
    data_from timestamptz,
    data_to timestamptz,
    run text COLLATE "C",
    made timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (wid, model, version)
);
CREATE UNIQUE INDEX model_one_champion ON penstock.model_version (wid, model) WHERE stage = 'champion';
CREATE TABLE penstock.model_promotion (
    wid integer NOT NULL,
    model text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    version integer NOT NULL,
    previous integer,
    by_whom text,
    reason text,
    PRIMARY KEY (wid, model, at)
);

CREATE TABLE penstock.instance (
    wid integer NOT NULL,
    class text COLLATE "C" NOT NULL, -- connector, notifier …
    key text COLLATE "C" NOT NULL,
    plugin text NOT NULL,
    plugin_hash text,
    wanted text COLLATE "C" NOT NULL DEFAULT 'running' CHECK (wanted IN ('running', 'paused')),
    state text COLLATE "C" NOT NULL DEFAULT 'stopped',
    error text,
    cursor bytea, -- a copy for people; the durable one lies in the journal
    changed timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (wid, class, key)
);

CREATE TABLE penstock.alert_state (
    wid integer NOT NULL,
    alert text COLLATE "C" NOT NULL,
    labels jsonb NOT NULL DEFAULT '{}',
    labels_hash bigint NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('ok', 'pending', 'firing', 'recovering', 'no_data', 'stale', 'error',
                                                     'suppressed', 'shelved')),
    since timestamptz NOT NULL,
    value double precision,
    seen timestamptz,
    episode text COLLATE "C",
    acked_by text,
    acked timestamptz,
    detail jsonb,
    PRIMARY KEY (wid, alert, labels_hash)
);
CREATE TABLE penstock.episode (
    id text COLLATE "C" PRIMARY KEY,
    wid integer NOT NULL,
    alert text COLLATE "C" NOT NULL,
    labels jsonb NOT NULL DEFAULT '{}',
    severity text,
    began timestamptz NOT NULL,
    ended timestamptz,
    worst double precision,
    detail jsonb
);
CREATE INDEX episode_recent ON penstock.episode (wid, alert, began);

CREATE TABLE penstock.delivery (
    id text COLLATE "C" PRIMARY KEY, -- stable over retries: the far side can tell a repeat
    wid integer NOT NULL,
    notifier text COLLATE "C" NOT NULL,
    episode text COLLATE "C",
    kind text COLLATE "C" NOT NULL, -- firing, resolved, report, test
    body jsonb NOT NULL,
    state text COLLATE "C" NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'claimed', 'unsure', 'sent', 'failed', 'dropped')),
    attempt integer NOT NULL DEFAULT 0,
    due timestamptz NOT NULL DEFAULT now(),
    fence bigint NOT NULL DEFAULT 0,
    owner text,
    lease_until timestamptz,
    external_id text,
    error text,
    made timestamptz NOT NULL DEFAULT now(),
    ended timestamptz,
    UNIQUE (wid, notifier, episode, kind)
);
CREATE INDEX delivery_due ON penstock.delivery (due) WHERE state IN ('ready', 'claimed');

CREATE TABLE penstock.idempotency (
    principal text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    request_hash bytea NOT NULL,
    status smallint, -- NULL: still running
    answer jsonb,
    made timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (principal, key)
);
CREATE INDEX idempotency_made ON penstock.idempotency (made);

CREATE TABLE penstock.audit (
    id text COLLATE "C" PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    principal text NOT NULL,
    verb text COLLATE "C" NOT NULL,
    wid integer,
    object text,
    decision text COLLATE "C" NOT NULL CHECK (decision IN ('allowed', 'refused')),
    detail jsonb,
    request text
);
CREATE INDEX audit_at ON penstock.audit (at);

CREATE TABLE penstock.host (
    id text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    roles text[] NOT NULL,
    version text NOT NULL,
    journal uuid,
    heartbeat timestamptz NOT NULL DEFAULT now(),
    draining boolean NOT NULL DEFAULT false
);
