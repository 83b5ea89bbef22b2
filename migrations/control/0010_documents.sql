-- Documents keep the order in which they were written: the order of a schema's properties is the order of a table's
-- columns, and jsonb would lose it.
ALTER TABLE penstock.template_version ALTER COLUMN body TYPE json;
ALTER TABLE penstock.object ALTER COLUMN body TYPE json, ADD COLUMN origin text COLLATE "C" NOT NULL DEFAULT 'template';
ALTER TABLE penstock.plan ALTER COLUMN body TYPE json;
-- Everything the effective definition is made of: template body, local layer, parameters, columns of featurestores.
ALTER TABLE penstock.workspace ADD COLUMN document json;
-- Scope records: [{wid, verbs, reference}].
ALTER TABLE penstock.api_key ALTER COLUMN verbs SET DEFAULT '{}', ADD COLUMN scopes json NOT NULL DEFAULT '[]';
