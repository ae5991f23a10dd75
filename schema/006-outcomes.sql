-- What a build needs to be published, and what takes its place.

ALTER TABLE builds ADD COLUMN keep_going INTEGER NOT NULL DEFAULT 0 CHECK (keep_going IN (0, 1));     -- a failed job does not end the others
ALTER TABLE builds ADD COLUMN tag_set TEXT NOT NULL DEFAULT '';         -- its tags, sorted: who supersedes whom
ALTER TABLE jobs ADD COLUMN is_required INTEGER NOT NULL DEFAULT 1 CHECK (is_required IN (0, 1));     -- without it nothing is published

-- The image that a job stands on (from_build), to be verified: its digest, and the base images that must still mean the same.
ALTER TABLE jobs ADD COLUMN known_digest TEXT;
ALTER TABLE jobs ADD COLUMN known_bases TEXT;
UPDATE jobs SET from_build = NULL, state = 'queued' WHERE state = 'verifying' AND from_build IS NOT NULL;

CREATE INDEX builds_tag_set ON builds (tag_set, principal) WHERE state = 'queued';
