/* engine.c - one event after the other into one transaction, and what follows from it.
 *
 *     begin --> handle --> handle --> … --> match, hand out --> COMMIT --> actions
 *                 |                                              |
 *                 | fails: undone alone (undo), answered         | fails: all events of the batch are answered with why,
 *                 v                                              v        publishers' words are handled again in the next
 *
 * Which file handles which verb stands in dispatch.c. */
#include "coordinator/engine.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/attempts.h"
#include "coordinator/audit.h"
#include "coordinator/boards.h"
#include "coordinator/builds.h"
#include "coordinator/firings.h"
#include "coordinator/holds.h"
#include "coordinator/lanes.h"
#include "coordinator/matching.h"
#include "coordinator/news.h"
#include "coordinator/news_outbox.h"
#include "coordinator/restores.h"
#include "coordinator/secrets.h"
#include "coordinator/tags.h"
#include "coordinator/view.h"
#include "coordinator/waiting.h"
#include "coordinator/workers.h"

enum { AGAIN_MAX = 3, AGAIN_MS = 1000, TRIES_MORE = 2, ABSENCE_MS = 1000, CAREFUL_MS = 600000 };

int engine_registry_tries (const engine_t *self)
{
    return self->settings.attempts_max + TRIES_MORE;
}

/* -- what was heard in this batch ------------------------------------------------------------------------------- */

static void add_heard (heard_list_t *list, heard_t heard)
{
    list->items = mem_resize (list->items, (list->count + 1) * sizeof *list->items);
    list->items [list->count++] = heard;
}

static void free_heard (heard_list_t *list)
{
    for (size_t i = 0; i < list->count; i++)
        json_decref (list->items [i].header);
    free (list->items);
    *list = (heard_list_t) { 0 };
}

/* A worker's connection that was not one before this. */
static bool is_greeting (engine_t *self, const event_t *event)
{
    return strcmp (event->verb, "hello") == 0 && !board_of_peer (self, event->peer);
}

/* A peer asks again by itself or is answered; only publishers say a thing once. */
static void remember (engine_t *self, const event_t *event, bool is_new, int tries)
{
    heard_t heard = { .peer = event->peer, .is_greeting = is_new, .seq = event_int (event, "seq"), .tries = tries };
    if (event->principal == 0 && event->header) {
        snprintf (heard.verb, sizeof heard.verb, "%s", event->verb);
        heard.header = json_incref ((json_t *) event->header);
    }
    if (heard.peer || heard.header)
        add_heard (&self->heard, heard);
}

/* A publisher's word that could not be taken down. A full disk may pass; what fails again for another reason is a bug of
 * ours, and better met by a fresh start. */
static void take_up_again (engine_t *self, const heard_t *heard, const err_t *why)
{
    if (heard->tries >= AGAIN_MAX && why->code != ERR_FULL && self->fatal.code == ERR_NONE)
        self->fatal = *why;
    heard_t again = *heard;
    again.header = json_incref (heard->header);
    again.tries++;
    add_heard (&self->again, again);
    self->again_at = self->boot_ms + AGAIN_MS;
}

/* A batch was lost, or a tick undone: what is due waits a moment, else one would follow the other without a pause. What goes on failing
 * is met by a fresh start too: nobody else would hear that leases do not end any more. */
static void put_off (engine_t *self, const err_t *why)
{
    self->again_at = self->boot_ms + AGAIN_MS;
    if (self->failures++ == 0)
        engine_tell (self, "what is due could not be done, and is tried again in %d s: %s", AGAIN_MS / 1000, why->text);
    if (self->failures > AGAIN_MAX && why->code != ERR_FULL && self->fatal.code == ERR_NONE)
        self->fatal = *why;
}

/* -- one event -------------------------------------------------------------------------------------------------- */

static void lose (engine_t *self, const err_t *why)
{
    if (self->lost.code == ERR_NONE)
        self->lost = *why;
}

/* Actions that will not be done. What was to be verified, fetched or looked up is handed out anew later. */
static void take_back (engine_t *self, size_t count)
{
    for (size_t i = count; i < self->pending.count; i++) {
        const action_t *action = &self->pending.items [i];
        if (action->type == ACTION_VERIFY)
            wait_again (self, WAIT_VERIFY, json_integer_value (json_object_get (action->header, "job")), AGAIN_MS);
        if (action->type == ACTION_FETCH)
            wait_again (self, WAIT_FETCH, json_integer_value (json_object_get (action->header, "fetch")), AGAIN_MS);
        if (action->type == ACTION_RESOLVE)
            wait_again (self, WAIT_LOOKUP, json_integer_value (json_object_get (action->header, "lookup")), AGAIN_MS);
        if (action->type == ACTION_NEWS)
            news_outbox_take_back (self, json_integer_value (json_object_get (action->header, "id")));
    }
    actions_cut (&self->pending, count);
}

/* An event is undone to its savepoint: as long as nothing was written before it, to the beginning of the transaction. For a savepoint
 * SQLite keeps a copy of each page that is written behind it, which was a tenth of what a job cost. So what comes for each job, and says
 * no only before it writes, has none. Should the database fail it all the same, the batch is lost, and for a while each event has its own:
 * what fails again fails alone. */
static bool needs_savepoint (const engine_t *self, const event_t *event)
{
    return db_changes (self->db) != self->changes_at_begin && (!engine_checks_first (event) || self->boot_ms < self->careful_until);
}

/* Take back what a failed event did. */
static void undo (engine_t *self, size_t pending, int64_t changes, bool has_savepoint, const err_t *why)
{
    err_t err = { 0 };
    bool is_changed = db_changes (self->db) != changes, was_first = changes == self->changes_at_begin;
    take_back (self, pending);
    if (!db_in_transaction (self->db) || (is_changed && !has_savepoint && !was_first)) {
        lose (self, why);
        return;
    }
    const char *back = has_savepoint ? "ROLLBACK TO event; RELEASE event" : "ROLLBACK; BEGIN IMMEDIATE";
    if (((has_savepoint || is_changed) && db_exec (self->db, back, &err) < 0) || (is_changed && live_load (self, &err) < 0))
        lose (self, &err);
    if (was_first)
        self->changes_at_begin = db_changes (self->db);
}

int engine_each_id (engine_t *self, query_t query, int (*act) (engine_t *self, int64_t id, err_t *err), err_t *err)
{
    AUTO_BUFFER buffer_t read = { 0 };
    while (query_step (&query)) {
        int64_t id = query_get_int (&query, 0);
        buffer_append (&read, &id, sizeof id);
    }
    if (query_end (&query, err) < 0)
        return -1;
    const int64_t *ids = (const int64_t *) read.data;
    for (size_t i = 0; i < read.size / sizeof *ids; i++)
        if (act (self, ids [i], err) < 0)
            return -1;
    return 0;
}

int engine_try (engine_t *self, part_fn *part, void *argument, err_t *why, err_t *err)
{
    size_t pending = self->pending.count;
    int64_t changes = db_changes (self->db);
    if (db_do (self->db, "SAVEPOINT part", err) < 0)
        return -1;
    if (part (self, argument, why) == 0)
        return db_do (self->db, "RELEASE part", err);
    take_back (self, pending);
    if (!db_in_transaction (self->db)) {
        *err = *why;
        return -1;
    }
    bool is_changed = db_changes (self->db) != changes;
    if (db_exec (self->db, "ROLLBACK TO part; RELEASE part", err) < 0)
        return -1;
    return is_changed && live_load (self, err) < 0 ? -1 : 1;
}

static void handle (engine_t *self, const event_t *event, int tries)
{
    err_t err = { 0 };
    bool is_new = is_greeting (self, event);
    remember (self, event, is_new, tries);
    if (self->lost.code != ERR_NONE)
        return;
    size_t pending = self->pending.count;
    int64_t changes = db_changes (self->db);
    bool has_savepoint = needs_savepoint (self, event);
    if (has_savepoint && db_do (self->db, "SAVEPOINT event", &err) < 0) {
        lose (self, &err);
        return;
    }
    bool is_tick = event->principal == 0 && strcmp (event->verb, "tick") == 0;
    if (engine_dispatch (self, event, &err) == 0) {
        self->has_ticked |= is_tick;
        if (has_savepoint && db_do (self->db, "RELEASE event", &err) < 0)
            lose (self, &err);
        return;
    }
    bool has_written = db_changes (self->db) != changes;
    undo (self, pending, changes, has_savepoint, &err);
    if (self->lost.code != ERR_NONE)
        return;
    engine_refuse (self, event->peer, event_int (event, "seq"), &err);
    if (event->peer)
        self->pending.items [self->pending.count - 1].was_undone = has_written;
    if (is_new)
        workers_undo_hello (self, event->peer);
    err_t lost = { 0 };
    if (err.code == ERR_DENIED && event->principal != 0 && audit_denied_event (self, event, &err, &lost) < 0)
        lose (self, &lost);
    if (event->principal == 0 && event->header)
        take_up_again (self, &self->heard.items [self->heard.count - 1], &err);
    if (is_tick)
        put_off (self, &err);
}

void engine_handle (engine_t *self, const event_t *event)
{
    assert (self->has_begun);
    handle (self, event, 0);
}

/* -- the clock -------------------------------------------------------------------------------------------------- */

static int64_t find_next_tick (const engine_t *self)
{
    const int64_t dues [] = { workers_next_tick (self), restores_next_tick (self), secrets_next_tick (self), audit_next_tick (self), news_next_tick (self), self->age_at,
                              self->forgetting.at, self->patience_at, self->has_schedules && !self->winds_down ? self->schedules_at : INT64_MAX };
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < sizeof dues / sizeof *dues; i++)
        if (dues [i] < next)
            next = dues [i];
    for (size_t i = 0; i < self->wait_count; i++)
        if (self->waits [i].due_at < next)
            next = self->waits [i].due_at;
    if ((self->again.count || self->must_match || self->must_publish) && self->again_at < next)
        next = self->again_at;
    return next < self->again_at ? self->again_at : next;
}

int64_t engine_next_tick (const engine_t *self)
{
    return self->has_begun ? find_next_tick (self) : self->tick_at;
}

/* -- the transaction -------------------------------------------------------------------------------------------- */

static void handle_again (engine_t *self)
{
    heard_list_t list = self->again;
    self->again = (heard_list_t) { 0 };
    for (size_t i = 0; i < list.count; i++) {
        event_t event = { .verb = list.items [i].verb, .header = list.items [i].header };
        handle (self, &event, list.items [i].tries);
    }
    free_heard (&list);
}

/* The process was stopped, its machine slept, or its disk hung: whoever has spoken since may still wait to be heard, and may have
 * dialled anew. */
static void note_absence (engine_t *self, int64_t boot_ms)
{
    int64_t due = engine_next_tick (self);
    if (boot_ms - (due > self->boot_ms ? due : self->boot_ms) > ABSENCE_MS)
        self->patient_until = boot_ms + self->settings.gone_grace_ms;
}

int engine_begin (engine_t *self, int64_t boot_ms, int64_t wall_ms, err_t *err)
{
    assert (!self->has_begun);
    note_absence (self, boot_ms);
    self->boot_ms = boot_ms;
    self->wall_ms = wall_ms;
    self->lost = (err_t) { 0 };
    self->has_ticked = false;
    err_t why = { 0 };
    if (db_do (self->db, "BEGIN IMMEDIATE", &why) < 0) {
        if (why.code != ERR_FULL) {
            *err = why;
            return -1;
        }
        lose (self, &why);
    }
    self->has_begun = true;
    self->changes_at_begin = db_changes (self->db);
    if (self->boot_ms >= self->again_at)
        handle_again (self);
    return 0;
}

/* What follows from the events all together. After a batch was lost this waits a moment: as long as the disk is full it would
 * lose each batch, and whoever only asks would hear of the disk instead. */
static int conclude (engine_t *self, err_t *err)
{
    if (self->must_look)
        waiting_look (self);
    if (self->winds_down)
        self->must_match = self->must_publish = false;
    if (self->boot_ms >= self->again_at) {
        if (self->must_match && matching_assign (self, err) < 0)
            return -1;
        if (self->must_publish && tags_hand_out (self, err) < 0)
            return -1;
        self->must_match = self->must_publish = false;
    }
    for (size_t i = 0; i < self->changed_count; i++) {
        json_t *build = view_build (self, self->changed [i], err);
        if (!build)
            return -1;
        engine_act (self, ACTION_CHANGED, build);
    }
    return audit_conclude (self, err);
}

static void end_batch (engine_t *self)
{
    self->has_begun = false;
    self->changed_count = 0;
    free_heard (&self->heard);
}

/* Nothing happened: memory as the database has it, and everybody hears why. */
static int drop_batch (engine_t *self, actions_t *actions, err_t *err)
{
    if (db_in_transaction (self->db))
        db_exec (self->db, "ROLLBACK", NULL);
    take_back (self, 0);
    audit_undo (self);
    put_off (self, &self->lost);
    self->careful_until = self->boot_ms + CAREFUL_MS;
    for (size_t i = 0; i < self->heard.count; i++) {
        const heard_t *heard = &self->heard.items [i];
        engine_refuse (self, heard->peer, heard->seq, &self->lost);
        if (heard->header)
            take_up_again (self, heard, &self->lost);
    }
    engine_hand_over (self, actions);
    bool is_loaded = live_load (self, err) == 0;
    for (size_t i = 0; i < self->heard.count; i++)
        if (self->heard.items [i].is_greeting)
            workers_undo_hello (self, self->heard.items [i].peer);
    end_batch (self);
    if (!is_loaded)
        return -1;
    if (self->fatal.code == ERR_NONE)
        return 0;
    *err = self->fatal;
    return -1;
}

/* What was deleted for good is still in SQLite's log. A failure is met by the next commit that needs the disk. */
static void shred (engine_t *self)
{
    self->must_shred = db_exec (self->db, "PRAGMA wal_checkpoint (TRUNCATE)", NULL) < 0;
}

static int commit (engine_t *self, actions_t *actions, err_t *err)
{
    err_t why = { 0 };
    bool is_unknown = false;
    if (self->lost.code == ERR_NONE && conclude (self, &why) < 0)
        lose (self, &why);
    if (self->lost.code == ERR_NONE && db_commit (self->db, &is_unknown, &why) < 0)
        lose (self, &why);
    if (is_unknown) {
        *err = self->lost;
        return -1;
    }
    if (self->lost.code != ERR_NONE)
        return drop_batch (self, actions, err);
    if (self->has_ticked)
        self->failures = 0;
    audit_settle (self);
    if (self->must_shred)
        shred (self);
    watching_end (self);
    engine_hand_over (self, actions);
    end_batch (self);
    if (self->fatal.code == ERR_NONE)
        return 0;
    *err = self->fatal;
    return -1;
}

int engine_commit (engine_t *self, actions_t *actions, err_t *err)
{
    assert (self->has_begun);
    int rc = commit (self, actions, err);
    self->tick_at = find_next_tick (self);
    return rc;
}

/* -- open and close --------------------------------------------------------------------------------------------- */

/* A restart is rest enough. */
static int end_rests (engine_t *self, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE jobs SET is_resting = 0 WHERE is_resting AND NOT " HELD_JOBS);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* Whatever was being published when the last run ended is done again at the first tick. How far it came nobody knows. */
static int take_up (engine_t *self, err_t *err)
{
    query_t reset = db_query (self->db, "UPDATE outbox SET is_handed_out = 0, is_unsure = 1 WHERE is_handed_out");
    if (query_run (&reset, err) < 0)
        return -1;
    query_t query = db_query (self->db, "SELECT build FROM outbox");
    while (query_step (&query))
        wait_set (self, WAIT_PUBLISH, query_get_int (&query, 0), 0);
    return query_end (&query, err);
}

int engine_open (engine_t **out, const char *path, const engine_settings_t *settings, int64_t now_ms, err_t *err)
{
    AUTO (engine) engine_t *self = mem_alloc (sizeof *self);
    self->settings = *settings;
    self->boot_ms = self->age_at = self->patience_at = self->forgetting.at = self->tidy_at = self->news_at = self->news_tidy_at = now_ms;
    self->audit.denials.next_ms = INT64_MAX;
    self->must_shred = true;                    /* by a run that was killed before it could */
    self->settled_at = now_ms + settings->lease_ms;
    if (db_open (&self->db, path, err) < 0 || end_rests (self, err) < 0
        || lanes_tidy (self, err) < 0 || firings_take_up (self, err) < 0 || live_load (self, err) < 0 || take_up (self, err) < 0)
        return -1;
    self->tick_at = find_next_tick (self);
    *out = take (&self);
    return 0;
}

void engine_wind_down (engine_t *self)
{
    self->winds_down = true;
    audit_wind_down (self);
}

/* The logs of live attempts may be gone on with. */
void engine_resume (engine_t *self, actions_t *actions)
{
    char repository [512];
    for (size_t i = 0; i < self->lease_count; i++) {
        AUTO_JSON json_t *spec = build_spec (self, self->leases [i].build, repository, NULL);
        attempt_open_log (self, &self->leases [i], spec);
    }
    engine_hand_over (self, actions);
}

void engine_destroy (engine_t **self_p)
{
    engine_t *self = *self_p;
    if (!self)
        return;
    db_destroy (&self->db);
    live_clear (self);
    actions_free (&self->pending);
    free_heard (&self->heard);
    free_heard (&self->again);
    audit_close (self);
    free (self->changed);
    free (self->watched);
    free (self);
    *self_p = NULL;
}
