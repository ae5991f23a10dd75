/* principals.c - see principals.h. Keys are hex, as they arrive with each message. */
#include "coordinator/principals.h"

#include <stdio.h>
#include <string.h>

static int read_one (query_t *query, principal_t *out, err_t *err)
{
    bool is_found = query_step (query);
    if (is_found) {
        out->id = query_get_int (query, 0);
        snprintf (out->role, sizeof out->role, "%s", query_get_text (query, 1));
        snprintf (out->name, sizeof out->name, "%s", query_get_text (query, 2));
    }
    if (query_end (query, err) < 0)
        return -1;
    return is_found ? 0 : err_set (err, ERR_DENIED, "this key is not known here (any more): join the farm again");
}

int engine_find_principal (engine_t *self, const char *key_hex, principal_t *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id, role, name FROM principals WHERE key = :key AND revoked_ms IS NULL");
    query_text (&query, ":key", key_hex);
    return read_one (&query, out, err);
}

int principal_load (engine_t *self, int64_t id, principal_t *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id, role, name FROM principals WHERE id = :id AND revoked_ms IS NULL");
    query_int (&query, ":id", id);
    return read_one (&query, out, err);
}

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

/* A name tells people whose a build is, so two may not have one. Workers' names are looked at when they say hello. */
static int check_name (engine_t *self, const event_t *event, err_t *err)
{
    const char *name = event_text (event, "name");
    query_t query = db_query (self->db, "SELECT 1 FROM principals WHERE name = :name AND key <> :key AND revoked_ms IS NULL "
                              "AND role IN ('admin', 'submitter', 'viewer')");
    query_text (&query, ":name", name);
    query_text (&query, ":key", event_text (event, "public_key"));
    bool is_taken = query_step (&query);
    if (query_end (&query, err) < 0)
        return -1;
    if (!is_taken)
        return 0;
    return err_set (err, ERR_DENIED, "the name %s is taken by another key: join under another one (--name), or have the admin take "
                    "the other key back", name);
}

int principals_on_join (engine_t *self, const event_t *event, err_t *err)
{
    int64_t id;
    const char *kind = event_text (event, "kind");
    if (strcmp (kind, "submitter") == 0 && check_name (self, event, err) < 0)
        return -1;
    if (engine_add_principal (self, event_text (event, "public_key"), kind, event_text (event, "name"), self->wall_ms, &id,
                              err) < 0)
        return -1;
    engine_answer (self, event, "joined", json_pack ("{s:s}", "role", kind));
    return 0;
}
