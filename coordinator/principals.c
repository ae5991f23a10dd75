/* principals.c - see principals.h. Keys are hex, as they arrive with each message: whoever has spoken once is known in memory. */
#include "coordinator/principals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/audit.h"
#include "coordinator/holds.h"
#include "coordinator/rights.h"

/* -- in memory -------------------------------------------------------------------------------------------------- */

/* A key is random: its first 16 digits are as good as any number of it. */
static int64_t number_of_key (const char *key_hex)
{
    char digits [17];
    snprintf (digits, sizeof digits, "%.16s", key_hex);
    return (int64_t) strtoull (digits, NULL, 16);
}

static const known_principal_t *remember (engine_t *self, const known_principal_t *principal)
{
    known_principals_t *known = &self->known;
    ptrdiff_t former = id_map_find (&known->by_id, principal->who.id);
    size_t place = former < 0 ? known->count++ : (size_t) former;
    known->items = mem_resize (known->items, known->count * sizeof *known->items);
    known->items [place] = *principal;
    id_map_set (&known->by_id, principal->who.id, place);
    id_map_set (&known->by_key, number_of_key (principal->key), place);
    return &known->items [place];
}

void principals_forget (engine_t *self)
{
    free (self->known.items);
    id_map_clear (&self->known.by_id);
    id_map_clear (&self->known.by_key);
    self->known = (known_principals_t) { 0 };
}

/* -- from the database ------------------------------------------------------------------------------------------ */

#define SELECT "SELECT id, role, name, key, is_named, max_queued, max_running FROM principals WHERE revoked_ms IS NULL AND "

static int read_one (engine_t *self, query_t *query, principal_t *out, err_t *err)
{
    known_principal_t found;
    bool is_found = query_step (query);
    if (is_found) {
        found.who.id = query_get_int (query, 0);
        snprintf (found.who.role, sizeof found.who.role, "%s", query_get_text (query, 1));
        snprintf (found.who.name, sizeof found.who.name, "%s", query_get_text (query, 2));
        snprintf (found.key, sizeof found.key, "%s", query_get_text (query, 3));
        found.who.is_named = query_get_int (query, 4) != 0;
        found.who.max_queued = query_get_int (query, 5);
        found.who.max_running = query_get_int (query, 6);
    }
    if (query_end (query, err) < 0)
        return -1;
    if (!is_found)
        return err_set (err, ERR_DENIED, "this key is not known here (any more): join the farm again");
    *out = remember (self, &found)->who;
    return 0;
}

int engine_find_principal (engine_t *self, const char *key_hex, principal_t *out, err_t *err)
{
    ptrdiff_t place = id_map_find (&self->known.by_key, number_of_key (key_hex));
    if (place >= 0 && strcmp (self->known.items [place].key, key_hex) == 0) {
        *out = self->known.items [place].who;
        return 0;
    }
    query_t query = db_query (self->db, SELECT "key = :key");
    query_text (&query, ":key", key_hex);
    return read_one (self, &query, out, err);
}

int principal_load (engine_t *self, int64_t id, principal_t *out, err_t *err)
{
    ptrdiff_t place = id_map_find (&self->known.by_id, id);
    if (place >= 0) {
        *out = self->known.items [place].who;
        return 0;
    }
    query_t query = db_query (self->db, SELECT "id = :id");
    query_int (&query, ":id", id);
    return read_one (self, &query, out, err);
}

int64_t principal_sees (engine_t *self, int64_t id, err_t *err)
{
    principal_t by;
    if (principal_load (self, id, &by, err) < 0)
        return -1;
    return rights_sees_all (by.role) ? 0 : by.id;
}

/* -- new ones --------------------------------------------------------------------------------------------------- */

static int insert (engine_t *self, const char *key_hex, const char *role, const char *name, int64_t wall_ms, err_t *err)
{
    query_t query = db_query (self->db, "INSERT INTO principals (key, role, name, created_ms) "
                              "VALUES (:key, :role, :name, :now) ON CONFLICT (key) DO NOTHING");
    query_text (&query, ":key", key_hex);
    query_text (&query, ":role", role);
    query_text (&query, ":name", name);
    query_int (&query, ":now", wall_ms);
    return query_run (&query, err) < 0 ? -1 : 0;
}

int engine_add_principal (engine_t *self, const char *key_hex, const char *role, const char *name, int64_t wall_ms,
                          int64_t *id, err_t *err)
{
    principal_t found;
    if (insert (self, key_hex, role, name, wall_ms, err) < 0)
        return -1;
    if (engine_find_principal (self, key_hex, &found, err) < 0)
        return err->code != ERR_DENIED ? -1 : err_set (err, ERR_DENIED, "this key has been taken back: remove its file to join "
                                                       "with a new one");
    *id = found.id;
    if (strcmp (found.role, role) != 0)
        return err_set (err, ERR_DENIED, "this key is enrolled already, as %s: make another for a %s", found.role, role);
    return 0;
}

void engine_each_key (engine_t *self, void (*each) (void *argument, const char *key_hex), void *argument)
{
    /* The callback asks the database too, but another statement: this one stands where it is. */
    query_t query = db_query (self->db, "SELECT key FROM principals WHERE revoked_ms IS NULL ORDER BY id");
    while (query_step (&query))
        each (argument, query_get_text (&query, 0));
    query_end (&query, NULL);
}

int64_t engine_owner_of_job (engine_t *self, int64_t job)
{
    int64_t owner = 0;
    query_t query = db_query (self->db, "SELECT builds.principal FROM jobs JOIN builds ON builds.id = jobs.build WHERE jobs.id = :job");
    query_int (&query, ":job", job);
    if (query_step (&query))
        owner = query_get_int (&query, 0);
    query_end (&query, NULL);
    return owner;
}

/* -- those of the state folder ----------------------------------------------------------------------------------- */

static int begin (engine_t *self, int64_t wall_ms, err_t *err)
{
    self->wall_ms = wall_ms;
    return db_do (self->db, "BEGIN IMMEDIATE", err);
}

/* rc: how it went. What was done is there with its rows, or neither is. */
static int end (engine_t *self, int rc, err_t *err)
{
    bool is_unknown;
    if (rc == 0)
        rc = db_commit (self->db, &is_unknown, err);
    else if (db_in_transaction (self->db))
        db_exec (self->db, "ROLLBACK", NULL);
    principals_forget (self);
    return rc;
}

static int make_admin (engine_t *self, const char *key_hex, err_t *err)
{
    int64_t id, before = db_changes (self->db);
    if (engine_add_principal (self, key_hex, "admin", "admin", self->wall_ms, &id, err) < 0)
        return -1;
    return db_changes (self->db) == before ? 0 : audit_done_at_start (self, "admin", key_hex, err);
}

int engine_make_admin (engine_t *self, const char *key_hex, int64_t wall_ms, err_t *err)
{
    return begin (self, wall_ms, err) < 0 ? -1 : end (self, make_admin (self, key_hex, err), err);
}

static int note_invitation (engine_t *self, const char *key_hex, const char *what, err_t *err)
{
    AUTO_FREE char *detail = mem_printf ("%s, %s", what, key_hex);
    return audit_done_at_start (self, "standing invitation", detail, err);
}

/* All but this one, or (NULL) all. */
static int end_invitations (engine_t *self, const char *but, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE principals SET revoked_ms = :now WHERE role = 'invitation' AND revoked_ms IS NULL "
                              "AND key IS NOT :key AND id NOT IN (SELECT principal FROM invitations) RETURNING key");
    query_int (&query, ":now", self->wall_ms);
    query_text (&query, ":key", but);
    int rc = 0;
    while (rc == 0 && query_step (&query))
        rc = note_invitation (self, query_get_text (&query, 0), "off", err);
    return query_end (&query, rc == 0 ? err : NULL) < 0 ? -1 : rc;
}

static int stand_invitation (engine_t *self, const char *key_hex, err_t *err)
{
    if (end_invitations (self, key_hex, err) < 0)
        return -1;
    if (!key_hex)
        return 0;
    query_t query = db_query (self->db, "INSERT INTO principals (key, role, name, created_ms) VALUES (:key, 'invitation', 'invitation', :now) "
                              "ON CONFLICT (key) DO UPDATE SET revoked_ms = NULL WHERE revoked_ms IS NOT NULL");
    query_text (&query, ":key", key_hex);
    query_int (&query, ":now", self->wall_ms);
    int changed = query_run (&query, err);
    return changed > 0 ? note_invitation (self, key_hex, "on", err) : changed;
}

int engine_stand_invitation (engine_t *self, const char *key_hex, int64_t wall_ms, err_t *err)
{
    return begin (self, wall_ms, err) < 0 ? -1 : end (self, stand_invitation (self, key_hex, err), err);
}

/* -- names ------------------------------------------------------------------------------------------------------- */

int principal_of_name (engine_t *self, principal_kind kind, const char *name, principal_t *out, err_t *err)
{
    query_t query = kind == WORKERS ? db_query (self->db, SELECT "role = 'worker' AND name = :name ORDER BY id DESC LIMIT 1")
                                    : db_query (self->db, SELECT "role IN ('admin', 'submitter', 'viewer') AND name = :name ORDER BY id LIMIT 1");
    query_text (&query, ":name", name);
    if (read_one (self, &query, out, err) == 0)
        return 0;
    if (err && err->code == ERR_DENIED)
        err_set (err, ERR_NOT_FOUND, kind == WORKERS ? "no worker's key is known under the name %s" : "there is no user %s: farmctl user ls shows them all", name);
    return -1;
}

/* A name tells people whose a build is, so two may not have one. Workers' names are looked at when they say hello. */
int principal_is_taken (engine_t *self, const char *name, const char *key_hex, bool *is_taken, err_t *err)
{
    query_t query = db_query (self->db, "SELECT 1 FROM principals LEFT JOIN invitations ON invitations.principal = principals.id "
                              "WHERE name = :name AND key <> :key AND revoked_ms IS NULL AND (principals.role IN ('admin', 'submitter', 'viewer') "
                              "OR (invitations.role <> 'worker' AND used_ms IS NULL AND expires_ms > :now))");
    query_text (&query, ":name", name);
    query_text (&query, ":key", key_hex);
    query_int (&query, ":now", self->wall_ms);
    *is_taken = query_step (&query);
    return query_end (&query, err);
}

/* -- changes ----------------------------------------------------------------------------------------------------- */

static int key_of (engine_t *self, int64_t id, char hex [65], err_t *err)
{
    query_t query = db_query (self->db, "SELECT key FROM principals WHERE id = :id");
    query_int (&query, ":id", id);
    snprintf (hex, 65, "%s", query_step (&query) ? query_get_text (&query, 0) : "");
    return query_end (&query, err);
}

static int announce (engine_t *self, int64_t id, const char *role, err_t *err)
{
    char hex [65];
    if (key_of (self, id, hex, err) < 0)
        return -1;
    engine_act (self, ACTION_PRINCIPAL, json_pack ("{s:s, s:I, s:s}", "key", hex, "id", (json_int_t) id, "role", role));
    return 0;
}

int principal_announce (engine_t *self, int64_t id, err_t *err)
{
    principal_t principal;
    principals_forget (self);
    return principal_load (self, id, &principal, err) < 0 ? -1 : announce (self, id, principal.role, err);
}

int principal_revoke (engine_t *self, int64_t id, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE principals SET revoked_ms = :now WHERE id = :id AND revoked_ms IS NULL");
    query_int (&query, ":now", self->wall_ms);
    query_int (&query, ":id", id);
    if (query_run (&query, err) < 0)
        return -1;
    principals_forget (self);
    return announce (self, id, "", err);
}

/* -- limits ------------------------------------------------------------------------------------------------------ */

static json_t *or_null (int64_t limit)
{
    return limit ? json_integer (limit) : json_null ();
}

json_t *principal_limits (engine_t *self, int64_t id, err_t *err)
{
    json_t *limits = NULL;
    query_t query = db_query (self->db, "SELECT repositories, max_queued, max_running FROM principals WHERE id = :id");
    query_int (&query, ":id", id);
    if (query_step (&query)) {
        json_t *repositories = json_loads (query_get_text (&query, 0), 0, NULL);
        limits = json_pack ("{s:o, s:o, s:o}", "repositories", repositories ? repositories : json_array (),
                            "max_queued", or_null (query_get_int (&query, 1)), "max_running", or_null (query_get_int (&query, 2)));
    }
    if (query_end (&query, err) == 0 && limits)
        return limits;
    json_decref (limits);
    return NULL;
}

static int check_patterns (const json_t *patterns, err_t *err)
{
    size_t i;
    json_t *pattern;
    json_array_foreach ((json_t *) patterns, i, pattern)
        if (repository_check_pattern (json_string_value (pattern), err) < 0)
            return -1;
    return 0;
}

static bool names_limit (const json_t *limits, const char *field, int64_t *out)
{
    const json_t *value = json_object_get (limits, field);
    *out = json_integer_value (value);
    return value != NULL;
}

int principal_set_limits (engine_t *self, int64_t id, const json_t *limits, err_t *err)
{
    int64_t queued, running;
    const json_t *repositories = json_object_get (limits, "repositories");
    bool has_queued = names_limit (limits, "max_queued", &queued), has_running = names_limit (limits, "max_running", &running);
    if (check_patterns (repositories, err) < 0)
        return -1;
    AUTO_FREE char *text = repositories ? json_dumps (repositories, JSON_COMPACT) : NULL;
    query_t query = db_query (self->db, "UPDATE principals SET repositories = coalesce (:repositories, repositories), "
                              "max_queued = iif (:has_queued, :queued, max_queued), max_running = iif (:has_running, :running, max_running) "
                              "WHERE id = :id");
    query_text (&query, ":repositories", text);
    query_int (&query, ":has_queued", has_queued);
    query_int (&query, ":queued", queued);
    query_int (&query, ":has_running", has_running);
    query_int (&query, ":running", running);
    query_int (&query, ":id", id);
    principals_forget (self);
    return query_run (&query, err) < 0 ? -1 : 0;
}
