/* fetches.c - see fetches.h. */
#include "coordinator/fetches.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "common/source.h"
#include "coordinator/audit.h"
#include "coordinator/builds.h"
#include "coordinator/cells.h"
#include "coordinator/firings.h"
#include "coordinator/holds.h"
#include "coordinator/lookups.h"
#include "coordinator/principals.h"
#include "coordinator/restores.h"
#include "coordinator/source_rules.h"
#include "coordinator/spec.h"

typedef struct {
    int64_t id, build, schedule, scheduled_ms, tries, principal;
} fetch_t;

/* -- what is asked for ------------------------------------------------------------------------------------------ */

bool fetches_needs (const json_t *spec)
{
    return json_object_get (spec, "source") && !json_object_get (spec, "context");
}

static const char *dockerfile_of (const json_t *spec)
{
    const char *name = json_string_value (json_object_get (json_object_get (spec, "dockerfile"), "name"));
    return name ? name : "Dockerfile";
}

/* Whatever it leads to stays below the context's folder (fetch_ingest.c); this is for the person. */
static int check_dockerfile (const char *name, err_t *err)
{
    bool is_bad = *name == '/' || *name == 0 || strcmp (name, "-") == 0 || source_climbs (name);
    return is_bad ? err_set (err, ERR_USAGE, "Dockerfile %s: of a context that is fetched it is a path below that context, with no \"..\"", name) : 0;
}

int fetches_check (engine_t *self, int64_t principal, const json_t *spec, err_t *err)
{
    source_t source;
    principal_t who;
    if (source_read (&source, json_object_get (spec, "source"), err) < 0 || principal_load (self, principal, &who, err) < 0
        || check_dockerfile (dockerfile_of (spec), err) < 0)
        return -1;
    if (json_object_get (json_object_get (spec, "dockerfile"), "digest"))
        return err_set (err, ERR_USAGE, "a context that is fetched has its Dockerfile in it: name it with -f PATH");
    return source_rules_check (self->settings.sources, who.name, &source, err);
}

/* -- rows ------------------------------------------------------------------------------------------------------- */

static int insert (engine_t *self, int64_t build, int64_t schedule, int64_t scheduled_ms, int64_t principal, const json_t *spec, err_t *err)
{
    AUTO_FREE char *source = json_dumps (json_object_get (spec, "source"), JSON_COMPACT);
    query_t query = db_query (self->db, "INSERT INTO fetches (build, schedule, scheduled_ms, principal, source, dockerfile) VALUES (nullif (:build, 0), "
                              "nullif (:schedule, 0), iif (:schedule, :scheduled, NULL), :principal, :source, :dockerfile)");
    query_int (&query, ":build", build);
    query_int (&query, ":schedule", schedule);
    query_int (&query, ":scheduled", scheduled_ms);
    query_int (&query, ":principal", principal);
    query_text (&query, ":source", source);
    query_text (&query, ":dockerfile", dockerfile_of (spec));
    if (query_run (&query, err) < 0)
        return -1;
    int64_t id = db_last_id (self->db);
    wait_set (self, WAIT_FETCH, id, 0);
    return fetches_hand_out (self, id, err);
}

int fetches_add (engine_t *self, int64_t build, int64_t principal, const json_t *spec, err_t *err)
{
    return insert (self, build, 0, 0, principal, spec, err);
}

int fetches_add_firing (engine_t *self, int64_t schedule, int64_t scheduled_ms, int64_t principal, const json_t *spec, err_t *err)
{
    return insert (self, 0, schedule, scheduled_ms, principal, spec, err);
}

/* 1, 0 there is none (any more), -1 */
static int find (engine_t *self, int64_t id, fetch_t *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id, build, schedule, scheduled_ms, tries, principal FROM fetches WHERE id = :id");
    query_int (&query, ":id", id);
    int found = query_step (&query);
    if (found)
        *out = (fetch_t) { query_get_int (&query, 0), query_get_int (&query, 1), query_get_int (&query, 2), query_get_int (&query, 3), query_get_int (&query, 4),
                           query_get_int (&query, 5) };
    return query_end (&query, err) < 0 ? -1 : found;
}

static int drop (engine_t *self, int64_t id, err_t *err)
{
    query_t query = db_query (self->db, "DELETE FROM fetches WHERE id = :id");
    query_int (&query, ":id", id);
    wait_drop (self, WAIT_FETCH, id);
    return query_run (&query, err) < 0 ? -1 : 0;
}

int fetches_hand_out (engine_t *self, int64_t id, err_t *err)
{
    if (self->winds_down)
        return 0;
    query_t query = db_query (self->db, "SELECT fetches.principal, principals.name, source, dockerfile FROM fetches JOIN principals "
                              "ON principals.id = fetches.principal WHERE fetches.id = :id");
    query_int (&query, ":id", id);
    if (query_step (&query)) {
        json_t *source = json_loads (query_get_text (&query, 2), 0, NULL);
        engine_act (self, ACTION_FETCH, json_pack ("{s:I, s:I, s:s, s:o, s:s}", "fetch", (json_int_t) id, "principal", (json_int_t) query_get_int (&query, 0), "user",
                                                   query_get_text (&query, 1), "source", source ? source : json_object (), "dockerfile", query_get_text (&query, 3)));
        wait_note_under_way (self, WAIT_FETCH, id);
    }
    return query_end (&query, err);
}

int fetches_load (engine_t *self, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id FROM fetches");
    while (query_step (&query))
        if (wait_tries (self, WAIT_FETCH, query_get_int (&query, 0)) == 0)
            wait_set (self, WAIT_FETCH, query_get_int (&query, 0), 0);
    return query_end (&query, err);
}

/* -- an end nobody waits for ------------------------------------------------------------------------------------ */

static int forget (engine_t *self, int64_t id, err_t *err)
{
    engine_act (self, ACTION_DROP_FETCH, json_pack ("{s:I}", "fetch", (json_int_t) id));
    return drop (self, id, err);
}

int fetches_end (engine_t *self, int64_t build, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id FROM fetches WHERE build = :build");
    query_int (&query, ":build", build);
    return engine_each_id (self, query, forget, err);
}

int fetches_end_firings (engine_t *self, int64_t schedule, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id FROM fetches WHERE schedule = :schedule");
    query_int (&query, ":schedule", schedule);
    return engine_each_id (self, query, forget, err);
}

/* -- it was fetched --------------------------------------------------------------------------------------------- */

/* What the user says of the image stays. */
static void add_label (json_t *spec, const char *name, const char *value)
{
    json_t *labels = json_object_get (spec, "labels");
    if (!labels)
        json_object_set_new (spec, "labels", labels = json_object ());
    if (!json_object_get (labels, name))
        json_object_set_new (labels, name, json_string (value));
}

void fetches_complete (json_t *spec, const json_t *fetched)
{
    json_t *source = json_object_get (spec, "source"), *commit = json_object_get (fetched, "commit"), *dockerfile = json_copy (json_object_get (fetched, "dockerfile"));
    json_object_set_new (dockerfile, "name", json_string (dockerfile_of (spec)));
    json_object_set (spec, "context", json_object_get (fetched, "context"));
    json_object_set_new (spec, "dockerfile", dockerfile);
    add_label (spec, "org.opencontainers.image.source", json_string_value (json_object_get (source, "url")));
    if (!commit)
        return;
    add_label (spec, "org.opencontainers.image.revision", json_string_value (commit));
    json_object_set (source, "commit", commit);
}

static int store_spec (engine_t *self, int64_t build, const json_t *spec, err_t *err)
{
    AUTO_FREE char *text = json_dumps (spec, JSON_COMPACT);
    query_t query = db_query (self->db, "UPDATE builds SET spec = :spec WHERE id = :id");
    query_text (&query, ":spec", text);
    query_int (&query, ":id", build);
    return query_run (&query, err) < 0 ? -1 : 0;
}

static int note_context (engine_t *self, const json_t *spec, err_t *err)
{
    if (restores_end (self, json_string_value (json_object_get (spec, "context")), err) < 0)
        return -1;
    return restores_end (self, json_string_value (json_object_get (json_object_get (spec, "dockerfile"), "digest")), err);
}

static int go_on (engine_t *self, const fetch_t *fetch, const event_t *event, err_t *err)
{
    char repository [512];
    AUTO_JSON json_t *spec = build_spec (self, fetch->build, repository, err);
    if (!spec || drop (self, fetch->id, err) < 0)
        return -1;
    fetches_complete (spec, event->header);
    if (store_spec (self, fetch->build, spec, err) < 0 || note_context (self, spec, err) < 0)
        return -1;
    const char *commit = event_text (event, "commit");
    engine_tell (self, "build %lld: its context was fetched%s%s", (long long) fetch->build, commit ? ", commit " : "", commit ? commit : "");
    engine_note_change (self, fetch->build);
    return lookups_begin (self, fetch->build, spec, repository, err) < 0 ? -1 : holds_wake (self, fetch->build, err);
}

/* -- it was not ------------------------------------------------------------------------------------------------- */

static int note_try (engine_t *self, const fetch_t *fetch, const char *text, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE fetches SET tries = tries + 1, text = :text WHERE id = :id");
    query_text (&query, ":text", text);
    query_int (&query, ":id", fetch->id);
    if (query_run (&query, err) < 0)
        return -1;
    wait_again (self, WAIT_FETCH, fetch->id, self->settings.retry_ms << fetch->tries);
    if (fetch->build)
        engine_note_change (self, fetch->build);
    return 0;
}

static int on_failure (engine_t *self, const fetch_t *fetch, const event_t *event, err_t *err)
{
    const char *code = event_text (event, "code"), *text = event_text (event, "text");
    AUTO_FREE char *reason = mem_printf ("the context cannot be fetched: %s", text ? text : "no reason given");
    fault_t fault = { .code = code ? err_from_name (code) : ERR_FARM, .reason = reason, .exit_status = -1 };
    engine_tell (self, "fetch %lld: %.300s", (long long) fetch->id, text ? text : "no reason given");
    if (err_is_farm_fault (fault.code) && fetch->tries + 1 < engine_registry_tries (self))
        return note_try (self, fetch, text, err);
    if (drop (self, fetch->id, err) < 0)
        return -1;
    int rc = fetch->build ? jobs_fail (self, fetch->build, &fault, err)
                          : firings_on_fetched (self, fetch->schedule, fetch->scheduled_ms, NULL, &fault, err);
    return rc == 0 && fault.code == ERR_DENIED ? audit_denied_later (self, fetch->principal, "fetch", reason, err) : rc;
}

int fetches_on_fetched (engine_t *self, const event_t *event, err_t *err)
{
    fetch_t fetch;
    int found = find (self, event_int (event, "fetch"), &fetch, err);
    if (found <= 0)
        return found;
    if (!json_is_true (json_object_get (event->header, "ok")))
        return on_failure (self, &fetch, event, err);
    if (fetch.build)
        return go_on (self, &fetch, event, err);
    if (drop (self, fetch.id, err) < 0)
        return -1;
    return firings_on_fetched (self, fetch.schedule, fetch.scheduled_ms, event->header, NULL, err);
}

/* -- to look at ------------------------------------------------------------------------------------------------- */

json_t *fetches_view (engine_t *self, int64_t build)
{
    json_t *view = NULL;
    query_t query = db_query (self->db, "SELECT tries, text FROM fetches WHERE build = :build");
    query_int (&query, ":build", build);
    if (query_step (&query))
        view = json_pack ("{s:I, s:s}", "tries", (json_int_t) query_get_int (&query, 0), "text", query_get_text (&query, 1));
    query_end (&query, NULL);
    return view ? view : json_null ();
}

char *fetches_explain (engine_t *self, int64_t build)
{
    query_t query = db_query (self->db, "SELECT tries, text FROM fetches WHERE build = :build");
    query_int (&query, ":build", build);
    return cells_tries (query, "its context is being fetched");
}
