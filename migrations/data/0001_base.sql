-- The data plane: one schema per class of store, the host's own tables, and nothing that a workspace owns.
CREATE SCHEMA IF NOT EXISTS penstock;
CREATE SCHEMA datastore;
CREATE SCHEMA featurestore;
CREATE SCHEMA inferencestore;

-- Every journal that ever fed this data plane. A host that finds one of its own here without having it on disk stops.
CREATE TABLE penstock.journal (
    incarnation uuid PRIMARY KEY,
    stack uuid NOT NULL,
    host text NOT NULL,
    made timestamptz NOT NULL DEFAULT now(),
    retired timestamptz -- adopted with loss, or emptied and replaced
);

-- How far each stream is applied; moved by compare-and-set in the transaction of the rows themselves.
CREATE TABLE penstock.position (
    incarnation uuid NOT NULL,
    wid integer NOT NULL,
    store text COLLATE "C" NOT NULL,
    lane smallint NOT NULL,
    shard smallint NOT NULL,
    seq bigint NOT NULL,
    fence bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (incarnation, wid, store, lane, shard)
) WITH (fillfactor = 50);

-- What is where: the tables of each workspace as they were last described, and their horizons.
CREATE TABLE penstock.object (
    wid integer NOT NULL,
    class text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    hash text NOT NULL,
    body jsonb NOT NULL,
    horizon timestamptz, -- oldest raw time that is still complete
    changed timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (wid, class, key)
);

-- A workspace's work, beside the data it changes.
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
