/* view_schedules.c - see schedules.h: schedules as docs/protocol.md shows them. */
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "common/source.h"
#include "coordinator/cells.h"
#include "coordinator/hooks.h"
#include "coordinator/principals.h"
#include "coordinator/schedule.h"
#include "coordinator/schedules.h"
#include "coordinator/subscribers.h"

enum { FIRINGS_MAX = 20, NEXT_MAX = 100 };

/* -- firings ---------------------------------------------------------------------------------------------------- */

static json_t *firing_of (const query_t *row)
{
    return json_pack ("{s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "scheduled_ms", cell_int (row, 0), "fired_ms", cell_int (row, 1), "by_hand",
                      (int) query_get_int (row, 2), "outcome", cell_text (row, 3, 16), "build", cell_int (row, 4), "build_state", cell_text (row, 5, 16),
                      "times", cell_int (row, 6), "text", cell_text (row, 7, 1024));
}

/* Newest first. To the caller. */
static json_t *firings_of (engine_t *self, int64_t schedule, int limit, err_t *err)
{
    AUTO_JSON json_t *all = json_array ();
    query_t query = db_query (self->db, "SELECT scheduled_ms, fired_ms, is_by_hand, outcome, build, builds.state, times, text FROM firings LEFT JOIN builds "
                              "ON builds.id = firings.build WHERE schedule = :schedule ORDER BY scheduled_ms DESC LIMIT :limit");
    query_int (&query, ":schedule", schedule);
    query_int (&query, ":limit", limit);
    while (query_step (&query))
        json_array_append_new (all, firing_of (&query));
    return query_end (&query, err) < 0 ? NULL : take (&all);
}

/* -- a schedule ------------------------------------------------------------------------------------------------- */

static json_t *time_of (const schedule_t *schedule, int64_t at_ms)
{
    char text [32];
    schedule_say_time (schedule, at_ms, text);
    return json_pack ("{s:I, s:s}", "at_ms", (json_int_t) at_ms, "text", text);
}

/* Also of one that is paused: what it would be. */
static json_t *next_times (const engine_t *self, const schedule_t *schedule, int count)
{
    json_t *all = json_array ();
    int64_t at = self->wall_ms;
    for (int i = 0; i < count && i < NEXT_MAX && schedule_next (schedule, at, &at, NULL) == 0; i++)
        json_array_append_new (all, time_of (schedule, at));
    return all;
}

static json_t *field_of (const json_t *spec, const char *field)
{
    json_t *value = json_object_get (spec, field);
    return value ? json_incref (value) : json_null ();
}

/* A digest, or what is fetched each time. */
static json_t *context_of (const json_t *spec)
{
    source_t source;
    const json_t *given = json_object_get (spec, "source");
    AUTO_FREE char *text = given && source_read (&source, given, NULL) == 0 ? source_text (&source) : NULL;
    return text ? json_string (text) : field_of (spec, "context");
}

static json_t *schedule_of (const query_t *row, const schedule_t *schedule)
{
    return json_pack ("{s:s, s:o, s:s, s:s, s:s, s:o, s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "name", schedule->name, "user", cell_text (row, 0, 64),
                      "cron", schedule->cron, "zone", schedule->zone, "state", schedule->state, "reason", cell_text (row, 1, 1024), "catch_up",
                      schedule->catch_up, "overlap", schedule->overlap, "if_changed", schedule->if_changed, "created_ms", cell_int (row, 2), "tags",
                      field_of (schedule->spec, "tags"), "platforms", field_of (schedule->spec, "platforms"), "context",
                      context_of (schedule->spec), "priority", field_of (schedule->spec, "priority"), "next",
                      schedule->next_ms ? time_of (schedule, schedule->next_ms) : json_null ());
}

/* "unchanged since 42": the last firing was for nothing. */
static json_t *unchanged_since (const json_t *last)
{
    const char *outcome = json_string_value (json_object_get (last, "outcome"));
    return outcome && strcmp (outcome, "unchanged") == 0 ? json_incref (json_object_get (last, "build")) : json_null ();
}

static json_t *view_one (engine_t *self, const schedule_t *schedule, err_t *err)
{
    json_t *view = NULL;
    query_t query = db_query (self->db, "SELECT principals.name, schedules.reason, schedules.created_ms FROM schedules JOIN principals "
                              "ON principals.id = schedules.principal WHERE schedules.id = :id");
    query_int (&query, ":id", schedule->id);
    if (query_step (&query))
        view = schedule_of (&query, schedule);
    AUTO_JSON json_t *last = query_end (&query, err) < 0 ? NULL : firings_of (self, schedule->id, 1, err);
    if (!last) {
        json_decref (view);
        return NULL;
    }
    json_t *hook = hooks_view (self, schedule->id, err);
    if (!hook) {
        json_decref (view);
        return NULL;
    }
    json_object_set_new (view, "hook", hook);
    json_object_set_new (view, "unchanged_since", unchanged_since (json_array_get (last, 0)));
    json_object_set_new (view, "last", json_array_size (last) ? json_incref (json_array_get (last, 0)) : json_null ());
    return view;
}

json_t *schedules_view (engine_t *self, const char *name, int count, err_t *err)
{
    AUTO_SCHEDULE schedule_t schedule = { .id = 0 };
    if (schedule_find (self, name, &schedule, err) < 0)
        return NULL;
    json_t *view = view_one (self, &schedule, err), *firings = view ? firings_of (self, schedule.id, FIRINGS_MAX, err) : NULL;
    if (!firings) {
        json_decref (view);
        return NULL;
    }
    json_object_set_new (view, "firings", firings);
    json_object_set_new (view, "next_times", next_times (self, &schedule, count));
    return view;
}

/* -- questions -------------------------------------------------------------------------------------------------- */

static int check_reader (engine_t *self, const event_t *event, schedule_t *schedule, err_t *err)
{
    int64_t only = principal_sees (self, event->principal, err);
    if (only < 0 || schedule_find (self, event_text (event, "name"), schedule, err) < 0)
        return -1;
    return only == 0 || only == schedule->principal ? 0 : err_set (err, ERR_DENIED, "schedule %s belongs to somebody else", schedule->name);
}

int schedules_on_ask (engine_t *self, const event_t *event, err_t *err)
{
    AUTO_SCHEDULE schedule_t schedule = { .id = 0 };
    if (check_reader (self, event, &schedule, err) < 0)
        return -1;
    json_t *view = schedules_end_orphans (self, err) < 0 ? NULL : schedules_view (self, event_text (event, "name"), (int) event_int (event, "count"), err);
    json_t *told = view ? subscribers_view (self, event->principal, schedule.principal, schedule.id, err) : NULL;
    if (!told) {
        json_decref (view);
        return -1;
    }
    json_object_set_new (view, "news", told);
    engine_answer (self, event, "schedule-state", json_pack ("{s:o}", "schedule", view));
    return 0;
}

/* The first behind a name; 0 when there is none. */
static int next_name (engine_t *self, const char *after, int64_t only, char out [64], err_t *err)
{
    query_t query = db_query (self->db, "SELECT name FROM schedules WHERE name > :after AND (:only = 0 OR principal = :only) ORDER BY name LIMIT 1");
    query_text (&query, ":after", after);
    query_int (&query, ":only", only);
    int found = query_step (&query);
    if (found)
        snprintf (out, 64, "%s", query_get_text (&query, 0));
    return query_end (&query, err) < 0 ? -1 : found;
}

/* As many as fit: whoever asks goes on behind the last one. */
int schedules_on_list (engine_t *self, const event_t *event, err_t *err)
{
    AUTO_JSON json_t *all = json_array ();
    const char *after = event_text (event, "after");
    char name [64] = "";
    int size = 0, more;
    int64_t only = principal_sees (self, event->principal, err);
    if (only < 0 || schedules_end_orphans (self, err) < 0)
        return -1;
    while ((more = next_name (self, after ? after : "", only, name, err)) > 0 && size < LIST_MAX) {
        AUTO_SCHEDULE schedule_t schedule = { .id = 0 };
        json_t *view = schedule_find (self, name, &schedule, err) < 0 ? NULL : view_one (self, &schedule, err);
        if (!view)
            return -1;
        size += cell_size (view);
        json_array_append_new (all, view);
        after = json_string_value (json_object_get (view, "name"));
    }
    if (more < 0)
        return -1;
    engine_answer (self, event, "schedule-list", json_pack ("{s:O, s:b}", "schedules", all, "has_more", more));
    return 0;
}
