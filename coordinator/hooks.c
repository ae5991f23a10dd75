/* hooks.c - see hooks.h. */
#include "coordinator/hooks.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/cells.h"

int hooks_set (engine_t *self, const event_t *event, const schedule_t *schedule, err_t *err)
{
    const char *sealed = event_text (event, "sealed"), *branch = event_text (event, "branch");
    if (!sealed)
        return err_set (err, ERR_PROTOCOL, "order-schedule: a hook takes a secret");
    if (strcmp (schedule->state, "ended") == 0)
        return err_set (err, ERR_USAGE, "schedule %s has ended: resume it before it gets a hook", schedule->name);
    query_t query = db_query (self->db, "INSERT INTO hooks (schedule, sealed, branch, set_ms) VALUES (:schedule, :sealed, :branch, :now) "
                              "ON CONFLICT (schedule) DO UPDATE SET sealed = :sealed, branch = :branch, set_ms = :now");
    query_int (&query, ":schedule", schedule->id);
    query_text (&query, ":sealed", sealed);
    query_text (&query, ":branch", branch ? branch : "");
    query_int (&query, ":now", self->wall_ms);
    return query_run (&query, err) < 0 ? -1 : 0;
}

int hooks_drop (engine_t *self, int64_t schedule, err_t *err)
{
    query_t query = db_query (self->db, "DELETE FROM hooks WHERE schedule = :schedule");
    query_int (&query, ":schedule", schedule);
    return query_run (&query, err) < 0 ? -1 : 0;
}

json_t *hooks_view (engine_t *self, int64_t schedule, err_t *err)
{
    AUTO_JSON json_t *view = NULL;
    query_t query = db_query (self->db, "SELECT branch, set_ms FROM hooks WHERE schedule = :schedule");
    query_int (&query, ":schedule", schedule);
    if (query_step (&query))
        view = json_pack ("{s:o, s:o}", "branch", cell_text (&query, 0, HOOK_BRANCH_MAX), "set_ms", cell_int (&query, 1));
    if (query_end (&query, err) < 0)
        return NULL;
    return view ? take (&view) : json_null ();
}

void hook_free (hook_t *self)
{
    free (self->sealed);
    *self = (hook_t) { 0 };
}

int engine_find_hook (engine_t *self, const char *name, hook_t *out, err_t *err)
{
    *out = (hook_t) { 0 };
    query_t query = db_query (self->db, "SELECT schedules.principal, hooks.sealed, hooks.branch, schedules.state = 'active' FROM schedules "
                              "JOIN hooks ON hooks.schedule = schedules.id WHERE schedules.name = :name");
    query_text (&query, ":name", name);
    if (query_step (&query)) {
        *out = (hook_t) { .owner = query_get_int (&query, 0), .sealed = mem_strdup (query_get_text (&query, 1)), .is_active = query_get_int (&query, 3) };
        snprintf (out->branch, sizeof out->branch, "%s", query_get_text (&query, 2));
    }
    if (query_end (&query, err) < 0) {
        hook_free (out);
        return -1;
    }
    return out->sealed ? 0 : err_set (err, ERR_NOT_FOUND, "no schedule %s has a hook", name);
}
