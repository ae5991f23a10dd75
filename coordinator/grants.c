/* grants.c - see grants.h. */
#include "coordinator/grants.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"
#include "common/reference.h"
#include "coordinator/attempts.h"
#include "coordinator/bases.h"
#include "coordinator/builds.h"

/* What a worker asks for: where it has an attempt, and of which repositories. */
typedef struct {
    int64_t build;
    const char *host;
    reference_t own, released;      /* where workers push, and what that is published as */
} wish_t;

static int read_wish (engine_t *self, int64_t build, const char *host, wish_t *out, err_t *err)
{
    char text [512];
    *out = (wish_t) { .build = build, .host = host };
    AUTO_JSON json_t *spec = build_spec (self, build, text, err);
    const char *tag = json_string_value (json_array_get (json_object_get (spec, "tags"), 0));
    if (!spec || reference_parse (&out->own, text, err) < 0)
        return -1;
    if (!tag || reference_parse (&out->released, tag, NULL) < 0)
        out->released = out->own;
    return 0;
}

static bool is_at (const reference_t *repository, const char *host, const char *path)
{
    return strcmp (repository->host, host) == 0 && strcmp (repository->path, path) == 0;
}

/* As the worker's door has it. */
static bool is_base_of_all (const engine_t *self, const char *host, const char *path)
{
    AUTO_FREE char *name = mem_printf ("%s/%s", host, path);
    for (const char *const *pattern = self->settings.bases; pattern && *pattern; pattern++)
        if (fnmatch (*pattern, name, FNM_NOESCAPE) == 0)
            return true;
    return false;
}

static int check_pull (engine_t *self, const wish_t *wish, const char *path, err_t *err)
{
    bool is_base;
    if (is_at (&wish->own, wish->host, path) || is_at (&wish->released, wish->host, path) || is_base_of_all (self, wish->host, path))
        return 0;
    if (bases_name (self, wish->build, wish->host, path, &is_base, err) < 0)
        return -1;
    if (is_base)
        return 0;
    return err_set (err, ERR_DENIED, "%s/%.300s is no base image that the coordinator has read off the build's Dockerfile: name it there, without what only "
                    "a builder can tell, or have it added to registry/bases of the coordinator", wish->host, path);
}

static int check_push (const wish_t *wish, const char *path, const char *scope, err_t *err)
{
    return is_at (&wish->own, wish->host, path) ? 0 : err_set (err, ERR_DENIED, "build %lld is pushed to %s/%s: %s at %s is nothing that it may have",
                                                               (long long) wish->build, wish->own.host, wish->own.path, scope, wish->host);
}

/* "repository:PATH:pull,push", perhaps with a second repository to pull from behind it: the schema has seen to its form. */
static int check_scope (engine_t *self, const wish_t *wish, const char *scope, err_t *err)
{
    AUTO_FREE char *copy = mem_strdup (scope);
    char *rest = copy;
    for (char *part = strsep (&rest, " "); part; part = strsep (&rest, " ")) {
        strsep (&part, ":");
        const char *path = strsep (&part, ":");
        bool is_pull = part && strcmp (part, "pull") == 0;
        if (!path || (is_pull ? check_pull (self, wish, path, err) : check_push (wish, path, scope, err)) < 0)
            return path ? -1 : err_set (err, ERR_PROTOCOL, "%s is no scope", scope);
    }
    return 0;
}

int grants_on_want (engine_t *self, const event_t *event, err_t *err)
{
    wish_t wish;
    const char *host = event_text (event, "host"), *scope = event_text (event, "scope");
    const lease_t *lease = attempt_of_speaker (self, event->principal, event_int (event, "job"), event_int (event, "attempt"),
                                               "nothing is shown to registries for it", err);
    if (!lease || read_wish (self, lease->build, host, &wish, err) < 0 || check_scope (self, &wish, scope, err) < 0)
        return -1;
    engine_answer (self, event, "token", json_pack ("{s:s, s:s, s:b, s:I, s:I}", "host", host, "scope", scope, "is_own", strcmp (host, wish.own.host) == 0,
                                                    "job", (json_int_t) event_int (event, "job"), "attempt", (json_int_t) event_int (event, "attempt")));
    return 0;
}

bool engine_may_show (engine_t *self, const char *key_hex, int64_t job, int64_t attempt)
{
    principal_t who;
    err_t err;
    return engine_find_principal (self, key_hex, &who, NULL) == 0 && attempt_of_speaker (self, who.id, job, attempt, "", &err);
}

/* -- ssh agents ---------------------------------------------------------------------------------------------------- */

static bool has_agent (const json_t *spec, const char *agent)
{
    size_t i;
    json_t *id;
    json_array_foreach (json_object_get (spec, "ssh"), i, id)
        if (strcmp (json_string_value (id), agent) == 0)
            return true;
    return false;
}

int engine_find_agent (engine_t *self, int64_t worker, int64_t job, int64_t attempt, const char *agent, int64_t *build, int64_t *owner, err_t *err)
{
    char repository [512];
    const lease_t *lease = attempt_of_speaker (self, worker, job, attempt, "no agent is asked for it", err);
    if (!lease)
        return -1;
    *build = lease->build;
    AUTO_JSON json_t *spec = build_spec (self, lease->build, repository, err);
    if (!spec || build_owner (self, lease->build, owner, err) < 0)
        return -1;
    return has_agent (spec, agent) ? 0 : err_set (err, ERR_DENIED, "build %lld was submitted without the ssh agent %s (--ssh)", (long long) lease->build, agent);
}
