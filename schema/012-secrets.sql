-- What a build was given in confidence, a part of at most 256 KiB to a row, sealed by the coordinator's own key (coordinator/seal.h). It comes
-- under the client's request before the build is there, and goes when the build has ended.

CREATE TABLE secrets (
    id INTEGER PRIMARY KEY,
    principal INTEGER NOT NULL REFERENCES principals (id),
    request TEXT NOT NULL,
    name TEXT NOT NULL,                     -- the secret's id, as RUN --mount=type=secret,id= has it
    part INTEGER NOT NULL CHECK (part >= 0 AND part < parts),
    parts INTEGER NOT NULL,
    build INTEGER,                          -- NULL: nobody has submitted it yet
    staged_ms INTEGER NOT NULL,             -- wall clock
    size INTEGER NOT NULL,                  -- of what is sealed
    sealed BLOB NOT NULL,
    UNIQUE (principal, request, name, part)
) STRICT;
CREATE INDEX secrets_build ON secrets (build);
