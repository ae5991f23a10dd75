-- The order of the queue: jobs of a lane can be run by the same workers; in a lane classes, then users in turn.

CREATE TABLE lanes (
    id INTEGER PRIMARY KEY,
    platform TEXT NOT NULL,
    may_emulate INTEGER NOT NULL CHECK (may_emulate IN (0, 1)),
    requires TEXT NOT NULL,                 -- JSON: what a worker's labels have to be, sorted
    UNIQUE (platform, may_emulate, requires)
) STRICT;

ALTER TABLE jobs ADD COLUMN lane INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN class INTEGER NOT NULL DEFAULT 1 CHECK (class BETWEEN 0 AND 2);    -- 0 high, 1 normal, 2 low; falls with age
ALTER TABLE jobs ADD COLUMN principal INTEGER NOT NULL DEFAULT 0;       -- whose turn it is: the build's
ALTER TABLE jobs ADD COLUMN queued_ms INTEGER NOT NULL DEFAULT 0;       -- since when it is queued
ALTER TABLE jobs ADD COLUMN rises_ms INTEGER NOT NULL DEFAULT 0;        -- when it comes into the next class, if it is queued still
ALTER TABLE jobs ADD COLUMN is_resting INTEGER NOT NULL DEFAULT 0 CHECK (is_resting IN (0, 1));    -- a moment before its next attempt

INSERT INTO lanes (platform, may_emulate, requires) SELECT DISTINCT platform, may_emulate, '[]' FROM jobs
    WHERE state NOT IN ('done', 'failed', 'cancelled');
UPDATE jobs SET principal = (SELECT builds.principal FROM builds WHERE builds.id = jobs.build),
    queued_ms = (SELECT builds.created_ms FROM builds WHERE builds.id = jobs.build),
    rises_ms = (SELECT builds.created_ms FROM builds WHERE builds.id = jobs.build) + 1800000,
    lane = (SELECT lanes.id FROM lanes WHERE lanes.platform = jobs.platform AND lanes.may_emulate = jobs.may_emulate)
    WHERE state NOT IN ('done', 'failed', 'cancelled');

DROP INDEX jobs_queued;
CREATE INDEX jobs_queued ON jobs (lane, class, principal, id) WHERE state = 'queued' AND NOT is_resting;
CREATE INDEX jobs_resting ON jobs (id) WHERE is_resting;
CREATE INDEX jobs_ageing ON jobs (rises_ms) WHERE state = 'queued' AND class > 0;
