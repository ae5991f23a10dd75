/* subscribers.c - see subscribers.h. */
#include "coordinator/subscribers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/audit.h"
#include "coordinator/cells.h"
#include "coordinator/news.h"
#include "coordinator/news_outbox.h"
#include "coordinator/principals.h"
#include "coordinator/schedule.h"

enum { PAGE_MAX = 500, TOLD_MAX = 20 };

/* -- found ------------------------------------------------------------------------------------------------------ */

void subscribers_free (subscribers_t *self)
{
    free (self->items);
    *self = (subscribers_t) { 0 };
}

#define COLUMNS "subscribers.id, subscribers.principal, subscribers.name, kind, salt, events, address "

static void read_row (const query_t *row, subscriber_t *out)
{
    out->id = query_get_int (row, 0);
    out->principal = query_get_int (row, 1);
    snprintf (out->name, sizeof out->name, "%s", query_get_text (row, 2));
    snprintf (out->kind, sizeof out->kind, "%s", query_get_text (row, 3));
    snprintf (out->salt, sizeof out->salt, "%s", query_get_text (row, 4));
    snprintf (out->events, sizeof out->events, "%s", query_get_text (row, 5));
    snprintf (out->address, sizeof out->address, "%s", query_get_text (row, 6));
}

bool subscriber_takes (const subscriber_t *self, const char *event)
{
    AUTO_FREE char *word = mem_printf (",%s,", event);
    return strstr (self->events, word) != NULL;
}

static bool is_there (const subscribers_t *list, const subscriber_t *one)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp (list->items [i].kind, one->kind) == 0 && strcmp (list->items [i].address, one->address) == 0)
            return true;
    return false;
}

int subscribers_match (engine_t *self, const char *event, int64_t principal, int64_t schedule, subscribers_t *out, err_t *err)
{
    subscribers_free (out);
    if (!self->has_subscribers)
        return 0;
    query_t query = db_query (self->db, "SELECT " COLUMNS "FROM subscribers JOIN principals ON principals.id = subscribers.principal "
                              "WHERE (scope = 'farm' OR (scope = 'user' AND subscribers.principal = :principal) OR schedule = :schedule) AND " SUBSCRIBER_MAY_BE_TOLD
                              "ORDER BY CASE scope WHEN 'schedule' THEN 1 WHEN 'user' THEN 2 ELSE 3 END, subscribers.id");
    query_int (&query, ":principal", principal);
    query_int (&query, ":schedule", schedule);
    while (query_step (&query)) {
        subscriber_t one;
        read_row (&query, &one);
        if (!subscriber_takes (&one, event) || is_there (out, &one))
            continue;
        out->items = mem_resize (out->items, (out->count + 1) * sizeof *out->items);
        out->items [out->count++] = one;
    }
    return query_end (&query, err);
}

int subscriber_load (engine_t *self, int64_t id, subscriber_t *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT " COLUMNS "FROM subscribers JOIN principals ON principals.id = subscribers.principal "
                              "WHERE subscribers.id = :id AND " SUBSCRIBER_MAY_BE_TOLD);
    query_int (&query, ":id", id);
    int found = query_step (&query);
    if (found)
        read_row (&query, out);
    return query_end (&query, err) < 0 ? -1 : found;
}

int subscribers_look (engine_t *self, err_t *err)
{
    query_t query = db_query (self->db, "SELECT EXISTS (SELECT 1 FROM subscribers) OR EXISTS (SELECT 1 FROM news)");
    self->has_subscribers = query_step (&query) && query_get_int (&query, 0);
    return query_end (&query, err);
}

/* -- views ------------------------------------------------------------------------------------------------------ */

/* ",failed,fixed," -> ["failed","fixed"] */
static json_t *events_of (const char *events)
{
    json_t *all = json_array ();
    AUTO_FREE char *copy = mem_strdup (events);
    char *rest = NULL;
    for (char *word = strtok_r (copy, ",", &rest); word; word = strtok_r (NULL, ",", &rest))
        json_array_append_new (all, json_string (word));
    return all;
}

#define VIEW "SELECT subscribers.id, subscribers.name, principals.name, scope, schedules.name, kind, address, events, subscribers.created_ms, salt, " SUBSCRIBER_MAY_BE_TOLD \
             ", (SELECT count (*) FROM news WHERE subscriber = subscribers.id AND due_ms IS NOT NULL) FROM subscribers JOIN principals " \
             "ON principals.id = subscribers.principal LEFT JOIN schedules ON schedules.id = subscribers.schedule "

static json_t *view_of (const query_t *row)
{
    return json_pack ("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "id", (json_int_t) query_get_int (row, 0), "name", cell_text (row, 1, 64),
                      "user", cell_text (row, 2, 64), "scope", cell_text (row, 3, 16), "schedule", cell_text (row, 4, 64), "kind", cell_text (row, 5, 8),
                      "address", cell_text (row, 6, NEWS_ADDRESS_MAX), "events", events_of (query_get_text (row, 7)), "created_ms", cell_int (row, 8),
                      "silent", !query_get_int (row, 10), "waiting", cell_int (row, 11));
}

/* "https://chat.lan/hooks/key" -> "https://chat.lan/…" */
static json_t *host_of (const char *url)
{
    const char *host = strstr (url, "://");
    size_t size = host ? (size_t) (host + 3 - url) + strcspn (host + 3, "/?#") : 0;
    return json_sprintf ("%.*s%s", (int) size, url, url [size] ? "/…" : "");
}

static json_t *told_of (const query_t *row)
{
    bool is_hook = strcmp (query_get_text (row, 1), "hook") == 0;
    return json_pack ("{s:o, s:o, s:o, s:o}", "name", cell_text (row, 0, 64), "kind", cell_text (row, 1, 8), "address",
                      is_hook ? host_of (query_get_text (row, 2)) : cell_text (row, 2, 320), "events", events_of (query_get_text (row, 3)));
}

json_t *subscribers_view (engine_t *self, int64_t asker, int64_t principal, int64_t schedule, err_t *err)
{
    AUTO_JSON json_t *all = json_array ();
    bool has_more;
    int64_t only = principal_sees (self, asker, err);
    if (only < 0)
        return NULL;
    query_t query = db_query (self->db, "SELECT subscribers.name, kind, address, events FROM subscribers JOIN principals ON principals.id = subscribers.principal "
                              "WHERE (scope = 'farm' OR (scope = 'user' AND subscribers.principal = :principal) OR schedule = :schedule) AND " SUBSCRIBER_MAY_BE_TOLD
                              "AND (:only = 0 OR subscribers.principal = :only) ORDER BY subscribers.name");
    query_int (&query, ":principal", principal);
    query_int (&query, ":schedule", schedule);
    query_int (&query, ":only", only);
    return cells_page (query, told_of, TOLD_MAX, all, &has_more, err) < 0 ? NULL : take (&all);
}

/* With the salt, of which the gateway makes the secret. */
static int answer (engine_t *self, const event_t *event, const char *name, bool has_secret, err_t *err)
{
    json_t *header = NULL;
    query_t query = db_query (self->db, VIEW "WHERE subscribers.name = :name");
    query_text (&query, ":name", name);
    if (query_step (&query))
        header = json_pack ("{s:o}", "subscriber", view_of (&query));
    if (header && has_secret && strcmp (query_get_text (&query, 5), "hook") == 0)
        json_object_set_new (header, "salt", json_string (query_get_text (&query, 9)));
    if (query_end (&query, err) < 0) {
        json_decref (header);
        return -1;
    }
    engine_answer (self, event, "news-state", header);
    return 0;
}

int subscribers_on_list (engine_t *self, const event_t *event, err_t *err)
{
    AUTO_JSON json_t *all = json_array ();
    bool has_more;
    int64_t only = principal_sees (self, event->principal, err);
    if (only < 0)
        return -1;
    query_t query = db_query (self->db, VIEW "WHERE subscribers.id > :after AND (:only = 0 OR subscribers.principal = :only) ORDER BY subscribers.id LIMIT :limit");
    query_int (&query, ":after", event_int (event, "after"));
    query_int (&query, ":only", only);
    query_int (&query, ":limit", PAGE_MAX);
    if (cells_page (query, view_of, PAGE_MAX, all, &has_more, err) < 0)
        return -1;
    engine_answer (self, event, "news-list", json_pack ("{s:O, s:b}", "subscribers", all, "has_more", has_more));
    return 0;
}

/* -- added ------------------------------------------------------------------------------------------------------ */

/* ["failed","fixed"] -> ",failed,fixed,"; none: all but succeeded. */
static void read_events (const json_t *events, char out [NEWS_EVENTS_MAX])
{
    static const char *const names [] = { NEWS_FAILED, NEWS_FIXED, NEWS_SUCCEEDED, NEWS_MISSED, NEWS_LOST, NEWS_QUARANTINED };
    size_t at = (size_t) snprintf (out, NEWS_EVENTS_MAX, ",");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bool is_meant = !events && strcmp (names [i], NEWS_SUCCEEDED) != 0;
        size_t j;
        json_t *event;
        json_array_foreach ((json_t *) events, j, event)
            is_meant |= strcmp (json_string_value (event), names [i]) == 0;
        if (is_meant)
            at += (size_t) snprintf (out + at, NEWS_EVENTS_MAX - at, "%s,", names [i]);
    }
}

typedef struct {
    subscriber_t is;
    const char *scope;
    int64_t schedule, owner;        /* the schedule's owner, else whoever wishes it */
    bool was_farm;                  /* news of that name were of the whole farm */
} wish_t;

static void bind_wish (query_t *query, const wish_t *wish)
{
    query_text (query, ":name", wish->is.name);
    query_text (query, ":scope", wish->scope);
    query_int (query, ":schedule", wish->schedule);
    query_text (query, ":kind", wish->is.kind);
    query_text (query, ":address", wish->is.address);
    query_text (query, ":events", wish->is.events);
    query_text (query, ":salt", wish->is.salt);
}

/* What it is told of has to be there, and one's own. */
static int read_scope (engine_t *self, const event_t *event, const principal_t *by, wish_t *wish, err_t *err)
{
    const char *name = event_text (event, "schedule");
    bool is_farm = json_is_true (json_object_get (event->header, "farm"));
    AUTO_SCHEDULE schedule_t schedule = { .id = 0 };
    wish->scope = name ? "schedule" : is_farm ? "farm" : "user";
    wish->owner = by->id;
    if (name && is_farm)
        return err_set (err, ERR_USAGE, "news %s: of a schedule or of the farm, not of both", wish->is.name);
    if (is_farm && strcmp (by->role, "admin") != 0)
        return err_set (err, ERR_DENIED, "news of the whole farm are for admins: leave --farm away for those of your own builds");
    if (!name)
        return 0;
    if (schedule_find (self, name, &schedule, err) < 0)
        return -1;
    wish->schedule = schedule.id;
    wish->owner = schedule.principal;
    if (schedule.principal == by->id || strcmp (by->role, "admin") == 0)
        return 0;
    return err_set (err, ERR_DENIED, "schedule %s belongs to somebody else: only they or an admin may be told of it", name);
}

static int read_wish (engine_t *self, const event_t *event, const principal_t *by, wish_t *wish, err_t *err)
{
    subscriber_t *is = &wish->is;
    is->principal = by->id;
    snprintf (is->name, sizeof is->name, "%s", event_text (event, "name"));
    snprintf (is->kind, sizeof is->kind, "%s", event_text (event, "kind"));
    snprintf (is->salt, sizeof is->salt, "%s", event_text (event, "request"));
    snprintf (is->address, sizeof is->address, "%s", event_text (event, "address"));
    read_events (json_object_get (event->header, "events"), is->events);
    if (strcmp (is->kind, "mail") == 0 ? news_check_mail (&self->settings, is->address, err) < 0 : news_check_hook (&self->settings, is->address, err) < 0)
        return -1;
    return read_scope (self, event, by, wish, err);
}

/* 1: it is there as it is wished, so this was asked before. */
static int check_name (engine_t *self, const event_t *event, wish_t *wish, err_t *err)
{
    int64_t principal = 0;
    bool is_same = false;
    query_t query = db_query (self->db, "SELECT principal, scope = :scope AND coalesce (schedule, 0) = :schedule AND kind = :kind AND address = :address "
                              "AND events = :events AND salt = :salt, scope = 'farm' FROM subscribers WHERE name = :name");
    bind_wish (&query, wish);
    if (query_step (&query)) {
        principal = query_get_int (&query, 0);
        is_same = query_get_int (&query, 1);
        wish->was_farm = query_get_int (&query, 2);
    }
    if (query_end (&query, err) < 0)
        return -1;
    if (principal && principal != wish->is.principal)
        return err_set (err, ERR_DENIED, "there are news %s already, and they belong to somebody else: take another name", wish->is.name);
    if (principal && is_same)
        return 1;
    if (!principal || json_is_true (json_object_get (event->header, "replace")))
        return 0;
    return err_set (err, ERR_USAGE, "there are news %s already: --replace changes them, farmctl news rm removes them", wish->is.name);
}

static int check_room (engine_t *self, const wish_t *wish, err_t *err)
{
    query_t query = db_query (self->db, "SELECT count (*), coalesce (sum (principal = :principal), 0) FROM subscribers WHERE name <> :name");
    query_int (&query, ":principal", wish->is.principal);
    query_text (&query, ":name", wish->is.name);
    int64_t all = query_step (&query) ? query_get_int (&query, 0) : 0, own = query_get_int (&query, 1);
    if (query_end (&query, err) < 0)
        return -1;
    if (own >= SUBSCRIBERS_OF_USER_MAX)
        return err_set (err, ERR_FULL, "you have %d news already: remove one that nobody reads (farmctl news rm)", SUBSCRIBERS_OF_USER_MAX);
    return all < SUBSCRIBERS_MAX ? 0 : err_set (err, ERR_FULL, "there are %d news already: remove one that nobody reads (farmctl news rm)", SUBSCRIBERS_MAX);
}

/* One of that name keeps its number. */
static int store (engine_t *self, const wish_t *wish, err_t *err)
{
    query_t query = db_query (self->db, "INSERT INTO subscribers (name, principal, scope, schedule, kind, address, events, salt, created_ms) VALUES (:name, "
                              ":principal, :scope, nullif (:schedule, 0), :kind, :address, :events, :salt, :now) ON CONFLICT (name) DO UPDATE SET "
                              "scope = :scope, schedule = nullif (:schedule, 0), kind = :kind, address = :address, events = :events, salt = :salt");
    bind_wish (&query, wish);
    query_int (&query, ":principal", wish->is.principal);
    query_int (&query, ":now", self->wall_ms);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* What waits goes to where it is to go now; what was told there before is not known here. */
static int carry_over (engine_t *self, const wish_t *wish, err_t *err)
{
    query_t troubles = db_query (self->db, "DELETE FROM troubles WHERE subscriber = (SELECT id FROM subscribers WHERE name = :name)");
    query_text (&troubles, ":name", wish->is.name);
    if (query_run (&troubles, err) < 0)
        return -1;
    query_t query = db_query (self->db, "UPDATE news SET kind = :kind, address = :address, salt = :salt WHERE due_ms IS NOT NULL "
                              "AND subscriber = (SELECT id FROM subscribers WHERE name = :name)");
    query_text (&query, ":kind", wish->is.kind);
    query_text (&query, ":address", wish->is.address);
    query_text (&query, ":salt", wish->is.salt);
    query_text (&query, ":name", wish->is.name);
    return query_run (&query, err) < 0 ? -1 : 0;
}

int subscribers_on_add (engine_t *self, const event_t *event, err_t *err)
{
    principal_t by;
    wish_t wish = { .schedule = 0 };
    if (principal_load (self, event->principal, &by, err) < 0 || read_wish (self, event, &by, &wish, err) < 0)
        return -1;
    int is_known = check_name (self, event, &wish, err);
    if (is_known < 0)
        return -1;
    if (json_is_true (json_object_get (event->header, "ask"))) {
        engine_answer (self, event, "fine", NULL);
        return 0;
    }
    if (!is_known && (check_room (self, &wish, err) < 0 || store (self, &wish, err) < 0 || carry_over (self, &wish, err) < 0))
        return -1;
    AUTO_FREE char *detail = mem_printf ("%s %s, %s", wish.is.kind, wish.is.address, wish.scope);
    bool is_of_farm = wish.was_farm || strcmp (wish.scope, "farm") == 0;
    if (!is_known && (is_of_farm ? audit_done (self, event, wish.is.name, detail, err)
                      : audit_of_another (self, event, wish.owner, wish.is.name, detail, err)) < 0)
        return -1;
    self->has_subscribers = true;
    return answer (self, event, wish.is.name, true, err);
}

/* -- orders ----------------------------------------------------------------------------------------------------- */

typedef struct { int64_t id, owner; bool is_farm; } found_t;

static int find_own (engine_t *self, const event_t *event, found_t *out, err_t *err)
{
    principal_t by;
    const char *name = event_text (event, "name");
    if (principal_load (self, event->principal, &by, err) < 0)
        return -1;
    query_t query = db_query (self->db, "SELECT id, principal, scope = 'farm' FROM subscribers WHERE name = :name");
    query_text (&query, ":name", name);
    if (query_step (&query))
        *out = (found_t) { query_get_int (&query, 0), query_get_int (&query, 1), query_get_int (&query, 2) };
    if (query_end (&query, err) < 0)
        return -1;
    if (!out->owner)
        return err_set (err, ERR_NOT_FOUND, "there are no news %s: farmctl news ls shows which there are", name);
    if (out->owner == by.id || strcmp (by.role, "admin") == 0)
        return 0;
    return err_set (err, ERR_DENIED, "news %s belong to somebody else: only they or an admin may do that", name);
}

/* What is on its way to it is not sent any more. */
static int on_remove (engine_t *self, const event_t *event, int64_t id, err_t *err)
{
    if (answer (self, event, event_text (event, "name"), false, err) < 0 || news_outbox_drop (self, id, err) < 0)
        return -1;
    query_t query = db_query (self->db, "DELETE FROM subscribers WHERE id = :id");
    query_int (&query, ":id", id);
    return query_run (&query, err) < 0 ? -1 : 0;
}

int subscribers_on_order (engine_t *self, const event_t *event, err_t *err)
{
    found_t news = { .id = 0 };
    const char *name = event_text (event, "name"), *order = event_text (event, "order");
    bool is_removed = strcmp (order, "remove") == 0;
    if (find_own (self, event, &news, err) < 0 || (is_removed ? on_remove (self, event, news.id, err) : news_test (self, event, news.id, err)) < 0)
        return -1;
    return is_removed && news.is_farm ? audit_done (self, event, name, "remove, farm", err) : audit_of_another (self, event, news.owner, name, order, err);
}
