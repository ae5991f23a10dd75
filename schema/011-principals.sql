-- Who may do what: what users are limited to, join strings that work once and for a time, and who has done or was denied what.

ALTER TABLE principals ADD COLUMN is_named INTEGER NOT NULL DEFAULT 0;          -- an admin has given it its name: nobody else has that
ALTER TABLE principals ADD COLUMN repositories TEXT NOT NULL DEFAULT '[]';      -- JSON: patterns of repositories; []: all
ALTER TABLE principals ADD COLUMN max_queued INTEGER NOT NULL DEFAULT 0;        -- builds that wait; 0: as many as they like
ALTER TABLE principals ADD COLUMN max_running INTEGER NOT NULL DEFAULT 0;       -- builds at work

-- The key of a join string may say `join`, once. What is kept is the public half: whoever reads it here cannot join.
CREATE TABLE invitations (
    principal INTEGER PRIMARY KEY REFERENCES principals (id),
    role TEXT NOT NULL CHECK (role IN ('admin', 'submitter', 'viewer', 'worker')),
    invited_by TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    used_ms INTEGER, used_by TEXT           -- the key (hex) that joined
) STRICT;

-- Of users with limits: 1 waits for an earlier build of the same user to end, 0 is at work. NULL: nobody counts.
ALTER TABLE builds ADD COLUMN held INTEGER;
CREATE INDEX builds_held ON builds (principal, held, id) WHERE held IS NOT NULL AND ended_ms IS NULL;
CREATE INDEX builds_principal ON builds (principal);

-- Each row's hash is over the one before it and its own fields (common/chain.h).
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    who TEXT NOT NULL,                      -- a name, or what is known of a stranger
    key TEXT NOT NULL,                      -- hex; '': the coordinator itself
    act TEXT NOT NULL,                      -- a verb, or `connect`
    subject TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('done', 'denied', 'found')),
    detail TEXT NOT NULL,
    times INTEGER NOT NULL,                 -- so many of the same, up to at_ms
    hash TEXT NOT NULL
) STRICT;
