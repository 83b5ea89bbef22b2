-- Tokens of hooks: what stands behind /hooks/ in the address that a sender was given. Only the hash is kept. A connector has
-- one that works, and for a while the one before it.
CREATE TABLE control.hook (
    hash      bytea PRIMARY KEY,
    wid       int NOT NULL,
    connector text NOT NULL COLLATE "C",
    created   timestamptz NOT NULL DEFAULT now(),
    expires   timestamptz
);
CREATE INDEX hook_connector ON control.hook (wid, connector);
