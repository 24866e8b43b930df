-- What stands past a log's head never became part of it: a refill that was broken off, or what is issued again in another
-- epoch. Only that may go.

DROP TRIGGER entry_no_delete;
CREATE TRIGGER entry_no_delete BEFORE DELETE ON entry
    WHEN OLD.idx < (SELECT size FROM log WHERE id = OLD.log)
    BEGIN SELECT RAISE(ABORT, 'entry is append-only'); END;

DROP TRIGGER rejection_no_delete;
CREATE TRIGGER rejection_no_delete BEFORE DELETE ON rejection
    WHEN OLD.idx < (SELECT size FROM log WHERE id = OLD.log)
    BEGIN SELECT RAISE(ABORT, 'rejection is append-only'); END;
