-- Whoever asks whether the coordinator is ready gets an answer once this was written: a disk that takes nothing is found so.

CREATE TABLE pulse (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at_ms INTEGER NOT NULL
) STRICT;
INSERT INTO pulse VALUES (1, 0);
