/* people.c - see sim.h. They submit with every option there is, say it again until they are answered, and now and then once more;
 * cancel, watch, look; and one of them is an admin who drains, pauses, labels and forgets workers. */
#include "sim.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"

enum { ASK_AGAIN_MS = 5000, REPOSITORIES = TAGS / 2 };

const char *requirement (int requires)
{
    static const char *const texts [REQUIRES] = { "ssd=yes", "ssd!=yes", "room", "!room", "name=cedar" };
    return requires < 0 ? "" : texts [requires];
}

/* -- submits ---------------------------------------------------------------------------------------------------------- */

static json_t *names_of (unsigned bits, const char *const *names, int count)
{
    json_t *all = json_array ();
    for (int i = 0; i < count; i++)
        if (bits >> i & 1)
            json_array_append_new (all, json_string (names [i]));
    return all;
}

static json_t *spec_of (world_t *self, const submission_t *submission)
{
    static const char *const classes [] = { "high", "normal", "low" };
    char context [65];
    depot_context (submission->inputs, context);
    json_t *spec = json_pack ("{s:s, s:{s:s, s:i, s:s}, s:o, s:o, s:s}", "context", context, "dockerfile", "digest", context, "size", 100,
                              "name", "Dockerfile", "platforms", names_of (submission->platforms, platform_names, PLATFORMS),
                              "tags", names_of (submission->tags, tag_names, TAGS), "priority", classes [submission->class]);
    if (submission->may_emulate)
        json_object_set_new (spec, "emulation", json_string ("allow"));
    if (submission->requires >= 0)
        json_object_set_new (spec, "require", json_pack ("[s]", requirement (submission->requires)));
    if (submission->memory)
        json_object_set_new (spec, "memory_bytes", json_integer (memories [submission->memory]));
    if (chance (self, 6))
        json_object_set_new (spec, "timeout_ms", json_integer (1000 + draw_ms (self, 900000)));
    if (submission->timeout_ms != 600000)
        json_object_set_new (spec, "queue_timeout_ms", json_integer (submission->timeout_ms));
    if (submission->keep_going)
        json_object_set_new (spec, "keep_going", json_true ());
    if (submission->required != submission->platforms)
        json_object_set_new (spec, "required_platforms", names_of (submission->required, platform_names, PLATFORMS));
    if (submission->cross_check)
        json_object_set_new (spec, "cross_check", json_true ());
    if (chance (self, 6))
        json_object_set_new (spec, "supersede", json_true ());
    if (chance (self, 4))
        json_object_set_new (spec, "no_result_cache", json_true ());
    return spec;
}

static void draw_wishes (world_t *self, submission_t *submission)
{
    static const int64_t timeouts [] = { 600000, 600000, 600000, 600000, 60000, 60000, 20000, 0 };
    int repository = (int) draw (self, REPOSITORIES);
    *submission = (submission_t) {
        .user = (int) draw (self, USERS), .class = chance (self, 4) ? (int) draw (self, CLASSES) : CLASS_NORMAL,
        .requires = chance (self, 8) ? (int) draw (self, REQUIRES) : -1, .memory = chance (self, 8) ? (int) draw (self, MEMORIES) : 0,
        .inputs = (int) draw (self, INPUTS), .repository = repository,
        .platforms = 1 + (unsigned) draw (self, (1u << PLATFORMS) - 1), .tags = (1 + (unsigned) draw (self, 3)) << 2 * repository,
        .may_emulate = chance (self, 2), .keep_going = chance (self, 4), .timeout_ms = timeouts [draw (self, 8)],
        .cross_check = chance (self, 8),
    };
    submission->required = submission->platforms;
    if (chance (self, 5) && (submission->platforms & (unsigned) draw (self, 8)))
        submission->required &= 1 + (unsigned) draw (self, 7);
    if (submission->required == 0)
        submission->required = submission->platforms;
    for (int i = 0; i < PLATFORMS; i++)
        submission->faulty |= (unsigned) chance (self, 16) << i;
}

/* To take up what an earlier build of the same user has done: with its own wishes, save that it may emulate or not. */
static int64_t draw_former (world_t *self, submission_t *submission)
{
    const submission_t *former = &self->submissions [draw (self, (uint64_t) self->submission_count)];
    if (former->build == 0)
        return 0;
    submission_t again = *former;
    again.build = 0;
    again.is_answered = false;
    again.may_emulate = chance (self, 6) ? !again.may_emulate : again.may_emulate;
    again.header = NULL;
    *submission = again;
    return former->build;
}

static submission_t *add_submission (world_t *self)
{
    if (self->submission_count == self->submission_capacity) {
        self->submission_capacity = self->submission_capacity ? 2 * self->submission_capacity : 64;
        self->submissions = mem_resize (self->submissions, (size_t) self->submission_capacity * sizeof *self->submissions);
    }
    return &self->submissions [self->submission_count++];
}

static void ask (world_t *self, int index)
{
    const submission_t *submission = &self->submissions [index];
    json_t *header = json_copy (submission->header);
    json_object_set_new (header, "seq", json_integer (1000000 + index));
    depot_send (self, submission->inputs);
    network_post (self, PEOPLE + submission->user, "submit", header);
    agenda_add (self, ASK_AGAIN_MS, (chore_t) { .kind = CHORE_ASK, .who = submission->user, .token = (uint64_t) index });
}

static void submit (world_t *self)
{
    char request [33];
    submission_t submission;
    draw_wishes (self, &submission);
    int64_t former = self->submission_count && chance (self, 10) ? draw_former (self, &submission) : 0;
    snprintf (request, sizeof request, "%032x", self->submission_count + 1);
    submission.header = json_pack ("{s:s, s:o}", "request", request, "spec", spec_of (self, &submission));
    if (former)
        json_object_set_new (submission.header, "reuse", json_integer (former));
    *add_submission (self) = submission;
    ask (self, self->submission_count - 1);
}

/* -- the rest --------------------------------------------------------------------------------------------------------- */

static void look (world_t *self, int user)
{
    static const char *const verbs [] = { "inspect", "watch", "cancel", "cancel", "list", "workers", "worker", "spec", "events" };
    const char *verb = verbs [draw (self, 9)];
    int64_t build = 1 + draw_ms (self, self->ledger.build_max + 1);
    json_t *header = json_pack ("{s:I}", "seq", (json_int_t) ++self->last_seq);
    if (strcmp (verb, "worker") == 0)
        json_object_set_new (header, "name", json_string (worker_name ((int) draw (self, WORKERS))));
    else if (strcmp (verb, "list") != 0 && strcmp (verb, "workers") != 0)
        json_object_set_new (header, "build", json_integer (build));
    network_post (self, PEOPLE + user, verb, header);
}

static void order (world_t *self)
{
    static const char *const modes [] = { "draining", "paused", "forgotten", "active", "active", "active" };
    json_t *header = json_pack ("{s:I, s:s}", "seq", (json_int_t) ++self->last_seq, "name", worker_name ((int) draw (self, WORKERS)));
    if (chance (self, 3)) {
        static const char *const names [] = { "ssd", "room" };
        json_t *value = chance (self, 3) ? json_null () : json_string (chance (self, 2) ? "yes" : "no");
        json_object_set_new (header, "labels", json_pack ("{s:o}", names [draw (self, 2)], value));
    } else
        json_object_set_new (header, "mode", json_string (modes [draw (self, 6)]));
    network_post (self, PEOPLE + ADMIN, "order", header);
}

static void act (world_t *self, int user)
{
    int burst = user == 0 && chance (self, 30) ? 20 : 1;
    for (int i = 0; i < burst; i++)
        submit (self);
    if (chance (self, 4))
        look (self, user);
    if (user == ADMIN && chance (self, 3))
        order (self);
    if (mishap (self, 40)) {
        network_leave (self, PEOPLE + user, "gone");
        network_connect (self, PEOPLE + user);
    }
}

static void say_hello (world_t *self, int user)
{
    network_post (self, PEOPLE + user, "hello", json_pack ("{s:I, s:s, s:s, s:s}", "seq", (json_int_t) ++self->last_seq, "program",
                                                           "farmctl", "version", "0.1", "instance", "0123456789abcdef0123456789abcdef"));
}

/* -- chores and answers ------------------------------------------------------------------------------------------------ */

void people_on_message (world_t *self, int user, const char *verb, const json_t *header)
{
    int64_t index = number_of (header, "re") - 1000000;
    if (strcmp (verb, "who") == 0)
        say_hello (self, user);
    if (index < 0 || index >= self->submission_count)
        return;
    submission_t *submission = &self->submissions [index];
    bool may_pass = strcmp (verb, "error") == 0 && strcmp (text_of (header, "code"), "full") == 0;
    if (!may_pass)
        submission->is_answered = true;
}

static void on_ask (world_t *self, int index)
{
    submission_t *submission = &self->submissions [index];
    if (submission->is_answered && !(submission->build && self->settings.build_keep_ms == 0 && self->settings.builds_max == 0 && mishap (self, 10)))
        return;
    ask (self, index);
}

void people_on_chore (world_t *self, const chore_t *chore)
{
    if (chore->kind == CHORE_ASK)
        on_ask (self, (int) chore->token);
    else if (!self->is_calm) {
        act (self, chore->who);
        agenda_add (self, draw_ms (self, 24000), (chore_t) { .kind = CHORE_PERSON, .who = chore->who });
    }
}

void people_start (world_t *self)
{
    for (int i = 0; i < USERS; i++) {
        network_connect (self, PEOPLE + i);
        agenda_add (self, draw_ms (self, 5000), (chore_t) { .kind = CHORE_PERSON, .who = i });
    }
}

/* The admin lets all workers work again. */
void people_recover (world_t *self)
{
    for (int i = 0; i < WORKERS; i++)
        network_post (self, PEOPLE + ADMIN, "order", json_pack ("{s:I, s:s, s:s}", "seq", (json_int_t) ++self->last_seq, "name",
                                                                worker_name (i), "mode", "active"));
}
