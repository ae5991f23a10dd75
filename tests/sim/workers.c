/* workers.c - see sim.h. They build, and die, hang, lie, lose what they had, come back too late or twice: each as it happens to boards
 * in a cupboard. What they say of themselves is what worker/link.c says. */
#include "sim.h"

#include <stdio.h>
#include <string.h>

enum { BEAT_MS = 5000, REPEAT_MS = 2000 };

const char *const platform_names [PLATFORMS] = { "linux/amd64", "linux/arm64", "linux/arm/v7" };

/* What a job may ask for, and be given: the last by nobody. */
const int64_t memories [MEMORIES] = { 0, (int64_t) 1 << 30, (int64_t) 4 << 30, (int64_t) 64 << 30 };

/* Native and emulated platforms, as bits; the most of memories that it gives one job. */
static const struct { unsigned native, emulated; int slots, memory; const char *labels; } traits [] = {
    { 1, 0, 2, 2, "{}" }, { 2, 0, 1, 1, "{\"ssd\": \"yes\"}" }, { 2, 4, 2, 2, "{}" }, { 1, 6, 3, 2, "{\"room\": \"attic\"}" },
    { 6, 0, 1, 1, "{\"ssd\": \"yes\", \"room\": \"attic\"}" }, { 4, 1, 1, 0, "{}" }, { 3, 4, 4, 2, "{\"ssd\": \"no\"}" },
};

const char *worker_name (int index)
{
    static const char *const names [WORKERS] = { "alder", "birch", "cedar", "dogwood", "elm", "fir" };
    return names [index];
}

/* Their names begin with a, b, c and so on. */
int worker_named (const char *name)
{
    return name [0] - 'a';
}

int worker_slots (const world_t *self, int index)
{
    return traits [self->workers [index].trait].slots;
}

runs_t worker_runs (const world_t *self, int index, int platform, bool may_emulate)
{
    int trait = self->workers [index].trait;
    if (traits [trait].native >> platform & 1)
        return RUNS_NATIVE;
    return may_emulate && (traits [trait].emulated >> platform & 1) ? RUNS_EMULATED : RUNS_NOT;
}

bool worker_gives (const world_t *self, int index, int memory)
{
    return memory <= traits [self->workers [index].trait].memory;
}

json_t *worker_labels (const world_t *self, int index)
{
    return json_loads (traits [self->workers [index].trait].labels, 0, NULL);
}

/* -- what it says --------------------------------------------------------------------------------------------------- */

static json_t *attempts_of (const worker_t *worker)
{
    json_t *all = json_array ();
    for (int i = 0; i < worker->held_count; i++)
        json_array_append_new (all, json_pack ("{s:I, s:I}", "job", (json_int_t) worker->held [i].job, "attempt",
                                               (json_int_t) worker->held [i].attempt));
    return all;
}

static json_t *platforms_of (const world_t *self, int who)
{
    json_t *all = json_array ();
    for (int i = 0; i < PLATFORMS; i++) {
        runs_t runs = worker_runs (self, who, i, true);
        if (runs != RUNS_NOT)
            json_array_append_new (all, json_pack ("{s:s, s:b}", "platform", platform_names [i], "emulated", runs == RUNS_EMULATED));
    }
    return all;
}

static void say_hello (world_t *self, int who)
{
    const worker_t *worker = &self->workers [who];
    char instance [33];
    snprintf (instance, sizeof instance, "%032llx", (unsigned long long) worker->start);
    json_t *about = json_pack ("{s:s, s:o, s:i, s:i, s:I, s:s, s:s, s:o}", "name", worker_name (who), "platforms", platforms_of (self, who),
                               "slots", worker_slots (self, who), "cpus", 4, "memory_bytes", (json_int_t) 1 << 30, "builder",
                               "buildah 1.28.2", "isolation", "oci", "labels", worker_labels (self, who));
    int64_t most = memories [traits [worker->trait].memory];
    if (most)
        json_object_set_new (about, "limits", json_pack ("{s:I, s:i, s:i, s:s}", "memory_bytes", (json_int_t) most, "cpu_percent", 400, "pids",
                                                         4096, "enforced", "by cgroup v2"));
    network_post (self, who, "hello", json_pack ("{s:I, s:s, s:s, s:s, s:o, s:o}", "seq", (json_int_t) ++self->last_seq, "program",
                                                 "farm-worker", "version", "0.1", "instance", instance, "worker", about, "attempts",
                                                 attempts_of (worker)));
}

static const char *state_of (const held_t *held)
{
    static const char *const states [] = { "fetching", "building", "pushing", "pushed", "failed" };
    return states [held->stage];
}

static void add_image (world_t *self, const held_t *held, json_t *header)
{
    char digest [80];
    image_digest (held->image, digest);
    json_object_set_new (header, "digest", json_string (digest));
    json_object_set_new (header, "bases", registry_bases (self, held->image));
}

void worker_post_report (world_t *self, int who, const held_t *held, int64_t seq)
{
    json_t *header = json_pack ("{s:I, s:I, s:I, s:s}", "seq", (json_int_t) seq, "job", (json_int_t) held->job, "attempt",
                                (json_int_t) held->attempt, "state", state_of (held));
    if (held->stage == STAGE_PUSHED)
        add_image (self, held, header);
    if (held->stage == STAGE_FAILED)
        json_object_set_new (header, "code", json_string (held->code));
    network_post (self, who, "report", header);
}

/* -- building -------------------------------------------------------------------------------------------------------- */

static void plan (world_t *self, int who, held_t *held, int64_t delay_ms)
{
    held->token = ++self->last_token;
    agenda_add (self, delay_ms, (chore_t) { .kind = CHORE_SAY, .who = who, .token = held->token });
}

void worker_drop (worker_t *worker, held_t *held)
{
    *held = worker->held [--worker->held_count];
}

void worker_give_up (held_t *held, const char *code)
{
    held->stage = STAGE_FAILED;
    held->code = code;
}

/* How the next stage goes. */
static void advance (world_t *self, held_t *held)
{
    static const char *const faults [] = { "registry", "full", "farm", "network" };
    const submission_t *submission = &self->submissions [held->submission];
    if (held->stage == 0 && self->depot.is_lost [submission->inputs])
        worker_give_up (held, "farm");
    else if (held->stage == 1 && (submission->faulty >> held->platform & 1))
        worker_give_up (held, "build");
    else if (held->stage < STAGE_PUSHED && mishap (self, 40))
        worker_give_up (held, faults [draw (self, 4)]);
    else if (held->stage < STAGE_PUSHED && mishap (self, 300))
        held->is_stuck = true;
    if (held->stage == STAGE_PUSHED)
        held->image = registry_push (self, held->platform, self->submissions [held->submission].inputs,
                                     mishap (self, 60) ? self->registry.base : held->base, mishap (self, 60));
}

/* It has seen what the tag means now. */
static void ask_base (world_t *self, int who, held_t *held)
{
    json_t *header = registry_base (self->registry.base);
    held->pin_seq = ++self->last_seq;
    json_object_update_new (header, json_pack ("{s:I, s:I, s:I}", "seq", (json_int_t) held->pin_seq, "job", (json_int_t) held->job, "attempt", (json_int_t) held->attempt));
    network_post (self, who, "pin", header);
    plan (self, who, held, REPEAT_MS);
}

static void say (world_t *self, int who, held_t *held)
{
    bool is_first = held->seq == 0;
    if (held->stage == STAGE_PUSHED && held->base < 0) {
        ask_base (self, who, held);
        return;
    }
    if (is_first && !held->is_stopping)
        advance (self, held);
    if (held->is_stuck)
        return;
    if (is_first)
        held->seq = ++self->last_seq;
    worker_post_report (self, who, held, held->seq);
    plan (self, who, held, REPEAT_MS);
}

static int64_t stage_ms (world_t *self)
{
    return chance (self, 12) ? draw_ms (self, 60000) : draw_ms (self, 5000);
}

static held_t *held_find (worker_t *worker, int64_t job, int64_t attempt)
{
    for (int i = 0; i < worker->held_count; i++)
        if (worker->held [i].job == job && worker->held [i].attempt == attempt)
            return &worker->held [i];
    return NULL;
}

static void on_assign (world_t *self, int who, const json_t *header)
{
    worker_t *worker = &self->workers [who];
    const build_entry_t *build = ledger_build (self, number_of (header, "build"));
    int platform = 0;
    if (!build || worker->held_count == HELD_MAX || held_find (worker, number_of (header, "job"), number_of (header, "attempt")))
        return;
    while (platform < PLATFORMS - 1 && strcmp (platform_names [platform], text_of (header, "platform")) != 0)
        platform++;
    held_t *held = &worker->held [worker->held_count++];
    *held = (held_t) { .job = number_of (header, "job"), .attempt = number_of (header, "attempt"), .submission = build->submission,
                       .platform = platform, .base = base_of (json_array_get (json_object_get (header, "bases"), 0)), .is_stopping = worker->is_stopping };
    if (worker->is_stopping)
        worker_give_up (held, "interrupted");
    plan (self, who, held, draw_ms (self, 500));
}

/* It takes a while to end a builder. */
static void on_abort (world_t *self, int who, const json_t *header)
{
    held_t *held = held_find (&self->workers [who], number_of (header, "job"), number_of (header, "attempt"));
    if (!held || held->is_stopping)
        return;
    held->is_stopping = true;
    held->is_stuck = false;
    held->seq = 0;
    worker_give_up (held, "cancelled");
    plan (self, who, held, chance (self, 5) ? draw_ms (self, 20000) : draw_ms (self, 300));
}

static void on_noted (world_t *self, int who, const json_t *header)
{
    worker_t *worker = &self->workers [who];
    int64_t seq = number_of (header, "re");
    for (int i = 0; i < worker->held_count; i++) {
        held_t *held = &worker->held [i];
        if (held->seq == 0 || held->seq != seq)
            continue;
        if (held->stage >= STAGE_PUSHED || json_is_true (json_object_get (header, "stale"))) {
            worker_drop (worker, held);
            return;
        }
        held->stage++;
        held->seq = 0;
        plan (self, who, held, stage_ms (self));
        return;
    }
}

static void on_pinned (world_t *self, int who, const json_t *header)
{
    worker_t *worker = &self->workers [who];
    for (int i = 0; i < worker->held_count; i++)
        if (worker->held [i].pin_seq && worker->held [i].pin_seq == number_of (header, "re"))
            worker->held [i].base = base_of (header);
}

void workers_on_message (world_t *self, int who, const char *verb, const json_t *header)
{
    worker_t *worker = &self->workers [who];
    if (!worker->is_up || worker->silent_until > self->now)
        return;                                 /* one that hangs hears nothing, or too late */
    if (strcmp (verb, "assign") == 0)
        on_assign (self, who, header);
    else if (strcmp (verb, "abort") == 0)
        on_abort (self, who, header);
    else if (strcmp (verb, "noted") == 0)
        on_noted (self, who, header);
    else if (strcmp (verb, "pinned") == 0)
        on_pinned (self, who, header);
    else if (strcmp (verb, "restore") == 0)
        depot_restore (self, who, header);
    else if (strcmp (verb, "welcome") == 0)
        worker->has_greeted = true;
    else if (strcmp (verb, "who") == 0) {
        worker->has_greeted = false;
        say_hello (self, who);
    }
}

/* -- heartbeats ------------------------------------------------------------------------------------------------------- */

/* Its disk runs full, and is emptied again. */
static void post_heartbeat (world_t *self, int who)
{
    worker_t *worker = &self->workers [who];
    json_t *header = json_pack ("{s:o}", "attempts", attempts_of (worker));
    worker->is_unfit = worker->is_unfit ? !self->is_calm && !chance (self, 4) : mishap (self, 60);
    if (worker->is_unfit)
        json_object_set_new (header, "unfit", json_string ("its disk is full"));
    if (worker->is_stopping)
        json_object_set_new (header, "stopping", json_true ());
    network_post (self, who, "heartbeat", header);
}

static void beat (world_t *self, int who)
{
    worker_t *worker = &self->workers [who];
    agenda_add (self, BEAT_MS, (chore_t) { .kind = CHORE_BEAT, .who = who, .token = worker->start });
    if (!worker->is_up || !worker->end.peer || worker_has_mishap (self, who) || worker->silent_until > self->now
        || worker_ends (self, who))
        return;
    if (worker->is_liar && mishap (self, 2))
        worker_lie (self, who);
    if (worker->has_greeted)
        post_heartbeat (self, who);
    else
        say_hello (self, who);
}

void worker_come_back (world_t *self, int who)
{
    worker_t *worker = &self->workers [who];
    bool is_new = !worker->is_up;
    if (is_new) {
        worker->start = ++self->last_token;
        worker->is_up = true;
        worker->held_count = 0;
        agenda_add (self, BEAT_MS, (chore_t) { .kind = CHORE_BEAT, .who = who, .token = worker->start });
    }
    network_leave (self, who, chance (self, 2) ? "gone" : NULL);
    network_connect (self, who);
    say_hello (self, who);
}

/* -- chores ---------------------------------------------------------------------------------------------------------- */

static void on_say (world_t *self, int who, uint64_t token)
{
    worker_t *worker = &self->workers [who];
    for (int i = 0; i < worker->held_count; i++)
        if (worker->held [i].token == token) {
            if (worker->silent_until > self->now)
                plan (self, who, &worker->held [i], worker->silent_until - self->now);
            else
                say (self, who, &worker->held [i]);
            return;
        }
}

void workers_on_chore (world_t *self, const chore_t *chore)
{
    worker_t *worker = &self->workers [chore->who];
    if (chore->kind == CHORE_SAY)
        on_say (self, chore->who, chore->token);
    else if (chore->token != worker->start)
        return;
    else if (chore->kind == CHORE_BEAT)
        beat (self, chore->who);
    else if (!worker->is_up || !worker->end.peer)
        worker_come_back (self, chore->who);
}

void workers_start (world_t *self)
{
    for (int i = 0; i < WORKERS; i++) {
        worker_t *worker = &self->workers [i];
        *worker = (worker_t) { .trait = (int) draw (self, sizeof traits / sizeof *traits), .is_liar = chance (self, 4) };
        worker_come_back (self, i);
    }
}

void workers_recover (world_t *self)
{
    for (int i = 0; i < WORKERS; i++) {
        self->workers [i].silent_until = 0;
        if (self->workers [i].is_stopping)
            worker_die (self, i);
        if (!self->workers [i].is_up || !self->workers [i].end.peer)
            worker_come_back (self, i);
    }
}
