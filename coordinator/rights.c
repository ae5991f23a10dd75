/* rights.c - see rights.h. A submitter's verbs are about the own builds only, a worker's about the own attempts: that is looked at
 * where each is handled. */
#include "coordinator/rights.h"

#include <stddef.h>
#include <string.h>

enum { ADMIN = 1, SUBMITTER = 2, VIEWER = 4, WORKER = 8, INVITATION = 16 };
enum { BUILDS = ADMIN | SUBMITTER, LOOKS = ADMIN | SUBMITTER | VIEWER };

static const struct { const char *name; unsigned role; } roles [] = {
    { "admin", ADMIN }, { "submitter", SUBMITTER }, { "viewer", VIEWER }, { "worker", WORKER }, { "invitation", INVITATION },
};

static const struct { const char *verb; unsigned roles; } table [] = {
    { "join", INVITATION },
    { "hello", LOOKS | WORKER },
    { "heartbeat", WORKER }, { "report", WORKER }, { "restored", WORKER }, { "want-secret", WORKER }, { "want-token", WORKER }, { "pin", WORKER }, { "ask-agent", WORKER },
    { "check", BUILDS }, { "submit", BUILDS }, { "secret", BUILDS }, { "agent-reply", BUILDS }, { "cancel", BUILDS }, { "spec", BUILDS },
    { "list", LOOKS }, { "inspect", LOOKS }, { "events", LOOKS }, { "watch", LOOKS }, { "workers", LOOKS }, { "worker", LOOKS },
    { "add-schedule", BUILDS }, { "order-schedule", BUILDS }, { "schedules", LOOKS }, { "schedule", LOOKS },
    { "add-news", BUILDS }, { "order-news", BUILDS }, { "retry-news", BUILDS }, { "news", LOOKS }, { "outbox", LOOKS },
    { "order", ADMIN }, { "prune", ADMIN },
    { "invite", ADMIN }, { "users", ADMIN }, { "grant", ADMIN }, { "revoke", ADMIN }, { "audit", ADMIN },
    /* to the objects socket; its counters would tell a submitter whether somebody else has sent the same */
    { "missing", BUILDS | WORKER }, { "put", BUILDS | WORKER }, { "want", WORKER }, { "log", WORKER },
    { "read-log", LOOKS }, { "stats", ADMIN | VIEWER },
};

static unsigned role_named (const char *name)
{
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (strcmp (roles [i].name, name) == 0)
            return roles [i].role;
    return 0;
}

bool rights_may (const char *role, const char *verb)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp (table [i].verb, verb) == 0)
            return (table [i].roles & role_named (role)) != 0;
    return false;
}

bool rights_sees_all (const char *role)
{
    return (role_named (role) & (ADMIN | VIEWER)) != 0;
}
