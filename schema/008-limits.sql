-- What a job may take of the worker that builds it: which workers can give it, and how long it may take.

ALTER TABLE workers ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';       -- JSON, as in `hello`: the most that one job gets
ALTER TABLE jobs ADD COLUMN limit_ms INTEGER NOT NULL DEFAULT 0;        -- of an attempt; 0: the coordinator's job/timeout-ms

-- A lane also asks for memory and cpus, in percent of one; 0: for none in particular. Ids stay: jobs name them.
CREATE TABLE new_lanes (
    id INTEGER PRIMARY KEY,
    platform TEXT NOT NULL,
    may_emulate INTEGER NOT NULL CHECK (may_emulate IN (0, 1)),
    requires TEXT NOT NULL,                 -- JSON: what a worker's labels have to be, sorted
    memory_bytes INTEGER NOT NULL DEFAULT 0,
    cpu_percent INTEGER NOT NULL DEFAULT 0,
    UNIQUE (platform, may_emulate, requires, memory_bytes, cpu_percent)
) STRICT;
INSERT INTO new_lanes (id, platform, may_emulate, requires) SELECT id, platform, may_emulate, requires FROM lanes;
DROP TABLE lanes;
ALTER TABLE new_lanes RENAME TO lanes;
