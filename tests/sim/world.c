/* world.c - see sim.h: one seed from its beginning to its end. A storm, in which everything that can go wrong does; then calm, in which
 * nothing does any more, and in which every build has to come to its end. */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "disk.h"
#include "tests/lib/chance.h"

enum { CALM_MS = 2 * 3600 * 1000, STORM_MIN = 2000, STORM_MORE = 8000, TICKS_MAX = 100000 };

/* -- words --------------------------------------------------------------------------------------------------------- */

int64_t number_of (const json_t *header, const char *field)
{
    return json_integer_value (json_object_get (header, field));
}

const char *text_of (const json_t *header, const char *field)
{
    const char *text = json_string_value (json_object_get (header, field));
    return text ? text : "";
}

void world_trace (const world_t *self, const char *what, uint64_t peer, const char *verb, const json_t *header)
{
    if (!self->is_traced)
        return;
    AUTO_FREE char *text = header ? json_dumps (header, JSON_COMPACT) : NULL;
    printf ("%lld.%03lld step %lld %s %s", (long long) self->now / 1000, (long long) self->now % 1000, (long long) self->steps, what, verb);
    for (int i = 0; peer && i < self->connection_count; i++)
        if (self->connections [i].peer == peer)
            printf (" %s%d", self->connections [i].who < PEOPLE ? "worker" : "user", self->connections [i].who % PEOPLE);
    printf (" %.600s\n", text ? text : "");
}

void violation (world_t *self, const char *rule, const char *format, ...)
{
    va_list arguments;
    if (self->broken [0])
        return;
    va_start (arguments, format);
    vsnprintf (self->broken, sizeof self->broken, format, arguments);
    va_end (arguments);
    snprintf (self->broken_rule, sizeof self->broken_rule, "%s", rule);
    world_trace (self, "VIOLATION", 0, rule, NULL);
}

/* -- a run --------------------------------------------------------------------------------------------------------- */

static int64_t one_of (world_t *self, const int64_t *values, size_t count)
{
    return values [draw (self, count)];
}

#define ONE_OF(...) one_of (self, (const int64_t []) { __VA_ARGS__ }, sizeof (const int64_t []) { __VA_ARGS__ } / sizeof (int64_t))

static void draw_settings (world_t *self)
{
    self->settings = (engine_settings_t) {
        .heartbeat_ms = 5000, .lease_ms = ONE_OF (20000, 45000, 45000), .gone_grace_ms = ONE_OF (0, 3000, 3000), .ended_grace_ms = ONE_OF (0, 200, 200), .retry_ms = 2000,
        .job_timeout_ms = ONE_OF (300000, 1200000), .job_timeout_max_ms = 3600000, .quarantine_ms = ONE_OF (0, 20000, 60000, 300000), .affinity_ms = ONE_OF (0, 3000, 10000),
        .ageing_ms = ONE_OF (60000, 300000, 1800000), .result_keep_ms = ONE_OF (0, 300000, 86400000), .attempts_max = (int) ONE_OF (2, 3, 3),
        .build_keep_ms = ONE_OF (0, 0, 600000), .builds_max = ONE_OF (0, 0, 0, 20),
        .queue_max = (int) ONE_OF (20, 100000, 100000), .looks_up = draw (self, 4) > 0,
    };
}

static void do_chore (world_t *self, chore_t *chore)
{
    switch (chore->kind) {
    case CHORE_ARRIVE:
        network_arrive (self, chore);
        break;
    case CHORE_REACH:
        network_reach (self, chore);
        break;
    case CHORE_GONE:
        network_gone (self, chore->token, chore->verb);
        break;
    case CHORE_BEAT: case CHORE_SAY: case CHORE_BACK:
        workers_on_chore (self, chore);
        break;
    case CHORE_PUBLISHER:
        registry_on_chore (self, chore);
        break;
    case CHORE_PERSON: case CHORE_ASK:
        people_on_chore (self, chore);
        break;
    case CHORE_WEATHER:
        weather_on_chore (self);
        break;
    }
    json_decref (chore->header);
}

/* The next thing that happens; what comes at one time comes to the coordinator together. */
static void go_on (world_t *self)
{
    chore_t chore;
    int64_t due = coordinator_due (self);
    if (agenda_next (&self->agenda, due, &chore)) {
        self->now = chore.due > self->now ? chore.due : self->now;
        do_chore (self, &chore);
        return;
    }
    self->now = due > self->now ? due : self->now;
    coordinator_work (self);
}

static void storm (world_t *self)
{
    int64_t until = self->steps + STORM_MIN + (int64_t) draw (self, STORM_MORE);
    while (self->steps < until && !self->broken [0])
        go_on (self);
}

static bool is_at_rest (const world_t *self)
{
    const ledger_t *ledger = &self->ledger;
    const engine_t *engine = self->engine;
    int64_t live = ledger->tallies [BUILD_QUEUED] + ledger->tallies [BUILD_RUNNING] + ledger->tallies [BUILD_PUBLISHING];
    return live == 0 && engine->lease_count == 0 && engine->halt_count == 0 && ledger->open_logs == 0;
}

/* It ends when there is nothing left to do, or after two hours. */
static void calm (world_t *self)
{
    self->is_calm = true;
    weather_clear (self);
    network_mend (self);
    workers_recover (self);
    people_recover (self);
    int64_t least = self->now + 60000, until = self->now + CALM_MS;
    while (self->now < until && !self->broken [0] && (self->now < least || !is_at_rest (self)))
        go_on (self);
}

void world_run (world_t *self, uint64_t seed, bool is_traced)
{
    *self = (world_t) { .seed = seed, .random = seed * CHANCE_STEP + 1, .now = 1000000, .is_traced = is_traced,
                        .is_strict = seed % 8 == 0, .inbox.due = INT64_MAX };
    disk_restore ();
    draw_settings (self);
    coordinator_start (self);
    workers_start (self);
    people_start (self);
    weather_start (self);
    storm (self);
    if (!self->broken [0])
        calm (self);
    if (!self->broken [0])
        referee_judge_end (self);
}

void world_free (world_t *self)
{
    coordinator_end (self);
    agenda_free (&self->agenda);
    ledger_free (self);
    seats_free (self);
    for (int i = 0; i < self->submission_count; i++)
        json_decref (self->submissions [i].header);
    free (self->submissions);
    free (self->registry.images);
}
