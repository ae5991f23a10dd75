/* secrets.c - see secrets.h.
 *
 *     secret … secret  -->  staged (build NULL)  --submit-->  the build's  --its end-->  gone
 *                                    |
 *                                    +-- 10 minutes --> gone */
#include "coordinator/secrets.h"

#include "common/mem.h"
#include "common/secret.h"
#include "coordinator/attempts.h"
#include "coordinator/base64.h"

enum { KEEP_MS = 600000, STAGED_MAX = 4 * SECRETS_MAX * SECRET_PARTS_MAX };
static const int64_t total_bytes_max = 256LL << 20, user_bytes_max = 64LL << 20;

/* -- what there is ---------------------------------------------------------------------------------------------- */

int secrets_load (engine_t *self, err_t *err)
{
    query_t query = db_query (self->db, "SELECT coalesce (sum (size), 0), count (*), count (*) - count (build) FROM secrets");
    bool has_staged = false;
    if (query_step (&query)) {
        self->secret_bytes = query_get_int (&query, 0);
        self->secret_parts = query_get_int (&query, 1);
        has_staged = query_get_int (&query, 2) > 0;
    }
    self->secrets_at = has_staged ? self->boot_ms + KEEP_MS : INT64_MAX;
    return query_end (&query, err);
}

int64_t secrets_next_tick (const engine_t *self)
{
    return self->secrets_at;
}

/* The query deletes. The pages are overwritten (secure_delete, db.c); SQLite's log has them until engine_commit has emptied it. */
static int shred (engine_t *self, query_t query, err_t *err)
{
    self->must_shred = true;
    return query_run (&query, err) < 0 ? -1 : secrets_load (self, err);
}

int secrets_forget (engine_t *self, int64_t build, err_t *err)
{
    if (self->secret_parts == 0)
        return 0;
    query_t query = db_query (self->db, "SELECT 1 FROM secrets WHERE build = :build");
    query_int (&query, ":build", build);
    bool has_some = query_step (&query);
    if (query_end (&query, err) < 0 || !has_some)
        return has_some ? -1 : 0;
    query = db_query (self->db, "DELETE FROM secrets WHERE build = :build");
    query_int (&query, ":build", build);
    return shred (self, query, err);
}

int secrets_tick (engine_t *self, err_t *err)
{
    if (self->boot_ms < self->secrets_at)
        return 0;
    query_t query = db_query (self->db, "DELETE FROM secrets WHERE build IS NULL AND staged_ms <= :before");
    query_int (&query, ":before", self->wall_ms - KEEP_MS);
    return shred (self, query, err);
}

/* -- from the client -------------------------------------------------------------------------------------------- */

static int check_room (engine_t *self, const event_t *event, err_t *err)
{
    if (self->secret_bytes + event_int (event, "size") > total_bytes_max)
        return err_set (err, ERR_FULL, "the coordinator keeps %lld MiB of secrets for builds at most: try again when some have ended",
                        (long long) total_bytes_max >> 20);
    query_t query = db_query (self->db, "SELECT count (*) - count (build), coalesce (sum (size), 0) FROM secrets WHERE principal = :principal");
    query_int (&query, ":principal", event->principal);
    bool has_some = query_step (&query);
    int64_t staged = has_some ? query_get_int (&query, 0) : 0, bytes = has_some ? query_get_int (&query, 1) : 0;
    if (query_end (&query, err) < 0)
        return -1;
    if (bytes + event_int (event, "size") > user_bytes_max)
        return err_set (err, ERR_FULL, "the coordinator keeps %lld MiB of secrets for builds of one user at most: try again when some of yours have ended",
                        (long long) user_bytes_max >> 20);
    return staged < STAGED_MAX ? 0 : err_set (err, ERR_FULL, "this key has sent secrets for too many builds that it did not submit: try again in %d minutes",
                                              KEEP_MS / 60000);
}

static int insert (engine_t *self, const event_t *event, const buffer_t *sealed, err_t *err)
{
    query_t query = db_query (self->db, "INSERT OR REPLACE INTO secrets (principal, request, name, part, parts, staged_ms, size, sealed) "
                              "VALUES (:principal, :request, :name, :part, :parts, :now, :size, :sealed)");
    query_int (&query, ":principal", event->principal);
    query_text (&query, ":request", event_text (event, "request"));
    query_text (&query, ":name", event_text (event, "secret"));
    query_int (&query, ":part", event_int (event, "part"));
    query_int (&query, ":parts", event_int (event, "parts"));
    query_int (&query, ":now", self->wall_ms);
    query_int (&query, ":size", event_int (event, "size"));
    query_blob (&query, ":sealed", sealed->data, sealed->size);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* One whose build is there already came late, or twice. */
static int is_submitted (engine_t *self, const event_t *event, bool *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT 1 FROM builds WHERE principal = :principal AND request = :request");
    query_int (&query, ":principal", event->principal);
    query_text (&query, ":request", event_text (event, "request"));
    *out = query_step (&query);
    return query_end (&query, err);
}

static int stage (engine_t *self, const event_t *event, err_t *err)
{
    AUTO_BUFFER buffer_t sealed = { 0 };
    if (base64_decode (event_text (event, "sealed"), &sealed) < 0)
        return err_set (err, ERR_FARM, "a sealed secret that is no base64");
    if (check_room (self, event, err) < 0 || insert (self, event, &sealed, err) < 0)
        return -1;
    return secrets_load (self, err);
}

int secrets_on_secret (engine_t *self, const event_t *event, err_t *err)
{
    bool is_late = false;
    if (event_int (event, "part") >= event_int (event, "parts"))
        return err_set (err, ERR_PROTOCOL, "secret %s: a part behind the last one", event_text (event, "secret"));
    if (is_submitted (self, event, &is_late, err) < 0 || (!is_late && stage (self, event, err) < 0))
        return -1;
    engine_answer (self, event, "kept", NULL);
    return 0;
}

/* -- to the build ----------------------------------------------------------------------------------------------- */

static int check_whole (engine_t *self, int64_t principal, const char *request, const char *name, err_t *err)
{
    query_t query = db_query (self->db, "SELECT count (*), max (parts), sum (size) FROM secrets "
                              "WHERE principal = :principal AND request = :request AND name = :name");
    int64_t found = 0, parts = 0, size = 0;
    query_int (&query, ":principal", principal);
    query_text (&query, ":request", request);
    query_text (&query, ":name", name);
    if (query_step (&query)) {
        found = query_get_int (&query, 0);
        parts = query_get_int (&query, 1);
        size = query_get_int (&query, 2);
    }
    if (query_end (&query, err) < 0)
        return -1;
    if (size > SECRET_BYTES_MAX)
        return err_set (err, ERR_USAGE, "secret %s has %lld bytes: %d at most", name, (long long) size, SECRET_BYTES_MAX);
    return found > 0 && found == parts ? 0 : err_set (err, ERR_NOT_FOUND, "secret %s is not on the coordinator: send it again with --secret", name);
}

int secrets_check (engine_t *self, int64_t principal, const char *request, const json_t *spec, err_t *err)
{
    size_t i;
    json_t *name;
    json_array_foreach (json_object_get (spec, "secrets"), i, name)
        if (secret_check_id (json_string_value (name), err) < 0 || check_whole (self, principal, request, json_string_value (name), err) < 0)
            return -1;
    return 0;
}

static int bind_one (engine_t *self, int64_t build, int64_t principal, const char *request, const char *name, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE secrets SET build = :build WHERE principal = :principal AND request = :request AND name = :name");
    query_int (&query, ":build", build);
    query_int (&query, ":principal", principal);
    query_text (&query, ":request", request);
    query_text (&query, ":name", name);
    return query_run (&query, err) < 0 ? -1 : 0;
}

int secrets_bind (engine_t *self, int64_t build, int64_t principal, const char *request, const json_t *spec, err_t *err)
{
    size_t i;
    json_t *name;
    json_array_foreach (json_object_get (spec, "secrets"), i, name)
        if (bind_one (self, build, principal, request, json_string_value (name), err) < 0)
            return -1;
    return 0;
}

/* -- to the worker ---------------------------------------------------------------------------------------------- */

static json_t *part_of (const query_t *query, const event_t *event)
{
    size_t size;
    const void *sealed = query_get_blob (query, 3, &size);
    AUTO_FREE char *base64 = base64_encode (sealed, size);
    return json_pack ("{s:s, s:I, s:I, s:I, s:s, s:s}", "secret", event_text (event, "secret"), "part", (json_int_t) event_int (event, "part"),
                      "parts", (json_int_t) query_get_int (query, 2), "principal", (json_int_t) query_get_int (query, 0), "request",
                      query_get_text (query, 1), "sealed", base64);
}

int secrets_on_want (engine_t *self, const event_t *event, err_t *err)
{
    json_t *part = NULL;
    const lease_t *lease = attempt_of_speaker (self, event->principal, event_int (event, "job"), event_int (event, "attempt"),
                                               "its secrets are not given out", err);
    if (!lease)
        return -1;
    query_t query = db_query (self->db, "SELECT principal, request, parts, sealed FROM secrets WHERE build = :build AND name = :name AND part = :part");
    query_int (&query, ":build", lease->build);
    query_text (&query, ":name", event_text (event, "secret"));
    query_int (&query, ":part", event_int (event, "part"));
    if (query_step (&query))
        part = part_of (&query, event);
    if (query_end (&query, err) < 0) {
        json_decref (part);
        return -1;
    }
    if (!part)
        return err_set (err, ERR_FARM, "build %lld has no secret %s", (long long) lease->build, event_text (event, "secret"));
    engine_answer (self, event, "secret-part", part);
    return 0;
}
