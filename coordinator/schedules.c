/* schedules.c - see schedules.h. */
#include "coordinator/schedules.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/audit.h"
#include "coordinator/builds.h"
#include "coordinator/fetches.h"
#include "coordinator/firings.h"
#include "coordinator/hooks.h"
#include "coordinator/news.h"
#include "coordinator/principals.h"
#include "coordinator/rights.h"
#include "coordinator/spec.h"

static int answer (engine_t *self, const event_t *event, const char *name, json_t *extra, err_t *err)
{
    json_t *view = schedules_view (self, name, 0, err);
    if (!view) {
        json_decref (extra);
        return -1;
    }
    json_t *header = json_pack ("{s:o}", "schedule", view);
    if (extra)
        json_object_update_new (header, extra);
    engine_answer (self, event, "schedule-state", header);
    return 0;
}

/* -- owners ----------------------------------------------------------------------------------------------------- */

/* *may false: with the reason in `why`. */
static int check_owner (engine_t *self, int64_t principal, bool *may, char why [128], err_t *err)
{
    principal_t owner;
    err_t missing;
    *may = principal_load (self, principal, &owner, &missing) == 0;
    if (!*may && missing.code != ERR_DENIED) {
        *err = missing;
        return -1;
    }
    if (!*may)
        snprintf (why, 128, "its owner's key was taken back");
    else if (!(*may = rights_may (owner.role, "submit")))
        snprintf (why, 128, "its owner, %s, may not submit any more", owner.name);
    return 0;
}

static int end_all_of (engine_t *self, int64_t principal, const char *why, err_t *err)
{
    int64_t id;
    do {
        query_t query = db_query (self->db, "SELECT id, name FROM schedules WHERE principal = :principal AND state <> 'ended' LIMIT 1");
        query_int (&query, ":principal", principal);
        id = query_step (&query) ? query_get_int (&query, 0) : 0;
        if (id)
            engine_tell (self, "schedule %s has ended: %s", query_get_text (&query, 1), why);
        if (query_end (&query, err) < 0)
            return -1;
        if (id && (schedule_set_state (self, id, "ended", 0, why, err) < 0 || firings_drop_waiting (self, id, why, err) < 0
                   || news_on_missed (self, id, "ended", why, err) < 0))
            return -1;
    } while (id);
    return 0;
}

/* Owner by owner, for there are fewer of them. */
int schedules_end_orphans (engine_t *self, err_t *err)
{
    int64_t owner = 0;
    do {
        bool may = true;
        char why [128];
        query_t query = db_query (self->db, "SELECT min (principal) FROM schedules WHERE state <> 'ended' AND principal > :after");
        query_int (&query, ":after", owner);
        owner = query_step (&query) ? query_get_int (&query, 0) : 0;
        if (query_end (&query, err) < 0)
            return -1;
        if (owner && (check_owner (self, owner, &may, why, err) < 0 || (!may && end_all_of (self, owner, why, err) < 0)))
            return -1;
    } while (owner);
    return 0;
}

static int check_mine (engine_t *self, const event_t *event, const schedule_t *schedule, err_t *err)
{
    principal_t by;
    if (principal_load (self, event->principal, &by, err) < 0)
        return -1;
    if (by.id == schedule->principal || strcmp (by.role, "admin") == 0)
        return 0;
    return err_set (err, ERR_DENIED, "schedule %s belongs to somebody else: only they or an admin may do that", schedule->name);
}

/* -- adding ----------------------------------------------------------------------------------------------------- */

static const char *text_or (const event_t *event, const char *field, const char *otherwise)
{
    const char *text = event_text (event, field);
    return text ? text : otherwise;
}

/* As it would be taken down. Its priority is low where it says nothing: the night has time. */
static void read_wish (const event_t *event, schedule_t *out)
{
    out->principal = event->principal;
    snprintf (out->name, sizeof out->name, "%s", event_text (event, "name"));
    snprintf (out->cron, sizeof out->cron, "%s", event_text (event, "cron"));
    snprintf (out->zone, sizeof out->zone, "%s", event_text (event, "zone"));
    snprintf (out->catch_up, sizeof out->catch_up, "%s", text_or (event, "catch_up", "none"));
    snprintf (out->overlap, sizeof out->overlap, "%s", text_or (event, "overlap", "skip"));
    out->if_changed = json_is_true (json_object_get (event->header, "if_changed"));
    out->spec = json_deep_copy (json_object_get (event->header, "spec"));
    if (out->spec && !json_object_get (out->spec, "priority"))
        json_object_set_new (out->spec, "priority", json_string ("low"));
}

/* Better now than at night. */
static int check_wish (engine_t *self, const schedule_t *wish, err_t *err)
{
    int64_t now_ms = self->wall_ms;
    char repository [REFERENCE_MAX];
    if (!wish->spec)
        return 0;
    if (json_array_size (json_object_get (wish->spec, "secrets")) > 0)
        return err_set (err, ERR_USAGE, "a schedule cannot have secrets: they are kept for one build only, and gone with its end");
    if (json_array_size (json_object_get (wish->spec, "ssh")) > 0)
        return err_set (err, ERR_USAGE, "a schedule cannot ask an ssh agent: nobody is attached at night");
    if ((fetches_needs (wish->spec) && fetches_check (self, wish->principal, wish->spec, err) < 0) || schedule_check_tags (wish->spec, err) < 0)
        return -1;
    AUTO_JSON json_t *filled = schedule_fill (wish, now_ms, 9007199254740991, schedule_any_commit (wish->spec), err), *normalised = NULL;
    return filled ? spec_normalise (filled, &normalised, repository, err) : -1;
}

static bool is_same (const schedule_t *a, const schedule_t *b)
{
    return a->principal == b->principal && strcmp (a->cron, b->cron) == 0 && strcmp (a->zone, b->zone) == 0 && strcmp (a->catch_up, b->catch_up) == 0
           && strcmp (a->overlap, b->overlap) == 0 && a->if_changed == b->if_changed && a->spec && b->spec && json_equal (a->spec, b->spec);
}

/* One user cannot take the room of all others. */
static int check_room (engine_t *self, int64_t principal, err_t *err)
{
    query_t query = db_query (self->db, "SELECT count (*), count (*) FILTER (WHERE principal = :principal) FROM schedules");
    query_int (&query, ":principal", principal);
    bool is_row = query_step (&query);
    int64_t count = is_row ? query_get_int (&query, 0) : 0, own = is_row ? query_get_int (&query, 1) : 0;
    if (query_end (&query, err) < 0)
        return -1;
    if (own >= SCHEDULES_OF_USER_MAX)
        return err_set (err, ERR_FULL, "you have %d schedules already, and a user may have no more: remove one that is not needed (farmctl schedule rm)",
                        SCHEDULES_OF_USER_MAX);
    return count < SCHEDULES_MAX ? 0 : err_set (err, ERR_FULL, "there are %d schedules already: remove one that nobody needs", SCHEDULES_MAX);
}

/* One of that name keeps its number, its firings and, when it is paused, its pause. */
static int store (engine_t *self, const schedule_t *wish, err_t *err)
{
    AUTO_FREE char *spec = json_dumps (wish->spec, JSON_COMPACT);
    query_t query = db_query (self->db, "INSERT INTO schedules (name, principal, cron, zone, catch_up, overlap, if_changed, spec, created_ms, next_ms) "
                              "VALUES (:name, :principal, :cron, :zone, :catch_up, :overlap, :if_changed, :spec, :now, :next) ON CONFLICT (name) DO UPDATE SET "
                              "cron = :cron, zone = :zone, catch_up = :catch_up, overlap = :overlap, if_changed = :if_changed, spec = :spec, "
                              "state = iif (state = 'paused', state, 'active'), next_ms = iif (state = 'paused', NULL, :next), "
                              "reason = iif (state = 'paused', reason, '')");
    query_text (&query, ":name", wish->name);
    query_int (&query, ":principal", wish->principal);
    query_text (&query, ":cron", wish->cron);
    query_text (&query, ":zone", wish->zone);
    query_text (&query, ":catch_up", wish->catch_up);
    query_text (&query, ":overlap", wish->overlap);
    query_int (&query, ":if_changed", wish->if_changed);
    query_text (&query, ":spec", spec);
    query_int (&query, ":now", self->wall_ms);
    query_int (&query, ":next", wish->next_ms);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* 1: it is there as it is wished, so this was asked before. */
static int check_name (engine_t *self, const event_t *event, const schedule_t *wish, err_t *err)
{
    AUTO_SCHEDULE schedule_t there = { .id = 0 };
    err_t missing;
    if (schedule_find (self, wish->name, &there, &missing) < 0) {
        if (missing.code == ERR_NOT_FOUND)
            return check_room (self, wish->principal, err);
        *err = missing;
        return -1;
    }
    if (is_same (&there, wish) && strcmp (there.state, "ended") != 0)
        return 1;
    if (there.principal != wish->principal)
        return err_set (err, ERR_DENIED, "there is a schedule %s already, and it belongs to somebody else: take another name", wish->name);
    if (!json_is_true (json_object_get (event->header, "replace")))
        return err_set (err, ERR_USAGE, "there is a schedule %s already: --replace changes it, farmctl schedule rm removes it", wish->name);
    return firings_drop_waiting (self, there.id, "the schedule was changed", err);
}

/* Without a spec it is only a question: before a context is sent. */
int schedules_on_add (engine_t *self, const event_t *event, err_t *err)
{
    AUTO_SCHEDULE schedule_t wish = { .id = 0 };
    read_wish (event, &wish);
    if (schedule_next (&wish, self->wall_ms, &wish.next_ms, err) < 0 || check_wish (self, &wish, err) < 0)
        return -1;
    int is_there = check_name (self, event, &wish, err);
    if (is_there < 0)
        return -1;
    if (!wish.spec) {
        engine_answer (self, event, "fine", NULL);
        return 0;
    }
    if (!is_there && store (self, &wish, err) < 0)
        return -1;
    self->has_schedules = true;
    self->schedules_at = self->boot_ms;
    return answer (self, event, wish.name, NULL, err);
}

/* -- orders ----------------------------------------------------------------------------------------------------- */

static int drop (engine_t *self, const schedule_t *schedule, err_t *err)
{
    if (fetches_end_firings (self, schedule->id, err) < 0 || hooks_drop (self, schedule->id, err) < 0)
        return -1;
    query_t firings = db_query (self->db, "DELETE FROM firings WHERE schedule = :id");
    query_int (&firings, ":id", schedule->id);
    if (query_run (&firings, err) < 0)
        return -1;
    query_t query = db_query (self->db, "DELETE FROM schedules WHERE id = :id");
    query_int (&query, ":id", schedule->id);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* Builds that are under way go on. */
static int on_remove (engine_t *self, const event_t *event, const schedule_t *schedule, err_t *err)
{
    if (answer (self, event, schedule->name, NULL, err) < 0)
        return -1;
    return drop (self, schedule, err);
}

static int on_pause (engine_t *self, const event_t *event, const schedule_t *schedule, err_t *err)
{
    principal_t by;
    if (principal_load (self, event->principal, &by, err) < 0)
        return -1;
    if (strcmp (schedule->state, "ended") == 0)
        return err_set (err, ERR_USAGE, "schedule %s has ended: there is nothing to pause", schedule->name);
    AUTO_FREE char *why = mem_printf ("paused by %s", by.name);
    if (schedule_set_state (self, schedule->id, "paused", 0, why, err) < 0 || firings_drop_waiting (self, schedule->id, why, err) < 0)
        return -1;
    return answer (self, event, schedule->name, NULL, err);
}

static int check_alive (engine_t *self, const schedule_t *schedule, err_t *err)
{
    bool may;
    char why [128];
    if (check_owner (self, schedule->principal, &may, why, err) < 0)
        return -1;
    return may ? 0 : err_set (err, ERR_DENIED, "schedule %s: %s: add one of your own", schedule->name, why);
}

/* From now on: what was due meanwhile is not missed. */
static int on_resume (engine_t *self, const event_t *event, const schedule_t *schedule, err_t *err)
{
    int64_t next_ms;
    if (check_alive (self, schedule, err) < 0 || schedule_next (schedule, self->wall_ms, &next_ms, err) < 0
        || schedule_set_state (self, schedule->id, "active", next_ms, "", err) < 0)
        return -1;
    self->schedules_at = self->boot_ms;
    return answer (self, event, schedule->name, NULL, err);
}

/* The build belongs to the schedule's owner, whoever asks. */
static int on_run (engine_t *self, const event_t *event, const schedule_t *schedule, err_t *err)
{
    int64_t build;
    const char *request = event_text (event, "request");
    if (!request)
        return err_set (err, ERR_PROTOCOL, "order-schedule: to run one takes a request");
    if (check_alive (self, schedule, err) < 0 || firings_run (self, schedule, request, &build, err) < 0)
        return -1;
    self->schedules_at = self->boot_ms;
    return answer (self, event, schedule->name, build ? json_pack ("{s:I}", "build", (json_int_t) build) : NULL, err);
}

static int on_hook (engine_t *self, const event_t *event, const schedule_t *schedule, err_t *err)
{
    return hooks_set (self, event, schedule, err) < 0 ? -1 : answer (self, event, schedule->name, NULL, err);
}

static int on_unhook (engine_t *self, const event_t *event, const schedule_t *schedule, err_t *err)
{
    return hooks_drop (self, schedule->id, err) < 0 ? -1 : answer (self, event, schedule->name, NULL, err);
}

int schedules_on_order (engine_t *self, const event_t *event, err_t *err)
{
    static const struct { const char *name; int (*run) (engine_t *, const event_t *, const schedule_t *, err_t *); } orders [] = {
        { "remove", on_remove }, { "pause", on_pause }, { "resume", on_resume }, { "run", on_run }, { "hook", on_hook },
        { "unhook", on_unhook },
    };
    AUTO_SCHEDULE schedule_t schedule = { .id = 0 };
    if (schedule_find (self, event_text (event, "name"), &schedule, err) < 0 || check_mine (self, event, &schedule, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        if (strcmp (orders [i].name, event_text (event, "order")) == 0)
            return orders [i].run (self, event, &schedule, err) < 0 ? -1
                   : audit_of_another (self, event, schedule.principal, schedule.name, orders [i].name, err);
    return err_set (err, ERR_PROTOCOL, "order-schedule: %s is no order", event_text (event, "order"));
}

/* -- the depot -------------------------------------------------------------------------------------------------- */

int schedules_each_root (engine_t *self, const engine_plan_t *plan, err_t *err)
{
    query_t query = db_query (self->db, "SELECT " BUILD_CONTEXT ", " BUILD_DOCKERFILE " FROM schedules WHERE state <> 'ended'");
    while (query_step (&query))
        for (int column = 0; column < 2; column++)
            if (query_get_text (&query, column))
                plan->root (plan->argument, query_get_text (&query, column), INT64_MAX);
    return query_end (&query, err);
}
