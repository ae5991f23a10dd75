-- Builds by the clock. A schedule's next time is its own until the firing of that time is taken down, in one transaction.

CREATE TABLE schedules (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    principal INTEGER NOT NULL REFERENCES principals (id),      -- whose builds they are
    cron TEXT NOT NULL,
    zone TEXT NOT NULL,
    catch_up TEXT NOT NULL CHECK (catch_up = 'none' OR catch_up = 'last'),
    overlap TEXT NOT NULL CHECK (overlap = 'skip' OR overlap = 'queue' OR overlap = 'cancel-old'),
    if_changed INTEGER NOT NULL CHECK (if_changed IN (0, 1)),
    spec TEXT NOT NULL,                     -- JSON as in `submit`; tags may hold {date}, {commit}, {build}
    state TEXT NOT NULL DEFAULT 'active' CHECK (state = 'active' OR state = 'paused' OR state = 'ended'),
    reason TEXT NOT NULL DEFAULT '',        -- why it is not active
    created_ms INTEGER NOT NULL,
    next_ms INTEGER CHECK (next_ms IS NULL OR state = 'active'),
    success_build INTEGER,                  -- the last that was published with all its platforms,
    success_inputs TEXT,                    -- SHA-256 over the spec that it came from,
    success_bases TEXT                      -- and its base images: JSON [{reference, digest}]; NULL: not known
) STRICT;
CREATE INDEX schedules_due ON schedules (next_ms) WHERE next_ms IS NOT NULL;
CREATE INDEX schedules_principal ON schedules (principal) WHERE state <> 'ended';

-- What became of a time. There is one for each schedule and time, whatever restarts.
CREATE TABLE firings (
    schedule INTEGER NOT NULL REFERENCES schedules (id),
    scheduled_ms INTEGER NOT NULL,
    fired_ms INTEGER NOT NULL,
    is_by_hand INTEGER NOT NULL DEFAULT 0 CHECK (is_by_hand IN (0, 1)),
    outcome TEXT NOT NULL CHECK (outcome = 'waiting' OR outcome = 'looking' OR outcome = 'running' OR outcome = 'built' OR outcome = 'unchanged'
        OR outcome = 'skipped' OR outcome = 'missed' OR outcome = 'refused'),
    build INTEGER,                          -- may be forgotten before this is
    times INTEGER NOT NULL DEFAULT 1,       -- missed: so many, of which this is the first
    text TEXT NOT NULL DEFAULT '',
    request TEXT NOT NULL,                  -- of its build, and
    inputs TEXT NOT NULL DEFAULT '',        -- SHA-256 over the spec that it came from
    PRIMARY KEY (schedule, scheduled_ms)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX firings_build ON firings (build) WHERE outcome = 'running' OR outcome = 'built';
CREATE INDEX firings_open ON firings (schedule, outcome) WHERE outcome = 'waiting' OR outcome = 'looking' OR outcome = 'running';
CREATE INDEX firings_request ON firings (request);
