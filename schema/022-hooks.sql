-- Who may start a schedule's build over HTTP: whoever signs with this secret, which is sealed by the coordinator's own key (coordinator/seal.h).

CREATE TABLE hooks (
    schedule INTEGER PRIMARY KEY REFERENCES schedules (id),
    sealed TEXT NOT NULL,
    branch TEXT NOT NULL DEFAULT '',        -- only a push to this one; '': whatever comes
    set_ms INTEGER NOT NULL
) STRICT;
