-- How often a sink was set back. The ids of its batches carry it, and what was under way before cannot move it any more.
ALTER TABLE penstock.sink ADD COLUMN rewound integer NOT NULL DEFAULT 0;
