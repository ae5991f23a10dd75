-- An event's number is never given again, also after the last ones were forgotten: whoever follows them goes on behind a number.

CREATE TABLE numbered_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    build INTEGER NOT NULL REFERENCES builds (id),
    job INTEGER REFERENCES jobs (id),
    attempt INTEGER,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    cause TEXT NOT NULL
) STRICT;
INSERT INTO numbered_events SELECT id, at_ms, build, job, attempt, from_state, to_state, cause FROM events;
DROP TABLE events;
ALTER TABLE numbered_events RENAME TO events;
CREATE INDEX events_build ON events (build);

-- A publisher has had it and was never heard of again: it may have moved tags.
ALTER TABLE outbox ADD COLUMN is_unsure INTEGER NOT NULL DEFAULT 0 CHECK (is_unsure IN (0, 1));
-- When the log was taken away; NULL: nobody has, or it is not known.
ALTER TABLE attempts ADD COLUMN log_removed_ms INTEGER;
