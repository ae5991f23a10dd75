/* lookups.c - see lookups.h. */
#include "coordinator/lookups.h"

#include <string.h>

#include "common/mem.h"
#include "coordinator/bases.h"
#include "coordinator/builds.h"
#include "coordinator/cells.h"
#include "coordinator/holds.h"
#include "coordinator/results.h"

/* -- rows ------------------------------------------------------------------------------------------------------- */

/* All that the answer hangs on. To the caller. */
static json_t *question_of (const json_t *spec, const char *repository)
{
    static const char *const fields [] = { "build_args", "target", "platforms" };
    json_t *question = json_pack ("{s:O, s:s}", "dockerfile", json_object_get (json_object_get (spec, "dockerfile"), "digest"), "repository", repository);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (json_object_get (spec, fields [i]))
            json_object_set (question, fields [i], json_object_get (spec, fields [i]));
    return question;
}

typedef struct {
    int64_t id, tries;
    char *question;                 /* owned; NULL: it was not read */
} lookup_t;

static void lookup_clear (lookup_t *self)
{
    free (self->question);
}
#define AUTO_LOOKUP __attribute__ ((cleanup (lookup_clear)))

/* 1, 0 there is none (any more), -1 */
static int find (engine_t *self, int64_t id, lookup_t *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id, tries, question FROM lookups WHERE id = :id");
    query_int (&query, ":id", id);
    int found = query_step (&query);
    if (found)
        *out = (lookup_t) { query_get_int (&query, 0), query_get_int (&query, 1), mem_strdup (query_get_text (&query, 2)) };
    return query_end (&query, err) < 0 ? -1 : found;
}

/* 0: nobody asks that now. */
static int find_question (engine_t *self, const char *question, int64_t *id, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id FROM lookups WHERE question = :question");
    query_text (&query, ":question", question);
    *id = query_step (&query) ? query_get_int (&query, 0) : 0;
    return query_end (&query, err);
}

static int drop (engine_t *self, int64_t id, err_t *err)
{
    query_t query = db_query (self->db, "DELETE FROM lookups WHERE id = :id");
    query_int (&query, ":id", id);
    wait_drop (self, WAIT_LOOKUP, id);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* Takes question. */
static void ask (engine_t *self, int64_t id, json_t *question)
{
    engine_act (self, ACTION_RESOLVE, json_pack ("{s:I, s:o}", "lookup", (json_int_t) id, "question", question));
    wait_note_under_way (self, WAIT_LOOKUP, id);
}

static int add (engine_t *self, const json_t *question, const char *text, int64_t *id, err_t *err)
{
    query_t query = db_query (self->db, "INSERT INTO lookups (question) VALUES (:question)");
    query_text (&query, ":question", text);
    if (query_run (&query, err) < 0)
        return -1;
    *id = db_last_id (self->db);
    wait_set (self, WAIT_LOOKUP, *id, 0);
    if (!self->winds_down)
        ask (self, *id, json_incref ((json_t *) question));
    return 0;
}

static int set_lookup (engine_t *self, int64_t build, int64_t lookup, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE builds SET lookup = nullif (:lookup, 0) WHERE id = :build");
    query_int (&query, ":lookup", lookup);
    query_int (&query, ":build", build);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* Nobody waits for it any more where all its builds were cancelled. */
static int is_wanted (engine_t *self, int64_t id, bool *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT 1 FROM builds WHERE lookup = :id LIMIT 1");
    query_int (&query, ":id", id);
    *out = query_step (&query);
    return query_end (&query, err);
}

int lookups_hand_out (engine_t *self, int64_t id, err_t *err)
{
    AUTO_LOOKUP lookup_t lookup = { 0 };
    int found = self->winds_down ? 0 : find (self, id, &lookup, err);
    if (found <= 0)
        return found;
    ask (self, id, json_loads (lookup.question, 0, NULL));
    return 0;
}

int lookups_load (engine_t *self, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id FROM lookups");
    while (query_step (&query))
        if (wait_tries (self, WAIT_LOOKUP, query_get_int (&query, 0)) == 0)
            wait_set (self, WAIT_LOOKUP, query_get_int (&query, 0), 0);
    return query_end (&query, err);
}

/* Each lookup has a wait. */
int lookups_end (engine_t *self, int64_t build, err_t *err)
{
    if (self->wait_places [WAIT_LOOKUP].count == 0)
        return 0;
    query_t query = db_query (self->db, "UPDATE builds SET lookup = NULL WHERE id = :build AND lookup IS NOT NULL");
    query_int (&query, ":build", build);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* -- a build ---------------------------------------------------------------------------------------------------- */

static int go_on (engine_t *self, int64_t build, const json_t *spec, const char *repository, const json_t *bases, err_t *err)
{
    err_t why = { 0 };
    int rc = bases_put (self, build, bases, &why, err);
    if (rc == 0)
        rc = bases_note_named (self, build, bases, err);
    if (rc > 0)
        *err = why;
    return rc == 0 ? results_try (self, build, spec, repository, err) : -1;
}

int lookups_find_or_add (engine_t *self, const json_t *spec, const char *repository, int64_t *lookup, err_t *err)
{
    *lookup = 0;
    if (!self->settings.looks_up)
        return 0;
    AUTO_JSON json_t *question = question_of (spec, repository);
    AUTO_FREE char *text = json_dumps (question, JSON_COMPACT | JSON_SORT_KEYS);
    if (find_question (self, text, lookup, err) < 0)
        return -1;
    return *lookup ? 0 : add (self, question, text, lookup, err);
}

int lookups_begin (engine_t *self, int64_t build, const json_t *spec, const char *repository, err_t *err)
{
    int64_t lookup;
    if (lookups_find_or_add (self, spec, repository, &lookup, err) < 0)
        return -1;
    return lookup ? set_lookup (self, build, lookup, err) : go_on (self, build, spec, repository, NULL, err);
}

typedef struct {
    int64_t build;
    const json_t *bases;
} waiting_t;

static int wake (engine_t *self, void *argument, err_t *err)
{
    const waiting_t *waiting = argument;
    char repository [512];
    AUTO_JSON json_t *spec = build_spec (self, waiting->build, repository, err);
    if (!spec || holds_wake (self, waiting->build, err) < 0)
        return -1;
    engine_note_change (self, waiting->build);
    return go_on (self, waiting->build, spec, repository, waiting->bases, err);
}

/* One whose row is damaged ends alone. */
static int end_wait (engine_t *self, const waiting_t *waiting, const fault_t *fault, err_t *err)
{
    err_t why = { 0 };
    if (set_lookup (self, waiting->build, 0, err) < 0)
        return -1;
    int rc = fault ? 1 : engine_try (self, wake, (void *) waiting, &why, err);
    if (rc <= 0)
        return rc;
    fault_t damaged = { .code = why.code, .reason = why.text, .exit_status = -1 };
    return jobs_fail (self, waiting->build, fault ? fault : &damaged, err);
}

/* fault: NULL where bases are known. */
static int end_waits (engine_t *self, int64_t lookup, const json_t *bases, const fault_t *fault, err_t *err)
{
    AUTO_BUFFER buffer_t read = { 0 };
    query_t query = db_query (self->db, "SELECT id FROM builds WHERE lookup = :lookup ORDER BY id");
    query_int (&query, ":lookup", lookup);
    while (query_step (&query)) {
        int64_t build = query_get_int (&query, 0);
        buffer_append (&read, &build, sizeof build);
    }
    if (query_end (&query, err) < 0)
        return -1;
    const int64_t *builds = (const int64_t *) read.data;
    for (size_t i = 0; i < read.size / sizeof *builds; i++) {
        waiting_t waiting = { builds [i], bases };
        if (end_wait (self, &waiting, fault, err) < 0)
            return -1;
    }
    return drop (self, lookup, err);
}

/* -- a publisher's word ----------------------------------------------------------------------------------------- */

static int note_try (engine_t *self, const lookup_t *lookup, const char *text, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE lookups SET tries = tries + 1, text = :text WHERE id = :id");
    query_text (&query, ":text", text ? text : "");
    query_int (&query, ":id", lookup->id);
    if (query_run (&query, err) < 0)
        return -1;
    wait_again (self, WAIT_LOOKUP, lookup->id, self->settings.retry_ms << lookup->tries);
    query_t builds = db_query (self->db, "SELECT id FROM builds WHERE lookup = :id");
    query_int (&builds, ":id", lookup->id);
    while (query_step (&builds))
        engine_note_change (self, query_get_int (&builds, 0));
    return query_end (&builds, err);
}

static int on_failure (engine_t *self, const lookup_t *lookup, const event_t *event, err_t *err)
{
    const char *code = event_text (event, "code"), *text = event_text (event, "text");
    bool wanted;
    AUTO_FREE char *reason = mem_printf ("a base image cannot be looked up: %s", text ? text : "no reason given");
    fault_t fault = { .code = code ? err_from_name (code) : ERR_FARM, .reason = reason, .exit_status = -1 };
    engine_tell (self, "%.400s", reason);
    if (is_wanted (self, lookup->id, &wanted, err) < 0)
        return -1;
    if (wanted && err_is_farm_fault (fault.code) && lookup->tries + 1 < engine_registry_tries (self))
        return note_try (self, lookup, text, err);
    return end_waits (self, lookup->id, NULL, &fault, err);
}

int lookups_on_resolved (engine_t *self, const event_t *event, err_t *err)
{
    AUTO_LOOKUP lookup_t lookup = { 0 };
    int found = find (self, event_int (event, "lookup"), &lookup, err);
    if (found <= 0)
        return found;
    if (!json_is_true (json_object_get (event->header, "ok")))
        return on_failure (self, &lookup, event, err);
    return end_waits (self, lookup.id, json_object_get (event->header, "bases"), NULL, err);
}

/* -- to look at ------------------------------------------------------------------------------------------------- */

char *lookups_explain (engine_t *self, int64_t build)
{
    query_t query = db_query (self->db, "SELECT tries, text FROM builds JOIN lookups ON lookups.id = builds.lookup WHERE builds.id = :build");
    query_int (&query, ":build", build);
    return cells_tries (query, "its base images are being looked up");
}
