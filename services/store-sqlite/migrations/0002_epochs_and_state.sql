-- Epochs that end, small durable facts of the node, and data keys that are forgotten when a part is erased.

ALTER TABLE log ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;

CREATE TABLE state (
    key  TEXT NOT NULL PRIMARY KEY,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX part_key ON part (key_id);

-- A data key goes when what it sealed is erased; it is never replaced in place.
DROP TRIGGER subject_key_no_delete;
