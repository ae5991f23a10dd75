/* coordinator.c - see sim.h: what gateway.c is around the engine. Whatever has come in is one batch; it may be killed before, in and
 * behind the commit, and then starts anew from what stands on the disk. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/schema.h"
#include "disk.h"

enum { ABSENCE_MS = 1000 };
static const int64_t WALL = 1700000000000;
static const char *const PATH = "farm.db";

int64_t coordinator_workers [WORKERS], coordinator_users [USERS];

int64_t wall_ms (const world_t *self)
{
    return WALL + self->now;
}

/* -- the database that each world begins with ---------------------------------------------------------------------- */

static int64_t enrol (engine_t *engine, int number, const char *role)
{
    char key [65], name [16];
    int64_t id = 0;
    err_t err = { 0 };
    snprintf (key, sizeof key, "%064d", number + 1);
    snprintf (name, sizeof name, "%s%d", role, number);
    if (engine_add_principal (engine, key, role, name, WALL, &id, &err) < 0)
        fprintf (stderr, "%s\n", err.text);
    return id;
}

void coordinator_prepare (void)
{
    engine_t *engine = NULL;
    engine_settings_t settings = { .lease_ms = 1 };
    err_t err = { 0 };
    sqlite3_config (SQLITE_CONFIG_SINGLETHREAD);
    sqlite3_config (SQLITE_CONFIG_MEMSTATUS, 0);
    if (engine_open (&engine, PATH, &settings, 0, &err) < 0) {
        fprintf (stderr, "%s\n", err.text);
        exit (1);
    }
    for (int i = 0; i < WORKERS; i++)
        coordinator_workers [i] = enrol (engine, i, "worker");
    for (int i = 0; i < USERS; i++)
        coordinator_users [i] = enrol (engine, PEOPLE + i, i == ADMIN ? "admin" : "submitter");
    engine_destroy (&engine);
    disk_keep ();
}

/* -- start and end ------------------------------------------------------------------------------------------------- */

static void clear_inbox (world_t *self)
{
    for (size_t i = 0; i < self->inbox.count; i++)
        json_decref (self->inbox.items [i].header);
    self->inbox.count = 0;
    self->inbox.due = INT64_MAX;
}

static void do_actions (world_t *self);

void coordinator_start (world_t *self)
{
    err_t err = { 0 };
    if (engine_open (&self->engine, PATH, &self->settings, self->now, &err) < 0) {
        violation (self, "it starts again", "%s", err.text);
        return;
    }
    ledger_restart (self);
    seats_restart (self, self->is_doubtful);
    patience_restart (self);
    self->patience.restarted_ms = wall_ms (self);
    self->is_doubtful = false;
    actions_clear (&self->actions);
    tenure_restart (self);
    engine_resume (self->engine, &self->actions);
    referee_judge (self, NULL, 0, &self->actions);
    do_actions (self);
}

/* The process ends where it stands. */
static void stop (world_t *self)
{
    engine_destroy (&self->engine);
    disk_set (DISK_FINE);
    self->disk_bad_until = self->winds_down_until = self->frozen_until = self->patient_until = 0;
    clear_inbox (self);
    actions_clear (&self->actions);
}

static bool is_publisher (const chore_t *chore)
{
    return chore->kind == CHORE_PUBLISHER;
}

/* Its publishers are threads of its own, and nobody's connection outlives it. */
void coordinator_kill (world_t *self)
{
    world_trace (self, "kill", 0, "coordinator", NULL);
    self->kills++;
    stop (self);
    agenda_drop (&self->agenda, is_publisher);
    network_restart (self);
    coordinator_start (self);
}

/* What its publishers are at may end. */
void coordinator_wind_down (world_t *self, int64_t ms)
{
    if (self->winds_down_until)
        return;
    world_trace (self, "stop", 0, "coordinator", NULL);
    engine_wind_down (self->engine);
    self->winds_down_until = self->now + ms;
}

void coordinator_end (world_t *self)
{
    if (self->engine)
        stop (self);
    free (self->inbox.items);
    actions_free (&self->actions);
    self->inbox = (inbox_t) { 0 };
}

/* -- in ------------------------------------------------------------------------------------------------------------ */

static void hold_against_schema (world_t *self, const char *verb, const json_t *header)
{
    err_t err = { 0 };
    if (self->is_strict && schema_check (schema_messages (), verb, header, &err) < 0)
        violation (self, "messages fit their schema", "%s", err.text);
}

/* It is at something else for a moment, now and then. */
void coordinator_hear (world_t *self, const char *verb, uint64_t peer, int who, json_t *header)
{
    inbox_t *inbox = &self->inbox;
    if (inbox->count == inbox->capacity) {
        inbox->capacity = inbox->capacity ? 2 * inbox->capacity : 64;
        inbox->items = mem_resize (inbox->items, inbox->capacity * sizeof *inbox->items);
    }
    if (inbox->count == 0)
        inbox->due = self->now + (mishap (self, 10) ? draw_ms (self, 100) : mishap (self, 1000) ? draw_ms (self, 20000) : 0);
    heard_event_t *event = &inbox->items [inbox->count++];
    *event = (heard_event_t) { .peer = peer, .who = who, .header = header };
    snprintf (event->verb, sizeof event->verb, "%s", verb);
    if (peer && header)
        hold_against_schema (self, verb, header);
}

int64_t coordinator_due (const world_t *self)
{
    int64_t tick = engine_next_tick (self->engine), due = self->inbox.due < tick ? self->inbox.due : tick;
    return due < self->frozen_until ? self->frozen_until : due;
}

/* -- out ----------------------------------------------------------------------------------------------------------- */

static void do_action (world_t *self, const action_t *action)
{
    if (action->type == ACTION_COUNT)
        return;
    world_trace (self, "  ->", action->peer, action->type == ACTION_SEND ? action->verb : action->type == ACTION_VERIFY ? "VERIFY"
                 : action->type == ACTION_PUBLISH ? "PUBLISH" : action->type == ACTION_TELL ? "TELL" : action->type == ACTION_RESOLVE ? "RESOLVE" : action->type == ACTION_OPEN_LOG
                 ? "OPEN_LOG" : action->type == ACTION_CLOSE_LOG ? "CLOSE_LOG" : "CHANGED", action->header);
    if (action->type == ACTION_SEND) {
        hold_against_schema (self, action->verb, action->header);
        network_send (self, action->peer, action->verb, action->header);
    } else if (action->type == ACTION_VERIFY || action->type == ACTION_PUBLISH || action->type == ACTION_RESOLVE)
        registry_begin (self, action->type == ACTION_VERIFY ? "verify" : action->type == ACTION_PUBLISH ? "publish" : "resolve", action->header);
}

static void do_actions (world_t *self)
{
    actions_t actions = self->actions;
    self->actions = (actions_t) { 0 };
    for (size_t i = 0; i < actions.count; i++)
        do_action (self, &actions.items [i]);
    actions_free (&actions);
}

/* -- a batch -------------------------------------------------------------------------------------------------------- */

/* Was the last event answered with an error? Then it is undone. */
static bool was_refused (const world_t *self, const heard_event_t *event, size_t before)
{
    const actions_t *pending = &self->engine->pending;
    const action_t *last = pending->count > before ? &pending->items [pending->count - 1] : NULL;
    return last && last->type == ACTION_SEND && last->peer == event->peer && strcmp (last->verb, "error") == 0;
}

bool is_end (const heard_event_t *event)
{
    return strcmp (event->verb, "gone") == 0 || strcmp (event->verb, "ended") == 0;
}

static void handle (world_t *self, heard_event_t *item)
{
    bool is_own = !item->peer || is_end (item);
    event_t event = { .verb = item->verb, .peer = item->peer, .principal = is_own ? 0 : network_principal (self, item->who),
                      .header = item->header };
    size_t before = self->engine->pending.count;
    world_trace (self, "<-", item->peer, item->verb, item->header);
    engine_handle (self->engine, &event);
    self->steps++;
    item->is_refused = was_refused (self, item, before);
}

static void spoil_commit (world_t *self)
{
    if (self->disk_bad_until > self->now)
        return;
    if (self->disk_bad_until) {
        self->disk_bad_until = 0;
        disk_set (DISK_FINE);
    }
    if (mishap (self, 4000))
        disk_set (chance (self, 2) ? DISK_BROKEN : DISK_DOUBTFUL);
    else if (mishap (self, 1500)) {             /* full, for this commit or for a while */
        disk_set (DISK_FULL);
        self->disk_bad_until = self->now + (chance (self, 6) ? draw_ms (self, 20000) : 1);
    }
}

/* Nobody knows what became of it: the process starts again. */
static void give_up (world_t *self, const heard_event_t *events, size_t count, const err_t *err)
{
    if (disk_is_fine ())
        violation (self, "it goes on while its disk is good", "commit: %s", err->text);
    seats_overhear (self, events, count);
    self->is_doubtful = true;
    coordinator_kill (self);
}

static heard_event_t *take_inbox (world_t *self, size_t *count)
{
    heard_event_t *events = self->inbox.items;
    *count = self->inbox.count;
    self->inbox = (inbox_t) { .due = INT64_MAX };
    return events;
}

static void free_events (heard_event_t *events, size_t count)
{
    for (size_t i = 0; i < count; i++)
        json_decref (events [i].header);
    free (events);
}

static bool commit (world_t *self, heard_event_t *events, size_t count)
{
    err_t err = { 0 };
    spoil_commit (self);
    if (mishap (self, 4000)) {                  /* killed with all of it undone */
        coordinator_kill (self);
        return false;
    }
    if (engine_commit (self->engine, &self->actions, &err) < 0) {
        give_up (self, events, count, &err);
        return false;
    }
    bool is_lost = self->engine->lost.code != ERR_NONE;
    if (is_lost) {
        self->ledger.paused_until = self->now + 1000;
        seats_glimpse (self, events, count);
        patience_restart (self);
    }
    referee_judge (self, events, is_lost ? 0 : count, &self->actions);
    if (!mishap (self, 3000))
        return true;
    coordinator_kill (self);                    /* killed, and nobody hears of it */
    return false;
}

static void note_thaw (world_t *self)
{
    int64_t tick = engine_next_tick (self->engine), since = tick > self->engine->boot_ms ? tick : self->engine->boot_ms;
    if (self->now - since <= ABSENCE_MS)
        return;
    seats_part (self, self->engine->boot_ms);
    self->patient_until = self->now + self->settings.gone_grace_ms;
}

void coordinator_work (world_t *self)
{
    err_t err = { 0 };
    note_thaw (self);
    size_t count;
    heard_event_t *events = take_inbox (self, &count);
    if (engine_begin (self->engine, self->now, wall_ms (self), &err) < 0)
        give_up (self, events, count, &err);
    else {
        for (size_t i = 0; i < count; i++)
            handle (self, &events [i]);
        if (engine_next_tick (self->engine) <= self->now)
            handle (self, &(heard_event_t) { .verb = "tick" });
        if (commit (self, events, count))
            do_actions (self);
    }
    free_events (events, count);
}
