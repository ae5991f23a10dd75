/* firings.c - see firings.h. */
#include "coordinator/firings.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/audit.h"
#include "coordinator/builds.h"
#include "coordinator/fetches.h"
#include "coordinator/holds.h"
#include "coordinator/news.h"
#include "coordinator/principals.h"
#include "coordinator/schedules.h"
#include "coordinator/submit.h"

/* -- a build ---------------------------------------------------------------------------------------------------- */

/* fetched: NULL where that is the build's own to be. */
typedef struct { const schedule_t *schedule; const firing_t *firing; const json_t *fetched; int64_t build; } order_t;

static int next_build (engine_t *self, int64_t *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT seq FROM sqlite_sequence WHERE name = 'builds'");
    *out = (query_step (&query) ? query_get_int (&query, 0) : 0) + 1;
    return query_end (&query, err);
}

static int submit (engine_t *self, void *argument, err_t *err)
{
    order_t *order = argument;
    int64_t number;
    if (next_build (self, &number, err) < 0)
        return -1;
    json_t *spec = schedule_fill (order->schedule, order->firing->scheduled_ms, number, json_string_value (json_object_get (order->fetched, "commit")), err);
    if (!spec)
        return -1;
    if (order->fetched)
        fetches_complete (spec, order->fetched);
    AUTO_JSON json_t *header = json_pack ("{s:s, s:o}", "request", order->firing->request, "spec", spec);
    event_t event = { .verb = "submit", .principal = order->schedule->principal, .header = header };
    return submit_build (self, &event, order->schedule->name, &order->build, err);
}

static int settle_refused (engine_t *self, const order_t *order, const char *why, err_t *err)
{
    engine_tell (self, "schedule %s: no build: %.300s", order->schedule->name, why);
    return firing_settle (self, order->firing, "refused", 0, why, err);
}

static int refuse (engine_t *self, const order_t *order, const char *why, err_t *err)
{
    if (!order->firing->is_by_hand && news_on_missed (self, order->schedule->id, "refused", why, err) < 0)
        return -1;
    return settle_refused (self, order, why, err);
}

/* What is denied is so to the owner, as if they had submitted it now. */
static int refuse_submit (engine_t *self, const order_t *order, const err_t *why, err_t *err)
{
    AUTO_FREE char *text = mem_printf ("schedule %s: %s", order->schedule->name, why->text);
    if (refuse (self, order, why->text, err) < 0)
        return -1;
    return why->code == ERR_DENIED ? audit_denied_later (self, order->schedule->principal, "submit", text, err) : 0;
}

static int refuse_unfetched (engine_t *self, const order_t *order, const fault_t *fault, err_t *err)
{
    if (!order->firing->is_by_hand && news_on_unfetched (self, order->schedule, fault, err) < 0)
        return -1;
    return settle_refused (self, order, fault->reason, err);
}

/* The disk, where it is neither the queue nor the owner's part of it. Only that is an error of the tick, with which all that is due would wait. */
static bool is_disk_full (engine_t *self, const schedule_t *schedule, const err_t *why)
{
    return why->code == ERR_FULL && self->live_builds < self->settings.queue_max && !holds_are_full (self, schedule->principal);
}

/* What cannot be submitted is no reason to try again and again: but a full disk may pass. */
static int start (engine_t *self, const schedule_t *schedule, const firing_t *firing, const json_t *fetched, const char *text, err_t *err)
{
    order_t order = { .schedule = schedule, .firing = firing, .fetched = fetched };
    err_t why = { 0 };
    if (!schedule->spec)
        return refuse (self, &order, "what it builds cannot be read any more: its row in farm.db is damaged. Remove it, add it again, and check the "
                       "coordinator's disk", err);
    int rc = engine_try (self, submit, &order, &why, err);
    if (rc < 0)
        return -1;
    if (rc > 0 && is_disk_full (self, schedule, &why)) {
        *err = why;
        return -1;
    }
    if (rc > 0)
        return refuse_submit (self, &order, &why, err);
    engine_tell (self, "schedule %s: build %lld", schedule->name, (long long) order.build);
    return firing_settle (self, firing, "running", order.build, text, err) < 0 ? -1 : firing_note_inputs (self, firing, schedule->spec, err);
}

/* -- what may be unchanged -------------------------------------------------------------------------------------- */

static bool may_be_unchanged (const schedule_t *schedule)
{
    char inputs [OCI_DIGEST_SIZE];
    if (!schedule->if_changed || !schedule->success_build || !schedule->success_bases || !schedule->spec)
        return false;
    schedule_inputs (schedule->spec, inputs);
    return strcmp (inputs, schedule->success_inputs) == 0;
}

static int settle_unchanged (engine_t *self, const schedule_t *schedule, const firing_t *firing, err_t *err)
{
    if (news_on_unchanged (self, schedule, err) < 0)
        return -1;
    return firing_settle (self, firing, "unchanged", schedule->success_build, NULL, err);
}

static int look (engine_t *self, const schedule_t *schedule, const firing_t *firing, err_t *err)
{
    if (json_array_size (schedule->success_bases) == 0)
        return settle_unchanged (self, schedule, firing, err);
    AUTO_FREE char *repository = schedule_repository (schedule);          /* for the publisher, to whom other registries are elsewhere */
    engine_act (self, ACTION_LOOK, json_pack ("{s:I, s:I, s:O, s:s}", "schedule", (json_int_t) schedule->id, "scheduled_ms",
                                              (json_int_t) firing->scheduled_ms, "bases", schedule->success_bases, "repository", repository));
    return firing_settle (self, firing, "looking", 0, NULL, err);
}

/* An archive is pinned by what names it. */
static bool has_commit (const schedule_t *schedule)
{
    return schedule->spec && fetches_needs (schedule->spec) && schedule_any_commit (schedule->spec);
}

/* The commit is asked for first only where something hangs on it; else the build fetches its own context, and when that
 * fails it is the build that failed. */
int firings_begin (engine_t *self, const schedule_t *schedule, const firing_t *firing, err_t *err)
{
    bool may_be = !firing->is_by_hand && may_be_unchanged (schedule);
    if (has_commit (schedule) && (may_be || schedule_names_commit (schedule)))
        return firing_settle (self, firing, "looking", 0, NULL, err) < 0 ? -1
               : fetches_add_firing (self, schedule->id, firing->scheduled_ms, schedule->principal, schedule->spec, err);
    return may_be ? look (self, schedule, firing, err) : start (self, schedule, firing, NULL, NULL, err);
}

static bool is_same_commit (const schedule_t *schedule, const json_t *fetched)
{
    const char *commit = json_string_value (json_object_get (fetched, "commit"));
    return commit && strcmp (commit, schedule->success_commit) == 0;
}

int firings_on_fetched (engine_t *self, int64_t id, int64_t scheduled_ms, const json_t *fetched, const fault_t *fault, err_t *err)
{
    AUTO_SCHEDULE schedule_t schedule = { .id = 0 };
    firing_t firing;
    json_t *earlier;
    int found = firing_find_looking (self, id, scheduled_ms, &firing, &earlier, err);
    json_decref (earlier);
    if (found <= 0)
        return found;
    if (schedule_load (self, id, &schedule, err) < 0)
        return -1;
    self->schedules_at = self->boot_ms;
    if (!fetched) {
        order_t order = { .schedule = &schedule, .firing = &firing };
        return refuse_unfetched (self, &order, fault, err);
    }
    if (!firing.is_by_hand && may_be_unchanged (&schedule) && is_same_commit (&schedule, fetched))
        return firing_note_fetched (self, &firing, fetched, err) < 0 ? -1 : look (self, &schedule, &firing, err);
    return start (self, &schedule, &firing, fetched, NULL, err);
}

/* A registry that cannot be asked is no reason not to build. */
int firings_on_looked (engine_t *self, const event_t *event, err_t *err)
{
    AUTO_SCHEDULE schedule_t schedule = { .id = 0 };
    firing_t firing;
    json_t *read;
    int found = firing_find_looking (self, event_int (event, "schedule"), event_int (event, "scheduled_ms"), &firing, &read, err);
    AUTO_JSON json_t *fetched = read;
    if (found <= 0)
        return found;
    if (schedule_load (self, firing.schedule, &schedule, err) < 0)
        return -1;
    self->schedules_at = self->boot_ms;
    if (json_is_true (json_object_get (event->header, "ok")) && may_be_unchanged (&schedule))
        return settle_unchanged (self, &schedule, &firing, err);
    return start (self, &schedule, &firing, fetched, event_text (event, "text"), err);
}

/* -- overlap ---------------------------------------------------------------------------------------------------- */

int firings_drop_waiting (engine_t *self, int64_t schedule, const char *why, err_t *err)
{
    return firing_drop_waiting (self, schedule, why, err) < 0 ? -1 : fetches_end_firings (self, schedule, err);
}

/* What is being published is too far for that: its tags are older than those of the next. */
static int cancel_open (engine_t *self, const schedule_t *schedule, err_t *err)
{
    open_firings_t open;
    if (firings_drop_waiting (self, schedule->id, "the next time has come (--overlap cancel-old)", err) < 0)
        return -1;
    for (;;) {
        if (firing_find_open (self, schedule->id, &open, err) < 0)
            return -1;
        build_state state = open.build ? build_state_now (self, open.build) : BUILD_STATES;
        if (!open.build || state == BUILD_PUBLISHING || build_state_is_over (state))
            return 0;
        AUTO_FREE char *cause = mem_printf ("the next time of schedule %s has come", schedule->name);
        if (build_cancel (self, open.build, cause, err) < 0)
            return -1;
    }
}

static char *say_open (const open_firings_t *open)
{
    return open->build ? mem_printf ("build %lld of an earlier time had not ended", (long long) open->build)
                       : mem_strdup ("what an earlier time came to had not ended");
}

int firings_fire (engine_t *self, const schedule_t *schedule, const firing_t *firing, const char *text, err_t *err)
{
    open_firings_t open;
    if (firing_find_open (self, schedule->id, &open, err) < 0)
        return -1;
    bool waits = open.count > 0 && strcmp (schedule->overlap, "cancel-old") != 0;
    if (waits && (open.waiting || strcmp (schedule->overlap, "skip") == 0)) {
        AUTO_FREE char *why = say_open (&open);
        return firing_insert (self, firing, "skipped", 1, why, err) < 0 ? -1 : news_on_missed (self, schedule->id, why, why, err);
    }
    if (!waits && open.count > 0 && cancel_open (self, schedule, err) < 0)
        return -1;
    int inserted = firing_insert (self, firing, "waiting", 1, text, err);
    return inserted > 0 && !waits ? firings_begin (self, schedule, firing, err) : inserted < 0 ? -1 : 0;
}

/* -- by hand ---------------------------------------------------------------------------------------------------- */

/* 1: it was asked before. */
static int find_run (engine_t *self, const schedule_t *schedule, const char *request, int64_t *build, err_t *err)
{
    query_t query = db_query (self->db, "SELECT build FROM firings WHERE request = :request AND schedule = :schedule AND is_by_hand");
    query_text (&query, ":request", request);
    query_int (&query, ":schedule", schedule->id);
    int found = query_step (&query);
    *build = found ? query_get_int (&query, 0) : 0;
    return query_end (&query, err) < 0 ? -1 : found;
}

/* Whole seconds belong to the clock. */
static int free_moment (engine_t *self, const schedule_t *schedule, int64_t *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT max (scheduled_ms) FROM firings WHERE schedule = :schedule AND is_by_hand");
    query_int (&query, ":schedule", schedule->id);
    int64_t last = query_step (&query) ? query_get_int (&query, 0) : 0;
    *out = last >= self->wall_ms ? last + 1 : self->wall_ms;
    *out += *out % 1000 == 0;
    return query_end (&query, err);
}

static int check_free (engine_t *self, const schedule_t *schedule, err_t *err)
{
    open_firings_t open;
    if (firing_find_open (self, schedule->id, &open, err) < 0)
        return -1;
    bool is_free = open.count == 0 || strcmp (schedule->overlap, "cancel-old") == 0 || (strcmp (schedule->overlap, "queue") == 0 && !open.waiting);
    if (is_free)
        return 0;
    AUTO_FREE char *why = say_open (&open);
    return err_set (err, ERR_USAGE, "%s: wait for it, or cancel it", why);
}

int firings_run (engine_t *self, const schedule_t *schedule, const char *request, int64_t *build, err_t *err)
{
    firing_t firing = { .schedule = schedule->id, .is_by_hand = true };
    int found = find_run (self, schedule, request, build, err);
    if (found != 0)
        return found < 0 ? -1 : 0;
    snprintf (firing.request, sizeof firing.request, "%s", request);
    if (check_free (self, schedule, err) < 0 || free_moment (self, schedule, &firing.scheduled_ms, err) < 0
        || firings_fire (self, schedule, &firing, "", err) < 0)
        return -1;
    return find_run (self, schedule, request, build, err) < 0 ? -1 : 0;
}

/* -- what came of it -------------------------------------------------------------------------------------------- */

/* The base images of all its images; NULL: one of them is not there, or nobody knows what it stands on. To the caller. */
static json_t *bases_of (engine_t *self, int64_t build, err_t *err)
{
    AUTO_JSON json_t *all = json_array ();
    bool is_known = true;
    query_t query = db_query (self->db, "SELECT jobs.state, coalesce (attempts.bases, jobs.known_bases) FROM jobs LEFT JOIN attempts "
                              "ON attempts.job = jobs.id AND attempts.number = jobs.attempt WHERE jobs.build = :build");
    query_int (&query, ":build", build);
    while (query_step (&query)) {
        const char *text = query_get_text (&query, 1);
        AUTO_JSON json_t *bases = text ? json_loads (text, 0, NULL) : NULL;
        is_known = is_known && bases && strcmp (query_get_text (&query, 0), "done") == 0;
        json_array_extend (all, bases);
    }
    return query_end (&query, err) == 0 && is_known ? take (&all) : NULL;
}

static int note_success (engine_t *self, int64_t build, err_t *err)
{
    err_t why = { 0 };
    AUTO_JSON json_t *bases = bases_of (self, build, &why);
    if (why.code != ERR_NONE) {
        *err = why;
        return -1;
    }
    AUTO_FREE char *text = bases ? json_dumps (bases, JSON_COMPACT) : NULL;
    query_t query = db_query (self->db, "UPDATE schedules SET success_build = :build, success_bases = :bases, success_inputs = firings.inputs, success_commit = "
                              "(SELECT iif (json_valid (spec), json_extract (spec, '$.source.commit'), NULL) FROM builds WHERE id = :build) FROM firings "
                              "WHERE firings.schedule = schedules.id AND firings.build = :build AND (firings.outcome = 'running' OR firings.outcome = 'built')");
    query_int (&query, ":build", build);
    query_text (&query, ":bases", text);
    return query_run (&query, err) < 0 ? -1 : 0;
}

int firings_on_end (engine_t *self, int64_t build, bool is_published, err_t *err)
{
    if (!self->has_schedules)
        return 0;
    query_t query = db_query (self->db, "UPDATE firings SET outcome = 'built' WHERE build = :build AND outcome = 'running'");
    query_int (&query, ":build", build);
    int changed = query_run (&query, err);
    if (changed <= 0)
        return changed;
    self->schedules_at = self->boot_ms;
    return is_published ? note_success (self, build, err) : 0;
}

int firings_take_up (engine_t *self, err_t *err)
{
    query_t fetches = db_query (self->db, "DELETE FROM fetches WHERE schedule IS NOT NULL");
    if (query_run (&fetches, err) < 0)
        return -1;
    query_t query = db_query (self->db, "UPDATE firings SET outcome = 'waiting' WHERE outcome = 'looking'");
    return query_run (&query, err) < 0 ? -1 : 0;
}
