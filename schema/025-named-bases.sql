-- Which base images of a build the coordinator has read off its Dockerfile itself. A worker may ask for these with the coordinator's account, not for those that
-- workers alone have named. Of rows that were there before nobody knows.

ALTER TABLE bases ADD COLUMN is_named INTEGER NOT NULL DEFAULT 1 CHECK (is_named IN (0, 1));
