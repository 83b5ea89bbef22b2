-- Sinks: how far each has come in its store, by _seq. A row moves by compare-and-set, once the far side has what lies between.
CREATE TABLE penstock.sink (
    wid integer NOT NULL,
    sink text COLLATE "C" NOT NULL,
    store text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,            -- every row up to here was delivered, or is a dead letter
    trying bigint,                  -- where the batch ends that was handed to the far side; NULL: none is under way
    delivered bigint NOT NULL DEFAULT 0,
    refused bigint NOT NULL DEFAULT 0,
    moved timestamptz,
    PRIMARY KEY (wid, sink, store)
) WITH (fillfactor = 50);
