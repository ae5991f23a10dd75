/* grants.c - see grants.h. */
#include "coordinator/grants.h"

#include <string.h>

#include "common/mem.h"
#include "common/reference.h"
#include "coordinator/attempts.h"
#include "coordinator/builds.h"

static int read_repository (engine_t *self, int64_t build, reference_t *repository, err_t *err)
{
    char text [512];
    AUTO_JSON json_t *spec = build_spec (self, build, text, err);
    return spec ? reference_parse (repository, text, err) : -1;
}

/* "repository:PATH:pull,push", perhaps with a second repository behind it: the schema has seen to its form. */
static bool may_push (const char *scope, const char *path)
{
    static const char before [] = "repository:", behind [] = ":pull,push";
    const char *colon = strchr (scope + sizeof before - 1, ':');
    size_t size = (size_t) (colon - scope) - (sizeof before - 1);
    bool wants_push = strncmp (colon, behind, sizeof behind - 1) == 0;
    return !wants_push || (strlen (path) == size && strncmp (scope + sizeof before - 1, path, size) == 0);
}

int grants_on_want (engine_t *self, const event_t *event, err_t *err)
{
    reference_t repository;
    const char *host = event_text (event, "host"), *scope = event_text (event, "scope");
    const lease_t *lease = attempt_of_speaker (self, event->principal, event_int (event, "job"), event_int (event, "attempt"),
                                               "nothing is shown to registries for it", err);
    if (!lease || read_repository (self, lease->build, &repository, err) < 0)
        return -1;
    bool is_own = strcmp (host, repository.host) == 0;
    if (!may_push (scope, is_own ? repository.path : ""))
        return err_set (err, ERR_DENIED, "build %lld is pushed to %s/%s: %s at %s is nothing that it may have", (long long) lease->build,
                        repository.host, repository.path, scope, host);
    engine_answer (self, event, "token", json_pack ("{s:s, s:s, s:b, s:I, s:I}", "host", host, "scope", scope, "is_own", is_own,
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
