/* depot_answers.c - see depot_answers.h. The headers have been checked against their schema; the bodies are checked here. */
#include "coordinator/depot_answers.h"

#include <string.h>

#include "common/backlog.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/pack.h"
#include "coordinator/put_checks.h"

enum { DIGESTS_MAX = 8192 };

void request_destroy (request_t **self_p)
{
    request_t *self = *self_p;
    if (!self)
        return;
    zframe_destroy (&self->peer);
    msg_destroy (&self->message);
    free (self);
    *self_p = NULL;
}

/* What more is asked is lost, as beyond the high-water mark, and asked again: a worker on a slow line repeats itself, so it is not ended. */
static bool may_send (const request_t *request, const buffer_t *body)
{
    return !body || body->size == 0 || backlog_hand (request->fd, backlog_wire_size (body->size), request->key);
}

void answer (depot_service_t *self, request_t *request, const char *verb, json_t *header, const buffer_t *body)
{
    err_t err;
    if (!may_send (request, body)) {
        log_debug ("depot", "%.16s: an answer is left out, for too much is on the way to it", request->key);
        json_decref (header);
        return;
    }
    msg_t *message = msg_new (verb, header, body ? body->data : NULL, body ? body->size : 0);
    if (msg_send (&message, self->socket, request->peer, &err) < 0)
        log_debug ("depot", "%.16s: %s", request->key, err.text);
}

bool depot_service_tell_denied (void *service, const char *key_hex, const char *verb, const char *text, int64_t times)
{
    const depot_service_t *self = service;
    char number [24];
    if (!(zsock_events (self->pipe) & ZMQ_POLLOUT))
        return false;                   /* the gateway is behind: nobody waits for it here */
    snprintf (number, sizeof number, "%lld", (long long) times);
    return zstr_sendx (self->pipe, "DENIED", key_hex, verb, text, number, NULL) == 0;
}

/* One more for the audit log. */
static void note_denied (depot_service_t *self, const request_t *request, const err_t *err)
{
    if (*request->key)
        denials_add (self->denials, request->key, request->message ? msg_verb (request->message) : "message", err->text, clock_boot_ms ());
}

static void send_error (depot_service_t *self, request_t *request, const err_t *err)
{
    json_t *header = json_pack ("{s:s, s:s}", "code", err_name (err->code), "text", err->text);
    if (request->message && msg_int (request->message, "seq") > 0)
        json_object_set_new (header, "re", json_integer (msg_int (request->message, "seq")));
    answer (self, request, "error", header, NULL);
}

/* It counts against its key; false: there was too much of it, and its connection was ended. */
static bool may_refuse (depot_service_t *self, const request_t *request, const err_t *err)
{
    return !conduct_refuse (self->conduct, request->key, request->fd, err, clock_boot_ms ());
}

void answer_refused (depot_service_t *self, request_t *request, const err_t *err)
{
    if (err->code == ERR_DENIED)
        note_denied (self, request, err);
    if (may_refuse (self, request, err))
        send_error (self, request, err);
}

void answer_error (depot_service_t *self, request_t *request, const err_t *err)
{
    if (err->code == ERR_DENIED)
        answer_refused (self, request, err);
    else
        send_error (self, request, err);
}

static json_t *header_to (const request_t *request)
{
    return json_pack ("{s:I}", "re", (json_int_t) msg_int (request->message, "seq"));
}

/* The digests in a body: their number, or -1 when it is none. */
static ssize_t read_digests (const request_t *request, const digest_t **digests, err_t *err)
{
    size_t size;
    const uint8_t *body = msg_body (request->message, &size);
    if (size % DIGEST_SIZE != 0 || size / DIGEST_SIZE > DIGESTS_MAX || size == 0)
        return err_set (err, ERR_PROTOCOL, "%s: a body of %zu bytes; it holds 1 to %d digests of %d bytes",
                        msg_verb (request->message), size, DIGESTS_MAX, DIGEST_SIZE);
    *digests = (const digest_t *) body;         /* bytes only: any alignment is right */
    return (ssize_t) (size / DIGEST_SIZE);
}

/* Of a user: what they have sent. Whether somebody else has sent it too is not for them to know. */
static bool has (depot_service_t *self, const request_t *request, const digest_t *digest)
{
    return depot_has_of (self->depot, digest, request->speaker.is_worker ? 0 : request->speaker.id);
}

void answer_missing (depot_service_t *self, request_t *request)
{
    err_t err = { 0 };
    const digest_t *digests;
    AUTO_BUFFER buffer_t absent = { 0 };
    ssize_t count = msg_int (request->message, "seq") < 1 ? err_set (&err, ERR_PROTOCOL, "missing: a question has a seq")
                  : read_digests (request, &digests, &err);
    if (count < 0) {
        answer_error (self, request, &err);
        return;
    }
    for (ssize_t i = 0; i < count; i++)
        if (!has (self, request, &digests [i]) && lost_check (self, request, &digests [i], NULL) == 0)
            buffer_append (&absent, digests [i].bytes, DIGEST_SIZE);
    self->asked_objects += (uint64_t) count;
    self->absent_objects += absent.size / DIGEST_SIZE;
    answer (self, request, "missing", header_to (request), &absent);
}

/* One answer for what is not there and for what is of no attempt of the worker's: what the farm has besides is not for it to know. */
static void set_absent (const digest_t *digest, err_t *err)
{
    char hex [DIGEST_HEX_SIZE + 1];
    digest_to_hex (digest, hex);
    err_set (err, ERR_NOT_FOUND, "object %s is not in the depot, or of none of this worker's attempts: submit again, which sends what is missing", hex);
}

/* Denied, under another name; false as may_refuse. */
static bool may_refuse_foreign (depot_service_t *self, const request_t *request, const digest_t *digest, err_t *err)
{
    set_absent (digest, err);
    if (scopes_is_unsure (self->scopes, request->speaker.id))
        return true;
    note_denied (self, request, err);
    return may_refuse (self, request, err);
}

void answer_want (depot_service_t *self, request_t *request)
{
    err_t err = { 0 };
    const digest_t *digests;
    AUTO_BUFFER buffer_t pack = { 0 };
    AUTO_BUFFER buffer_t object = { 0 };
    AUTO_BUFFER buffer_t memory = { 0 };
    zip_t zip;
    bool may_answer = true;
    ssize_t count = read_digests (request, &digests, &err);
    for (ssize_t i = 0; i < count; i++) {
        object_kind kind = OBJECT_CONTENT;
        if (!scopes_allow (self->scopes, request->speaker.id, &digests [i])) {
            may_answer = may_refuse_foreign (self, request, &digests [i], &err);
            count = i > 0 ? i : -1;
        } else if (depot_get_zip (self->depot, &digests [i], &object, &kind, &memory, &zip, &err) < 0) {
            if (err.code != ERR_NOT_FOUND)
                log_error ("depot", "%s", err.text);
            count = i > 0 ? i : -1;         /* what came before goes out; asked again, this one is the first */
        } else if (!pack_add_zip (&pack, kind, &digests [i], object.size, &zip))
            break;
        else {
            self->sent_objects++;
            if (kind != OBJECT_CONTENT)
                scopes_give (self->scopes, request->speaker.id, &digests [i]);
        }
    }
    if (count < 0 && err.code == ERR_NOT_FOUND)
        set_absent (&digests [0], &err);
    lost_tell (self);                   /* first: whoever hears the answer shall find that it is being looked for */
    if (may_answer && count < 0)
        answer_error (self, request, &err);
    else if (may_answer)
        answer (self, request, "objects", header_to (request), &pack);
}

void answer_log (depot_service_t *self, request_t *request)
{
    err_t err = { 0 };
    size_t size;
    int64_t end = 0;
    const msg_t *message = request->message;
    const uint8_t *body = msg_body (message, &size);
    int64_t job = msg_int (message, "job"), attempt = msg_int (message, "attempt"), offset = msg_int (message, "offset");
    if (build_logs_append (self->logs, job, attempt, request->speaker.id, offset, body, size, &end, &err) < 0) {
        answer_error (self, request, &err);
        return;
    }
    json_t *header = header_to (request);
    json_object_set_new (header, "offset", json_integer (end));
    answer (self, request, "logged", header, NULL);
    waiters_wake (self, job, attempt);
}

/* Samples, as metrics.h has them. To the caller. */
json_t *depot_service_figures (depot_service_t *self)
{
    depot_stats_t stats;
    depot_stats (self->depot, &stats);
    const struct { const char *name; double value; const char *label; } figures [] = {
        { "farm_depot_objects", (double) stats.objects, NULL }, { "farm_depot_bytes", (double) stats.bytes, NULL },
        { "farm_depot_limit_bytes", (double) self->context_total_bytes, NULL },
        { "farm_disk_free_bytes", (double) file_free_bytes (self->folder), NULL }, { "farm_disk_floor_bytes", (double) self->free_floor_bytes, NULL },
        { "farm_depot_received_objects_total", (double) stats.received_objects, NULL },
        { "farm_depot_received_bytes_total", (double) stats.received_bytes, NULL },
        { "farm_depot_known_objects_total", (double) stats.known_objects, NULL },
        { "farm_depot_damaged_objects_total", (double) stats.damaged_objects, NULL },
        { "farm_depot_asked_objects_total", (double) self->absent_objects, "missing" },
        { "farm_depot_asked_objects_total", (double) (self->asked_objects - self->absent_objects), "there" },
        { "farm_depot_sent_objects_total", (double) self->sent_objects, NULL },
        { "farm_log_received_bytes_total", (double) build_logs_received (self->logs), NULL },
    };
    json_t *samples = json_array ();
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        json_array_append_new (samples, json_pack ("[s, f, s?]", figures [i].name, figures [i].value, figures [i].label));
    return samples;
}

bool depot_service_has_room (const depot_service_t *self)
{
    int64_t free_bytes = file_free_bytes (self->folder);
    return free_bytes < 0 || free_bytes >= self->free_floor_bytes;
}

void answer_stats (depot_service_t *self, request_t *request)
{
    depot_stats_t stats;
    depot_stats (self->depot, &stats);
    json_t *header = json_pack ("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "re", (json_int_t) msg_int (request->message, "seq"),
        "objects", (json_int_t) stats.objects, "bytes", (json_int_t) stats.bytes,
        "received_objects", (json_int_t) stats.received_objects, "received_bytes", (json_int_t) stats.received_bytes,
        "known_objects", (json_int_t) stats.known_objects, "damaged_objects", (json_int_t) stats.damaged_objects, "log_bytes", (json_int_t) build_logs_received (self->logs));
    answer (self, request, "depot", header, NULL);
}

/* -- put -------------------------------------------------------------------------------------------------------- */

static int put_object (depot_service_t *self, pack_reader_t *reader, object_kind kind, const digest_t *digest, size_t size,
                       bool is_plain, err_t *err)
{
    const uint8_t *data;
    if (is_plain)
        return depot_put_plain (self->depot, digest, size, &reader->zip, err);
    if (pack_expand (reader, size, &data, err) < 0)
        return -1;
    return depot_put_zip (self->depot, kind, digest, data, size, &reader->zip, err);
}

static int note_owner (depot_service_t *self, const request_t *request, object_kind kind, const digest_t *digest, err_t *err)
{
    static const char *const names [] = { "content", "list", "folder" };
    char hex [DIGEST_HEX_SIZE + 1];
    if (request->speaker.is_worker || depot_own (self->depot, digest, request->speaker.id, err) == 0)
        return 0;
    digest_to_hex (digest, hex);
    return err_wrap (err, "store %s %s", names [kind], hex);
}

/* The objects of one pack into the open transaction: how many, or -1. plain: what put_checks.h says of each. */
static int64_t put_pack (depot_service_t *self, const request_t *request, const buffer_t *plain, err_t *err)
{
    object_kind kind;
    digest_t digest;
    size_t size, body_size, count = 0;
    pack_reader_t reader;
    const uint8_t *body = msg_body (request->message, &body_size);
    int rc;
    pack_reader_init (&reader, body, body_size);
    while ((rc = pack_next (&reader, &kind, &digest, &size, err)) == 1) {
        bool is_plain = count < plain->size && ((const bool *) plain->data) [count];
        if (lost_check (self, request, &digest, err) < 0 || put_object (self, &reader, kind, &digest, size, is_plain, err) < 0
        ||  note_owner (self, request, kind, &digest, err) < 0) {
            rc = -1;
            break;
        }
        lost_put (self, &digest);
        count++;
    }
    pack_reader_free (&reader);
    return rc < 0 ? -1 : (int64_t) count;
}

static int check_room (const depot_service_t *self, request_t **requests, size_t count, err_t *err)
{
    int64_t need = 0, free_bytes = file_free_bytes (self->folder);
    for (size_t i = 0; i < count; i++) {
        size_t size;
        msg_body (requests [i]->message, &size);
        need += (int64_t) size;
    }
    if (free_bytes >= 0 && free_bytes - need < self->free_floor_bytes)
        return err_set (err, ERR_FULL, "the coordinator's disk (%s) has %lld MiB free and keeps %lld: free some space there",
                        self->folder, (long long) (free_bytes >> 20), (long long) (self->free_floor_bytes >> 20));
    return 0;
}

/* All requests in one transaction: 0 and the count of objects of each, or -1 and nothing is stored. */
static int put_together (depot_service_t *self, request_t **requests, size_t count, int64_t *objects, err_t *err)
{
    if (check_room (self, requests, count, err) < 0)
        return -1;
    AUTO (put_checks) put_checks_t *checks = put_checks_new (requests, count);
    if (depot_begin (self->depot, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if ((objects [i] = put_pack (self, requests [i], put_checks_of (checks, i), err)) < 0) {
            depot_rollback (self->depot);
            return -1;
        }
    return depot_commit (self->depot, err);
}

static void answer_stored (depot_service_t *self, request_t *request, int64_t objects)
{
    json_t *header = header_to (request);
    json_object_set_new (header, "objects", json_integer (objects));
    answer (self, request, "stored", header, NULL);
}

void answer_puts (depot_service_t *self, request_t **requests, size_t count)
{
    err_t err = { 0 };
    int64_t objects [BATCH_MAX];
    assert (count <= BATCH_MAX);
    if (put_together (self, requests, count, objects, &err) == 0)
        for (size_t i = 0; i < count; i++)
            answer_stored (self, requests [i], objects [i]);
    else if (count == 1) {
        if (err.code == ERR_FARM || err.code == ERR_FULL)
            log_error ("depot", "put: %s", err.text);
        answer_error (self, requests [0], &err);
    } else
        for (size_t i = 0; i < count; i++)      /* one of them is bad: it alone shall fail */
            answer_puts (self, requests + i, 1);
}
