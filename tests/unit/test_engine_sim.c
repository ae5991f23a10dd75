/* test_engine_sim.c - the engine against chance: workers die, fall silent, lose connections, start again, say things twice, late
 * and out of order; the registry fails before or behind what it did; the coordinator is killed between commit and send; its depot loses
 * the context, which a worker may have; people submit, repeat themselves and cancel. From a fixed list of seeds. After each step the invariants are looked at, and at the end,
 * when all goes well for a while, each build that was acknowledged has come to an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/engine_private.h"
#include "engines.h"

enum { WORKERS = 4, HELD_MAX = 8, BUILDS_MAX = 200, TAGS = 4, MAILS_MAX = 4096, CHORES_MAX = 256, STEPS = 400 };

/* An attempt as its worker sees it. */
typedef struct {
    task_t task;
    int64_t build;
    char platform [64];
    int stage;                  /* next report: fetching, building, pushing, pushed; 4: failed */
    const char *code;
    int64_t seq, say_at;        /* the last report on its way; when it is said (again) */
} held_t;

typedef struct {
    worker_t self;
    bool is_up, is_connected, is_known;         /* is_known: it has said hello to this coordinator */
    int64_t back_at, beat_at, silent_until;
    held_t held [HELD_MAX];
    size_t count;
} board_sim_t;

typedef struct { int64_t due; int worker; uint64_t peer; const char *verb; json_t *header; } mail_t;
typedef struct { int64_t due; bool is_publish; json_t *task; } chore_t;         /* of a publisher */

typedef struct {
    int64_t id;
    json_t *request;
    bool is_faulty;             /* its Dockerfile fails */
    char index [80];            /* digest, once it was handed out */
    char end [16];
} build_sim_t;

typedef struct {
    farm_t *farm;
    uint64_t random;
    bool is_calm;
    board_sim_t workers [WORKERS];
    mail_t mails [MAILS_MAX];
    size_t mail_count;
    chore_t chores [CHORES_MAX];
    size_t chore_count;
    build_sim_t builds [BUILDS_MAX];
    size_t build_count;
    int64_t tags [TAGS];        /* the registry: which build each tag shows */
    json_t *verified;           /* digests that a publisher has found right */
    int restarts, deaths, published, failed, cancelled;
} sim_t;

static const char *const platforms [] = { "linux/amd64", "linux/arm64", "linux/arm/v7" };
static const char *const tag_names [TAGS] = { "r.lan/app:1", "r.lan/app:2", "r.lan/other:1", "r.lan/other:latest" };

static uint64_t draw (sim_t *self, uint64_t below)
{
    uint64_t z = (self->random += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return (z ^ (z >> 31)) % below;
}

/* With a chance of one in so many; never when all goes well. */
static bool mishap (sim_t *self, uint64_t one_in)
{
    return draw (self, one_in) == 0 && !self->is_calm;
}

static build_sim_t *build_of (sim_t *self, int64_t id)
{
    for (size_t i = 0; i < self->build_count; i++)
        if (self->builds [i].id == id)
            return &self->builds [i];
    fail_msg ("a build %lld that nobody submitted", (long long) id);
    return NULL;
}

/* -- what the engine wants done --------------------------------------------------------------------------------- */

static int64_t number (const json_t *header, const char *field)
{
    return json_integer_value (json_object_get (header, field));
}

static const char *text (const json_t *header, const char *field)
{
    const char *value = json_string_value (json_object_get (header, field));
    return value ? value : "";
}

static void drop_held (board_sim_t *worker, size_t index)
{
    worker->held [index] = worker->held [--worker->count];
}

static void on_assign (sim_t *self, board_sim_t *worker, const json_t *header)
{
    if (worker->count == HELD_MAX)
        return;
    held_t *held = &worker->held [worker->count++];
    *held = (held_t) { .task = { number (header, "job"), number (header, "attempt") }, .build = number (header, "build"),
                       .say_at = self->farm->now + (int64_t) draw (self, 2000) };
    snprintf (held->platform, sizeof held->platform, "%s", text (header, "platform"));
}

static void on_abort (board_sim_t *worker, const json_t *header)
{
    for (size_t i = 0; i < worker->count; i++)
        if (worker->held [i].task.job == number (header, "job") && worker->held [i].task.attempt == number (header, "attempt"))
            drop_held (worker, i--);
}

static void on_noted (sim_t *self, board_sim_t *worker, const json_t *header)
{
    for (size_t i = 0; i < worker->count; i++) {
        held_t *held = &worker->held [i];
        if (held->seq == 0 || held->seq != number (header, "re"))
            continue;
        bool is_last = held->stage >= 3;
        if (is_last || json_is_true (json_object_get (header, "stale")))
            drop_held (worker, i--);
        else {
            held->stage++;
            held->seq = 0;
            held->say_at = self->farm->now + (int64_t) draw (self, 20000);
        }
    }
}

static void post (sim_t *self, int index, const char *verb, json_t *header);

static void on_restore (sim_t *self, int index, const json_t *header)
{
    post (self, index, "restored", json_pack ("{s:s, s:b}", "root", text (header, "root"), "found", draw (self, 3) != 0));
}

static void on_send (sim_t *self, const action_t *action)
{
    for (int i = 0; i < WORKERS; i++) {
        board_sim_t *worker = &self->workers [i];
        if (!worker->is_up || !worker->is_connected || worker->self.peer != action->peer || mishap (self, 40))
            continue;
        if (strcmp (action->verb, "assign") == 0)
            on_assign (self, worker, action->header);
        else if (strcmp (action->verb, "abort") == 0)
            on_abort (worker, action->header);
        else if (strcmp (action->verb, "noted") == 0)
            on_noted (self, worker, action->header);
        else if (strcmp (action->verb, "restore") == 0)
            on_restore (self, i, action->header);
        else if (strcmp (action->verb, "who") == 0)
            worker->is_known = false;
    }
}

static bool share_a_tag (const json_t *a, const json_t *b)
{
    size_t i, j;
    json_t *one, *other;
    json_array_foreach (json_object_get (a, "tags"), i, one)
        json_array_foreach (json_object_get (b, "tags"), j, other)
            if (json_equal (one, other))
                return true;
    return false;
}

/* One publisher to an index, one index to a tag, the same bytes each time, and children that were all verified, in order. */
static void check_publish (sim_t *self, const json_t *task)
{
    build_sim_t *build = build_of (self, number (task, "build"));
    for (size_t i = 0; i < self->chore_count; i++) {
        const json_t *other = self->chores [i].task;
        if (self->chores [i].is_publish && (number (other, "build") == build->id || share_a_tag (other, task)))
            fail_msg ("build %lld is handed to a publisher while another has it or its tag", (long long) build->id);
    }
    if (*build->index && strcmp (build->index, text (task, "index_digest")) != 0)
        fail_msg ("build %lld has a second index", (long long) build->id);
    snprintf (build->index, sizeof build->index, "%s", text (task, "index_digest"));
    const json_t *asked = json_object_get (json_object_get (build->request, "spec"), "platforms");
    const json_t *children = json_object_get (task, "children");
    assert_int_equal (json_array_size (children), json_array_size (asked));
    size_t i;
    json_t *child;
    json_array_foreach ((json_t *) children, i, child) {
        assert_string_equal (text (child, "platform"), json_string_value (json_array_get (asked, i)));
        if (!json_object_get (self->verified, text (child, "digest")))
            fail_msg ("build %lld publishes an image that was not verified", (long long) build->id);
    }
}

static void add_chore (sim_t *self, const action_t *action)
{
    assert_true (self->chore_count < CHORES_MAX);
    bool is_publish = action->type == ACTION_PUBLISH;
    if (is_publish)
        check_publish (self, action->header);
    else                                /* what is verified is what this attempt has pushed, and no other */
        assert_string_equal (text (action->header, "digest"),
                             digest_of_task ((task_t) { number (action->header, "job"), number (action->header, "attempt") }));
    int64_t due = self->farm->now + (int64_t) draw (self, self->is_calm ? 1000 : 15000);
    self->chores [self->chore_count++] = (chore_t) { due, is_publish, json_incref (action->header) };
}

static void do_actions (sim_t *self)
{
    actions_t actions = self->farm->actions;
    self->farm->actions = (actions_t) { 0 };
    for (size_t i = 0; i < actions.count; i++) {
        if (actions.items [i].type == ACTION_SEND)
            on_send (self, &actions.items [i]);
        if (actions.items [i].type == ACTION_VERIFY || actions.items [i].type == ACTION_PUBLISH)
            add_chore (self, &actions.items [i]);
    }
    actions_free (&actions);
}

/* -- the coordinator's end -------------------------------------------------------------------------------------- */

/* Its publishers end with it, in the middle of what they do; nobody's connection outlives it. */
static void kill_coordinator (sim_t *self)
{
    self->restarts++;
    for (size_t i = 0; i < self->chore_count; i++)
        json_decref (self->chores [i].task);
    self->chore_count = 0;
    farm_reopen (self->farm);
    for (int i = 0; i < WORKERS; i++)
        self->workers [i].is_known = false;
}

static void settle (sim_t *self)
{
    if (mishap (self, 150)) {
        actions_clear (&self->farm->actions);           /* killed between commit and send */
        kill_coordinator (self);
    }
    do_actions (self);
}

static void say (sim_t *self, const char *verb, uint64_t peer, int64_t principal, json_t *header)
{
    farm_say (self->farm, verb, peer, principal, header);
    settle (self);
}

/* -- publishers ------------------------------------------------------------------------------------------------- */

/* What a tag shows goes back only from a build that has failed. */
static void move_tag (sim_t *self, const char *name, int64_t build)
{
    for (int i = 0; i < TAGS; i++) {
        if (strcmp (tag_names [i], name) != 0)
            continue;
        int64_t before = self->tags [i];
        if (before > build && strcmp (farm_shows (self->farm, before, "state"), "failed") != 0)
            fail_msg ("tag %s goes back from build %lld to %lld", name, (long long) before, (long long) build);
        self->tags [i] = build;
    }
}

/* The registry may say no before it has done anything, in the middle, or after all is done. */
static const char *publish (sim_t *self, const json_t *task)
{
    size_t i;
    json_t *tag;
    const char *code = mishap (self, 4) ? "registry" : mishap (self, 40) ? "registry-denied" : NULL;
    json_array_foreach (json_object_get (task, "tags"), i, tag) {
        if (code && draw (self, 2))
            break;
        move_tag (self, json_string_value (tag), number (task, "build"));
    }
    return code;
}

static void run_chores (sim_t *self)
{
    for (size_t i = 0; i < self->chore_count; i++) {
        if (self->chores [i].due > self->farm->now)
            continue;
        chore_t chore = self->chores [i];
        self->chores [i--] = self->chores [--self->chore_count];
        AUTO_JSON json_t *task = chore.task;
        const char *code = chore.is_publish ? publish (self, task) : mishap (self, 4) ? "registry" : mishap (self, 60) ? "verify" : NULL;
        if (mishap (self, 20)) {            /* what it did is done; nobody heard of it */
            kill_coordinator (self);
            return;
        }
        if (chore.is_publish)
            farm_published (self->farm, task, code);
        else {
            if (!code)
                json_object_set_new (self->verified, text (task, "digest"), json_true ());
            farm_verified (self->farm, task, code);
        }
        settle (self);
        i = (size_t) -1;            /* the list may be another one now */
    }
}

/* -- workers ---------------------------------------------------------------------------------------------------- */

static void post (sim_t *self, int index, const char *verb, json_t *header)
{
    const board_sim_t *worker = &self->workers [index];
    int copies = mishap (self, 12) ? 2 : 1;
    for (int i = 0; i < copies && self->mail_count < MAILS_MAX; i++)
        self->mails [self->mail_count++] = (mail_t) {
            .due = self->farm->now + (int64_t) draw (self, mishap (self, 10) ? 60000 : 300), .worker = index,
            .peer = worker->self.peer, .verb = verb, .header = i ? json_deep_copy (header) : header,
        };
}

static json_t *tasks_of (const board_sim_t *worker)
{
    json_t *all = json_array ();
    for (size_t i = 0; i < worker->count; i++)
        json_array_append_new (all, json_pack ("{s:I, s:I}", "job", (json_int_t) worker->held [i].task.job, "attempt",
                                               (json_int_t) worker->held [i].task.attempt));
    return all;
}

static void hello (sim_t *self, int index)
{
    board_sim_t *worker = &self->workers [index];
    task_t held [HELD_MAX];
    for (size_t i = 0; i < worker->count; i++)
        held [i] = worker->held [i].task;
    worker->is_connected = worker->is_known = true;
    worker_hello (self->farm, &worker->self, held, worker->count);
    settle (self);
}

static void report (sim_t *self, int index, held_t *held)
{
    static const char *const states [] = { "fetching", "building", "pushing", "pushed", "failed" };
    if (held->seq == 0 && held->stage < 3 && mishap (self, 25)) {
        held->stage = 4;
        held->code = mishap (self, 2) ? "full" : "registry";
    }
    if (held->stage == 2 && build_of (self, held->build)->is_faulty) {
        held->stage = 4;
        held->code = "build";
    }
    json_t *header = json_pack ("{s:I, s:I, s:s}", "job", (json_int_t) held->task.job, "attempt", (json_int_t) held->task.attempt,
                                "state", states [held->stage]);
    if (held->stage == 3)
        json_object_set_new (header, "digest", json_string (digest_of_task (held->task)));
    if (held->stage == 4)
        json_object_set_new (header, "code", json_string (held->code));
    held->seq = ++self->farm->seq;
    held->say_at = self->farm->now + 2000;
    json_object_set_new (header, "seq", json_integer (held->seq));
    post (self, index, "report", header);
}

/* Dies, or loses its connection, or hangs, each for a while. */
static void have_mishap (sim_t *self, board_sim_t *worker)
{
    bool is_dead = mishap (self, 60), is_cut = mishap (self, 50);
    if (!is_dead && !is_cut && mishap (self, 60))
        worker->silent_until = self->farm->now + (int64_t) draw (self, 90000);
    if (!is_dead && !is_cut)
        return;
    self->deaths += is_dead;
    worker->is_connected = false;
    worker->back_at = self->farm->now + (int64_t) draw (self, 30000);
    if (is_dead) {
        worker->is_up = false;
        worker->count = 0;
    }
    if (draw (self, 5))                 /* or the cable was pulled, and nobody tells */
        say (self, "gone", worker->self.peer, 0, NULL);
}

static void come_back (sim_t *self, int index)
{
    board_sim_t *worker = &self->workers [index];
    if (!worker->is_up)
        snprintf (worker->self.instance, sizeof worker->self.instance, "%032llx", (unsigned long long) ++self->farm->requests);
    worker->is_up = true;
    hello (self, index);
}

static void run_worker (sim_t *self, int index)
{
    board_sim_t *worker = &self->workers [index];
    have_mishap (self, worker);
    if ((!worker->is_up || !worker->is_connected) && self->farm->now >= worker->back_at)
        come_back (self, index);
    if (!worker->is_up || !worker->is_connected || self->farm->now < worker->silent_until)
        return;
    if (!worker->is_known)
        hello (self, index);
    if (self->farm->now >= worker->beat_at) {
        worker->beat_at = self->farm->now + 5000;
        post (self, index, "heartbeat", json_pack ("{s:o}", "attempts", tasks_of (worker)));
    }
    for (size_t i = 0; i < worker->count; i++)
        if (self->farm->now >= worker->held [i].say_at)
            report (self, index, &worker->held [i]);
}

/* What was sent on a connection that has ended may come or not. */
static void deliver (sim_t *self)
{
    for (size_t i = 0; i < self->mail_count; i++) {
        if (self->mails [i].due > self->farm->now)
            continue;
        mail_t mail = self->mails [i];
        self->mail_count--;
        memmove (&self->mails [i], &self->mails [i + 1], (self->mail_count - i) * sizeof *self->mails);
        i--;
        board_sim_t *worker = &self->workers [mail.worker];
        bool is_former = mail.peer != worker->self.peer || !worker->is_connected;
        if (!worker->is_known || (is_former && draw (self, 2)))
            json_decref (mail.header);
        else
            say (self, mail.verb, mail.peer, worker->self.principal, mail.header);
    }
}

/* -- people ----------------------------------------------------------------------------------------------------- */

static json_t *random_spec (sim_t *self)
{
    char names [128] = "", tags [128] = "";
    size_t first = draw (self, 3), count = 1 + draw (self, 3), tag = draw (self, TAGS / 2) * 2;
    for (size_t i = 0; i < count; i++)
        snprintf (names + strlen (names), sizeof names - strlen (names), "%s%s", i ? "," : "", platforms [(first + i) % 3]);
    bool has_both = draw (self, 2);
    snprintf (tags, sizeof tags, "%s%s%s", tag_names [tag], has_both ? "," : "", has_both ? tag_names [tag + 1] : "");
    json_t *spec = spec_of (names, tags);
    if (draw (self, 2))
        json_object_set_new (spec, "emulation", json_string ("allow"));
    return spec;
}

static void submit (sim_t *self)
{
    if (self->build_count == BUILDS_MAX)
        return;
    AUTO_JSON json_t *request = submit_of (self->farm, random_spec (self));
    farm_say (self->farm, "submit", 2000, self->farm->ann, json_deep_copy (request));
    int64_t id = number (farm_sent (self->farm, 2000, "accepted"), "build");
    if (!id)
        fail_msg ("refused: %s", farm_error_text (self->farm, 2000));
    self->builds [self->build_count++] = (build_sim_t) { .id = id, .request = json_incref (request), .is_faulty = draw (self, 8) == 0 };
    settle (self);
}

/* The answer was lost: the same request comes again, and is the same build. */
static void repeat (sim_t *self)
{
    const build_sim_t *build = &self->builds [draw (self, self->build_count)];
    farm_say (self->farm, "submit", 2000, self->farm->ann, json_deep_copy (build->request));
    assert_int_equal (number (farm_sent (self->farm, 2000, "accepted"), "build"), build->id);
    settle (self);
}

/* The context that all builds here have. */
static void lose (sim_t *self)
{
    AUTO_JSON json_t *spec = spec_of ("linux/amd64", "r.lan/app:1");
    say (self, "lost", 0, 0, json_pack ("{s:O}", "root", json_object_get (spec, "context")));
}

static void run_people (sim_t *self)
{
    if (self->is_calm)
        return;
    if (draw (self, 4) == 0)
        submit (self);
    if (self->build_count && draw (self, 20) == 0)
        repeat (self);
    if (draw (self, 60) == 0)
        lose (self);
    static const struct { const char *verb; uint64_t one_in; } verbs [] = { { "cancel", 30 }, { "watch", 10 }, { "inspect", 10 } };
    for (int i = 0; i < 3; i++) {
        if (self->build_count == 0 || draw (self, verbs [i].one_in))
            continue;
        json_int_t id = self->builds [draw (self, self->build_count)].id;
        say (self, verbs [i].verb, 2000, self->farm->ann, json_pack ("{s:I}", "build", id));
    }
}

/* -- invariants ------------------------------------------------------------------------------------------------- */

static void check_slots (const sim_t *self)
{
    const engine_t *engine = self->farm->engine;
    for (size_t i = 0; i < engine->board_count; i++) {
        int leased = 0, busy = 0;
        for (size_t j = 0; j < engine->lease_count; j++)
            leased += engine->leases [j].worker == engine->boards [i].id;
        for (size_t j = 0; j < engine->halt_count; j++)
            busy += engine->halts [j].worker == engine->boards [i].id;
        assert_int_equal (leased + busy, engine->boards [i].busy);
        assert_true (leased <= engine->boards [i].slots);
    }
}

static int64_t count_rows (const sim_t *self, const char *sql)
{
    err_t err = { 0 };
    query_t query = db_query (self->farm->engine->db, sql);
    int64_t count = query_step (&query) ? query_get_int (&query, 0) : -1;
    assert_int_equal (query_end (&query, &err), 0);
    return count;
}

/* Of the database: what may never be, whatever happened. */
static void check_rows (const sim_t *self)
{
    assert_int_equal (count_rows (self, "SELECT count (*) FROM (SELECT 1 FROM attempts WHERE state = 'done' GROUP BY job "
                                        "HAVING count (*) > 1)"), 0);
    assert_int_equal (count_rows (self, "SELECT count (*) FROM events WHERE to_state IN ('done', 'failed', 'cancelled', 'published') "
                                        "GROUP BY build, coalesce (job, 0) ORDER BY 1 DESC LIMIT 1") > 1, 0);
    assert_int_equal (count_rows (self, "SELECT count (*) FROM attempts JOIN jobs ON jobs.id = attempts.job "
                                        "WHERE attempts.ended_ms IS NULL AND attempts.number <> jobs.attempt"), 0);
    assert_int_equal (count_rows (self, "SELECT count (*) FROM attempts JOIN jobs ON jobs.id = attempts.job "
                                        "WHERE attempts.ended_ms IS NULL AND jobs.state IN ('queued', 'done', 'failed', 'cancelled')"), 0);
    assert_int_equal (count_rows (self, "SELECT count (*) FROM jobs JOIN builds ON builds.id = jobs.build WHERE builds.state IN "
                                        "('failed', 'cancelled') AND jobs.state NOT IN ('done', 'failed', 'cancelled')"), 0);
    assert_int_equal (count_rows (self, "SELECT count (*) FROM jobs JOIN builds ON builds.id = jobs.build WHERE builds.state IN "
                                        "('publishing', 'published') AND jobs.state <> 'done'"), 0);
    assert_int_equal (count_rows (self, "SELECT count (*) FROM outbox JOIN builds ON builds.id = outbox.build "
                                        "WHERE builds.state <> 'publishing'"), 0);
    assert_int_equal (count_rows (self, "SELECT count (*) FROM jobs WHERE failures > 3"), 0);
}

/* An acknowledged build is there, and when it is over it stays as it ended. 1: it is over. */
static int check_build (sim_t *self, build_sim_t *build)
{
    const char *state = farm_shows (self->farm, build->id, "state"), *code = farm_shows (self->farm, build->id, "code");
    if (!*state)
        fail_msg ("build %lld is lost", (long long) build->id);
    bool is_over = strcmp (state, "published") == 0 || strcmp (state, "failed") == 0 || strcmp (state, "cancelled") == 0;
    if (*build->end && strcmp (build->end, state) != 0)
        fail_msg ("build %lld was %s and is %s", (long long) build->id, build->end, state);
    if (is_over)
        snprintf (build->end, sizeof build->end, "%s", state);
    if (strcmp (state, "published") == 0) {
        assert_false (build->is_faulty);
        assert_string_equal (farm_shows (self->farm, build->id, "digest"), build->index);
    }
    if (strcmp (state, "failed") == 0 && (strcmp (code, "build") == 0) && !build->is_faulty)
        fail_msg ("build %lld failed through a fault that it has not", (long long) build->id);
    return is_over;
}

/* -- a run ------------------------------------------------------------------------------------------------------ */

static void step (sim_t *self)
{
    int64_t until = self->farm->now + 1 + (int64_t) draw (self, 2000);
    while (engine_next_tick (self->farm->engine) <= until) {
        int64_t next = engine_next_tick (self->farm->engine);
        self->farm->now = next > self->farm->now ? next : self->farm->now;
        say (self, "tick", 0, 0, NULL);
    }
    self->farm->now = until;
    if (mishap (self, 80))
        kill_coordinator (self);
    settle (self);
    run_people (self);
    for (int i = 0; i < WORKERS; i++)
        run_worker (self, i);
    deliver (self);
    run_chores (self);
    check_slots (self);
}

static void start (sim_t *self, farm_t *farm, uint64_t seed)
{
    static const char *const names [WORKERS] = { "amd", "arm", "both", "small" };
    static const char *const runs [WORKERS] = { "linux/amd64", "linux/arm64", "linux/amd64,linux/arm64*,linux/arm/v7*",
                                                "linux/arm/v7,linux/arm64" };
    *self = (sim_t) { .farm = farm, .random = seed, .verified = json_object () };
    for (int i = 0; i < WORKERS; i++) {
        worker_join (farm, &self->workers [i].self, names [i], runs [i], 1 + i % 2);
        self->workers [i].is_up = self->workers [i].is_connected = self->workers [i].is_known = true;
    }
}

static void finish (sim_t *self)
{
    for (size_t i = 0; i < self->mail_count; i++)
        json_decref (self->mails [i].header);
    for (size_t i = 0; i < self->chore_count; i++)
        json_decref (self->chores [i].task);
    for (size_t i = 0; i < self->build_count; i++)
        json_decref (self->builds [i].request);
    json_decref (self->verified);
}

static size_t count_over (sim_t *self)
{
    size_t over = 0;
    for (size_t i = 0; i < self->build_count; i++)
        over += (size_t) check_build (self, &self->builds [i]);
    return over;
}

/* Two hours in which nothing goes wrong. */
static void come_to_rest (sim_t *self, uint64_t seed)
{
    self->is_calm = true;
    for (int i = 0; i < 7200; i++) {
        step (self);
        if (i % 50 == 0 && count_over (self) == self->build_count)
            break;
    }
    size_t over = count_over (self);
    if (over != self->build_count)
        fail_msg ("seed %llu: %zu of %zu builds have not ended", (unsigned long long) seed, self->build_count - over, self->build_count);
}

static void run (void **state, uint64_t seed, sim_t *totals)
{
    AUTO_FREE sim_t *self = mem_alloc (sizeof *self);
    start (self, *state, seed);
    for (int i = 0; i < STEPS; i++) {
        step (self);
        if (i % 20 == 0) {
            check_rows (self);
            count_over (self);
        }
    }
    come_to_rest (self, seed);
    check_rows (self);
    for (size_t i = 0; i < self->build_count; i++) {
        totals->published += strcmp (self->builds [i].end, "published") == 0;
        totals->failed += strcmp (self->builds [i].end, "failed") == 0;
        totals->cancelled += strcmp (self->builds [i].end, "cancelled") == 0;
    }
    totals->restarts += self->restarts;
    totals->deaths += self->deaths;
    finish (self);
}

static void whatever_happens_the_farm_keeps_its_word (void **unused)
{
    (void) unused;
    static const uint64_t seeds [] = { 1, 2, 3, 5, 30021, 30022 };      /* the last two have caught an engine that was broken for it */
    AUTO_FREE sim_t *totals = mem_alloc (sizeof *totals);
    const char *more = getenv ("SIM_SEEDS");                /* "FROM-TO": for a long night */
    unsigned long long from = 0, to = 0;
    if (more && sscanf (more, "%llu-%llu", &from, &to) != 2)
        fail_msg ("SIM_SEEDS is FROM-TO");
    size_t count = more ? (size_t) (to - from + 1) : sizeof seeds / sizeof *seeds;
    for (size_t i = 0; i < count; i++) {
        uint64_t seed = more ? from + i : seeds [i];
        void *state = NULL;
        print_message ("# seed %llu\n", (unsigned long long) seed);
        assert_int_equal (farm_setup (&state), 0);
        run (&state, seed, totals);
        assert_int_equal (farm_teardown (&state), 0);
    }
    print_message ("# %d published, %d failed, %d cancelled; %d deaths of workers, %d of the coordinator\n", totals->published,
                   totals->failed, totals->cancelled, totals->deaths, totals->restarts);
    assert_true (totals->published > totals->failed);
}

int main (void)
{
    if (sodium_init () < 0)
        return 99;
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (whatever_happens_the_farm_keeps_its_word),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
