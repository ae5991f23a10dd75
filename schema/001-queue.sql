-- The queue: who may speak, what was asked for, what became of it. Times are milliseconds since 1970 (wall clock).

CREATE TABLE principals (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE CHECK (length (key) = 64),
    role TEXT NOT NULL CHECK (role IN ('admin', 'submitter', 'viewer', 'worker', 'invitation')),
    name TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    revoked_ms INTEGER
) STRICT;

CREATE TABLE workers (
    id INTEGER PRIMARY KEY,
    principal INTEGER NOT NULL UNIQUE REFERENCES principals (id),
    name TEXT NOT NULL UNIQUE,
    instance TEXT NOT NULL,                 -- of the program's start that spoke last
    platforms TEXT NOT NULL,                -- JSON as in `hello`, normalised
    slots INTEGER NOT NULL CHECK (slots > 0),
    cpus INTEGER NOT NULL,
    memory_bytes INTEGER NOT NULL,
    builder TEXT NOT NULL,
    isolation TEXT NOT NULL,
    isolation_reason TEXT NOT NULL,
    version TEXT NOT NULL,
    seen_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE builds (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    principal INTEGER NOT NULL REFERENCES principals (id),
    request TEXT NOT NULL,                  -- made by the client: the same request is the same build
    spec TEXT NOT NULL,                     -- JSON as in `submit`, platforms and tags normalised
    repository TEXT NOT NULL,               -- where the workers push: host/path of the first tag
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'publishing', 'published', 'failed', 'cancelled')),
    created_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    digest TEXT,                            -- of the index
    code TEXT, reason TEXT, note TEXT,
    UNIQUE (principal, request)
) STRICT;
CREATE INDEX builds_live ON builds (state) WHERE state IN ('queued', 'running', 'publishing');

CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    build INTEGER NOT NULL REFERENCES builds (id),
    position INTEGER NOT NULL,              -- in the order asked for
    platform TEXT NOT NULL,
    may_emulate INTEGER NOT NULL CHECK (may_emulate IN (0, 1)),
    state TEXT NOT NULL CHECK (state IN ('queued', 'assigned', 'fetching', 'building', 'pushing', 'verifying', 'done',
                                         'failed', 'cancelled')),
    attempt INTEGER NOT NULL DEFAULT 0,     -- the last one's number: the fencing token
    failures INTEGER NOT NULL DEFAULT 0,    -- attempts that ended through the farm's fault
    code TEXT, reason TEXT, step TEXT, exit_status INTEGER,
    media_type TEXT, digest TEXT, size INTEGER,     -- verified
    UNIQUE (build, position)
) STRICT;
CREATE INDEX jobs_queued ON jobs (platform) WHERE state = 'queued';
CREATE INDEX jobs_live ON jobs (state) WHERE state IN ('assigned', 'fetching', 'building', 'pushing', 'verifying');

CREATE TABLE attempts (
    job INTEGER NOT NULL REFERENCES jobs (id),
    number INTEGER NOT NULL CHECK (number > 0),
    worker INTEGER NOT NULL REFERENCES workers (id),
    is_emulated INTEGER NOT NULL,
    state TEXT NOT NULL,
    code TEXT, reason TEXT, step TEXT, exit_status INTEGER,
    digest TEXT,                            -- as the worker reported it
    assigned_ms INTEGER NOT NULL,
    fetching_ms INTEGER, building_ms INTEGER, pushing_ms INTEGER, verifying_ms INTEGER, ended_ms INTEGER,
    builder_ms INTEGER, fetched_bytes INTEGER,
    PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_live ON attempts (worker) WHERE ended_ms IS NULL;

-- Every change of state.
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    build INTEGER NOT NULL REFERENCES builds (id),
    job INTEGER REFERENCES jobs (id),
    attempt INTEGER,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    cause TEXT NOT NULL
) STRICT;
CREATE INDEX events_build ON events (build);

-- What a build asks to be tagged, and the tags' last publication.
CREATE TABLE build_tags (
    build INTEGER NOT NULL REFERENCES builds (id),
    position INTEGER NOT NULL,
    reference TEXT NOT NULL,
    PRIMARY KEY (build, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX build_tags_reference ON build_tags (reference, build);

CREATE TABLE tags (
    reference TEXT PRIMARY KEY,
    build INTEGER NOT NULL REFERENCES builds (id),
    digest TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Indexes to be put, stored before the first PUT and put again after a crash, byte for byte.
CREATE TABLE outbox (
    build INTEGER PRIMARY KEY REFERENCES builds (id),
    media_type TEXT NOT NULL,
    digest TEXT NOT NULL,
    bytes BLOB NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    is_handed_out INTEGER NOT NULL DEFAULT 0        -- a publisher has it; after a restart nobody has
) STRICT;
