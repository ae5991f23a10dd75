/* dispatch.c - who may say what, and which file decides on it: one table. */
#include <string.h>

#include "coordinator/attempts.h"
#include "coordinator/builds.h"
#include "coordinator/engine_private.h"
#include "coordinator/orders.h"
#include "coordinator/principals.h"
#include "coordinator/published.h"
#include "coordinator/restores.h"
#include "coordinator/retention.h"
#include "coordinator/secrets.h"
#include "coordinator/submit.h"
#include "coordinator/view.h"
#include "coordinator/workers.h"

enum { ADMIN = 1, SUBMITTER = 2, VIEWER = 4, WORKER = 8, INVITATION = 16, OWN = 32 };
enum { BUILDS = ADMIN | SUBMITTER, LOOKS = ADMIN | SUBMITTER | VIEWER };

static const struct { const char *name; unsigned role; } roles [] = {
    { "admin", ADMIN }, { "submitter", SUBMITTER }, { "viewer", VIEWER }, { "worker", WORKER }, { "invitation", INVITATION },
};

static const struct {
    const char *verb;
    unsigned roles;
    handler_fn *handle;
} handlers [] = {
    { "join", INVITATION, principals_on_join },
    { "hello", LOOKS | WORKER, workers_on_hello },
    { "heartbeat", WORKER, workers_on_heartbeat },
    { "report", WORKER, attempts_on_report },
    { "restored", WORKER, restores_on_restored },
    { "want-secret", WORKER, secrets_on_want },
    { "secret", BUILDS, secrets_on_secret },
    { "check", BUILDS, submit_on_check },
    { "submit", BUILDS, submit_on_submit },
    { "cancel", BUILDS, builds_on_cancel },
    { "spec", BUILDS, builds_on_spec },
    { "list", LOOKS, view_on_list },
    { "inspect", LOOKS, view_on_inspect },
    { "events", LOOKS, view_on_events },
    { "watch", LOOKS, view_on_watch },
    { "workers", LOOKS, view_on_workers },
    { "worker", LOOKS, view_on_worker },
    { "order", ADMIN, orders_on_order },
    { "gone", OWN, workers_on_gone },
    { "ended", OWN, workers_on_ended },
    { "lost", OWN, restores_on_lost },
    { "logs-gone", OWN, retention_on_logs_gone },
    { "tick", OWN, workers_on_tick },
    { "verified", OWN, attempts_on_verified },
    { "published", OWN, published_on_published },
};

static unsigned role_named (const char *name)
{
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (strcmp (roles [i].name, name) == 0)
            return roles [i].role;
    return 0;
}

bool engine_may_say (const char *role, const char *verb)
{
    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++)
        if (strcmp (handlers [i].verb, verb) == 0)
            return (handlers [i].roles & role_named (role)) != 0;
    return false;
}

static unsigned role_of (engine_t *self, const event_t *event, err_t *err)
{
    principal_t principal;
    if (event->principal == 0)
        return OWN;
    if (principal_load (self, event->principal, &principal, err) < 0)
        return 0;
    return role_named (principal.role);
}

int engine_dispatch (engine_t *self, const event_t *event, err_t *err)
{
    unsigned role = role_of (self, event, err);
    if (!role)
        return -1;
    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++) {
        if (strcmp (handlers [i].verb, event->verb) != 0)
            continue;
        if (!(handlers [i].roles & role))
            return err_set (err, ERR_DENIED, "%s: this key's role may not do that", event->verb);
        return handlers [i].handle (self, event, err);
    }
    return err_set (err, ERR_PROTOCOL, "%s is nothing to ask the control socket", event->verb);
}
