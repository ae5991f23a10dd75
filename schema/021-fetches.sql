-- Contexts that the coordinator fetches: for a build that waits for its own, or for a time of a schedule that is to be built where something has
-- changed. A row goes when its outcome is taken down: what has one is fetched, again after a restart.

CREATE TABLE fetches (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    build INTEGER UNIQUE REFERENCES builds (id),
    schedule INTEGER REFERENCES schedules (id),
    scheduled_ms INTEGER,
    principal INTEGER NOT NULL REFERENCES principals (id),      -- whose it will be
    source TEXT NOT NULL,                   -- JSON: {url, ref, folder, sha256}
    dockerfile TEXT NOT NULL,               -- below the folder
    tries INTEGER NOT NULL DEFAULT 0,       -- that failed
    text TEXT NOT NULL DEFAULT '',          -- why the last one did
    CHECK ((build IS NULL) <> (schedule IS NULL)),
    UNIQUE (schedule, scheduled_ms)
) STRICT;

-- What was fetched for a time before its build: JSON {context, dockerfile: {digest, size}, commit}.
ALTER TABLE firings ADD COLUMN fetched TEXT;
-- Of the last success, where its context came from a repository.
ALTER TABLE schedules ADD COLUMN success_commit TEXT;
