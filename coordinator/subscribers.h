/* subscribers.h - who is told of what: added, looked at, removed; and found for an event. docs/news.md tells what comes of it.
 *
 * A subscriber is told what whoever has added it may see: of their own builds and schedules, of one schedule, or, of an admin's, of the
 * whole farm. With that right it falls silent. */
#ifndef FARM_SUBSCRIBERS_H
#define FARM_SUBSCRIBERS_H

#include "coordinator/engine_private.h"

enum { SUBSCRIBERS_MAX = 10000, SUBSCRIBERS_OF_USER_MAX = 100, NEWS_ADDRESS_MAX = 2048, NEWS_EVENTS_MAX = 96 };

typedef struct {
    int64_t id, principal;
    char name [64], kind [8], salt [33];
    char events [NEWS_EVENTS_MAX];          /* ",failed,fixed," */
    char address [NEWS_ADDRESS_MAX + 1];
} subscriber_t;

typedef struct {
    subscriber_t *items;                    /* owned */
    size_t count;
} subscribers_t;

void subscribers_free (subscribers_t *self);
#define AUTO_SUBSCRIBERS __attribute__ ((cleanup (subscribers_free)))

handler_fn subscribers_on_add;
handler_fn subscribers_on_order;
handler_fn subscribers_on_list;

/* Those who take an event of what belongs to this user (0: the farm's own, as a worker is) and schedule (0: none). Of several with one
 * address only the nearest: the schedule's, then the user's, then the farm's. *out is freed before it is filled. */
int subscribers_match (engine_t *self, const char *event, int64_t principal, int64_t schedule, subscribers_t *out, err_t *err);

/* For people: who is told of this schedule, as far as that principal may see them: [{name, kind, address, events}]. Of a hook only the host: what else stands
 * in its address may be a secret. To the caller; NULL on error. */
json_t *subscribers_view (engine_t *self, int64_t asker, int64_t principal, int64_t schedule, err_t *err);

/* By number: 1, 0 where it is not there any more or may not be told any more, -1. */
int subscriber_load (engine_t *self, int64_t id, subscriber_t *out, err_t *err);

bool subscriber_takes (const subscriber_t *self, const char *event);

/* In SQL, of a row of subscribers joined with its principal: whoever has added it may still see what it tells. */
#define SUBSCRIBER_MAY_BE_TOLD "revoked_ms IS NULL AND (role = 'admin' OR (role = 'submitter' AND (scope = 'user' OR (scope = 'schedule' " \
                               "AND subscribers.principal = (SELECT principal FROM schedules WHERE schedules.id = subscribers.schedule))))) "

/* Is there any? Sets engine->has_subscribers. */
int subscribers_look (engine_t *self, err_t *err);

/* May mail go to this address, may a hook be called under this? ERR_USAGE, with what would be. A name is looked at again when it is connected to. */
int news_check_mail (const engine_settings_t *settings, const char *address, err_t *err);
bool news_mail_is_allowed (const char *const *patterns, const char *address);      /* mail/allow; NULL or empty: any */
int news_check_hook (const engine_settings_t *settings, const char *url, err_t *err);

#endif
