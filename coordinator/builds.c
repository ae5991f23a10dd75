/* builds.c - see builds.h. */
#include "coordinator/builds.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/audit.h"
#include "coordinator/principals.h"
#include "coordinator/view.h"

/* -- states ----------------------------------------------------------------------------------------------------- */

build_state build_state_now (engine_t *self, int64_t build)
{
    build_state state = BUILD_STATES;
    query_t query = db_query (self->db, "SELECT state FROM builds WHERE id = :id");
    query_int (&query, ":id", build);
    if (query_step (&query))
        state = build_state_of (query_get_text (&query, 0));
    query_end (&query, NULL);
    return state;
}

bool builds_is_over (engine_t *self, int64_t build)
{
    return build_state_is_over (build_state_now (self, build));
}

int build_begin (engine_t *self, int64_t build, err_t *err)
{
    if (build_state_now (self, build) != BUILD_QUEUED)
        return 0;
    return build_move (self, build, BUILD_QUEUED, BUILD_RUNNING, "the first job has begun", err);
}

int build_fail (engine_t *self, int64_t build, const fault_t *fault, err_t *err)
{
    build_state state = build_state_now (self, build);
    return build_state_is_over (state) ? 0 : build_end (self, build, state, BUILD_FAILED, fault, err);
}

json_t *build_spec (engine_t *self, int64_t build, char repository [512], err_t *err)
{
    json_t *spec = NULL;
    query_t query = db_query (self->db, "SELECT spec, repository FROM builds WHERE id = :id");
    query_int (&query, ":id", build);
    if (query_step (&query)) {
        spec = json_loads (query_get_text (&query, 0), 0, NULL);
        snprintf (repository, 512, "%s", query_get_text (&query, 1));
    }
    if (query_end (&query, err) < 0) {
        json_decref (spec);
        return NULL;
    }
    if (!spec)
        err_set (err, ERR_FARM, "the spec of build %lld cannot be read any more: its row in farm.db is damaged. Submit it again, and check the coordinator's disk",
                 (long long) build);
    return spec;
}

/* -- whose it is ----------------------------------------------------------------------------------------------------- */

int build_owner (engine_t *self, int64_t build, int64_t *owner, err_t *err)
{
    query_t query = db_query (self->db, "SELECT principal FROM builds WHERE id = :id");
    query_int (&query, ":id", build);
    *owner = query_step (&query) ? query_get_int (&query, 0) : 0;
    if (query_end (&query, err) < 0)
        return -1;
    return *owner ? 0 : err_set (err, ERR_NOT_FOUND, "there is no build %lld: farmctl ls shows which there are", (long long) build);
}

int build_check_owner (engine_t *self, const event_t *event, int64_t build, err_t *err)
{
    int64_t owner;
    principal_t by;
    if (principal_load (self, event->principal, &by, err) < 0 || build_owner (self, build, &owner, err) < 0)
        return -1;
    if (owner == by.id || strcmp (by.role, "admin") == 0)
        return 0;
    return err_set (err, ERR_DENIED, "build %lld belongs to somebody else: only they or an admin may do that", (long long) build);
}

int build_check_reader (engine_t *self, const event_t *event, int64_t build, err_t *err)
{
    int64_t owner, only = principal_sees (self, event->principal, err);
    if (only < 0 || build_owner (self, build, &owner, err) < 0)
        return -1;
    if (only == 0 || owner == only)
        return 0;
    return err_set (err, ERR_DENIED, "build %lld belongs to somebody else: only they, a viewer or an admin may look at it", (long long) build);
}

/* -- cancel ------------------------------------------------------------------------------------------------------- */

static int check_cancel (engine_t *self, int64_t build, err_t *err)
{
    build_state state = build_state_now (self, build);
    if (state == BUILD_PUBLISHING)
        return err_set (err, ERR_USAGE, "build %lld is being published: it is too late to cancel it", (long long) build);
    if (build_state_is_over (state))
        return err_set (err, ERR_USAGE, "build %lld is %s already: there is nothing to cancel", (long long) build,
                        build_state_name (state));
    return 0;
}

int build_cancel (engine_t *self, int64_t build, const char *cause, err_t *err)
{
    build_state state = build_state_now (self, build);
    fault_t fault = { .code = ERR_CANCELLED, .reason = cause, .exit_status = -1 };
    return jobs_cancel (self, build, cause, err) < 0 ? -1 : build_end (self, build, state, BUILD_CANCELLED, &fault, err);
}

int build_note_foreign (engine_t *self, const event_t *event, int64_t build, err_t *err)
{
    int64_t owner;
    char number [24];
    snprintf (number, sizeof number, "%lld", (long long) build);
    return build_owner (self, build, &owner, err) < 0 ? -1 : audit_of_another (self, event, owner, number, "", err);
}

int builds_on_cancel (engine_t *self, const event_t *event, err_t *err)
{
    int64_t build = event_int (event, "build");
    principal_t by;
    if (build_check_owner (self, event, build, err) < 0 || check_cancel (self, build, err) < 0
        || principal_load (self, event->principal, &by, err) < 0)
        return -1;
    AUTO_FREE char *cause = mem_printf ("cancelled by %s", by.name);
    if (build_cancel (self, build, cause, err) < 0 || build_note_foreign (self, event, build, err) < 0)
        return -1;
    json_t *view = view_build (self, build, err);
    if (!view)
        return -1;
    engine_answer (self, event, "build", json_pack ("{s:o}", "build", view));
    return 0;
}

int builds_on_spec (engine_t *self, const event_t *event, err_t *err)
{
    char repository [512];
    int64_t build = event_int (event, "build");
    if (build_check_owner (self, event, build, err) < 0 || build_note_foreign (self, event, build, err) < 0)
        return -1;
    json_t *spec = build_spec (self, build, repository, err);
    if (!spec)
        return -1;
    engine_answer (self, event, "build-spec", json_pack ("{s:o}", "spec", spec));
    return 0;
}
