/* bases.c - see bases.h. */
#include "coordinator/bases.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"
#include "common/reference.h"
#include "coordinator/attempts.h"

enum { NAMES_BYTES_MAX = 8 * 1024 };    /* beside a spec (SPEC_TEXT_MAX) there is room for them in a header (MSG_HEADER_MAX) */

/* -- rows ------------------------------------------------------------------------------------------------------- */

/* How many a build has, and how much their names come to: all of them travel in the header of an assignment. */
typedef struct {
    int64_t number, bytes;
} sum_t;

static int count (engine_t *self, int64_t build, sum_t *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT count (*), coalesce (sum (length (reference)), 0) FROM bases WHERE build = :build");
    query_int (&query, ":build", build);
    if (query_step (&query))
        *out = (sum_t) { query_get_int (&query, 0), query_get_int (&query, 1) };
    return query_end (&query, err);
}

static int insert (engine_t *self, int64_t build, const json_t *base, err_t *err)
{
    query_t query = db_query (self->db, "INSERT OR IGNORE INTO bases (build, reference, digest, is_last, is_named) VALUES (:build, :reference, :digest, :last, 0)");
    query_int (&query, ":build", build);
    query_text (&query, ":reference", json_string_value (json_object_get (base, "reference")));
    query_text (&query, ":digest", json_string_value (json_object_get (base, "digest")));
    query_int (&query, ":last", json_is_true (json_object_get (base, "is_last")));
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* "" where the build has no such base. */
static int find (engine_t *self, int64_t build, const char *reference, char digest [80], err_t *err)
{
    query_t query = db_query (self->db, "SELECT digest FROM bases WHERE build = :build AND reference = :reference");
    query_int (&query, ":build", build);
    query_text (&query, ":reference", reference);
    snprintf (digest, 80, "%s", query_step (&query) ? query_get_text (&query, 0) : "");
    return query_end (&query, err);
}

/* 1, with why: the build has another one. Else it is counted where the build has none. */
static int compare (engine_t *self, int64_t build, const json_t *base, sum_t *sum, err_t *why, err_t *err)
{
    char digest [80];
    const char *reference = json_string_value (json_object_get (base, "reference")), *given = json_string_value (json_object_get (base, "digest"));
    if (find (self, build, reference, digest, err) < 0)
        return -1;
    if (!*digest) {
        sum->number++;
        sum->bytes += (int64_t) strlen (reference);
    }
    if (!*digest || strcmp (digest, given) == 0)
        return 0;
    err_set (why, ERR_STALE, "the base image %s is %s for this build, and not %s: that image is made again", reference, digest, given);
    return 1;
}

int bases_put (engine_t *self, int64_t build, const json_t *bases, err_t *why, err_t *err)
{
    size_t i;
    json_t *base;
    sum_t sum = { 0 };
    if (json_array_size (bases) == 0)
        return 0;
    int rc = count (self, build, &sum, err);
    json_array_foreach ((json_t *) bases, i, base)
        if (rc == 0)
            rc = compare (self, build, base, &sum, why, err);
    if (rc == 0 && (sum.number > BASES_MAX || sum.bytes > NAMES_BYTES_MAX)) {
        err_set (why, ERR_FULL, "build %lld has more than %d base images, or their names come to more than %d bytes: name fewer in the Dockerfile, or make two"
                 " builds of it", (long long) build, BASES_MAX, NAMES_BYTES_MAX);
        rc = 1;
    }
    json_array_foreach ((json_t *) bases, i, base)
        if (rc == 0)
            rc = insert (self, build, base, err);
    return rc;
}

int bases_copy (engine_t *self, int64_t build, int64_t from, err_t *err)
{
    query_t query = db_query (self->db, "INSERT INTO bases (build, reference, digest, is_last, is_named) SELECT :build, reference, digest, is_last, is_named "
                              "FROM bases WHERE build = :from");
    query_int (&query, ":build", build);
    query_int (&query, ":from", from);
    return query_run (&query, err) < 0 ? -1 : 0;
}

json_t *bases_of (engine_t *self, int64_t build)
{
    json_t *all = json_array ();
    query_t query = db_query (self->db, "SELECT reference, digest FROM bases WHERE build = :build ORDER BY reference");
    query_int (&query, ":build", build);
    while (query_step (&query))
        json_array_append_new (all, json_pack ("{s:s, s:s}", "reference", query_get_text (&query, 0), "digest", query_get_text (&query, 1)));
    query_end (&query, NULL);
    return all;
}

int bases_note_named (engine_t *self, int64_t build, const json_t *bases, err_t *err)
{
    size_t i;
    json_t *base;
    json_array_foreach ((json_t *) bases, i, base) {
        query_t query = db_query (self->db, "UPDATE bases SET is_named = 1 WHERE build = :build AND reference = :reference");
        query_int (&query, ":build", build);
        query_text (&query, ":reference", json_string_value (json_object_get (base, "reference")));
        if (query_run (&query, err) < 0)
            return -1;
    }
    return 0;
}

/* Builders write a registry's name as they like, and its paths in one way only. */
static bool is_of (const char *reference, const char *host, const char *path)
{
    reference_t parsed;
    return reference_parse (&parsed, reference, NULL) == 0 && strcasecmp (parsed.host, host) == 0 && strcmp (parsed.path, path) == 0;
}

int bases_name (engine_t *self, int64_t build, const char *host, const char *path, bool *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT reference FROM bases WHERE build = :build AND is_named");
    query_int (&query, ":build", build);
    *out = false;
    while (!*out && query_step (&query))
        *out = is_of (query_get_text (&query, 0), host, path);
    return query_end (&query, err);
}

bool bases_last (engine_t *self, int64_t build, last_base_t *out)
{
    int found = 0;
    query_t query = db_query (self->db, "SELECT reference, digest FROM bases WHERE build = :build AND is_last");
    query_int (&query, ":build", build);
    for (; query_step (&query); found++) {
        snprintf (out->reference, sizeof out->reference, "%s", query_get_text (&query, 0));
        snprintf (out->digest, sizeof out->digest, "%s", query_get_text (&query, 1));
    }
    return query_end (&query, NULL) == 0 && found == 1;
}

int bases_forget (engine_t *self, int64_t build, err_t *err)
{
    query_t query = db_query (self->db, "DELETE FROM bases WHERE build = :build");
    query_int (&query, ":build", build);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* -- a worker's ------------------------------------------------------------------------------------------------- */

/* As the door writes it: whole, with its tag. */
static int check_reference (const char *text, err_t *err)
{
    reference_t reference;
    char whole [REFERENCE_MAX];
    if (reference_parse (&reference, text, err) < 0)
        return -1;
    reference_format (&reference, whole);
    return strcmp (whole, text) == 0 && *reference.tag && !*reference.digest ? 0 : err_set (err, ERR_PROTOCOL, "a base image: %s is no whole name with a tag", text);
}

int bases_check (const json_t *bases, err_t *err)
{
    size_t i;
    json_t *base;
    json_array_foreach ((json_t *) bases, i, base)
        if (check_reference (json_string_value (json_object_get (base, "reference")), err) < 0)
            return -1;
    return 0;
}

int bases_on_pin (engine_t *self, const event_t *event, err_t *err)
{
    char digest [80];
    const char *reference = event_text (event, "reference");
    int64_t job = event_int (event, "job"), attempt = event_int (event, "attempt");
    const lease_t *lease = attempt_of_speaker (self, event->principal, job, attempt, "no base image is looked up for it", err);
    if (!lease || check_reference (reference, err) < 0)
        return -1;
    err_t why = { 0 };
    AUTO_JSON json_t *base = json_pack ("[{s:s, s:s}]", "reference", reference, "digest", event_text (event, "digest"));
    int rc = bases_put (self, lease->build, base, &why, err);
    if (rc > 0 && why.code == ERR_FULL)
        *err = why;
    if (rc < 0 || (rc > 0 && why.code == ERR_FULL))
        return -1;
    if (find (self, lease->build, reference, digest, err) < 0)
        return -1;
    engine_note_change (self, lease->build);
    engine_answer (self, event, "pinned", json_pack ("{s:s}", "digest", digest));
    return 0;
}
