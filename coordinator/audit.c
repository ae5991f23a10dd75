/* audit.c - see audit.h. */
#include "coordinator/audit.h"

#include <stdio.h>
#include <string.h>

#include "common/chain.h"
#include "common/mem.h"
#include "coordinator/cells.h"
#include "coordinator/principals.h"

enum { HOUR_MS = 3600000, FOUND_MAX = 200, PAGE_MAX = 200, DETAIL_MAX = 400 };

/* -- rows -------------------------------------------------------------------------------------------------------- */

#define COLUMNS "id, at_ms, who, key, act, subject, outcome, detail, times, hash FROM audit "

static json_t *row_of (const query_t *query)
{
    return json_pack ("{s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s}", "id", (json_int_t) query_get_int (query, 0),
                      "at_ms", (json_int_t) query_get_int (query, 1), "who", query_get_text (query, 2), "key", query_get_text (query, 3),
                      "act", query_get_text (query, 4), "subject", query_get_text (query, 5), "outcome", query_get_text (query, 6),
                      "detail", query_get_text (query, 7), "times", (json_int_t) query_get_int (query, 8), "hash", query_get_text (query, 9));
}

/* The last row's; none: 0 and chain_start. */
static int read_head (engine_t *self, int64_t *id, char hash [CHAIN_HEX_SIZE + 1], err_t *err)
{
    *id = 0;
    snprintf (hash, CHAIN_HEX_SIZE + 1, "%s", chain_start);
    query_t query = db_query (self->db, "SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1");
    if (query_step (&query)) {
        *id = query_get_int (&query, 0);
        snprintf (hash, CHAIN_HEX_SIZE + 1, "%s", query_get_text (&query, 1));
    }
    return query_end (&query, err);
}

static const char *field (const json_t *row, const char *name)
{
    return json_string_value (json_object_get (row, name));
}

static int insert (engine_t *self, const json_t *row, const char *hash, err_t *err)
{
    query_t query = db_query (self->db, "INSERT INTO audit (id, at_ms, who, key, act, subject, outcome, detail, times, hash) "
                              "VALUES (:id, :at_ms, :who, :key, :act, :subject, :outcome, :detail, :times, :hash)");
    query_text (&query, ":who", field (row, "who"));
    query_text (&query, ":key", field (row, "key"));
    query_text (&query, ":act", field (row, "act"));
    query_text (&query, ":subject", field (row, "subject"));
    query_text (&query, ":outcome", field (row, "outcome"));
    query_text (&query, ":detail", field (row, "detail"));
    query_int (&query, ":id", json_integer_value (json_object_get (row, "id")));
    query_int (&query, ":at_ms", json_integer_value (json_object_get (row, "at_ms")));
    query_int (&query, ":times", json_integer_value (json_object_get (row, "times")));
    query_text (&query, ":hash", hash);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* Text that JSON can hold: what was cut within a character loses that. */
static json_t *text_of (const char *text)
{
    AUTO_FREE char *cut = mem_strndup (text, strlen (text) < DETAIL_MAX ? strlen (text) : DETAIL_MAX);
    json_t *value = json_string (cut);
    for (size_t size = strlen (cut); !value && size > 0; value = json_string (cut))
        cut [--size] = 0;
    return value ? value : json_string ("");
}

int audit_append (engine_t *self, const audit_entry_t *entry, err_t *err)
{
    int64_t id;
    char before [CHAIN_HEX_SIZE + 1], hash [CHAIN_HEX_SIZE + 1];
    if (read_head (self, &id, before, err) < 0)
        return -1;
    AUTO_JSON json_t *row = json_pack ("{s:I, s:I, s:o, s:s, s:s, s:o, s:s, s:o, s:I}", "id", (json_int_t) id + 1, "at_ms",
                                       (json_int_t) self->wall_ms, "who", text_of (entry->who), "key", entry->key, "act", entry->act,
                                       "subject", text_of (entry->subject), "outcome", entry->outcome, "detail", text_of (entry->detail),
                                       "times", (json_int_t) entry->times);
    chain_hash (before, row, hash);
    self->audit.is_changed = true;
    return insert (self, row, hash, err);
}

/* -- what is done and found --------------------------------------------------------------------------------------- */

int audit_find_speaker (engine_t *self, int64_t principal, speaker_t *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT name, key FROM principals WHERE id = :id");
    query_int (&query, ":id", principal);
    *out = (speaker_t) { .name = "" };
    if (query_step (&query)) {
        snprintf (out->name, sizeof out->name, "%s", query_get_text (&query, 0));
        snprintf (out->key, sizeof out->key, "%s", query_get_text (&query, 1));
    }
    return query_end (&query, err);
}

int audit_done (engine_t *self, const event_t *event, const char *subject, const char *detail, err_t *err)
{
    speaker_t by;
    if (audit_find_speaker (self, event->principal, &by, err) < 0)
        return -1;
    const audit_entry_t entry = { by.name, by.key, event->verb, subject, "done", detail, 1 };
    return audit_append (self, &entry, err);
}

int audit_of_another (engine_t *self, const event_t *event, int64_t owner, const char *subject, const char *detail, err_t *err)
{
    AUTO_FREE char *text = mem_printf ("%s%sof another user", detail, *detail ? ", " : "");
    return owner == event->principal ? 0 : audit_done (self, event, subject, text, err);
}

int audit_done_at_start (engine_t *self, const char *subject, const char *detail, err_t *err)
{
    const audit_entry_t entry = { "coordinator", "", "start", subject, "done", detail, 1 };
    return audit_append (self, &entry, err);
}

/* May another row be written in this hour? */
static bool may_tell (engine_t *self)
{
    audit_t *audit = &self->audit;
    if (audit->hour_since == 0 || self->boot_ms - audit->hour_since >= HOUR_MS) {
        audit->hour_since = self->boot_ms;
        audit->hour_count = 0;
    }
    return audit->hour_count++ < FOUND_MAX;
}

int audit_found (engine_t *self, const char *act, const char *subject, const char *detail, err_t *err)
{
    const audit_entry_t entry = { "coordinator", "", act, subject, "found", detail, 1 };
    return may_tell (self) ? audit_append (self, &entry, err) : 0;
}

int audit_on_prune (engine_t *self, const event_t *event, err_t *err)
{
    return audit_done (self, event, "", json_is_true (json_object_get (event->header, "dry_run")) ? "dry run" : "", err);
}

/* -- reading ------------------------------------------------------------------------------------------------------ */

/* With `last` the last ones, else those behind `after`. As many as fit a message. */
static int read_page (engine_t *self, const event_t *event, json_t *page, bool *has_more, err_t *err)
{
    int64_t last = event_int (event, "last"), since = event_int (event, "since_ms"), head;
    char hash [CHAIN_HEX_SIZE + 1];
    int size = 0;
    if (read_head (self, &head, hash, err) < 0)
        return -1;
    query_t query = db_query (self->db, "SELECT " COLUMNS "WHERE id > :after AND at_ms >= :since ORDER BY id LIMIT :limit");
    query_int (&query, ":after", last ? head - last : event_int (event, "after"));
    query_int (&query, ":since", since);
    query_int (&query, ":limit", PAGE_MAX + 1);
    *has_more = false;
    while (!*has_more && query_step (&query)) {
        json_t *row = row_of (&query);
        size += row ? cell_size (row) : 0;
        *has_more = size > LIST_MAX || json_array_size (page) == PAGE_MAX;
        if (*has_more)
            json_decref (row);
        else
            json_array_append_new (page, row ? row : json_object ());
    }
    return query_end (&query, err);
}

int audit_on_audit (engine_t *self, const event_t *event, err_t *err)
{
    AUTO_JSON json_t *page = json_array ();
    bool has_more;
    if (read_page (self, event, page, &has_more, err) < 0)
        return -1;
    engine_answer (self, event, "audit-rows", json_pack ("{s:O, s:b}", "rows", page, "has_more", has_more));
    return 0;
}

/* -- what is kept of it elsewhere ---------------------------------------------------------------------------------- */

bool engine_take_audit_head (engine_t *self, int64_t *id, char *hash)
{
    bool is_changed = self->audit.is_changed && read_head (self, id, hash, NULL) == 0;
    self->audit.is_changed = false;
    return is_changed;
}

int engine_check_audit_head (engine_t *self, int64_t id, const char *hash, int64_t wall_ms, bool *is_there, err_t *err)
{
    query_t query = db_query (self->db, "SELECT 1 FROM audit WHERE id = :id AND hash = :hash");
    query_int (&query, ":id", id);
    query_text (&query, ":hash", hash);
    *is_there = query_step (&query);
    if (query_end (&query, err) < 0 || *is_there)
        return *is_there ? 0 : -1;
    AUTO_FREE char *detail = mem_printf ("the log had %lld rows when it was written last, the last with hash %s, and that row is not there: it was cut or changed",
                                         (long long) id, hash);
    self->wall_ms = wall_ms;
    return audit_found (self, "start", "", detail, err);
}
