/* audit.c - farmctl audit show|verify: who has done what with the farm's rights, who was denied what; and whether that log is whole.
 *
 * verify computes the chain itself, and notes beside the settings how far it was whole: a log that is shorter or other than that later was
 * tampered with, whatever the coordinator says. */
#include <czmq.h>
#include <time.h>

#include "common/chain.h"
#include "common/enrol.h"
#include "common/file.h"
#include "farmctl/client.h"
#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/subverb.h"
#include "farmctl/track.h"
#include "farmctl/verbs.h"

/* -- show -------------------------------------------------------------------------------------------------------- */

static void add_row (output_table_t *table, const json_t *row)
{
    char at [32] = "";
    time_t seconds = (time_t) (track_int (row, "at_ms") / 1000);
    struct tm utc;
    if (gmtime_r (&seconds, &utc))
        strftime (at, sizeof at, "%Y-%m-%d %H:%M:%S", &utc);
    AUTO_FREE char *id = mem_printf ("%lld", (long long) track_int (row, "id"));
    AUTO_FREE char *who = *track_text (row, "who") ? mem_strdup (track_text (row, "who")) : mem_printf ("%.16s", track_text (row, "key"));
    AUTO_FREE char *times = track_int (row, "times") > 1 ? mem_printf ("%lld times: ", (long long) track_int (row, "times")) : mem_strdup ("");
    AUTO_FREE char *what = output_clean (mem_printf ("%s%s%s%s", times, track_text (row, "subject"), *track_text (row, "subject") ? " " : "", track_text (row, "detail")));
    const char *cells [] = { id, at, who, track_text (row, "act"), track_text (row, "outcome"), what };
    output_table_add (table, cells);
}

static int print (const json_t *rows, err_t *err)
{
    static const char *const heads [] = { "ROW", "TIME (UTC)", "WHO", "ACT", "OUTCOME", "WHAT" };
    if (output_is_json ())
        return output_json (json_pack ("{s:O}", "rows", rows), err);
    output_table_of (heads, 6, rows, add_row);
    return 0;
}

/* All rows behind `after` from since_ms on, or the last ones; to the caller, NULL with err. */
static json_t *read_rows (client_t *client, int64_t last, int64_t since_ms, err_t *err)
{
    json_t *all = json_array ();
    bool has_more = true;
    for (int64_t after = 0; has_more; last = 0) {
        json_t *question = json_pack ("{s:I, s:I}", "after", (json_int_t) after, "since_ms", (json_int_t) since_ms);
        if (last)
            json_object_set_new (question, "last", json_integer (last));
        AUTO (msg) msg_t *answer = client_ask (client, "audit", question, "audit-rows", 0, err);
        if (!answer) {
            json_decref (all);
            return NULL;
        }
        json_array_extend (all, json_object_get (msg_header (answer), "rows"));
        after = track_int (json_array_get (all, json_array_size (all) - 1), "id");
        has_more = msg_bool (answer, "has_more") && json_array_size (json_object_get (msg_header (answer), "rows")) > 0;
    }
    return all;
}

static int audit_show (int argc, char **argv, err_t *err)
{
    int64_t limit = 50, since = 0;
    const option_t options [] = { { "limit", 0, OPTION_NUMBER, &limit }, { "since", 0, OPTION_DURATION, &since }, { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (options, &argc, argv, err) < 0 || options_words (argc, argv, 0, 0, "audit show [--limit N] [--since TIME]", err) < 0)
        return -1;
    AUTO (client) client_t *client = client_new (err);
    AUTO_JSON json_t *rows = client ? read_rows (client, since ? 0 : limit, since ? zclock_time () - since : 0, err) : NULL;
    return rows ? print (rows, err) : -1;
}

/* -- verify ------------------------------------------------------------------------------------------------------- */

/* What was whole the last time, of this coordinator: id 0 for nothing. */
typedef struct { long long id; char hash [CHAIN_HEX_SIZE + 1], server [KEY_HEX_SIZE + 1]; } note_t;

static char *note_path (void)
{
    AUTO_FREE char *folder = enrol_folder_of (options_file (NULL));
    return file_join (folder, "farmctl.audit");
}

static void read_note (note_t *out, const client_t *client)
{
    char server [KEY_HEX_SIZE + 1];
    AUTO_FREE char *path = note_path ();
    AUTO_BUFFER buffer_t text = { 0 };
    key_to_hex (client_server_key (client), server);
    *out = (note_t) { .id = 0 };
    if (file_read (path, 512, &text, NULL) < 0)
        return;
    buffer_append (&text, "", 1);
    if (sscanf ((const char *) text.data, "%lld %64[0-9a-f] %64[0-9a-f]", &out->id, out->hash, out->server) != 3 || !streq (out->server, server))
        *out = (note_t) { .id = 0 };
}

static void write_note (const client_t *client, int64_t id, const char *hash)
{
    char server [KEY_HEX_SIZE + 1];
    err_t err = { 0 };
    AUTO_FREE char *path = note_path ();
    key_to_hex (client_server_key (client), server);
    AUTO_FREE char *text = mem_printf ("%lld %s %s\n", (long long) id, hash, server);
    if (file_write (path, text, strlen (text), 0600, &err) < 0)
        output_note ("how far the log is whole could not be noted for the next time: %s", err.text);
}

static int check_row (const json_t *row, int64_t id, const char *before, char hash [CHAIN_HEX_SIZE + 1], const note_t *note, err_t *err)
{
    if (track_int (row, "id") != id)
        return err_set (err, ERR_VERIFY, "the audit log has no row %lld: it was taken out", (long long) id);
    chain_hash (before, row, hash);
    if (!streq (hash, track_text (row, "hash")))
        return err_set (err, ERR_VERIFY, "row %lld of the audit log, or one before it, is not what was written: its hash does not follow", (long long) id);
    if (note->id == id && !streq (note->hash, hash))
        return err_set (err, ERR_VERIFY, "row %lld of the audit log is another one than at the last audit verify here: the log was written anew", (long long) id);
    if (streq (track_text (row, "outcome"), "found"))
        return err_set (err, ERR_VERIFY, "row %lld of the audit log says: %s", (long long) id, track_text (row, "detail"));
    return 0;
}

static int audit_verify (int argc, char **argv, err_t *err)
{
    const option_t none [] = { { NULL, 0, OPTION_FLAG, NULL } };
    note_t note;
    char before [CHAIN_HEX_SIZE + 1], hash [CHAIN_HEX_SIZE + 1];
    if (options_parse (none, &argc, argv, err) < 0 || options_words (argc, argv, 0, 0, "audit verify", err) < 0)
        return -1;
    AUTO (client) client_t *client = client_new (err);
    AUTO_JSON json_t *rows = client ? read_rows (client, 0, 0, err) : NULL;
    if (!rows)
        return -1;
    read_note (&note, client);
    int64_t count = (int64_t) json_array_size (rows);
    strcpy (hash, chain_start);
    for (int64_t i = 0; i < count; i++) {
        strcpy (before, hash);
        if (check_row (json_array_get (rows, (size_t) i), i + 1, before, hash, &note, err) < 0)
            return -1;
    }
    if (note.id > count)
        return err_set (err, ERR_VERIFY, "the audit log has %lld rows, and had %lld at the last audit verify here: its end was cut off", (long long) count, note.id);
    write_note (client, count, hash);
    output_note ("the audit log is whole: %lld rows, the last with hash %s", (long long) count, hash);
    return output_is_json () ? output_json (json_pack ("{s:I, s:s}", "rows", (json_int_t) count, "hash", hash), err) : 0;
}

static const subverb_t verbs [] = { { "show", audit_show }, { "verify", audit_verify } };
static const subverbs_t all = { "audit", verbs, sizeof verbs / sizeof *verbs, "show, verify" };

int verb_audit (int argc, char **argv, err_t *err)
{
    return subverb_run (&all, argc, argv, err);
}
