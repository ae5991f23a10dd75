-- Which builds are old enough to be forgotten.
CREATE INDEX builds_ended ON builds (ended_ms) WHERE ended_ms IS NOT NULL;
CREATE INDEX tags_build ON tags (build);
