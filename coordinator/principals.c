/* principals.c - see principals.h. Keys are hex, as they arrive with each message: whoever has spoken once is known in memory. */
#include "coordinator/principals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

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

#define SELECT "SELECT id, role, name, key FROM principals WHERE revoked_ms IS NULL AND "

static int read_one (engine_t *self, query_t *query, principal_t *out, err_t *err)
{
    known_principal_t found;
    bool is_found = query_step (query);
    if (is_found) {
        found.who.id = query_get_int (query, 0);
        snprintf (found.who.role, sizeof found.who.role, "%s", query_get_text (query, 1));
        snprintf (found.who.name, sizeof found.who.name, "%s", query_get_text (query, 2));
        snprintf (found.key, sizeof found.key, "%s", query_get_text (query, 3));
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
