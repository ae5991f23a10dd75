/* door_answer.c - what goes out of the door: the registry's answers, and the door's own. */
#include "worker/door_call.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ERROR_BODY_MAX = 64 * 1024, BLOCK_BYTES = 64 * 1024 };

void call_describe (const call_t *self, char text [CALL_TEXT_MAX])
{
    static const char *const kinds [] = { "ping", "manifest", "blob", "new upload", "upload", "manifest" };
    bool has_name = self->route.kind == ROUTE_READ_MANIFEST || self->route.kind == ROUTE_READ_BLOB;
    snprintf (text, CALL_TEXT_MAX, "%s/%s: %s%s%s", self->route.repository.host, self->route.repository.path, kinds [self->route.kind],
              has_name ? " " : "", has_name ? self->route.name : "");
}

static void add (struct MHD_Response *response, const char *name, const char *value)
{
    if (value && *value)
        MHD_add_response_header (response, name, value);
}

static enum MHD_Result queue (call_t *self, int status, struct MHD_Response *response)
{
    add (response, "Docker-Distribution-Api-Version", "registry/2.0");
    enum MHD_Result result = MHD_queue_response (self->connection, (unsigned) status, response);
    MHD_destroy_response (response);
    return result;
}

static struct MHD_Response *response_of (const void *data, size_t size)
{
    return MHD_create_response_from_buffer (size, (void *) data, MHD_RESPMEM_MUST_COPY);
}

static const char *code_of (const err_t *error)
{
    switch (error->code) {
        case ERR_DENIED:            return "DENIED";
        case ERR_REGISTRY_DENIED:   return "DENIED";
        case ERR_NOT_FOUND:         return "NAME_UNKNOWN";
        case ERR_USAGE:             return "UNSUPPORTED";
        case ERR_VERIFY:            return "DIGEST_INVALID";
        default:                    return "UNAVAILABLE";
    }
}

static int status_of (const err_t *error)
{
    switch (error->code) {
        case ERR_DENIED:            return 403;
        case ERR_REGISTRY_DENIED:   return 403;
        case ERR_NOT_FOUND:         return 404;
        case ERR_USAGE:             return 404;
        case ERR_VERIFY:            return 400;
        default:                    return 502;
    }
}

enum MHD_Result answer_own_error (call_t *self, const err_t *error)
{
    bool wants_password = self->pass == NULL;
    AUTO_JSON json_t *body = json_pack ("{s:[{s:s, s:s}]}", "errors", "code", wants_password ? "UNAUTHORIZED" : code_of (error),
                                        "message", error->text);
    AUTO_FREE char *text = body ? json_dumps (body, JSON_COMPACT) : NULL;
    struct MHD_Response *response = response_of (text ? text : "{}", text ? strlen (text) : 2);
    add (response, "Content-Type", "application/json");
    if (wants_password)
        add (response, "WWW-Authenticate", "Basic realm=\"archfarm\"");
    return queue (self, wants_password ? 401 : status_of (error), response);
}

enum MHD_Result answer_failure (call_t *self, const err_t *error)
{
    char what [CALL_TEXT_MAX];
    err_t whole = *error;
    call_describe (self, what);
    err_wrap (&whole, "%s", what);
    pass_note_error (self->pass, &whole);
    return answer_own_error (self, &whole);
}

enum MHD_Result answer_empty (call_t *self, int status, const char *location, const char *digest, const char *range)
{
    struct MHD_Response *response = response_of ("", 0);
    add (response, "Location", location);
    add (response, "Docker-Content-Digest", digest);
    add (response, "Range", range);
    return queue (self, status, response);
}

enum MHD_Result answer_ping (call_t *self)
{
    struct MHD_Response *response = response_of ("{}", 2);
    add (response, "Content-Type", "application/json");
    return queue (self, 200, response);
}

/* Streams ------------------------------------------------------------------------------------------------------------ */

static ssize_t read_block (void *argument, uint64_t position, char *out, size_t size)
{
    call_t *self = argument;
    err_t err;
    (void) position;
    ssize_t got = exchange_read (self->exchange, out, size, &err);
    if (got > 0 && !pass_count (self->pass, (size_t) got)) {
        pass_exceeded (self->pass, &err);
        got = -1;
    }
    if (got > 0)
        return got;
    if (got == 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    char what [CALL_TEXT_MAX];
    call_describe (self, what);
    err_wrap (&err, "%s", what);
    pass_note_error (self->pass, &err);
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

static enum MHD_Result hand_on (call_t *self, const answer_t *answer, struct MHD_Response *response)
{
    add (response, "Content-Type", answer->content_type);
    add (response, "Docker-Content-Digest", answer->digest);
    add (response, "Content-Range", answer->content_range);
    add (response, "Range", answer->range);
    add (response, "ETag", answer->etag);
    return queue (self, answer->status, response);
}

enum MHD_Result answer_stream (call_t *self, const answer_t *answer)
{
    uint64_t size = answer->content_length >= 0 ? (uint64_t) answer->content_length : MHD_SIZE_UNKNOWN;
    return hand_on (self, answer, MHD_create_response_from_callback (size, BLOCK_BYTES, read_block, self, NULL));
}

/* The call keeps its bytes until they are sent. */
enum MHD_Result answer_manifest (call_t *self, const answer_t *answer)
{
    return hand_on (self, answer, MHD_create_response_from_buffer (self->body.size, self->body.data ? (void *) self->body.data : (void *) "", MHD_RESPMEM_PERSISTENT));
}

/* Refusals ----------------------------------------------------------------------------------------------------------- */

static void read_refusal (call_t *self, buffer_t *out)
{
    char data [8192];
    ssize_t size;
    while (out->size < ERROR_BODY_MAX && (size = exchange_read (self->exchange, data, sizeof data, NULL)) > 0)
        buffer_append (out, data, (size_t) size);
}

/* The first error of a registry's answer; NULL where it says nothing that can be read. To be released. */
static json_t *read_first_error (const buffer_t *body)
{
    AUTO_JSON json_t *root = body->size ? json_loadb ((const char *) body->data, body->size, 0, NULL) : NULL;
    return json_incref (json_array_get (json_object_get (root, "errors"), 0));
}

/* "MANIFEST_UNKNOWN: manifest unknown" of a registry's error; its status where there is none. */
static void words_of_refusal (const call_t *self, const answer_t *answer, const json_t *first, char *out, size_t size)
{
    const err_t *withheld = exchange_withheld (self->exchange);
    const char *message = json_string_value (json_object_get (first, "message"));
    const char *code = json_string_value (json_object_get (first, "code"));
    if (message || code)
        snprintf (out, size, "status %d from the registry: %.400s", answer->status, message && *message ? message : code);
    else
        snprintf (out, size, "status %d from the registry", answer->status);
    if (withheld && (answer->status == 401 || answer->status == 403))
        snprintf (out + strlen (out), size - strlen (out), "; %.800s", withheld->text);
    else if (answer->status == 401)     /* what there was to show has been shown */
        snprintf (out + strlen (out), size - strlen (out), "; check the registry's user and password on the coordinator");
}

/* A blob that is not there is what the builder wanted to know, no failure. */
static bool is_failure (const call_t *self, int status)
{
    return status != 404 || self->route.kind != ROUTE_READ_BLOB || !self->is_head;
}

/* The digest that the door gives for a manifest is that of the bytes it sends: a registry that finds another has had them cut or changed on the way. */
static bool is_damaged (const call_t *self, const json_t *first)
{
    const char *code = json_string_value (json_object_get (first, "code"));
    return self->route.kind == ROUTE_PUT_MANIFEST && code && strcmp (code, "DIGEST_INVALID") == 0;
}

static void note_refusal (call_t *self, const answer_t *answer, const buffer_t *body)
{
    AUTO_JSON json_t *first = read_first_error (body);
    char words [1600], what [CALL_TEXT_MAX];
    err_t err;
    int status = answer->status;
    bool may_pass = status >= 500 || status == 429 || status == 408 || is_damaged (self, first);
    words_of_refusal (self, answer, first, words, sizeof words);
    call_describe (self, what);
    bool is_missing = status == 404 && (self->route.kind == ROUTE_READ_MANIFEST || self->route.kind == ROUTE_READ_BLOB);
    err_set (&err, may_pass ? ERR_REGISTRY : is_missing ? ERR_NOT_FOUND : ERR_REGISTRY_DENIED, "%s: %s", what, words);
    pass_note_error (self->pass, &err);
}

/* The registry's own words go on to the builder; its challenge does not: only the door has something to show. */
enum MHD_Result answer_refusal (call_t *self, const answer_t *answer)
{
    AUTO_BUFFER buffer_t body = { 0 };
    read_refusal (self, &body);
    if (is_failure (self, answer->status))
        note_refusal (self, answer, &body);
    struct MHD_Response *response = response_of (body.data ? (const char *) body.data : "", body.size);
    add (response, "Content-Type", answer->content_type);
    return queue (self, answer->status == 401 ? 403 : answer->status, response);
}
