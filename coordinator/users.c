/* users.c - see users.h. */
#include "coordinator/users.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/audit.h"
#include "coordinator/boards.h"
#include "coordinator/builds.h"
#include "coordinator/cells.h"
#include "coordinator/holds.h"
#include "coordinator/invitations.h"
#include "coordinator/principals.h"
#include "coordinator/schedules.h"
#include "coordinator/workers.h"

/* -- views ------------------------------------------------------------------------------------------------------- */

#define COLUMNS "principals.id, name, coalesce (invitations.role, principals.role), principals.role = 'invitation', created_ms, expires_ms, key " \
                "FROM principals LEFT JOIN invitations ON invitations.principal = principals.id "

static json_t *user_of (engine_t *self, const query_t *query)
{
    bool is_invited = query_get_int (query, 3) != 0;
    const char *state = !is_invited ? "active" : query_get_int (query, 5) > self->wall_ms ? "invited" : "expired";
    return json_pack ("{s:I, s:o, s:o, s:s, s:o, s:o, s:o}", "id", (json_int_t) query_get_int (query, 0), "name", cell_text (query, 1, 63),
                      "role", cell_text (query, 2, 16), "state", state, "created_ms", cell_int (query, 4),
                      "expires_ms", is_invited ? cell_int (query, 5) : json_null (), "key", cell_text (query, 6, 64));
}

static int add_limits (engine_t *self, json_t *user, err_t *err)
{
    json_t *limits = principal_limits (self, json_integer_value (json_object_get (user, "id")), err);
    if (limits)
        json_object_set_new (user, "limits", limits);
    return limits ? 0 : -1;
}

static json_t *view_user (engine_t *self, int64_t id, err_t *err)
{
    AUTO_JSON json_t *user = NULL;
    query_t query = db_query (self->db, "SELECT " COLUMNS "WHERE principals.id = :id");
    query_int (&query, ":id", id);
    if (query_step (&query))
        user = user_of (self, &query);
    if (query_end (&query, err) < 0 || !user || add_limits (self, user, err) < 0)
        return NULL;
    return take (&user);
}

/* Workers are not among them, but those that are invited. */
static int read_page (engine_t *self, const event_t *event, json_t *page, err_t *err)
{
    query_t query = db_query (self->db, "SELECT " COLUMNS "WHERE revoked_ms IS NULL AND used_ms IS NULL AND principals.role <> 'worker' "
                              "AND (principals.role <> 'invitation' OR invitations.role IS NOT NULL) AND principals.id > :after "
                              "ORDER BY principals.id LIMIT 100");
    query_int (&query, ":after", event_int (event, "after"));
    while (query_step (&query))
        json_array_append_new (page, user_of (self, &query));
    return query_end (&query, err);
}

int users_on_users (engine_t *self, const event_t *event, err_t *err)
{
    AUTO_JSON json_t *page = json_array ();
    AUTO_JSON json_t *shown = json_array ();
    json_t *user;
    size_t i;
    int size = 0;
    if (read_page (self, event, page, err) < 0)
        return -1;
    json_array_foreach (page, i, user) {
        if (add_limits (self, user, err) < 0)
            return -1;
        size += cell_size (user);
        if (i > 0 && size > LIST_MAX)
            break;
        json_array_append (shown, user);
    }
    bool has_more = json_array_size (shown) < json_array_size (page) || json_array_size (page) == 100;
    engine_answer (self, event, "user-list", json_pack ("{s:O, s:b}", "users", shown, "has_more", has_more));
    return 0;
}

/* -- role and limits ---------------------------------------------------------------------------------------------- */

static int check_last_admin (engine_t *self, const principal_t *who, err_t *err)
{
    int64_t others = 0;
    if (strcmp (who->role, "admin") != 0)
        return 0;
    query_t query = db_query (self->db, "SELECT count (*) FROM principals WHERE role = 'admin' AND revoked_ms IS NULL AND id <> :id");
    query_int (&query, ":id", who->id);
    if (query_step (&query))
        others = query_get_int (&query, 0);
    if (query_end (&query, err) < 0)
        return -1;
    return others ? 0 : err_set (err, ERR_USAGE, "%s is the last admin: make another one first (farmctl user add NAME --role admin)", who->name);
}

static int set_role (engine_t *self, const principal_t *who, const char *role, err_t *err)
{
    if (!role || strcmp (role, who->role) == 0)
        return 0;
    if (check_last_admin (self, who, err) < 0)
        return -1;
    query_t query = db_query (self->db, "UPDATE principals SET role = :role WHERE id = :id");
    query_text (&query, ":role", role);
    query_int (&query, ":id", who->id);
    if (query_run (&query, err) < 0)
        return -1;
    engine_tell (self, "user %s is %s now", who->name, role);
    if (strcmp (who->role, "admin") == 0 && invitations_withdraw (self, who->name, err) < 0)
        return -1;
    return principal_announce (self, who->id, err);
}

int users_on_grant (engine_t *self, const event_t *event, err_t *err)
{
    principal_t who;
    const json_t *limits = json_object_get (event->header, "limits");
    if (principal_of_name (self, PEOPLE, event_text (event, "name"), &who, err) < 0
        || set_role (self, &who, event_text (event, "role"), err) < 0 || schedules_end_orphans (self, err) < 0
        || (limits && (principal_set_limits (self, who.id, limits, err) < 0 || holds_settle (self, who.id, err) < 0)))
        return -1;
    const char *role = event_text (event, "role");
    AUTO_FREE char *text = json_dumps (limits, JSON_COMPACT), *detail = mem_printf ("%s%s%s", role ? role : "", role && text ? ", " : "", text ? text : "");
    if (audit_done (self, event, who.name, detail, err) < 0)
        return -1;
    json_t *view = view_user (self, who.id, err);
    if (!view)
        return -1;
    engine_answer (self, event, "user-state", json_pack ("{s:o}", "user", view));
    return 0;
}

/* -- taken back -------------------------------------------------------------------------------------------------- */

static int next_live (engine_t *self, int64_t principal, int64_t after, int64_t *build, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id FROM builds WHERE principal = :principal AND id > :after AND state IN ('queued', 'running') ORDER BY id LIMIT 1");
    query_int (&query, ":principal", principal);
    query_int (&query, ":after", after);
    *build = query_step (&query) ? query_get_int (&query, 0) : 0;
    return query_end (&query, err);
}

/* What is being published goes on: it was verified. */
static int cancel_builds (engine_t *self, const principal_t *who, int64_t *count, err_t *err)
{
    int64_t build = 0;
    AUTO_FREE char *cause = mem_printf ("the right of %s was taken back", who->name);
    for (*count = 0;; ++*count) {
        if (next_live (self, who->id, build, &build, err) < 0)
            return -1;
        if (build == 0)
            return 0;
        if (build_cancel (self, build, cause, err) < 0)
            return -1;
    }
}

static int revoke_user (engine_t *self, const principal_t *who, int64_t *count, err_t *err)
{
    if (check_last_admin (self, who, err) < 0 || principal_revoke (self, who->id, err) < 0
        || invitations_withdraw (self, who->name, err) < 0 || schedules_end_orphans (self, err) < 0)
        return -1;
    return cancel_builds (self, who, count, err);
}

static int revoke_worker (engine_t *self, const principal_t *who, int64_t *count, err_t *err)
{
    board_t *board = board_of_principal (self, who->id);
    if (principal_revoke (self, who->id, err) < 0)
        return -1;
    if (!board)
        return 0;
    int64_t id = board->id;
    return board_order (self, board, MODE_FORGOTTEN, NULL, NULL, err) < 0 ? -1 : workers_send_away (self, id, "its right was taken back", count, err);
}

/* By the name that it shows itself under, else by the one that its key came with. */
static int find_worker (engine_t *self, const char *name, principal_t *out, err_t *err)
{
    const board_t *board = board_of_name (self, name);
    if (board && principal_load (self, board->principal, out, NULL) == 0)
        return 0;
    return principal_of_name (self, WORKERS, name, out, err);
}

/* One that waits: 0 where there is none. */
static int find_invitation (engine_t *self, const event_t *event, int64_t *id, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id FROM principals JOIN invitations ON principal = id WHERE revoked_ms IS NULL "
                              "AND used_ms IS NULL AND name = :name AND (invitations.role = 'worker') = :worker");
    query_text (&query, ":name", event_text (event, "name"));
    query_int (&query, ":worker", strcmp (event_text (event, "kind"), "worker") == 0);
    *id = query_step (&query) ? query_get_int (&query, 0) : 0;
    return query_end (&query, err);
}

int users_on_revoke (engine_t *self, const event_t *event, err_t *err)
{
    principal_t who;
    err_t why = { 0 };
    int64_t count = 0, invitation;
    const char *name = event_text (event, "name");
    bool is_worker = strcmp (event_text (event, "kind"), "worker") == 0;
    if (find_invitation (self, event, &invitation, err) < 0 || (invitation && principal_revoke (self, invitation, err) < 0))
        return -1;
    int rc = is_worker ? find_worker (self, name, &who, &why) : principal_of_name (self, PEOPLE, name, &who, &why);
    if (rc == 0)
        rc = is_worker ? revoke_worker (self, &who, &count, &why) : revoke_user (self, &who, &count, &why);
    if (rc < 0 && !(invitation && why.code == ERR_NOT_FOUND)) {
        *err = why;
        return -1;
    }
    if (audit_done (self, event, name, is_worker ? "worker" : "user", err) < 0)
        return -1;
    engine_tell (self, "the right of %s %s was taken back", is_worker ? "worker" : "user", name);
    engine_answer (self, event, "revoked", json_pack ("{s:s, s:I}", "name", name, is_worker ? "attempts" : "builds", (json_int_t) count));
    return 0;
}
