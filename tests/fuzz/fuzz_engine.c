/* fuzz_engine.c - what peers say to the engine, one line each: a letter for who says it (a: an admin, s, t: submitters, v: a viewer, w, x: workers,
 * i: an invitation), a verb and a header with a space between. "+" and a number lets so many milliseconds pass, "-" and a letter ends that one's connection.
 *
 * Only what fits its schema gets there, as in the gateway. Verifying, publishing and looking up are done at once, and go well: a digest that ends in 0 is not found.
 *
 * covers: coordinator/engine.c coordinator/submit.c coordinator/workers.c coordinator/attempts.c coordinator/dispatch.c coordinator/outcome.c */
#include <stdlib.h>
#include <string.h>

#include "common/digest.h"
#include "common/mem.h"
#include "common/schema.h"
#include "coordinator/engine.h"
#include "fuzz.h"

enum { PEOPLE = 7, LINES_MAX = 200, TICKS_MAX = 1000, TASKS_MAX = 1000, PASS_MAX_MS = 100000000 };

static const char letters [] = "astvwxi";
static const char *const roles [PEOPLE] = { "admin", "submitter", "submitter", "viewer", "worker", "worker", "invitation" };
static const int64_t wall = 1700000000000;

typedef struct {
    engine_t *engine;
    actions_t actions;
    int64_t now, principals [PEOPLE];
} farm_t;

static void farm_begin (farm_t *self)
{
    err_t err = { 0 };
    engine_settings_t settings = {
        .heartbeat_ms = 5000, .lease_ms = 45000, .gone_grace_ms = 3000, .ended_grace_ms = 200, .retry_ms = 2000, .job_timeout_ms = 3600000,
        .job_timeout_max_ms = 86400000, .affinity_ms = 3000, .ageing_ms = 1800000, .quarantine_ms = 300000, .build_keep_ms = 7776000000, .result_keep_ms = 86400000,
        .attempts_max = 3, .queue_max = 100, .looks_up = true,
    };
    self->now = 1000000;
    MUST (engine_open (&self->engine, ":memory:", &settings, self->now, &err) == 0);
    engine_resume (self->engine, &self->actions);
    for (int i = 0; i < PEOPLE; i++) {
        char hex [DIGEST_HEX_SIZE + 1];
        digest_t key = digest_of (&letters [i], 1);
        digest_to_hex (&key, hex);
        char name [] = { letters [i], 0 };
        MUST (engine_add_principal (self->engine, hex, roles [i], name, wall, &self->principals [i], &err) == 0);
    }
}

/* What the engine says fits its schema. (Its own fields of what the gateway exchanges are looked at there.) */
static void check_sent (const action_t *action)
{
    static const char *const exchanged [] = { "secret-part", "token", "agent-ask" };
    err_t err = { 0 };
    for (size_t i = 0; i < sizeof exchanged / sizeof *exchanged; i++)
        if (strcmp (action->verb, exchanged [i]) == 0)
            return;
    if (schema_check (schema_messages (), action->verb, action->header, &err) < 0)
        fuzz_fail (err.text, __FILE__, __LINE__);
}

static void give (farm_t *self, const char *verb, uint64_t peer, int64_t principal, const json_t *header)
{
    err_t err = { 0 };
    size_t before = self->actions.count;
    event_t event = { .verb = verb, .peer = peer, .principal = principal, .header = header };
    MUST (engine_begin (self->engine, self->now, wall + self->now, &err) == 0);
    engine_handle (self->engine, &event);
    MUST (engine_commit (self->engine, &self->actions, &err) == 0);
    for (size_t i = before; i < self->actions.count; i++)
        if (self->actions.items [i].type == ACTION_SEND)
            check_sent (&self->actions.items [i]);
}

/* -- publishers ------------------------------------------------------------------------------------------------------ */

static void verify (farm_t *self, const json_t *task)
{
    const char *digest = json_string_value (json_object_get (task, "digest"));
    MUST (digest && *digest);
    bool is_there = digest [strlen (digest) - 1] != '0';
    AUTO_JSON json_t *header = json_pack ("{s:O, s:O, s:s, s:s, s:i, s:b}", "job", json_object_get (task, "job"), "attempt", json_object_get (task, "attempt"),
                                          "media_type", "application/vnd.oci.image.manifest.v1+json", "digest", digest, "size", 500, "ok", is_there);
    if (!is_there)
        json_object_update_new (header, json_pack ("{s:s, s:s}", "code", "verify", "text", "it is not there"));
    give (self, "verified", 0, 0, header);
}

static void publish (farm_t *self, const json_t *task)
{
    AUTO_JSON json_t *header = json_pack ("{s:O, s:b}", "build", json_object_get (task, "build"), "ok", 1);
    give (self, "published", 0, 0, header);
}

static void look (farm_t *self, const json_t *task)
{
    AUTO_JSON json_t *header = json_pack ("{s:O, s:O, s:b, s:s}", "schedule", json_object_get (task, "schedule"), "scheduled_ms", json_object_get (task, "scheduled_ms"),
                                          "ok", 0, "text", "it has moved");
    give (self, "looked", 0, 0, header);
}

/* A Dockerfile is its digest here, and names what builds of it stand on. */
static void resolve (farm_t *self, const json_t *task)
{
    const char *dockerfile = json_string_value (json_object_get (json_object_get (task, "question"), "dockerfile"));
    MUST (dockerfile && *dockerfile);
    bool is_there = dockerfile [strlen (dockerfile) - 1] != '0';
    AUTO_FREE char *digest = mem_printf ("sha256:%s", dockerfile);
    AUTO_JSON json_t *header = json_pack ("{s:O, s:b}", "lookup", json_object_get (task, "lookup"), "ok", is_there);
    if (is_there)
        json_object_set_new (header, "bases", json_pack ("[{s:s, s:s, s:b}]", "reference", "r.lan/base:1", "digest", digest, "is_last", 1));
    else
        json_object_update_new (header, json_pack ("{s:s, s:s}", "code", "build", "text", "it is not there"));
    give (self, "resolved", 0, 0, header);
}

/* What comes of that is done as well. */
static void do_tasks (farm_t *self)
{
    size_t tasks = 0;
    for (size_t i = 0; i < self->actions.count; i++) {
        AUTO_JSON json_t *task = json_incref (self->actions.items [i].header);
        action_type type = self->actions.items [i].type;
        if (type == ACTION_VERIFY)
            verify (self, task);
        else if (type == ACTION_PUBLISH)
            publish (self, task);
        else if (type == ACTION_LOOK)
            look (self, task);
        else if (type == ACTION_RESOLVE)
            resolve (self, task);
        tasks += type == ACTION_VERIFY || type == ACTION_PUBLISH || type == ACTION_LOOK || type == ACTION_RESOLVE;
        MUST (tasks < TASKS_MAX);
    }
    actions_clear (&self->actions);
}

/* -- lines ----------------------------------------------------------------------------------------------------------- */

static void pass (farm_t *self, int64_t ms)
{
    int64_t until = self->now + ms, next;
    int ticks = 0;
    while ((next = engine_next_tick (self->engine)) <= until && ++ticks < TICKS_MAX) {
        self->now = next > self->now ? next : self->now + 1;
        give (self, "tick", 0, 0, NULL);
        do_tasks (self);
    }
    self->now = until > self->now ? until : self->now;
}

/* These the gateway answers, or adds to them what only it has. */
static bool is_gateways (const char *verb)
{
    static const char *const verbs [] = { "secret", "ask-agent", "agent-reply", "want-secret", "want-token" };
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp (verb, verbs [i]) == 0)
            return true;
    return false;
}

static void say (farm_t *self, int who, char *line)
{
    char *verb = strsep (&line, " ");
    AUTO_JSON json_t *header = line ? json_loads (line, JSON_REJECT_DUPLICATES, NULL) : json_object ();
    if (!json_is_object (header) || *verb == '_' || !schema_has (schema_messages (), verb) || is_gateways (verb) || schema_check (schema_messages (), verb, header, NULL) < 0)
        return;
    give (self, verb, (uint64_t) who + 1, self->principals [who], header);
}

static void take_line (farm_t *self, char *line)
{
    const char *who = *line ? strchr (letters, *line == '-' && line [1] ? line [1] : *line) : NULL;
    if (*line == '+')
        pass (self, (int64_t) strtoul (line + 1, NULL, 10) % PASS_MAX_MS);
    else if (who && *line == '-')
        give (self, "gone", (uint64_t) (who - letters) + 1, 0, NULL);
    else if (who)
        say (self, (int) (who - letters), line + 1);
    do_tasks (self);
}

FUZZ_TARGET (engine)
{
    farm_t farm = { 0 };
    fuzz_input_t input = { data, size };
    farm_begin (&farm);
    for (int i = 0; i < LINES_MAX && input.size; i++) {
        AUTO_FREE char *line = fuzz_line (&input, NULL);
        take_line (&farm, line);
    }
    engine_destroy (&farm.engine);
    actions_free (&farm.actions);
}
