-- What a build of the same inputs gave: a submit whose inputs are known need not be built again.

ALTER TABLE attempts ADD COLUMN bases TEXT;     -- JSON [{reference, digest}]: the tags its build resolved; NULL: not repeatable
ALTER TABLE jobs ADD COLUMN from_build INTEGER; -- its image is that build's, none was made
ALTER TABLE jobs ADD COLUMN from_emulated INTEGER NOT NULL DEFAULT 0;

CREATE TABLE results (
    key TEXT NOT NULL,                      -- SHA-256 over the inputs (coordinator/results.c)
    builder TEXT NOT NULL,                  -- with its version: another may make another image
    is_emulated INTEGER NOT NULL CHECK (is_emulated IN (0, 1)),
    build INTEGER NOT NULL,
    digest TEXT NOT NULL,
    bases TEXT NOT NULL,                    -- as in attempts
    made_ms INTEGER NOT NULL,
    PRIMARY KEY (key, builder, is_emulated)
) STRICT, WITHOUT ROWID;
CREATE INDEX results_age ON results (made_ms);
