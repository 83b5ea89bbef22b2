-- What requests leave behind: answers that an Idempotency-Key repeats, and templates that were planned but not
-- yet published.
CREATE TABLE control.idempotency (
    who     text NOT NULL, -- id of the principal
    key     text NOT NULL,
    hash    bytea NOT NULL, -- of method, target and body
    status  int, -- of the answer; NULL while the first request runs
    body    text,
    created timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (who, key)
);
CREATE INDEX idempotency_created ON control.idempotency (created);

-- Kept for an hour and applied at most once.
CREATE TABLE control.publication (
    id         text PRIMARY KEY,
    body       json NOT NULL, -- the template
    workspaces json NOT NULL, -- [{wid, generation}] to be brought to it
    changes    json NOT NULL,
    created    timestamptz NOT NULL DEFAULT now(),
    expires    timestamptz NOT NULL,
    applied    timestamptz
);
