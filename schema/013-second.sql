-- A platform that is built twice, on two workers, and published only where both have made the same (--cross-check).

ALTER TABLE jobs ADD COLUMN is_cross_checked INTEGER NOT NULL DEFAULT 0 CHECK (is_cross_checked IN (0, 1));
ALTER TABLE jobs ADD COLUMN first_digest TEXT;          -- what the first of the two made, once it was verified
ALTER TABLE jobs ADD COLUMN first_worker INTEGER;       -- and which it was

-- A lane may be closed to one worker: its jobs are to be built by another. 0: to none. Ids stay: jobs name them.
CREATE TABLE new_lanes (
    id INTEGER PRIMARY KEY,
    platform TEXT NOT NULL,
    may_emulate INTEGER NOT NULL CHECK (may_emulate IN (0, 1)),
    requires TEXT NOT NULL,                 -- JSON: what a worker's labels have to be, sorted
    memory_bytes INTEGER NOT NULL DEFAULT 0,
    cpu_percent INTEGER NOT NULL DEFAULT 0,
    not_worker INTEGER NOT NULL DEFAULT 0,
    UNIQUE (platform, may_emulate, requires, memory_bytes, cpu_percent, not_worker)
) STRICT;
INSERT INTO new_lanes (id, platform, may_emulate, requires, memory_bytes, cpu_percent)
    SELECT id, platform, may_emulate, requires, memory_bytes, cpu_percent FROM lanes;
DROP TABLE lanes;
ALTER TABLE new_lanes RENAME TO lanes;
