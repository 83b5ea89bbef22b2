-- The control plane's own tables. Documents are json, not jsonb: the order of a schema's properties is the order of a
-- table's columns, and jsonb would lose it. Everything is in the schema "control".
CREATE SCHEMA IF NOT EXISTS control;

-- One row: which stack this is. Roles of the data plane carry its first eight digits.
CREATE TABLE control.stack (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    id      uuid NOT NULL DEFAULT gen_random_uuid(),
    created timestamptz NOT NULL DEFAULT now()
);
INSERT INTO control.stack DEFAULT VALUES;

CREATE TABLE control.template_version (
    template text NOT NULL,
    version  text NOT NULL,
    major    int NOT NULL, minor int NOT NULL, patch int NOT NULL,
    title    text NOT NULL,
    hash     text NOT NULL,
    body     json NOT NULL,
    created  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (template, version)
);

-- A number is never used again, also after its workspace is gone.
CREATE SEQUENCE control.wid AS int;

CREATE TABLE control.workspace (
    wid        int PRIMARY KEY,
    id         text NOT NULL UNIQUE,
    key        text NOT NULL,
    title      text NOT NULL,
    template   text NOT NULL,
    version    text NOT NULL,
    state      text NOT NULL CHECK (state IN ('creating', 'live', 'deleting', 'deleted')),
    paused     boolean NOT NULL DEFAULT false,
    generation bigint NOT NULL,
    document   json NOT NULL, -- definition_to_json: template body, local layer, parameters, columns
    login      bytea NOT NULL, -- sealed password of its data-plane role
    created    timestamptz NOT NULL DEFAULT now(),
    updated    timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (template, version) REFERENCES control.template_version
);
CREATE UNIQUE INDEX workspace_key ON control.workspace (key) WHERE state <> 'deleted';

-- Append-only by generation; body NULL = the object was removed in that generation.
CREATE TABLE control.object (
    wid        int NOT NULL REFERENCES control.workspace,
    class      text NOT NULL,
    key        text NOT NULL,
    generation bigint NOT NULL,
    origin     text NOT NULL,
    hash       text,
    body       json,
    PRIMARY KEY (wid, class, key, generation)
);

-- A plan is kept for an hour and applied at most once, and only while the generation it was made for still stands.
CREATE TABLE control.plan (
    id         text PRIMARY KEY,
    wid        int NOT NULL REFERENCES control.workspace,
    generation bigint NOT NULL,
    document   json NOT NULL, -- what the workspace's document becomes
    changes    json NOT NULL, -- plan_to_json
    created    timestamptz NOT NULL DEFAULT now(),
    expires    timestamptz NOT NULL,
    applied    timestamptz
);

CREATE TABLE control.api_key (
    id      text PRIMARY KEY,
    name    text NOT NULL,
    hash    bytea NOT NULL UNIQUE,
    scopes  json NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    expires timestamptz,
    revoked timestamptz
);

-- wid 0 = of the platform. The blob is sealed; the key id says by which master key.
CREATE TABLE control.secret (
    wid     int NOT NULL,
    name    text NOT NULL,
    blob    bytea NOT NULL,
    updated timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (wid, name)
);

CREATE TABLE control.job (
    id          text PRIMARY KEY,
    wid         int NOT NULL,
    kind        text NOT NULL,
    state       text NOT NULL CHECK (state IN ('ready', 'claimed', 'done', 'failed', 'cancelled')),
    once_key    text,
    due         timestamptz NOT NULL DEFAULT now(),
    attempt     int NOT NULL DEFAULT 0,
    fence       bigint NOT NULL DEFAULT 0,
    owner       text,
    lease_until timestamptz,
    done        bigint, -- progress, in the unit of its kind
    total       bigint,
    input       json,
    result      json,
    error       text,
    created     timestamptz NOT NULL DEFAULT now(),
    finished    timestamptz
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX job_once ON control.job (wid, kind, once_key) WHERE once_key IS NOT NULL;
CREATE INDEX job_open ON control.job (due) WHERE state IN ('ready', 'claimed');

CREATE TABLE control.audit (
    seq     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    wid     int NOT NULL,
    actor   text NOT NULL,
    verb    text NOT NULL,
    object  text NOT NULL,
    request text,
    detail  json
);

CREATE TABLE control.model_version (
    wid      int NOT NULL,
    model    text NOT NULL,
    version  int NOT NULL,
    state    text NOT NULL CHECK (state IN ('draft', 'shadow', 'champion', 'retired')),
    artifact text NOT NULL, -- hash, and name of the file in the object store
    bytes    bigint NOT NULL,
    training json NOT NULL, -- run, parameters, data range, rows, scores
    created  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (wid, model, version)
);
CREATE UNIQUE INDEX model_champion ON control.model_version (wid, model) WHERE state = 'champion';

CREATE TABLE control.model_promotion (
    seq     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    wid     int NOT NULL,
    model   text NOT NULL,
    version int NOT NULL,
    actor   text NOT NULL,
    reason  text
);

CREATE TABLE control.alert_state (
    wid         int NOT NULL,
    alert       text NOT NULL,
    labels      text NOT NULL, -- compact JSON with sorted keys
    phase       text NOT NULL,
    before      text NOT NULL,
    since_us    bigint NOT NULL,
    episode_us  bigint NOT NULL,
    last_us     bigint NOT NULL,
    received_us bigint NOT NULL,
    value       double precision,
    acked_by    text,
    acked       timestamptz,
    PRIMARY KEY (wid, alert, labels)
) WITH (fillfactor = 70);

CREATE TABLE control.delivery (
    id       text PRIMARY KEY, -- stable: the same event to the same notifier is the same delivery
    wid      int NOT NULL,
    alert    text NOT NULL,
    labels   text NOT NULL,
    event    text NOT NULL,
    notifier text NOT NULL,
    message  json NOT NULL,
    state    text NOT NULL CHECK (state IN ('ready', 'claimed', 'sent', 'failed')),
    due      timestamptz NOT NULL DEFAULT now(),
    attempt  int NOT NULL DEFAULT 0,
    fence    bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    error    text,
    external text,
    created  timestamptz NOT NULL DEFAULT now(),
    finished timestamptz
) WITH (fillfactor = 70);
CREATE INDEX delivery_open ON control.delivery (due) WHERE state IN ('ready', 'claimed');
