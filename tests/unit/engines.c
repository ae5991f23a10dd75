/* engines.c - see engines.h. */
#include "engines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/digest.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/schema.h"

static const int64_t WALL = 1700000000000;

/* -- the farm --------------------------------------------------------------------------------------------------- */

void farm_open (farm_t *self)
{
    err_t err = { 0 };
    if (engine_open (&self->engine, self->path, &self->settings, self->now, &err) < 0)
        fail_msg ("%s", err.text);
    actions_clear (&self->actions);
    engine_resume (self->engine, &self->actions);
}

void farm_close (farm_t *self)
{
    engine_destroy (&self->engine);
}

void farm_reopen (farm_t *self)
{
    farm_close (self);
    farm_open (self);
}

static int64_t enrol (farm_t *self, const char *role, const char *name)
{
    char hex [65];
    int64_t id = 0;
    err_t err = { 0 };
    digest_t key = digest_of (name, strlen (name));
    digest_to_hex (&key, hex);
    if (engine_add_principal (self->engine, hex, role, name, WALL, &id, &err) < 0)
        fail_msg ("%s", err.text);
    return id;
}

int farm_setup (void **state)
{
    farm_t *self = mem_alloc (sizeof *self);
    self->settings = (engine_settings_t) {
        .heartbeat_ms = 5000, .lease_ms = 45000, .gone_grace_ms = 3000, .ended_grace_ms = 200, .retry_ms = 2000, .job_timeout_ms = 3600000, .job_timeout_max_ms = 86400000, .affinity_ms = 3000, .ageing_ms = 1800000, .quarantine_ms = 0, .build_keep_ms = 7776000000,
        .news_gather_ms = 10000, .news_retry_ms = 30000, .news_give_up_ms = 259200000, .news_lost_ms = 300000, .news_remind_ms = 604800000, .has_mail = true,
        .attempts_max = 3, .queue_max = 100000,
    };
    self->now = 1000000;
    const char *where = getenv ("TMPDIR");
    snprintf (self->folder, sizeof self->folder, "%.40s/engine-XXXXXX", where ? where : "/tmp");
    assert_non_null (mkdtemp (self->folder));
    snprintf (self->path, sizeof self->path, "%s/farm.db", self->folder);
    farm_open (self);
    self->admin = enrol (self, "admin", "root");
    self->ann = enrol (self, "submitter", "ann");
    self->bob = enrol (self, "submitter", "bob");
    self->viewer = enrol (self, "viewer", "vic");
    self->invitation = enrol (self, "invitation", "invitation");
    *state = self;
    return 0;
}

int farm_setup_lookups (void **state)
{
    if (farm_setup (state) < 0)
        return -1;
    farm_t *self = *state;
    self->settings.looks_up = true;
    farm_reopen (self);
    return 0;
}

int64_t farm_lookup (const farm_t *self)
{
    return json_integer_value (json_object_get (farm_action (self, ACTION_RESOLVE, 0), "lookup"));
}

int farm_teardown (void **state)
{
    farm_t *self = *state;
    farm_close (self);
    actions_free (&self->actions);
    int rc = file_remove_tree (self->folder, NULL);
    free (self);
    return rc;
}

/* -- steps ------------------------------------------------------------------------------------------------------ */

void farm_begin (farm_t *self)
{
    err_t err = { 0 };
    if (engine_begin (self->engine, self->now, WALL + self->now, &err) < 0)
        fail_msg ("begin: %s", err.text);
}

/* What the gateway adds, and what it takes off or exchanges, does not travel. */
static json_t *as_it_travels (const char *verb, const json_t *header)
{
    json_t *copy = json_copy ((json_t *) header);
    static const struct { const char *verb, *fields [5]; } own [] = {
        { "secret", { "sealed" } }, { "secret-part", { "sealed", "principal", "request", "secret" } }, { "token", { "host", "scope", "is_own", "job", "attempt" } },
        { "news-state", { "salt" } }, { "order-schedule", { "sealed" } },
    };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        for (size_t j = 0; strcmp (own [i].verb, verb) == 0 && j < 5 && own [i].fields [j]; j++)
            json_object_del (copy, own [i].fields [j]);
    if (strcmp (verb, "token") == 0)
        json_object_update_new (copy, json_pack ("{s:s, s:i}", "authorization", "", "keep_ms", 0));
    return copy;
}

static void hold_against_schema (const char *verb, const json_t *given)
{
    err_t err = { 0 };
    AUTO_JSON json_t *header = as_it_travels (verb, given);
    if (schema_check (schema_messages (), verb, header, &err) < 0) {
        AUTO_FREE char *text = json_dumps (header, JSON_COMPACT);
        fail_msg ("%s: %s", err.text, text);
    }
}

void farm_add (farm_t *self, const char *verb, uint64_t peer, int64_t principal, json_t *given)
{
    AUTO_JSON json_t *header = given;
    if (peer && strcmp (verb, "gone") != 0 && strcmp (verb, "ended") != 0) {
        if (strcmp (verb, "heartbeat") != 0 && strcmp (verb, "restored") != 0 && !json_object_get (header, "seq"))
            json_object_set_new (header, "seq", json_integer (++self->seq));
        hold_against_schema (verb, header);
    }
    event_t event = { .verb = verb, .peer = peer, .principal = principal, .header = header };
    engine_handle (self->engine, &event);
}

static void commit (farm_t *self)
{
    err_t err = { 0 };
    size_t before = self->actions.count;
    if (engine_commit (self->engine, &self->actions, &err) < 0)
        fail_msg ("commit: %s", err.text);
    for (size_t i = before; i < self->actions.count; i++)
        if (self->actions.items [i].type == ACTION_SEND)
            hold_against_schema (self->actions.items [i].verb, self->actions.items [i].header);
}

void farm_commit (farm_t *self)
{
    actions_clear (&self->actions);
    commit (self);
}

void farm_say (farm_t *self, const char *verb, uint64_t peer, int64_t principal, json_t *header)
{
    farm_begin (self);
    farm_add (self, verb, peer, principal, header);
    farm_commit (self);
}

void farm_pass (farm_t *self, int64_t ms)
{
    int64_t until = self->now + ms, next;
    int count = 0;
    actions_clear (&self->actions);
    while ((next = engine_next_tick (self->engine)) <= until) {
        if (++count > 10000)
            fail_msg ("the engine asks for tick after tick at %lld", (long long) self->now);
        self->now = next > self->now ? next : self->now;
        farm_begin (self);
        farm_add (self, "tick", 0, 0, NULL);
        commit (self);
    }
    self->now = until;
}

/* -- what came of it -------------------------------------------------------------------------------------------- */

const json_t *farm_action (const farm_t *self, action_type type, int nth)
{
    for (size_t i = 0; i < self->actions.count; i++)
        if (self->actions.items [i].type == type && nth-- == 0)
            return self->actions.items [i].header;
    return NULL;
}

const json_t *farm_sent (const farm_t *self, uint64_t peer, const char *verb)
{
    for (size_t i = 0; i < self->actions.count; i++) {
        const action_t *action = &self->actions.items [i];
        if (action->type == ACTION_SEND && action->peer == peer && strcmp (action->verb, verb) == 0)
            return action->header;
    }
    return NULL;
}

static const char *text_or_empty (const json_t *object, const char *field)
{
    const char *text = json_string_value (json_object_get (object, field));
    return text ? text : "";
}

const char *farm_error (const farm_t *self, uint64_t peer)
{
    return text_or_empty (farm_sent (self, peer, "error"), "code");
}

const char *farm_error_text (const farm_t *self, uint64_t peer)
{
    return text_or_empty (farm_sent (self, peer, "error"), "text");
}

/* -- people ----------------------------------------------------------------------------------------------------- */

static json_t *split (const char *text)
{
    json_t *all = json_array ();
    AUTO_FREE char *copy = mem_strdup (text);
    char *rest = NULL;
    for (char *item = strtok_r (copy, ",", &rest); item; item = strtok_r (NULL, ",", &rest))
        json_array_append_new (all, json_string (item));
    return all;
}

json_t *spec_of (const char *platforms, const char *tags)
{
    static const char hex [] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    return json_pack ("{s:s, s:{s:s, s:i, s:s}, s:o, s:o}", "context", hex, "dockerfile", "digest", hex, "size", 100, "name",
                      "Dockerfile", "platforms", split (platforms), "tags", split (tags));
}

json_t *submit_of (farm_t *self, json_t *spec)
{
    char request [33];
    snprintf (request, sizeof request, "%032llx", (unsigned long long) ++self->requests);
    return json_pack ("{s:s, s:o}", "request", request, "spec", spec);
}

uint64_t peer_of (int64_t principal)
{
    return 1000 + (uint64_t) principal;
}

int64_t farm_submit (farm_t *self, int64_t principal, const char *platforms, const char *tags)
{
    farm_say (self, "submit", peer_of (principal), principal, submit_of (self, spec_of (platforms, tags)));
    return json_integer_value (json_object_get (farm_sent (self, peer_of (principal), "accepted"), "build"));
}

void farm_cancel (farm_t *self, int64_t principal, int64_t build)
{
    farm_say (self, "cancel", peer_of (principal), principal, json_pack ("{s:I}", "build", (json_int_t) build));
}

/* Without disturbing the actions of the last step. */
static json_t *inspect (farm_t *self, int64_t build)
{
    actions_t kept = self->actions;
    self->actions = (actions_t) { 0 };
    farm_say (self, "inspect", 999, self->admin, json_pack ("{s:I}", "build", (json_int_t) build));
    json_t *view = json_incref (json_object_get (farm_sent (self, 999, "build"), "build"));
    actions_free (&self->actions);
    self->actions = kept;
    return view;
}

const char *farm_shows (farm_t *self, int64_t build, const char *path)
{
    static char texts [8] [4096];
    static int turn;
    char *text = texts [turn++ % 8];
    AUTO_JSON json_t *view = inspect (self, build);
    AUTO_FREE char *copy = mem_strdup (path);
    const json_t *at = view;
    char *rest = NULL;
    for (char *step = strtok_r (copy, "/", &rest); step && at; step = strtok_r (NULL, "/", &rest))
        at = json_is_array (at) ? json_array_get (at, (size_t) atoi (step)) : json_object_get (at, step);
    AUTO_FREE char *dump = at ? json_dumps (at, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    snprintf (text, sizeof texts [0], "%s", json_is_string (at) ? json_string_value (at) : dump ? dump : "");
    return text;
}

/* -- workers ---------------------------------------------------------------------------------------------------- */

static json_t *tasks_json (const task_t *held, size_t count)
{
    json_t *all = json_array ();
    for (size_t i = 0; i < count; i++)
        json_array_append_new (all, json_pack ("{s:I, s:I}", "job", (json_int_t) held [i].job, "attempt", (json_int_t) held [i].attempt));
    return all;
}

static json_t *platforms_json (const char *text)
{
    json_t *names = split (text), *all = json_array (), *item;
    size_t i;
    json_array_foreach (names, i, item) {
        const char *name = json_string_value (item);
        size_t size = strlen (name);
        bool is_emulated = name [size - 1] == '*';
        json_array_append_new (all, json_pack ("{s:s%, s:b}", "platform", name, size - is_emulated, "emulated", is_emulated));
    }
    json_decref (names);
    return all;
}

void worker_hello (farm_t *farm, worker_t *self, const task_t *held, size_t count)
{
    self->peer = ++farm->peers;
    json_t *worker = json_pack ("{s:s, s:o, s:i, s:i, s:I, s:s, s:s}", "name", self->name, "platforms", platforms_json (self->platforms),
                                "slots", self->slots, "cpus", 4, "memory_bytes", (json_int_t) 1 << 30, "builder", "buildah 1.28.2",
                                "isolation", "oci");
    if (self->memory_bytes)
        json_object_set_new (worker, "limits", json_pack ("{s:I, s:I, s:i, s:s}", "memory_bytes", (json_int_t) self->memory_bytes,
                                                          "cpu_percent", (json_int_t) self->cpu_percent, "pids", 4096, "enforced", "cgroup v2"));
    farm_say (farm, "hello", self->peer, self->principal,
              json_pack ("{s:s, s:s, s:s, s:o, s:o}", "program", "farm-worker", "version", "0.1", "instance", self->instance, "worker",
                         worker, "attempts", tasks_json (held, count)));
}

void worker_restart (farm_t *farm, worker_t *self)
{
    if (self->peer)
        worker_gone (farm, self);
    snprintf (self->instance, sizeof self->instance, "%032llx", (unsigned long long) ++farm->requests);
    worker_hello (farm, self, NULL, 0);
}

void worker_join (farm_t *farm, worker_t *self, const char *name, const char *platforms, int slots)
{
    *self = (worker_t) { .principal = enrol (farm, "worker", name), .platforms = platforms, .slots = slots };
    snprintf (self->name, sizeof self->name, "%s", name);
    worker_restart (farm, self);
}

void worker_gone (farm_t *farm, const worker_t *self)
{
    farm_say (farm, "gone", self->peer, 0, NULL);
}

void worker_beat (farm_t *farm, const worker_t *self, const task_t *held, size_t count)
{
    farm_say (farm, "heartbeat", self->peer, self->principal, json_pack ("{s:o}", "attempts", tasks_json (held, count)));
}

task_t worker_task (const farm_t *farm, const worker_t *self)
{
    const json_t *header = farm_sent (farm, self->peer, "assign");
    return (task_t) { json_integer_value (json_object_get (header, "job")), json_integer_value (json_object_get (header, "attempt")) };
}

bool worker_report (farm_t *farm, const worker_t *self, task_t task, const char *state, json_t *extra)
{
    json_t *header = extra ? extra : json_object ();
    json_object_set_new (header, "job", json_integer (task.job));
    json_object_set_new (header, "attempt", json_integer (task.attempt));
    json_object_set_new (header, "state", json_string (state));
    farm_say (farm, "report", self->peer, self->principal, header);
    const json_t *noted = farm_sent (farm, self->peer, "noted");
    return noted && !json_is_true (json_object_get (noted, "stale"));
}

const char *digest_of_task (task_t task)
{
    static char text [OCI_DIGEST_SIZE];
    oci_digest_of (&task, sizeof task, text);
    return text;
}

bool worker_push (farm_t *farm, const worker_t *self, task_t task)
{
    static const char *const states [] = { "fetching", "building", "pushing" };
    for (int i = 0; i < 3; i++)
        if (!worker_report (farm, self, task, states [i], NULL))
            return false;
    return worker_report (farm, self, task, "pushed", json_pack ("{s:s}", "digest", digest_of_task (task)));
}

bool worker_fail (farm_t *farm, const worker_t *self, task_t task, const char *code)
{
    return worker_report (farm, self, task, "failed", json_pack ("{s:s, s:s}", "code", code, "text", "the reason"));
}

/* -- publishers ------------------------------------------------------------------------------------------------- */

static void add_outcome (json_t *header, const char *code)
{
    json_object_set_new (header, "ok", json_boolean (!code));
    if (code) {
        json_object_set_new (header, "code", json_string (code));
        json_object_set_new (header, "text", json_string ("the publisher's reason"));
    }
}

void farm_verified (farm_t *self, const json_t *task, const char *code)
{
    json_t *header = json_pack ("{s:O, s:O, s:s, s:O, s:i}", "job", json_object_get (task, "job"), "attempt",
                                json_object_get (task, "attempt"), "media_type", "application/vnd.oci.image.manifest.v1+json", "digest",
                                json_object_get (task, "digest"), "size", 500);
    add_outcome (header, code);
    farm_say (self, "verified", 0, 0, header);
}

void farm_published (farm_t *self, const json_t *task, const char *code)
{
    json_t *header = json_pack ("{s:O}", "build", json_object_get (task, "build"));
    add_outcome (header, code);
    farm_say (self, "published", 0, 0, header);
}

void farm_verify (farm_t *self, const char *code)
{
    const json_t *task = farm_action (self, ACTION_VERIFY, 0);
    assert_non_null (task);
    farm_verified (self, task, code);
}

void farm_publish (farm_t *self, const char *code)
{
    const json_t *task = farm_action (self, ACTION_PUBLISH, 0);
    assert_non_null (task);
    farm_published (self, task, code);
}
