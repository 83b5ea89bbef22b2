-- A store's minute has a row for each keeper that books in it (0: everybody but writers), so that two writers do not wait for
-- each other's commit at one row of the ledger. What counts is the sum over the keepers.
DO $$
DECLARE
    wid text;
BEGIN
    FOR wid IN SELECT substring(c.relname FROM '[0-9]+$') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'penstock' AND c.relkind = 'r' AND c.relname ~ '^ledger_wid[0-9]+$' LOOP
        EXECUTE format('ALTER TABLE penstock.ledger_wid%1$s ADD COLUMN keeper smallint NOT NULL DEFAULT 0, '
                       'DROP CONSTRAINT ledger_wid%1$s_pkey, ADD PRIMARY KEY (store, minute, keeper)', wid);
    END LOOP;
END
$$;
