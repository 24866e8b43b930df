-- Migrations are only added. Rows as in convenio-store's rows.rs. Times are Unix milliseconds.
-- WITHOUT ROWID where rows are small; a table with bodies keeps its rowid, so that its B-trees stay flat.

CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The registry

CREATE TABLE resource (
    kind       INTEGER NOT NULL,
    id         BLOB    NOT NULL,
    parent     BLOB,
    revision   INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    body       BLOB    NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT;
CREATE INDEX resource_parent ON resource (kind, parent, created_ms, id) WHERE parent IS NOT NULL;

CREATE TABLE external (
    kind   INTEGER NOT NULL,
    system TEXT    NOT NULL,
    value  TEXT    NOT NULL,
    id     BLOB    NOT NULL,
    PRIMARY KEY (kind, system, value)
) STRICT;
CREATE INDEX external_id ON external (kind, id);

CREATE TABLE request (
    caller      TEXT    NOT NULL,
    id          BLOB    NOT NULL,
    method      TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL,
    time_ms     INTEGER NOT NULL,
    response    BLOB    NOT NULL,
    PRIMARY KEY (caller, id)
) STRICT;

-- What both logs say, replayed

CREATE TABLE view (
    agreement TEXT    NOT NULL,
    kind      INTEGER NOT NULL,
    id        BLOB    NOT NULL,
    label     TEXT    NOT NULL,
    area      TEXT    NOT NULL,
    change    INTEGER NOT NULL,
    body      BLOB    NOT NULL,
    PRIMARY KEY (agreement, kind, id)
) STRICT;
CREATE INDEX view_subject ON view (kind, id);
CREATE INDEX view_label ON view (kind, label, id);
CREATE UNIQUE INDEX view_change ON view (change);

CREATE TABLE event (
    ordinal   INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    agreement TEXT    NOT NULL,
    placement BLOB    NOT NULL,
    body      BLOB    NOT NULL
) STRICT;
CREATE INDEX event_placement ON event (placement);

-- Logs

CREATE TABLE log (
    id              INTEGER NOT NULL PRIMARY KEY,
    origin          TEXT    NOT NULL UNIQUE,
    agreement       TEXT    NOT NULL,
    partner         TEXT    NOT NULL,
    epoch           INTEGER NOT NULL,
    own             INTEGER NOT NULL,
    size            INTEGER NOT NULL,
    peaks           BLOB    NOT NULL,
    settled         INTEGER NOT NULL,
    records         INTEGER NOT NULL,
    decided         INTEGER NOT NULL,
    rejected        INTEGER NOT NULL,
    settled_records INTEGER NOT NULL,
    cosigned        BLOB    NOT NULL,
    cosigned_size   INTEGER NOT NULL,
    entangled       INTEGER NOT NULL,
    alarm           TEXT    NOT NULL,
    time_ms         INTEGER NOT NULL
) STRICT;

CREATE TABLE entry (
    log          INTEGER NOT NULL REFERENCES log (id),
    idx          INTEGER NOT NULL,
    record_id    BLOB    NOT NULL,
    is_record    INTEGER NOT NULL,
    subject_kind INTEGER,
    subject      BLOB,
    leaf         BLOB    NOT NULL,
    bytes        BLOB    NOT NULL,
    PRIMARY KEY (log, idx)
) STRICT;
CREATE INDEX entry_record ON entry (record_id);

CREATE TABLE part (
    log    INTEGER NOT NULL,
    idx    INTEGER NOT NULL,
    part   INTEGER NOT NULL,
    key_id BLOB    NOT NULL,
    sealed BLOB    NOT NULL,
    PRIMARY KEY (log, idx, part),
    FOREIGN KEY (log, idx) REFERENCES entry (log, idx)
) STRICT;

CREATE TABLE tile (
    log    INTEGER NOT NULL REFERENCES log (id),
    level  INTEGER NOT NULL,
    idx    INTEGER NOT NULL,
    hashes BLOB    NOT NULL,
    PRIMARY KEY (log, level, idx)
) STRICT;

CREATE TABLE checkpoint (
    log  INTEGER NOT NULL REFERENCES log (id),
    size INTEGER NOT NULL,
    root BLOB    NOT NULL,
    note BLOB    NOT NULL,
    PRIMARY KEY (log, size)
) STRICT, WITHOUT ROWID;

CREATE TABLE rejection (
    log       INTEGER NOT NULL,
    idx       INTEGER NOT NULL,
    record_id BLOB    NOT NULL,
    reason    TEXT    NOT NULL,
    PRIMARY KEY (log, idx),
    FOREIGN KEY (log, idx) REFERENCES entry (log, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE subject_key (
    subject BLOB NOT NULL PRIMARY KEY,
    key_id  BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What is appended stays as it is. Only parts may go, by erasure.

CREATE TRIGGER entry_no_update BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'entry is append-only'); END;
CREATE TRIGGER entry_no_delete BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'entry is append-only'); END;
CREATE TRIGGER part_no_update BEFORE UPDATE ON part BEGIN SELECT RAISE(ABORT, 'part is never changed'); END;
CREATE TRIGGER tile_no_update BEFORE UPDATE ON tile BEGIN SELECT RAISE(ABORT, 'tile is append-only'); END;
CREATE TRIGGER tile_no_delete BEFORE DELETE ON tile BEGIN SELECT RAISE(ABORT, 'tile is append-only'); END;
-- A head gains the note that is to be kept once it is cosigned, nothing else.
CREATE TRIGGER checkpoint_no_update BEFORE UPDATE ON checkpoint
    WHEN NEW.log IS NOT OLD.log OR NEW.size IS NOT OLD.size OR NEW.root IS NOT OLD.root
        OR (length(OLD.note) > 0 AND NEW.note IS NOT OLD.note)
    BEGIN SELECT RAISE(ABORT, 'checkpoint is append-only'); END;
CREATE TRIGGER checkpoint_no_delete BEFORE DELETE ON checkpoint BEGIN SELECT RAISE(ABORT, 'checkpoint is append-only'); END;
CREATE TRIGGER rejection_no_update BEFORE UPDATE ON rejection BEGIN SELECT RAISE(ABORT, 'rejection is append-only'); END;
CREATE TRIGGER rejection_no_delete BEFORE DELETE ON rejection BEGIN SELECT RAISE(ABORT, 'rejection is append-only'); END;
CREATE TRIGGER event_no_update BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'event is append-only'); END;
CREATE TRIGGER event_no_delete BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'event is append-only'); END;
CREATE TRIGGER subject_key_no_update BEFORE UPDATE ON subject_key BEGIN SELECT RAISE(ABORT, 'subject_key is append-only'); END;
CREATE TRIGGER subject_key_no_delete BEFORE DELETE ON subject_key BEGIN SELECT RAISE(ABORT, 'subject_key is append-only'); END;
