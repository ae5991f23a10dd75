/* firings.c - see firings.h. */
#include "coordinator/firings.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/builds.h"
#include "coordinator/fetches.h"
#include "coordinator/holds.h"
#include "coordinator/news.h"
#include "coordinator/principals.h"
#include "coordinator/schedules.h"
#include "coordinator/submit.h"

/* A time that is no older than ON_TIME_MS is not late: a restart takes some seconds. The wall clock may be put on or back at any moment, so
 * it is looked at each LOOK_MS though nothing is due on the boot clock. */
enum { BATCH = 16, ON_TIME_MS = 60000, LOOK_MS = 60000, MORE_MS = 10 };
static const int64_t keep_ms = 90ll * 86400000;

typedef struct {
    int64_t schedule, scheduled_ms;
    bool is_by_hand;
    char request [33];
} firing_t;

/* -- rows ------------------------------------------------------------------------------------------------------- */

static void make_request (const schedule_t *schedule, int64_t scheduled_ms, char out [33])
{
    uint8_t bytes [16];
    AUTO_FREE char *text = mem_printf ("schedule/%lld/%lld", (long long) schedule->id, (long long) scheduled_ms);
    crypto_generichash (bytes, sizeof bytes, (const uint8_t *) text, strlen (text), NULL, 0);
    sodium_bin2hex (out, 33, bytes, sizeof bytes);
}

/* What is still to come to something is not counted yet. */
static void count_outcome (engine_t *self, const char *outcome, int64_t times)
{
    bool is_open = strcmp (outcome, "waiting") == 0 || strcmp (outcome, "looking") == 0;
    if (!is_open)
        engine_count (self, "farm_schedule_firings_total", (double) times, strcmp (outcome, "running") == 0 ? "build" : outcome, NULL, NULL);
}

/* 0: that time has been fired. */
static int insert (engine_t *self, const firing_t *firing, const char *outcome, int64_t times, const char *text, err_t *err)
{
    query_t query = db_query (self->db, "INSERT INTO firings (schedule, scheduled_ms, fired_ms, is_by_hand, outcome, times, text, request) "
                              "VALUES (:schedule, :scheduled, :now, :by_hand, :outcome, :times, :text, :request) ON CONFLICT DO NOTHING");
    query_int (&query, ":schedule", firing->schedule);
    query_int (&query, ":scheduled", firing->scheduled_ms);
    query_int (&query, ":now", self->wall_ms);
    query_int (&query, ":by_hand", firing->is_by_hand);
    query_text (&query, ":outcome", outcome);
    query_int (&query, ":times", times);
    query_text (&query, ":text", text);
    query_text (&query, ":request", firing->request);
    int inserted = query_run (&query, err);
    if (inserted > 0)
        count_outcome (self, outcome, times);
    return inserted;
}

/* text NULL: as it is. */
static int settle (engine_t *self, const firing_t *firing, const char *outcome, int64_t build, const char *text, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE firings SET outcome = :outcome, build = nullif (:build, 0), text = coalesce (:text, text), "
                              "fired_ms = :now WHERE schedule = :schedule AND scheduled_ms = :scheduled");
    query_int (&query, ":schedule", firing->schedule);
    query_int (&query, ":scheduled", firing->scheduled_ms);
    query_text (&query, ":outcome", outcome);
    query_int (&query, ":build", build);
    query_text (&query, ":text", text);
    query_int (&query, ":now", self->wall_ms);
    count_outcome (self, outcome, 1);
    return query_run (&query, err) < 0 ? -1 : 0;
}

static int forget_old (engine_t *self, int64_t schedule, err_t *err)
{
    query_t query = db_query (self->db, "DELETE FROM firings WHERE schedule = :schedule AND scheduled_ms < :before AND outcome <> 'waiting' "
                              "AND outcome <> 'looking' AND outcome <> 'running'");
    query_int (&query, ":schedule", schedule);
    query_int (&query, ":before", self->wall_ms - keep_ms);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* Of the firings of a schedule that have not ended: its waiting one; the build of one that has; how many. */
typedef struct { int count, waiting; int64_t build; } open_firings_t;

static int find_open (engine_t *self, int64_t schedule, open_firings_t *out, err_t *err)
{
    *out = (open_firings_t) { 0 };
    query_t query = db_query (self->db, "SELECT outcome, build FROM firings WHERE schedule = :schedule "
                              "AND (outcome = 'waiting' OR outcome = 'looking' OR outcome = 'running')");
    query_int (&query, ":schedule", schedule);
    while (query_step (&query)) {
        out->count++;
        out->waiting += strcmp (query_get_text (&query, 0), "waiting") == 0;
        out->build = query_is_null (&query, 1) ? out->build : query_get_int (&query, 1);
    }
    return query_end (&query, err);
}

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

static int note_inputs (engine_t *self, const order_t *order, err_t *err)
{
    char inputs [OCI_DIGEST_SIZE];
    schedule_inputs (order->schedule->spec, inputs);
    query_t query = db_query (self->db, "UPDATE firings SET inputs = :inputs WHERE schedule = :schedule AND scheduled_ms = :scheduled");
    query_text (&query, ":inputs", inputs);
    query_int (&query, ":schedule", order->firing->schedule);
    query_int (&query, ":scheduled", order->firing->scheduled_ms);
    return query_run (&query, err) < 0 ? -1 : 0;
}

static int settle_refused (engine_t *self, const order_t *order, const char *why, err_t *err)
{
    engine_tell (self, "schedule %s: no build: %.300s", order->schedule->name, why);
    return settle (self, order->firing, "refused", 0, why, err);
}

static int refuse (engine_t *self, const order_t *order, const char *why, err_t *err)
{
    if (!order->firing->is_by_hand && news_on_missed (self, order->schedule->id, "refused", why, err) < 0)
        return -1;
    return settle_refused (self, order, why, err);
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
        return refuse (self, &order, why.text, err);
    engine_tell (self, "schedule %s: build %lld", schedule->name, (long long) order.build);
    return settle (self, firing, "running", order.build, text, err) < 0 ? -1 : note_inputs (self, &order, err);
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
    return settle (self, firing, "unchanged", schedule->success_build, NULL, err);
}

static int look (engine_t *self, const schedule_t *schedule, const firing_t *firing, err_t *err)
{
    if (json_array_size (schedule->success_bases) == 0)
        return settle_unchanged (self, schedule, firing, err);
    AUTO_FREE char *repository = schedule_repository (schedule);          /* for the publisher, to whom other registries are elsewhere */
    engine_act (self, ACTION_LOOK, json_pack ("{s:I, s:I, s:O, s:s}", "schedule", (json_int_t) schedule->id, "scheduled_ms",
                                              (json_int_t) firing->scheduled_ms, "bases", schedule->success_bases, "repository", repository));
    return settle (self, firing, "looking", 0, NULL, err);
}

/* An archive is pinned by what names it. */
static bool has_commit (const schedule_t *schedule)
{
    return schedule->spec && fetches_needs (schedule->spec) && schedule_any_commit (schedule->spec);
}

/* It need not wait (any more). The commit is asked for first only where something hangs on it; else the build fetches its own context, and when that
 * fails it is the build that failed. */
static int begin (engine_t *self, const schedule_t *schedule, const firing_t *firing, err_t *err)
{
    bool may_be = !firing->is_by_hand && may_be_unchanged (schedule);
    if (has_commit (schedule) && (may_be || schedule_names_commit (schedule)))
        return settle (self, firing, "looking", 0, NULL, err) < 0 ? -1
               : fetches_add_firing (self, schedule->id, firing->scheduled_ms, schedule->principal, schedule->spec, err);
    return may_be ? look (self, schedule, firing, err) : start (self, schedule, firing, NULL, NULL, err);
}

static int read_firing (const query_t *row, firing_t *out)
{
    out->schedule = query_get_int (row, 0);
    out->scheduled_ms = query_get_int (row, 1);
    out->is_by_hand = query_get_int (row, 2);
    snprintf (out->request, sizeof out->request, "%s", query_get_text (row, 3));
    return 1;
}

/* 1 when it is being looked at; else it was dropped, and its schedule may be gone. *fetched, where it was: to the caller. */
static int find_looking (engine_t *self, int64_t schedule, int64_t scheduled_ms, firing_t *out, json_t **fetched, err_t *err)
{
    *fetched = NULL;
    query_t query = db_query (self->db, "SELECT schedule, scheduled_ms, is_by_hand, request, fetched FROM firings WHERE schedule = :schedule "
                              "AND scheduled_ms = :scheduled AND outcome = 'looking'");
    query_int (&query, ":schedule", schedule);
    query_int (&query, ":scheduled", scheduled_ms);
    int found = query_step (&query) ? read_firing (&query, out) : 0;
    if (found && !query_is_null (&query, 4))
        *fetched = json_loads (query_get_text (&query, 4), 0, NULL);
    return query_end (&query, err) < 0 ? -1 : found;
}

static int note_fetched (engine_t *self, const firing_t *firing, const json_t *fetched, err_t *err)
{
    AUTO_FREE char *text = json_dumps (fetched, JSON_COMPACT);
    query_t query = db_query (self->db, "UPDATE firings SET fetched = :fetched WHERE schedule = :schedule AND scheduled_ms = :scheduled");
    query_text (&query, ":fetched", text);
    query_int (&query, ":schedule", firing->schedule);
    query_int (&query, ":scheduled", firing->scheduled_ms);
    return query_run (&query, err) < 0 ? -1 : 0;
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
    int found = find_looking (self, id, scheduled_ms, &firing, &earlier, err);
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
        return note_fetched (self, &firing, fetched, err) < 0 ? -1 : look (self, &schedule, &firing, err);
    return start (self, &schedule, &firing, fetched, NULL, err);
}

/* A registry that cannot be asked is no reason not to build. */
int firings_on_looked (engine_t *self, const event_t *event, err_t *err)
{
    AUTO_SCHEDULE schedule_t schedule = { .id = 0 };
    firing_t firing;
    json_t *read;
    int found = find_looking (self, event_int (event, "schedule"), event_int (event, "scheduled_ms"), &firing, &read, err);
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
    query_t query = db_query (self->db, "UPDATE firings SET outcome = 'skipped', text = :why WHERE schedule = :schedule "
                              "AND (outcome = 'waiting' OR outcome = 'looking')");
    query_int (&query, ":schedule", schedule);
    query_text (&query, ":why", why);
    int dropped = query_run (&query, err);
    if (dropped > 0)
        count_outcome (self, "skipped", dropped);
    return dropped < 0 ? -1 : fetches_end_firings (self, schedule, err);
}

/* What is being published is too far for that: its tags are older than those of the next. */
static int cancel_open (engine_t *self, const schedule_t *schedule, err_t *err)
{
    open_firings_t open;
    if (firings_drop_waiting (self, schedule->id, "the next time has come (--overlap cancel-old)", err) < 0)
        return -1;
    for (;;) {
        if (find_open (self, schedule->id, &open, err) < 0)
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

/* One time, which has to do with those before it. */
static int fire (engine_t *self, const schedule_t *schedule, const firing_t *firing, const char *text, err_t *err)
{
    open_firings_t open;
    if (find_open (self, schedule->id, &open, err) < 0)
        return -1;
    bool waits = open.count > 0 && strcmp (schedule->overlap, "cancel-old") != 0;
    if (waits && (open.waiting || strcmp (schedule->overlap, "skip") == 0)) {
        AUTO_FREE char *why = say_open (&open);
        return insert (self, firing, "skipped", 1, why, err) < 0 ? -1 : news_on_missed (self, schedule->id, why, why, err);
    }
    if (!waits && open.count > 0 && cancel_open (self, schedule, err) < 0)
        return -1;
    int inserted = insert (self, firing, "waiting", 1, text, err);
    return inserted > 0 && !waits ? begin (self, schedule, firing, err) : inserted < 0 ? -1 : 0;
}

/* -- what is due ------------------------------------------------------------------------------------------------ */

static int note_missed (engine_t *self, const schedule_t *schedule, int64_t times, err_t *err)
{
    firing_t firing = { .schedule = schedule->id, .scheduled_ms = schedule->next_ms };
    make_request (schedule, firing.scheduled_ms, firing.request);
    engine_tell (self, "schedule %s: missed %lld time%s", schedule->name, (long long) times, times == 1 ? "" : "s");
    if (insert (self, &firing, "missed", times, "the coordinator did not run then, or its clock was put on", err) < 0)
        return -1;
    return news_on_outage (self, schedule->id, schedule->next_ms, times, err);
}

static int fire_latest (engine_t *self, const schedule_t *schedule, int64_t latest_ms, err_t *err)
{
    firing_t firing = { .schedule = schedule->id, .scheduled_ms = latest_ms };
    char late [64] = "";
    if (self->wall_ms - latest_ms > ON_TIME_MS)
        snprintf (late, sizeof late, "%lld minutes late (--catch-up last)", (long long) (self->wall_ms - latest_ms) / 60000);
    make_request (schedule, latest_ms, firing.request);
    return fire (self, schedule, &firing, late, err);
}

/* Its times or its zone are none any more, as after an update of tzdata: somebody has to see to that. */
static int give_up (engine_t *self, const schedule_t *schedule, const err_t *why, err_t *err)
{
    engine_tell (self, "schedule %s is paused: %.300s", schedule->name, why->text);
    if (news_on_missed (self, schedule->id, "paused", why->text, err) < 0)
        return -1;
    return schedule_set_state (self, schedule->id, "paused", 0, why->text, err);
}

static int fire_due (engine_t *self, const schedule_t *schedule, err_t *err)
{
    int64_t latest_ms, before, next_ms;
    err_t why;
    if (schedule_due (schedule, self->wall_ms, &latest_ms, &before, &why) < 0 || schedule_next (schedule, latest_ms, &next_ms, &why) < 0)
        return give_up (self, schedule, &why, err);
    bool fires = self->wall_ms - latest_ms <= ON_TIME_MS || strcmp (schedule->catch_up, "last") == 0;
    int64_t missed = before + !fires;
    if (schedule_set_state (self, schedule->id, "active", next_ms, "", err) < 0 || forget_old (self, schedule->id, err) < 0)
        return -1;
    if (missed > 0 && note_missed (self, schedule, missed, err) < 0)
        return -1;
    return fires ? fire_latest (self, schedule, latest_ms, err) : 0;
}

/* How many, -1. */
static int fire_all_due (engine_t *self, err_t *err)
{
    int64_t due [BATCH];
    int count = 0;
    query_t query = db_query (self->db, "SELECT id FROM schedules WHERE next_ms <= :now ORDER BY next_ms, id LIMIT :limit");
    query_int (&query, ":now", self->wall_ms);
    query_int (&query, ":limit", BATCH);
    while (count < BATCH && query_step (&query))
        due [count++] = query_get_int (&query, 0);
    if (query_end (&query, err) < 0)
        return -1;
    for (int i = 0; i < count; i++) {
        AUTO_SCHEDULE schedule_t schedule = { .id = 0 };
        if (schedule_load (self, due [i], &schedule, err) < 0 || fire_due (self, &schedule, err) < 0)
            return -1;
    }
    return count;
}

/* Those that nothing holds up any more. How many, -1. The condition of the index firings_open stands there word for word, or it would not be used. */
static int begin_waiting (engine_t *self, err_t *err)
{
    firing_t free [BATCH];
    int count = 0;
    query_t query = db_query (self->db, "SELECT schedule, scheduled_ms, is_by_hand, request FROM firings WHERE outcome = 'waiting' AND NOT EXISTS "
                              "(SELECT 1 FROM firings AS other WHERE other.schedule = firings.schedule AND (other.outcome = 'waiting' "
                              "OR other.outcome = 'looking' OR other.outcome = 'running') AND other.outcome <> 'waiting') ORDER BY scheduled_ms LIMIT :limit");
    query_int (&query, ":limit", BATCH);
    while (count < BATCH && query_step (&query))
        count += read_firing (&query, &free [count]);
    if (query_end (&query, err) < 0)
        return -1;
    for (int i = 0; i < count; i++) {
        AUTO_SCHEDULE schedule_t schedule = { .id = 0 };
        if (schedule_load (self, free [i].schedule, &schedule, err) < 0 || begin (self, &schedule, &free [i], err) < 0)
            return -1;
    }
    return count;
}

static int expect (engine_t *self, err_t *err)
{
    query_t query = db_query (self->db, "SELECT min (next_ms) FROM schedules WHERE next_ms IS NOT NULL");
    int64_t wait = query_step (&query) && !query_is_null (&query, 0) ? query_get_int (&query, 0) - self->wall_ms : LOOK_MS;
    self->schedules_at = self->boot_ms + (wait < 0 ? 0 : wait < LOOK_MS ? wait : LOOK_MS);
    return query_end (&query, err);
}

int firings_tick (engine_t *self, err_t *err)
{
    if (!self->has_schedules || self->winds_down || self->boot_ms < self->schedules_at)
        return 0;
    int due = schedules_end_orphans (self, err) < 0 ? -1 : fire_all_due (self, err);
    int waiting = due < 0 ? -1 : begin_waiting (self, err);
    if (due < 0 || waiting < 0 || expect (self, err) < 0)
        return -1;
    if (due == BATCH || waiting == BATCH)
        self->schedules_at = self->boot_ms + MORE_MS;
    return 0;
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
    if (find_open (self, schedule->id, &open, err) < 0)
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
        || fire (self, schedule, &firing, "", err) < 0)
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
