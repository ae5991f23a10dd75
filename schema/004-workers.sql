-- What is known of a worker beyond what it says: an admin's word, and how it has done lately.

ALTER TABLE workers ADD COLUMN own_labels TEXT NOT NULL DEFAULT '{}';   -- JSON, as in `hello`
ALTER TABLE workers ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';       -- an admin's, which win; null takes one of its own away
ALTER TABLE workers ADD COLUMN mode TEXT NOT NULL DEFAULT 'active' CHECK (mode IN ('active', 'draining', 'paused', 'forgotten'));
ALTER TABLE workers ADD COLUMN comment TEXT NOT NULL DEFAULT '';        -- of who last changed it
ALTER TABLE workers ADD COLUMN faults INTEGER NOT NULL DEFAULT 0;       -- attempts in a row that failed through the farm's fault
ALTER TABLE workers ADD COLUMN quarantined_until_ms INTEGER NOT NULL DEFAULT 0;

ALTER TABLE jobs ADD COLUMN timeout_ms INTEGER NOT NULL DEFAULT 600000;     -- how long it waits when no worker takes such jobs
