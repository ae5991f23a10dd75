-- News: who is told of what becomes of builds, schedules and workers; what they were told of that has not ended; and what is on its way.

CREATE TABLE subscribers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    principal INTEGER NOT NULL REFERENCES principals (id),      -- who has added it: it is told what they may see
    scope TEXT NOT NULL CHECK (scope = 'farm' OR scope = 'user' OR scope = 'schedule'),
    schedule INTEGER REFERENCES schedules (id) ON DELETE CASCADE CHECK ((schedule IS NOT NULL) = (scope = 'schedule')),
    kind TEXT NOT NULL CHECK (kind = 'mail' OR kind = 'hook'),
    address TEXT NOT NULL,
    events TEXT NOT NULL,                   -- ",failed,fixed,"
    salt TEXT NOT NULL,                     -- of a hook: what its secret is made of, beside news.key
    created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX subscribers_principal ON subscribers (principal);
CREATE INDEX subscribers_schedule ON subscribers (schedule) WHERE schedule IS NOT NULL;

-- What a subscriber was told of, and what has not ended: the same is not told again.
CREATE TABLE troubles (
    subscriber INTEGER NOT NULL REFERENCES subscribers (id) ON DELETE CASCADE,
    subject TEXT NOT NULL,                  -- what is in trouble: schedule/7, build/2/registry.lan/app, platform/linux/arm64, worker/3
    cause TEXT NOT NULL,
    thread TEXT NOT NULL,                   -- the first news of the subject
    since_ms INTEGER NOT NULL,
    told_ms INTEGER NOT NULL,               -- last
    times INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (subscriber, subject, cause)
) STRICT, WITHOUT ROWID;
CREATE INDEX troubles_subject ON troubles (subject);

-- The outbox, written in the transaction of what it tells. It bears what it needs to be sent, so a subscriber may go before it.
CREATE TABLE news (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL UNIQUE,               -- the same each time it is sent
    thread TEXT NOT NULL,                   -- the uid of the first of its thread
    subscriber INTEGER NOT NULL,
    principal INTEGER NOT NULL,             -- whose
    name TEXT NOT NULL,                     -- of the subscriber, and how it is reached
    kind TEXT NOT NULL,
    address TEXT NOT NULL,
    salt TEXT NOT NULL,
    event TEXT NOT NULL,
    subject TEXT NOT NULL,
    cause TEXT NOT NULL,
    facts TEXT NOT NULL,                    -- JSON: docs/news.md
    at_ms INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state = 'waiting' OR state = 'sent' OR state = 'given-up'),
    due_ms INTEGER CHECK ((due_ms IS NOT NULL) = (state = 'waiting')),
    tries INTEGER NOT NULL DEFAULT 0,
    text TEXT NOT NULL DEFAULT '',          -- what the last try came to
    ended_ms INTEGER
) STRICT;
CREATE INDEX news_due ON news (due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX news_thread ON news (thread);
CREATE INDEX news_subscriber ON news (subscriber) WHERE due_ms IS NOT NULL;
CREATE INDEX news_ended ON news (ended_ms) WHERE ended_ms IS NOT NULL;
