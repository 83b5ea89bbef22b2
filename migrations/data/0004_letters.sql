-- Dead letters can be corrected, sent again and thrown away, and are capped; the ledger keeps the sums. Beside the balance:
-- `letters` and `letter_bytes` are what lies in the table (they grow and shrink with it), `unkept` the rejected rows whose letter was
-- left out because the workspace has its fill of them, `purged` the part of `dropped` that somebody threw away.
DO $$
DECLARE
    wid text;
BEGIN
    FOR wid IN SELECT substring(c.relname FROM '[0-9]+$') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'penstock' AND c.relkind = 'r' AND c.relname ~ '^ledger_wid[0-9]+$' LOOP
        EXECUTE format('ALTER TABLE penstock.ledger_wid%s ADD COLUMN letters bigint NOT NULL DEFAULT 0, '
                       'ADD COLUMN letter_bytes bigint NOT NULL DEFAULT 0, ADD COLUMN unkept bigint NOT NULL DEFAULT 0, '
                       'ADD COLUMN purged bigint NOT NULL DEFAULT 0', wid);
        EXECUTE format('ALTER TABLE penstock.dead_letter_wid%s ADD COLUMN form text, ADD COLUMN header bytea, '
                       'ADD COLUMN attempts integer NOT NULL DEFAULT 0, ADD COLUMN revision bigint NOT NULL DEFAULT 1, '
                       'ADD COLUMN signal text, ADD COLUMN tried timestamptz, ADD COLUMN correction bytea, '
                       'ADD COLUMN fixed_by text', wid);
        EXECUTE format('INSERT INTO penstock.ledger_wid%1$s AS l (store, minute, letters, letter_bytes) '
                       'SELECT store, date_trunc(''minute'', received), count(*), coalesce(sum(octet_length(body)), 0) '
                       'FROM penstock.dead_letter_wid%1$s GROUP BY 1, 2 ON CONFLICT (store, minute) DO UPDATE '
                       'SET letters = excluded.letters, letter_bytes = excluded.letter_bytes', wid);
    END LOOP;
END
$$;
