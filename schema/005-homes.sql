-- Which worker built it last: its caches are warm.

CREATE TABLE homes (
    repository TEXT NOT NULL,
    platform TEXT NOT NULL,
    worker INTEGER NOT NULL REFERENCES workers (id),
    PRIMARY KEY (repository, platform)
) STRICT, WITHOUT ROWID;
