-- Base images: what each that a build's Dockerfile names means for all its jobs, and the builds that wait until that is known.

CREATE TABLE bases (
    build INTEGER NOT NULL REFERENCES builds (id),
    reference TEXT NOT NULL,                -- host/path:tag or host/path@digest
    digest TEXT NOT NULL,
    is_last INTEGER NOT NULL DEFAULT 0 CHECK (is_last IN (0, 1)),       -- the image itself begins with it
    PRIMARY KEY (build, reference)
) STRICT, WITHOUT ROWID;

-- Builds that ask the same wait for the same answer. A row goes when that is taken down: what has one is asked, again after a restart.
CREATE TABLE lookups (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    question TEXT NOT NULL UNIQUE,          -- JSON: {dockerfile, build_args, target, platforms, repository}
    tries INTEGER NOT NULL DEFAULT 0,       -- that failed
    text TEXT NOT NULL DEFAULT ''           -- why the last one did
) STRICT;
ALTER TABLE builds ADD COLUMN lookup INTEGER REFERENCES lookups (id);
CREATE INDEX builds_lookup ON builds (lookup) WHERE lookup IS NOT NULL;
