/* seats.c - see sim.h: the workers as the coordinator may know them from what it has heard and taken down. Not from the engine's memory,
 * which is what is judged. */
#include "sim.h"

#include <stdio.h>
#include <string.h>

#include "common/label.h"
#include "common/mem.h"
#include "coordinator/boards.h"

enum { FAULTS_MAX = 3, DAY_MS = 86400000 };

const board_t *board_of_worker (const world_t *self, int worker)
{
    const engine_t *engine = self->engine;
    for (size_t i = 0; i < engine->board_count; i++)
        if (worker_named (engine->boards [i].name) == worker)
            return &engine->boards [i];
    return NULL;
}

bool seat_is_silent (const world_t *self, const seat_t *seat)
{
    return seat->seen_at + self->settings.lease_ms <= self->now && self->patient_until <= self->now;
}

/* Who was silent for too long before the coordinator stood still is not waited for. */
void seats_part (world_t *self, int64_t at)
{
    for (int i = 0; i < WORKERS; i++)
        if (self->seats [i].seen_at + self->settings.lease_ms <= at && self->patient_until <= at)
            self->seats [i].is_there = false;
}

bool seat_is_open (const world_t *self, int worker)
{
    const seat_t *seat = &self->seats [worker];
    return seat->peer && seat->is_there && !seat->is_stopping && !seat_is_silent (self, seat) && seat->mode == MODE_ACTIVE && !seat->is_unfit
           && seat->quarantined_until_ms <= wall_ms (self);
}

bool seat_serves (const world_t *self, int worker, const job_entry_t *job)
{
    const submission_t *wish = &self->submissions [job->submission];
    return job->first != worker + 1 && worker_runs (self, worker, job->platform, wish->may_emulate) != RUNS_NOT && worker_gives (self, worker, wish->memory)
           && (wish->requires < 0 || requirement_holds (requirement (wish->requires), self->seats [worker].labels));
}

/* -- labels ------------------------------------------------------------------------------------------------------------ */

static void merge_labels (world_t *self, int worker)
{
    seat_t *seat = &self->seats [worker];
    const char *name;
    json_t *value, *all = worker_labels (self, worker);
    json_object_set_new (all, "name", json_string (worker_name (worker)));
    json_object_foreach (seat->given, name, value)
        if (json_is_null (value))
            json_object_del (all, name);
        else
            json_object_set (all, name, value);
    json_decref (seat->labels);
    seat->labels = all;
    self->labels_changed++;
}

/* -- what it may be working on ------------------------------------------------------------------------------------------ */

void seat_name (seat_t *seat, int64_t job, int64_t attempt, int64_t at)
{
    for (int i = 0; i < seat->named_count; i++)
        if (seat->named [i].job == job && seat->named [i].attempt == attempt)
            return;
    if (seat->named_count == NAMED_MAX)
        return;
    seat->named [seat->named_count].job = job;
    seat->named [seat->named_count].attempt = attempt;
    seat->named [seat->named_count++].at = at;
}

static void forget (seat_t *seat, int64_t job, int64_t attempt)
{
    for (int i = 0; i < seat->named_count; i++)
        if (seat->named [i].job == job && seat->named [i].attempt == attempt)
            seat->named [i--] = seat->named [--seat->named_count];
}

/* Of those that it names it works on what is its own, and on others up to its slots: it cannot have more. What was pushed takes none,
 * nor what was pushed when this batch began: which of the two was heard first nobody knows. */
static void name_all (world_t *self, int worker, const json_t *attempts)
{
    size_t i;
    json_t *item;
    int strays = worker_slots (self, worker);
    json_array_foreach ((json_t *) attempts, i, item) {
        int64_t id = number_of (item, "job"), attempt = number_of (item, "attempt");
        job_entry_t *job = ledger_job (self, id);
        bool is_last = job && job->attempt == attempt && job->worker == worker;
        if (job && job->attempt == attempt + 1 && job->judged_at == self->now)
            continue;                           /* judged in this batch, and given to somebody else */
        if (is_last)
            job->renewed_at = job->kept_from = self->now;
        if (is_last && (job->state == JOB_VERIFYING || job->state == JOB_DONE || job->pushed_at == self->now || job->judged_at == self->now))
            continue;                           /* pushed, or judged, in this batch, and perhaps cancelled since */
        if ((is_last && job_state_is_held (job->state)) || strays-- > 0)
            seat_name (&self->seats [worker], id, attempt, 0);
    }
}

/* What was given to it after fresh_at may be on its way. */
static void settle (world_t *self, int worker, const json_t *attempts, int64_t fresh_at)
{
    seat_t *seat = &self->seats [worker];
    for (int i = 0; i < seat->named_count; i++)
        if (seat->named [i].at <= fresh_at)
            seat->named [i--] = seat->named [--seat->named_count];
    tenure_hear_word (self, worker, attempts, fresh_at);
    name_all (self, worker, attempts);
}

/* -- words -------------------------------------------------------------------------------------------------------------- */

/* Who it is, and what it has, is so whether or not it could be taken down. */
static void greet (world_t *self, const heard_event_t *event)
{
    seat_t *seat = &self->seats [event->who];
    bool is_same = strcmp (seat->instance, text_of (event->header, "instance")) == 0;
    bool is_again = is_same && seat->peer == event->peer;
    settle (self, event->who, is_same ? json_object_get (event->header, "attempts") : NULL,
            is_again ? self->now - 2 * self->settings.heartbeat_ms : INT64_MAX);
    seat->peer = event->peer;
    seat->seen_at = self->now;
    seat->back_until = 0;
    seat->is_there = true;
    if (!is_same)
        seat->is_unfit = seat->is_stopping = false;
}

static void on_hello (world_t *self, const heard_event_t *event)
{
    seat_t *seat = &self->seats [event->who];
    greet (self, event);
    snprintf (seat->instance, sizeof seat->instance, "%s", text_of (event->header, "instance"));
    if (seat->mode == MODE_FORGOTTEN) {
        seat->mode = MODE_ACTIVE;
        json_decref (seat->given);
        seat->given = NULL;
    }
    merge_labels (self, event->who);
}

static void on_heartbeat (world_t *self, const heard_event_t *event)
{
    seat_t *seat = &self->seats [event->who];
    if (seat->peer != event->peer)
        return;
    seat->seen_at = self->now;
    seat->is_there = true;
    seat->is_unfit = json_object_get (event->header, "unfit") != NULL;
    seat->is_stopping = json_is_true (json_object_get (event->header, "stopping"));
    settle (self, event->who, json_object_get (event->header, "attempts"), self->now - 2 * self->settings.heartbeat_ms);
}

static void lose_connection (world_t *self, const heard_event_t *event)
{
    seat_t *seat = &self->seats [event->who];
    if (seat->peer != event->peer)
        return;
    seat->peer = 0;
    tenure_part (self, event->who, strcmp (event->verb, "ended") == 0 ? self->settings.ended_grace_ms : self->settings.gone_grace_ms);
}

static bool is_stale (const heard_event_t *event, const actions_t *actions)
{
    for (size_t i = 0; i < actions->count; i++)
        if (actions->items [i].peer == event->peer && strcmp (actions->items [i].verb, "noted") == 0
            && number_of (actions->items [i].header, "re") == number_of (event->header, "seq"))
            return json_is_true (json_object_get (actions->items [i].header, "stale"));
    return false;
}

/* What it says of its own attempt is its word. */
static void note_told (world_t *self, const heard_event_t *event)
{
    job_entry_t *job = ledger_job (self, number_of (event->header, "job"));
    bool is_its = job && job->worker == event->who && job->attempt == number_of (event->header, "attempt");
    if (is_its)
        job->pushed_at = self->now;
    if (is_its && job->told_count < TOLD_MAX)
        job->told [job->told_count++] = image_of (self, text_of (event->header, "digest"));
}

/* One that is stopped gives up what it has, and gets nothing more. */
static void on_report (world_t *self, const heard_event_t *event, const actions_t *actions)
{
    const char *state = text_of (event->header, "state");
    int64_t id = number_of (event->header, "job"), attempt = number_of (event->header, "attempt");
    const job_entry_t *job = ledger_job (self, id);
    if (strcmp (state, "pushed") != 0 && strcmp (state, "failed") != 0)
        return;
    forget (&self->seats [event->who], id, attempt);
    tenure_hear_end (self, event->who, id, attempt);
    if (strcmp (state, "pushed") == 0)
        note_told (self, event);
    bool is_pushed = job && job->attempt == attempt && (job->state == JOB_VERIFYING || job->state == JOB_DONE);
    if (strcmp (text_of (event->header, "code"), "interrupted") == 0 && !is_pushed && !is_stale (event, actions))
        self->seats [event->who].is_stopping = true;
}

static void on_order (world_t *self, const heard_event_t *event)
{
    int worker = worker_named (text_of (event->header, "name"));
    seat_t *seat = &self->seats [worker];
    json_t *labels = json_object_get (event->header, "labels");
    if (json_object_get (event->header, "mode"))
        seat->mode = board_mode_of (text_of (event->header, "mode"));
    if (labels && !seat->given)
        seat->given = json_object ();
    if (labels)
        json_object_update (seat->given, labels);
    merge_labels (self, worker);
}

void seats_hear (world_t *self, const heard_event_t *events, size_t count, const actions_t *actions)
{
    for (size_t i = 0; i < count; i++) {
        const heard_event_t *event = &events [i];
        bool is_worker = event->who < PEOPLE && event->peer;
        if (event->is_refused)
            continue;
        if (is_worker && strcmp (event->verb, "hello") == 0)
            on_hello (self, event);
        else if (is_worker && strcmp (event->verb, "heartbeat") == 0)
            on_heartbeat (self, event);
        else if (is_worker && strcmp (event->verb, "report") == 0)
            on_report (self, event, actions);
        else if (is_worker && is_end (event))
            lose_connection (self, event);
        else if (strcmp (event->verb, "order") == 0)
            on_order (self, event);
    }
}

void seats_overhear (world_t *self, const heard_event_t *events, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (events [i].peer && !events [i].is_refused && strcmp (events [i].verb, "report") == 0 && strcmp (text_of (events [i].header, "state"), "pushed") == 0)
            note_told (self, &events [i]);
}

static bool is_last_report (const heard_event_t *event)
{
    const char *state = text_of (event->header, "state");
    return strcmp (event->verb, "report") == 0 && !event->is_refused && (strcmp (state, "pushed") == 0 || strcmp (state, "failed") == 0);
}

/* It had ended this attempt before, in the same batch: what it says of it after that is stale. */
static bool has_ended_it (const heard_event_t *events, const heard_event_t *event)
{
    for (const heard_event_t *former = events; former < event; former++)
        if (former->who == event->who && is_last_report (former) && number_of (former->header, "job") == number_of (event->header, "job")
            && number_of (former->header, "attempt") == number_of (event->header, "attempt"))
            return true;
    return false;
}

/* It is being stopped, and has said so of an attempt that it has. */
static bool says_good_bye (world_t *self, const heard_event_t *events, const heard_event_t *event)
{
    const job_entry_t *job = ledger_job (self, number_of (event->header, "job"));
    return !has_ended_it (events, event) && strcmp (text_of (event->header, "code"), "interrupted") == 0 && strcmp (text_of (event->header, "state"), "failed") == 0
           && job && job->worker == event->who && job->attempt == number_of (event->header, "attempt") && job_state_is_held (job->state);
}

/* On a new connection it has to greet anew, and has as long for it as if that had ended. */
static void glimpse_hello (world_t *self, const heard_event_t *event)
{
    seat_t *seat = &self->seats [event->who];
    int64_t back_until = seat->back_until;
    bool was_greeted = seat->peer == event->peer;
    greet (self, event);
    if (was_greeted)
        return;
    seat->peer = 0;
    seat->back_until = back_until;
    tenure_part (self, event->who, self->settings.gone_grace_ms);
}

static void glimpse_report (world_t *self, const heard_event_t *events, const heard_event_t *event)
{
    if (says_good_bye (self, events, event))
        self->seats [event->who].is_stopping = true;
    if (is_last_report (event))
        forget (&self->seats [event->who], number_of (event->header, "job"), number_of (event->header, "attempt"));
}

void seats_glimpse (world_t *self, const heard_event_t *events, size_t count)
{
    for (int i = 0; i < WORKERS; i++)           /* what was given to users in it counts as their turn, but nobody has seen it */
        memset (self->seats [i].last_served, 0, sizeof self->seats [i].last_served);
    for (size_t i = 0; i < self->engine->lease_count; i++) {                /* one that had ended in it begins anew */
        job_entry_t *job = ledger_job (self, self->engine->leases [i].job);
        if (job)
            job->renewed_at = self->now;
    }
    for (size_t i = 0; i < count; i++) {
        const heard_event_t *event = &events [i];
        if (!event->peer || event->who >= PEOPLE || event->is_refused)
            continue;                           /* refused by itself, before the batch was lost: it never counted */
        if (strcmp (event->verb, "hello") == 0)
            glimpse_hello (self, event);
        else if (strcmp (event->verb, "heartbeat") == 0)
            on_heartbeat (self, event);
        else if (is_end (event))
            lose_connection (self, event);
        else if (strcmp (event->verb, "report") == 0)
            glimpse_report (self, events, event);
    }
}

/* -- from the database -------------------------------------------------------------------------------------------------- */

/* After the third fault the time of the setting, and twice as long after each more. */
static void judge_quarantine (world_t *self, int worker, int64_t ms, int64_t faults)
{
    int64_t wanted = self->settings.quarantine_ms;
    for (int64_t i = FAULTS_MAX; i < faults && wanted < DAY_MS; i++)
        wanted *= 2;
    if (faults < FAULTS_MAX || ms != (wanted < DAY_MS ? wanted : DAY_MS))
        violation (self, "quarantine doubles with each fault", "%s has %lld ms after %lld faults", worker_name (worker), (long long) ms, (long long) faults);
}

void seats_read (world_t *self)
{
    self->ledger.has_new_workers = false;
    query_t query = db_query (self->engine->db, "SELECT name, quarantined_until_ms, faults FROM workers");
    while (query_step (&query)) {
        int worker = worker_named (query_get_text (&query, 0));
        int64_t until_ms = query_get_int (&query, 1);
        if (until_ms > wall_ms (self) && until_ms != self->seats [worker].quarantined_until_ms)
            judge_quarantine (self, worker, until_ms - wall_ms (self), query_get_int (&query, 2));
        self->seats [worker].quarantined_until_ms = until_ms;
    }
    query_end (&query, NULL);
}

static void compare (world_t *self, int worker, board_mode mode, json_t *given, bool is_doubtful)
{
    seat_t *seat = &self->seats [worker];
    AUTO_JSON json_t *none = json_object ();
    if (!is_doubtful && (seat->mode != mode || !json_equal (seat->given ? seat->given : none, given)))
        violation (self, "an admin's word is kept", "worker %s is %d, was %d", worker_name (worker), (int) mode, (int) seat->mode);
    seat->mode = mode;
    json_decref (seat->given);
    seat->given = json_incref (given);
    merge_labels (self, worker);
}

void seats_restart (world_t *self, bool is_doubtful)
{
    for (int i = 0; i < WORKERS; i++) {
        seat_t *seat = &self->seats [i];
        seat->peer = 0;
        seat->back_until = 0;
        seat->is_there = seat->is_unfit = seat->is_stopping = false;
        seat->named_count = 0;
        memset (seat->last_served, 0, sizeof seat->last_served);
    }
    query_t query = db_query (self->engine->db, "SELECT name, mode, labels, instance FROM workers");
    while (query_step (&query)) {
        AUTO_JSON json_t *given = json_loads (query_get_text (&query, 2), 0, NULL);
        int worker = worker_named (query_get_text (&query, 0));
        compare (self, worker, board_mode_of (query_get_text (&query, 1)), given, is_doubtful);
        snprintf (self->seats [worker].instance, sizeof self->seats [worker].instance, "%s", query_get_text (&query, 3));
    }
    query_end (&query, NULL);
    seats_read (self);
}

void seats_free (world_t *self)
{
    for (int i = 0; i < WORKERS; i++) {
        json_decref (self->seats [i].labels);
        json_decref (self->seats [i].given);
    }
}
