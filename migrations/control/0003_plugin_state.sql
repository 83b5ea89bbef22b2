-- What plugins keep by themselves (penstock.state), of one instance of one workspace. The blob is sealed like a secret.
-- Versions come from one sequence, so a key that was removed and put again never has an old one.
CREATE SEQUENCE control.plugin_state_version;

CREATE TABLE control.plugin_state (
    wid      int NOT NULL,
    instance text NOT NULL COLLATE "C", -- connector:rig
    key      text NOT NULL COLLATE "C",
    version  bigint NOT NULL,
    expires  timestamptz,
    blob     bytea NOT NULL,
    updated  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (wid, instance, key)
);
