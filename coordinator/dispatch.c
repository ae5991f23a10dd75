/* dispatch.c - which file decides on what is said. Who may say it stands in rights.c. */
#include <string.h>

#include "coordinator/attempts.h"
#include "coordinator/audit.h"
#include "coordinator/bases.h"
#include "coordinator/builds.h"
#include "coordinator/engine_private.h"
#include "coordinator/fetches.h"
#include "coordinator/firings.h"
#include "coordinator/grants.h"
#include "coordinator/invitations.h"
#include "coordinator/lookups.h"
#include "coordinator/news_outbox.h"
#include "coordinator/orders.h"
#include "coordinator/principals.h"
#include "coordinator/published.h"
#include "coordinator/restores.h"
#include "coordinator/retention.h"
#include "coordinator/rights.h"
#include "coordinator/schedules.h"
#include "coordinator/secrets.h"
#include "coordinator/submit.h"
#include "coordinator/users.h"
#include "coordinator/view.h"
#include "coordinator/workers.h"

static handler_fn on_gateways;

static const struct {
    const char *verb;
    bool is_own;                /* an event of the coordinator itself */
    handler_fn *handle;
} handlers [] = {
    { "join", false, invitations_on_join },
    { "invite", false, invitations_on_invite },
    { "users", false, users_on_users },
    { "grant", false, users_on_grant },
    { "revoke", false, users_on_revoke },
    { "hello", false, workers_on_hello },
    { "heartbeat", false, workers_on_heartbeat },
    { "report", false, attempts_on_report },
    { "restored", false, restores_on_restored },
    { "want-secret", false, secrets_on_want },
    { "want-token", false, grants_on_want },
    { "pin", false, bases_on_pin },
    { "ask-agent", false, on_gateways },
    { "agent-reply", false, on_gateways },
    { "secret", false, secrets_on_secret },
    { "check", false, submit_on_check },
    { "submit", false, submit_on_submit },
    { "cancel", false, builds_on_cancel },
    { "spec", false, builds_on_spec },
    { "list", false, view_on_list },
    { "inspect", false, view_on_inspect },
    { "events", false, view_on_events },
    { "watch", false, view_on_watch },
    { "workers", false, view_on_workers },
    { "worker", false, view_on_worker },
    { "order", false, orders_on_order },
    { "add-schedule", false, schedules_on_add },
    { "order-schedule", false, schedules_on_order },
    { "schedules", false, schedules_on_list },
    { "schedule", false, schedules_on_ask },
    { "add-news", false, subscribers_on_add },
    { "order-news", false, subscribers_on_order },
    { "news", false, subscribers_on_list },
    { "outbox", false, news_outbox_on_list },
    { "retry-news", false, news_outbox_on_retry },
    { "audit", false, audit_on_audit },
    { "prune", false, audit_on_prune },
    { "denied", true, audit_on_denied },
    { "gone", true, workers_on_gone },
    { "ended", true, workers_on_ended },
    { "lost", true, restores_on_lost },
    { "logs-gone", true, retention_on_logs_gone },
    { "tick", true, workers_on_tick },
    { "verified", true, attempts_on_verified },
    { "published", true, published_on_published },
    { "looked", true, firings_on_looked },
    { "fetched", true, fetches_on_fetched },
    { "resolved", true, lookups_on_resolved },
    { "metrics", true, view_on_metrics },
    { "probe", true, view_on_probe },
    { "delivered", true, news_outbox_on_delivered },
};

static int say_unknown (const event_t *event, err_t *err)
{
    return err_set (err, ERR_PROTOCOL, "%s is nothing to ask the control socket", event->verb);
}

/* Of whoever may say it the gateway takes it; the others come here, to be denied it. */
static int on_gateways (engine_t *self, const event_t *event, err_t *err)
{
    (void) self;
    return say_unknown (event, err);
}

bool engine_checks_first (const event_t *event)
{
    static const char *const verbs [] = { "report", "resolved", "verified" };
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp (verbs [i], event->verb) == 0)
            return true;
    return false;
}

/* May whoever says it say it? */
static int check_right (engine_t *self, const event_t *event, bool is_own, err_t *err)
{
    principal_t principal;
    if (event->principal == 0 && is_own)
        return 0;
    if (event->principal != 0 && principal_load (self, event->principal, &principal, err) < 0)
        return -1;
    if (event->principal != 0 && !is_own && rights_may (principal.role, event->verb))
        return 0;
    if (event->principal == 0 || is_own)
        return err_set (err, ERR_DENIED, "%s: this key's role may not do that", event->verb);
    return err_set (err, ERR_DENIED, "your role may not do that: here you are %s, with the role %s; ask an admin of the farm for another (farmctl user role)",
                    principal.name, principal.role);
}

int engine_dispatch (engine_t *self, const event_t *event, err_t *err)
{
    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++) {
        if (strcmp (handlers [i].verb, event->verb) != 0)
            continue;
        if (check_right (self, event, handlers [i].is_own, err) < 0)
            return -1;
        return handlers [i].handle (self, event, err);
    }
    return say_unknown (event, err);
}
