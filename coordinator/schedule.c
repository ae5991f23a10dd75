/* schedule.c - see schedule.h. */
#include "coordinator/schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/mem.h"
#include "common/reference.h"

/* -- rows ------------------------------------------------------------------------------------------------------- */

void schedule_free (schedule_t *self)
{
    json_decref (self->spec);
    json_decref (self->success_bases);
    *self = (schedule_t) { .id = 0 };
}

static void copy_text (const query_t *row, int column, char *out, size_t size)
{
    const char *text = query_get_text (row, column);
    snprintf (out, size, "%s", text ? text : "");
}
#define COPY_TEXT(row, column, out) copy_text (row, column, out, sizeof (out))

static json_t *read_json (const query_t *row, int column)
{
    const char *text = query_get_text (row, column);
    return text ? json_loads (text, 0, NULL) : NULL;
}

#define SELECT "SELECT id, principal, next_ms, success_build, name, cron, zone, state, catch_up, overlap, if_changed, spec, success_inputs, " \
               "success_bases, success_commit FROM schedules WHERE "

static void read_row (const query_t *row, schedule_t *out)
{
    out->id = query_get_int (row, 0);
    out->principal = query_get_int (row, 1);
    out->next_ms = query_get_int (row, 2);
    out->success_build = query_get_int (row, 3);
    COPY_TEXT (row, 4, out->name);
    COPY_TEXT (row, 5, out->cron);
    COPY_TEXT (row, 6, out->zone);
    COPY_TEXT (row, 7, out->state);
    COPY_TEXT (row, 8, out->catch_up);
    COPY_TEXT (row, 9, out->overlap);
    out->if_changed = query_get_int (row, 10);
    out->spec = read_json (row, 11);
    COPY_TEXT (row, 12, out->success_inputs);
    out->success_bases = read_json (row, 13);
    COPY_TEXT (row, 14, out->success_commit);
}

static int read_one (query_t *query, schedule_t *out, err_t *err)
{
    schedule_free (out);
    if (query_step (query))
        read_row (query, out);
    return query_end (query, err);
}

int schedule_find (engine_t *self, const char *name, schedule_t *out, err_t *err)
{
    query_t query = db_query (self->db, SELECT "name = :name");
    query_text (&query, ":name", name);
    if (read_one (&query, out, err) < 0)
        return -1;
    return out->id ? 0 : err_set (err, ERR_NOT_FOUND, "there is no schedule %s: farmctl schedule ls shows them all", name);
}

int schedule_load (engine_t *self, int64_t id, schedule_t *out, err_t *err)
{
    query_t query = db_query (self->db, SELECT "id = :id");
    query_int (&query, ":id", id);
    if (read_one (&query, out, err) < 0)
        return -1;
    return out->id ? 0 : err_set (err, ERR_NOT_FOUND, "there is no schedule of number %lld", (long long) id);
}

int schedule_set_state (engine_t *self, int64_t id, const char *state, int64_t next_ms, const char *reason, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE schedules SET state = :state, reason = :reason, "
                              "next_ms = iif (:state = 'active', :next, NULL) WHERE id = :id");
    query_int (&query, ":id", id);
    query_text (&query, ":state", state);
    query_text (&query, ":reason", reason);
    query_int (&query, ":next", next_ms);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* -- times ------------------------------------------------------------------------------------------------------ */

static int open_times (const schedule_t *self, cron_t *cron, zone_t **zone, err_t *err)
{
    if (cron_parse (cron, self->cron, self->name, err) < 0)
        return err_wrap (err, "times \"%s\"", self->cron);
    return zone_new (zone, self->zone, err);
}

int schedule_next (const schedule_t *self, int64_t after_ms, int64_t *next_ms, err_t *err)
{
    cron_t cron;
    AUTO (zone) zone_t *zone = NULL;
    if (open_times (self, &cron, &zone, err) < 0)
        return -1;
    *next_ms = cron_next (&cron, zone, after_ms);
    return *next_ms != INT64_MAX ? 0 : err_set (err, ERR_USAGE, "times \"%s\": they do not come again", self->cron);
}

/* Of a schedule of each minute nobody wants to go through the times of a month. */
static int64_t latest_due (const cron_t *cron, const zone_t *zone, int64_t from_ms, int64_t now_ms)
{
    int64_t next = INT64_MAX;
    for (int64_t span = 3600000; span < now_ms - from_ms && next > now_ms; span *= 16)
        next = cron_next (cron, zone, now_ms - span);
    int64_t latest = next <= now_ms ? next : from_ms;
    while ((next = cron_next (cron, zone, latest)) <= now_ms)
        latest = next;
    return latest;
}

int schedule_due (const schedule_t *self, int64_t now_ms, int64_t *latest_ms, int64_t *before, err_t *err)
{
    cron_t cron;
    AUTO (zone) zone_t *zone = NULL;
    if (open_times (self, &cron, &zone, err) < 0)
        return -1;
    *latest_ms = latest_due (&cron, zone, self->next_ms, now_ms);
    *before = 0;
    for (int64_t at = self->next_ms; at < *latest_ms && *before < MISSED_MAX; at = cron_next (&cron, zone, at))
        ++*before;
    return 0;
}

/* UTC where its zone is not there any more. */
static struct tm wall_of (const schedule_t *self, int64_t at_ms, int *offset)
{
    struct tm wall = { 0 };
    AUTO (zone) zone_t *zone = NULL;
    *offset = zone_new (&zone, self->zone, NULL) == 0 ? zone_offset (zone, at_ms / 1000) : 0;
    time_t shown = at_ms / 1000 + *offset;
    gmtime_r (&shown, &wall);
    return wall;
}

void schedule_say_time (const schedule_t *self, int64_t at_ms, char out [32])
{
    int offset;
    struct tm wall = wall_of (self, at_ms, &offset);
    size_t size = strftime (out, 32, wall.tm_sec ? "%Y-%m-%dT%H:%M:%S" : "%Y-%m-%dT%H:%M", &wall);
    snprintf (out + size, 32 - size, "%c%02d:%02d", offset < 0 ? '-' : '+', abs (offset) / 3600 % 24, abs (offset) / 60 % 60);
}

/* -- tags ------------------------------------------------------------------------------------------------------- */

typedef struct { const char *date; const char *commit; int64_t build; } words_t;

/* What stands at "{…}", whose length goes into *size; false: it is no word, or there is nothing to put there. */
static bool add_word (buffer_t *out, const char *at, const words_t *words, size_t *size)
{
    const struct { const char *name, *text; } known [] = { { "{date}", words->date }, { "{commit}", words->commit } };
    for (int i = 0; i < 2; i++)
        if (strncmp (at, known [i].name, strlen (known [i].name)) == 0 && known [i].text) {
            buffer_text (out, known [i].text);
            *size = strlen (known [i].name);
            return true;
        }
    if (strncmp (at, "{build}", *size = strlen ("{build}")) != 0)
        return false;
    buffer_printf (out, "%lld", (long long) words->build);
    return true;
}

/* The colon before the tag itself, which may have words to fill in; NULL: there is none. */
static const char *colon_of (const char *tag)
{
    const char *slash = strrchr (tag, '/');
    return strchr (slash ? slash : tag, ':');
}

char *schedule_repository (const schedule_t *self)
{
    const char *tag = json_string_value (json_array_get (json_object_get (self->spec, "tags"), 0)), *colon = colon_of (tag);
    return mem_strndup (tag, colon ? (size_t) (colon - tag) : strlen (tag));
}

/* A repository of its own for each build would be one too many: only behind the colon. */
static int fill_tag (buffer_t *out, const char *tag, const words_t *words, err_t *err)
{
    const char *colon = colon_of (tag), *brace = strchr (tag, '{');
    if (brace && (!colon || brace < colon))
        return err_set (err, ERR_USAGE, "tag %s: {date}, {commit} and {build} stand in the tag, behind the colon", tag);
    for (const char *at = tag; *at; ) {
        size_t plain = strcspn (at, "{"), size = 0;
        buffer_append (out, at, plain);
        buffer_text (out, "");
        at += plain;
        if (*at && !add_word (out, at, words, &size))
            return err_set (err, ERR_USAGE, strncmp (at, "{commit}", 8) == 0 ? "tag %s: the context is a folder or an archive, and has no commit to name"
                            : "tag %s: only {date}, {commit} and {build} are filled in", tag);
        at += size;
    }
    return 0;
}

static json_t *fill_tags (const json_t *spec, const words_t *words, err_t *err)
{
    AUTO_JSON json_t *tags = json_array ();
    size_t i;
    json_t *tag;
    json_array_foreach (json_object_get (spec, "tags"), i, tag) {
        AUTO_BUFFER buffer_t text = { 0 };
        if (fill_tag (&text, json_string_value (tag), words, err) < 0)
            return NULL;
        json_array_append_new (tags, json_string (text.data ? (const char *) text.data : ""));
    }
    return take (&tags);
}

const char *schedule_any_commit (const json_t *spec)
{
    const json_t *source = json_object_get (spec, "source");
    return source && !json_object_get (source, "sha256") ? "da39a3ee5e6b4b0d3255bfef95601890afd80709" : NULL;
}

bool schedule_names_commit (const schedule_t *self)
{
    size_t i;
    json_t *tag;
    json_array_foreach (json_object_get (self->spec, "tags"), i, tag)
        if (strstr (json_string_value (tag), "{commit}"))
            return true;
    return false;
}

json_t *schedule_fill (const schedule_t *self, int64_t scheduled_ms, int64_t build, const char *commit, err_t *err)
{
    char date [16];
    int offset;
    struct tm wall = wall_of (self, scheduled_ms, &offset);
    strftime (date, sizeof date, "%Y-%m-%d", &wall);
    words_t words = { .date = date, .commit = commit, .build = build };
    AUTO_JSON json_t *tags = fill_tags (self->spec, &words, err);
    if (!tags)
        return NULL;
    json_t *spec = json_deep_copy (self->spec);
    json_object_set (spec, "tags", tags);
    return spec;
}

int schedule_check_tags (const json_t *spec, err_t *err)
{
    const words_t longest = { .date = "2026-12-31", .commit = schedule_any_commit (spec), .build = 9007199254740991 };
    AUTO_JSON json_t *tags = fill_tags (spec, &longest, err);
    size_t i;
    json_t *tag;
    json_array_foreach (tags, i, tag) {
        reference_t reference;
        if (reference_parse (&reference, json_string_value (tag), err) < 0)
            return err_wrap (err, "tag %s", json_string_value (json_array_get (json_object_get (spec, "tags"), i)));
    }
    return tags ? 0 : -1;
}

void schedule_inputs (const json_t *spec, char out [OCI_DIGEST_SIZE])
{
    AUTO_FREE char *text = json_dumps (spec, JSON_COMPACT | JSON_SORT_KEYS);
    oci_digest_of (text, strlen (text), out);
}
