/* invitations.c - see invitations.h. The key of an invitation is a principal that may only join. One that is used up or too old stays
 * known for a day, so that whoever comes with it is told so, and not kept waiting. */
#include "coordinator/invitations.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "common/quantity.h"
#include "coordinator/audit.h"
#include "coordinator/boards.h"
#include "coordinator/principals.h"
#include "coordinator/workers.h"

enum { KEEP_MS = 86400000 };

/* -- invite ------------------------------------------------------------------------------------------------------ */

/* Those that nobody needs to be told of any more. */
static int tidy (engine_t *self, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id FROM principals JOIN invitations ON principal = id WHERE revoked_ms IS NULL "
                              "AND principals.role = 'invitation' AND coalesce (used_ms, expires_ms) < :before");
    query_int (&query, ":before", self->wall_ms - KEEP_MS);
    return engine_each_id (self, query, principal_revoke, err);
}

/* Of two strings for one name only the later one is good. */
static int replace (engine_t *self, const event_t *event, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id FROM principals JOIN invitations ON principal = id WHERE revoked_ms IS NULL "
                              "AND principals.role = 'invitation' AND used_ms IS NULL AND name = :name AND (invitations.role = 'worker') = :worker");
    query_text (&query, ":name", event_text (event, "name"));
    query_int (&query, ":worker", strcmp (event_text (event, "role"), "worker") == 0);
    return engine_each_id (self, query, principal_revoke, err);
}

static int check_name (engine_t *self, const event_t *event, err_t *err)
{
    bool is_taken;
    const char *name = event_text (event, "name");
    if (strcmp (event_text (event, "role"), "worker") == 0)
        return 0;               /* a board that was set up anew; its former key goes when the new one comes */
    if (principal_is_taken (self, name, event_text (event, "public_key"), &is_taken, err) < 0)
        return -1;
    return !is_taken ? 0 : err_set (err, ERR_USAGE, "there is a user %s: farmctl user role and user limit change what they may do, user rm takes "
                                    "their right back", name);
}

static int insert_principal (engine_t *self, const event_t *event, int64_t *id, err_t *err)
{
    query_t query = db_query (self->db, "INSERT INTO principals (key, role, name, created_ms, is_named) "
                              "VALUES (:key, 'invitation', :name, :now, 1) ON CONFLICT (key) DO NOTHING");
    query_text (&query, ":key", event_text (event, "public_key"));
    query_text (&query, ":name", event_text (event, "name"));
    query_int (&query, ":now", self->wall_ms);
    int changed = query_run (&query, err);
    *id = db_last_id (self->db);
    return changed < 0 ? -1 : changed ? 0 : err_set (err, ERR_USAGE, "this key is known already: make another one for each invitation");
}

static int insert (engine_t *self, const event_t *event, int64_t expires_ms, err_t *err)
{
    int64_t id;
    principal_t by;
    if (principal_load (self, event->principal, &by, err) < 0 || insert_principal (self, event, &id, err) < 0
        || principal_set_limits (self, id, json_object_get (event->header, "limits"), err) < 0)
        return -1;
    query_t query = db_query (self->db, "INSERT INTO invitations (principal, role, invited_by, expires_ms) VALUES (:id, :role, :by, :expires)");
    query_int (&query, ":id", id);
    query_text (&query, ":role", event_text (event, "role"));
    query_text (&query, ":by", by.name);
    query_int (&query, ":expires", expires_ms);
    return query_run (&query, err) < 0 ? -1 : principal_announce (self, id, err);
}

int invitations_on_invite (engine_t *self, const event_t *event, err_t *err)
{
    int64_t expires_ms = self->wall_ms + event_int (event, "expire_ms");
    if (tidy (self, err) < 0 || replace (self, event, err) < 0 || check_name (self, event, err) < 0 || insert (self, event, expires_ms, err) < 0)
        return -1;
    AUTO_FREE char *limits = json_dumps (json_object_get (event->header, "limits"), JSON_COMPACT);
    AUTO_FREE char *detail = mem_printf ("%s%s%s", event_text (event, "role"), limits ? ", limits " : "", limits ? limits : "");
    if (audit_done (self, event, event_text (event, "name"), detail, err) < 0)
        return -1;
    engine_tell (self, "%s %s is invited", event_text (event, "role"), event_text (event, "name"));
    engine_answer (self, event, "invited", json_pack ("{s:I}", "expires_ms", (json_int_t) expires_ms));
    return 0;
}

int invitations_withdraw (engine_t *self, const char *invited_by, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id FROM principals JOIN invitations ON principal = id WHERE revoked_ms IS NULL "
                              "AND principals.role = 'invitation' AND used_ms IS NULL AND invited_by = :by");
    query_text (&query, ":by", invited_by);
    return engine_each_id (self, query, principal_revoke, err);
}

/* -- join -------------------------------------------------------------------------------------------------------- */

typedef struct {
    bool is_there, is_used;
    char role [16], name [64], used_by [65];
    int64_t expires_ms;
} invitation_row_t;

static int load (engine_t *self, int64_t principal, invitation_row_t *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT invitations.role, name, used_ms IS NOT NULL, used_by, expires_ms FROM invitations "
                              "JOIN principals ON id = principal WHERE principal = :principal");
    query_int (&query, ":principal", principal);
    *out = (invitation_row_t) { .is_there = query_step (&query) };
    if (out->is_there) {
        snprintf (out->role, sizeof out->role, "%s", query_get_text (&query, 0));
        snprintf (out->name, sizeof out->name, "%s", query_get_text (&query, 1));
        out->is_used = query_get_int (&query, 2) != 0;
        snprintf (out->used_by, sizeof out->used_by, "%s", out->is_used ? query_get_text (&query, 3) : "");
        out->expires_ms = query_get_int (&query, 4);
    }
    return query_end (&query, err);
}

static int check_good (engine_t *self, const event_t *event, const invitation_row_t *row, err_t *err)
{
    char since [QUANTITY_SIZE];
    bool is_worker = strcmp (event_text (event, "kind"), "worker") == 0, is_for_worker = strcmp (row->role, "worker") == 0;
    if (is_worker != is_for_worker)
        return err_set (err, ERR_DENIED, is_for_worker ? "this join string is for the worker %s: farm-worker join, on its machine"
                                                       : "this join string is for the user %s: farmctl join", row->name);
    if (row->is_used && strcmp (row->used_by, event_text (event, "public_key")) != 0)
        return err_set (err, ERR_DENIED, "this join string was used already, and works once: ask for another one; and tell an admin of the farm, if "
                        "it was not you who used it");
    if (!row->is_used && row->expires_ms <= self->wall_ms)
        return err_set (err, ERR_DENIED, "this join string has expired, %s ago: ask for another one (farmctl %s %s)",
                        quantity_duration ((self->wall_ms - row->expires_ms) / 1000 * 1000, since), is_worker ? "worker invite" : "user add", row->name);
    return 0;
}

/* Nobody has shown that the key is theirs: with a string of one's own and the key of somebody else, that one would have another name and
 * other limits. A worker that is invited again under its name may keep its key. */
static int check_key (engine_t *self, const event_t *event, const invitation_row_t *row, err_t *err)
{
    principal_t found;
    err_t why = { 0 };
    if (row->is_used)           /* by this key: the same join once more */
        return 0;
    if (engine_find_principal (self, event_text (event, "public_key"), &found, &why) < 0) {
        if (why.code == ERR_DENIED)
            return 0;
        *err = why;
        return -1;
    }
    if (strcmp (found.role, row->role) == 0 && strcmp (found.role, "worker") == 0 && strcmp (found.name, row->name) == 0)
        return 0;
    return err_set (err, ERR_DENIED, "this key is enrolled already, as the %s %s: move its file away, and join as %s with a new one", found.role, found.name, row->name);
}

static int send_away (engine_t *self, int64_t principal, err_t *err)
{
    int64_t count = 0;
    const board_t *board = board_of_principal (self, principal);
    if (principal_revoke (self, principal, err) < 0)
        return -1;
    return board ? workers_send_away (self, board->id, "another key has joined under its name", &count, err) : 0;
}

/* A board that was set up anew has a new key, and the former one is out of the world or in wrong hands. */
static int replace_worker (engine_t *self, const event_t *event, const char *name, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id FROM principals WHERE role = 'worker' AND name = :name AND is_named AND key <> :key "
                              "AND revoked_ms IS NULL");
    query_text (&query, ":name", name);
    query_text (&query, ":key", event_text (event, "public_key"));
    return engine_each_id (self, query, send_away, err);
}

static int note_used (engine_t *self, const event_t *event, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE invitations SET used_ms = :now, used_by = :key WHERE principal = :principal");
    query_int (&query, ":now", self->wall_ms);
    query_text (&query, ":key", event_text (event, "public_key"));
    query_int (&query, ":principal", event->principal);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* What the invitation says goes over to the key that came with it. */
static int hand_over (engine_t *self, const event_t *event, int64_t to, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE principals SET (name, is_named, repositories, max_queued, max_running) = (SELECT name, 1, repositories, "
                              "max_queued, max_running FROM principals WHERE id = :from) WHERE id = :to");
    query_int (&query, ":from", event->principal);
    query_int (&query, ":to", to);
    return query_run (&query, err) < 0 ? -1 : 0;
}

static void answer (engine_t *self, const event_t *event, const char *role, const char *name)
{
    engine_answer (self, event, "joined", json_pack ("{s:s, s:s}", "role", role, "name", name));
}

static int let_in (engine_t *self, const event_t *event, int64_t id, const char *role, const char *name, err_t *err)
{
    if (principal_announce (self, id, err) < 0 || audit_done (self, event, name, event_text (event, "public_key"), err) < 0)
        return -1;
    engine_tell (self, "%s %s has joined, with key %s", role, name, event_text (event, "public_key"));
    answer (self, event, role, name);
    return 0;
}

static int join_invited (engine_t *self, const event_t *event, const invitation_row_t *row, err_t *err)
{
    int64_t id;
    bool is_worker = strcmp (row->role, "worker") == 0;
    if (check_good (self, event, row, err) < 0 || check_key (self, event, row, err) < 0
        || engine_add_principal (self, event_text (event, "public_key"), row->role, row->name, self->wall_ms, &id, err) < 0)
        return -1;
    if (row->is_used) {         /* the answer was lost: nothing is done twice, nor taken down */
        answer (self, event, row->role, row->name);
        return 0;
    }
    if ((is_worker && replace_worker (self, event, row->name, err) < 0) || hand_over (self, event, id, err) < 0 || note_used (self, event, err) < 0)
        return -1;
    return let_in (self, event, id, row->role, row->name, err);
}

/* With the invitation that works for everybody (setup.h). Under which name such a worker shows itself it says with each hello. */
static int join_standing (engine_t *self, const event_t *event, err_t *err)
{
    int64_t id;
    principal_t found;
    bool is_taken = false, is_user = strcmp (event_text (event, "kind"), "submitter") == 0;
    const char *kind = event_text (event, "kind"), *name = event_text (event, "name"), *key = event_text (event, "public_key");
    if (engine_find_principal (self, key, &found, NULL) == 0 && strcmp (found.role, kind) == 0) {
        answer (self, event, kind, is_user ? found.name : name);
        return 0;
    }
    if (is_user && principal_is_taken (self, name, key, &is_taken, err) < 0)
        return -1;
    if (is_taken)
        return err_set (err, ERR_DENIED, "the name %s is taken by another key: join under another one (--name), or have the admin take "
                        "the other key back", name);
    if (engine_add_principal (self, key, kind, name, self->wall_ms, &id, err) < 0)
        return -1;
    return let_in (self, event, id, kind, name, err);
}

int invitations_on_join (engine_t *self, const event_t *event, err_t *err)
{
    invitation_row_t row;
    if (load (self, event->principal, &row, err) < 0)
        return -1;
    return row.is_there ? join_invited (self, event, &row, err) : join_standing (self, event, err);
}
