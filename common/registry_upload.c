/* registry_upload.c - makes a blob of one repository known in another (registry.h).
 *
 *     HEAD  /v2/to/blobs/<digest>                                200: it is there already
 *     POST  /v2/to/blobs/uploads/?mount=<digest>&from=from       201: mounted; 202: no, but here is an upload
 *     PUT   <upload>?digest=<digest>   while   GET /v2/from/blobs/<digest> is read: 64 KiB at a time */
#include <stdio.h>
#include <string.h>

#include "common/registry_call.h"
#include "common/url.h"

enum { COPY_TRIES = 3, PATH_TEXT_MAX = 2 * REFERENCE_PATH_MAX + 2 * REFERENCE_DIGEST_MAX + 64 };

typedef struct {
    registry_t *registry;
    const reference_t *from, *to;
    const char *digest;
    int64_t size_bytes;
    char scope [TOKEN_SCOPE_MAX];           /* of what is written */
    place_t from_place;                     /* of who has said where to send it */
} copy_t;

/* -- the start of an upload ---------------------------------------------------------------------------------------- */

static int post (copy_t *self, const char *url, const char *scope, http_answer_t *answer, char **upload, err_t *err)
{
    AUTO_BUFFER buffer_t body = { 0 };
    call_t call = { .method = "POST", .host = self->to->host, .url = url, .scope = scope };
    if (call_whole (self->registry, &call, ERROR_BODY_MAX, answer, &body, err) < 0)
        return -1;
    if (answer->status == 201)
        return 0;
    if (answer->status != 202)
        return call_failed (&call, answer, &body, err);
    *upload = call_location (self->registry, &call, answer, err);
    self->from_place = answer->place;
    return *upload ? 0 : -1;
}

/* *upload stays NULL when the blob is mounted. A registry that will not hear of mounting is asked for a plain upload. */
static int start_upload (copy_t *self, char **upload, err_t *err)
{
    char url [PATH_TEXT_MAX];
    AUTO_FREE http_answer_t *answer = mem_alloc (sizeof *answer);
    if (strcmp (self->from->host, self->to->host) == 0) {
        snprintf (url, sizeof url, "/v2/%s/blobs/uploads/?mount=%s&from=%s", self->to->path, self->digest, self->from->path);
        snprintf (self->scope, sizeof self->scope, "repository:%s:pull,push repository:%s:pull", self->to->path,
                  self->from->path);
        if (post (self, url, self->scope, answer, upload, NULL) == 0)
            return 0;
    }
    snprintf (url, sizeof url, "/v2/%s/blobs/uploads/", self->to->path);
    call_scope (self->scope, self->to, "pull,push");
    if (post (self, url, self->scope, answer, upload, err) < 0)
        return -1;
    return *upload ? 0 : err_set (err, ERR_REGISTRY, "%s answers the start of an upload as if it were complete", self->to->host);
}

/* -- the copy ------------------------------------------------------------------------------------------------------ */

/* The body of the PUT, as it comes from the GET. */
typedef struct {
    registry_t *source;
    oci_hash_t *hash;
    int64_t left_bytes;
    err_t err;
} stream_t;

static ssize_t read_stream (void *data, size_t size, void *argument)
{
    stream_t *self = argument;
    if (self->left_bytes == 0)
        return 0;
    if ((int64_t) size > self->left_bytes)
        size = (size_t) self->left_bytes;
    ssize_t got = registry_read_blob (self->source, data, size, &self->err);
    if (got == 0)
        return err_set (&self->err, ERR_NETWORK, "the blob ends %lld bytes too early", (long long) self->left_bytes);
    if (got > 0) {
        oci_hash_add (self->hash, data, (size_t) got);
        self->left_bytes -= got;
    }
    return got;
}

static int put_blob (const copy_t *self, const char *upload, stream_t *stream, err_t *err)
{
    static const char *const headers [] = { "Content-Type: application/octet-stream", NULL };
    AUTO_BUFFER buffer_t url = { 0 };
    AUTO_BUFFER buffer_t body = { 0 };
    AUTO_FREE http_answer_t *answer = mem_alloc (sizeof *answer);
    buffer_text (&url, upload);
    url_add_query (&url, "digest", self->digest);
    call_t call = { .method = "PUT", .host = self->to->host, .url = (const char *) url.data, .scope = self->scope,
                    .from = self->from_place, .headers = headers, .read = read_stream, .read_argument = stream, .body_bytes = self->size_bytes };
    int rc = call_whole (self->registry, &call, ERROR_BODY_MAX, answer, &body, err);
    if (stream->err.code != ERR_NONE) {
        if (err)
            *err = stream->err;
        return -1;
    }
    if (rc == 0 && answer->status == 401)
        return err_set (err, ERR_REGISTRY, "%s let us begin the upload and then wants a login", self->to->host);
    if (rc == 0 && answer->status != 201 && answer->status != 204)
        rc = call_failed (&call, answer, &body, err);
    return rc;
}

static int check_stream (const copy_t *self, stream_t *stream, err_t *err)
{
    char got [OCI_DIGEST_SIZE];
    oci_hash_end (stream->hash, got);
    if (stream->left_bytes != 0 || strcmp (got, self->digest) != 0)
        return err_set (err, ERR_VERIFY, "what %s gives for it from %s has the digest %s", self->from->host, self->from->path,
                        got);
    return 0;
}

static int copy_once (copy_t *self, err_t *err)
{
    AUTO_FREE char *upload = NULL;
    if (start_upload (self, &upload, err) < 0)
        return -1;
    if (!upload)
        return 0;
    if (registry_open_blob (self->registry, self->from, self->digest, self->size_bytes, err) < 0)
        return -1;
    AUTO (oci_hash) oci_hash_t *hash = oci_hash_new ();
    stream_t stream = { .source = self->registry, .hash = hash, .left_bytes = self->size_bytes };
    if (put_blob (self, upload, &stream, err) < 0)
        return -1;
    return check_stream (self, &stream, err);
}

/* A body that has been sent cannot be sent again, so the whole copy is what is tried again. */
static int copy (copy_t *self, err_t *err)
{
    for (int tries = 1;; tries++) {
        err_t why = { 0 };
        if (copy_once (self, &why) == 0)
            return 0;
        if (why.code == ERR_NETWORK || why.code == ERR_PROTOCOL)
            why.code = ERR_REGISTRY;
        if (why.code == ERR_REGISTRY && tries < COPY_TRIES && call_wait (self->registry, tries, -1))
            continue;
        if (err)
            *err = why;
        return -1;
    }
}

int registry_copy_blob (registry_t *self, const reference_t *from, const reference_t *to, const char *digest,
                        int64_t size_bytes, err_t *err)
{
    int64_t there_bytes = -1;
    err_t why = { 0 };
    copy_t plan = { .registry = self, .from = from, .to = to, .digest = digest, .size_bytes = size_bytes };
    int rc = registry_head_blob (self, to, digest, &there_bytes, &why);
    if (rc < 0 && why.code != ERR_NOT_FOUND) {
        if (err)
            *err = why;
        return -1;
    }
    if (rc == 0 && there_bytes == size_bytes)
        return 0;
    if (copy (&plan, err) < 0)
        return err_wrap (err, "copy blob %s from %s to %s/%s", digest, from->path, to->host, to->path);
    return 0;
}
