/* door_call.c - what comes in at the door: a request's way from its headers to the registry.
 *
 * Manifests are kept (at most 4 MiB), named by their digest and put under it, whatever tag the builder gave; those that come from a registry are compared
 * with it. Parts of blobs flow through. Where an upload goes on, the registry says in Location: the door keeps that address and gives the builder
 * a name for it, so that a builder can only write where the registry has sent this attempt. */
#include "worker/door_call.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/digest.h"
#include "worker/door_guests.h"

enum { DROPPED_MAX = 1024 * 1024, PATH_SIZE = 1200 };

/* Shared ------------------------------------------------------------------------------------------------------------- */

void calls_init (door_calls_t *self, const registry_settings_t *settings, const door_limits_t *limits)
{
    memset (self, 0, sizeof *self);
    curl_global_init (CURL_GLOBAL_DEFAULT);
    signal (SIGPIPE, SIG_IGN);          /* TLS may raise it when a registry hangs up; children get the default back */
    self->settings = settings;
    self->passes = passes_new (limits);
    pthread_mutex_init (&self->lock, NULL);
}

void calls_clear (door_calls_t *self)
{
    for (int i = 0; i < self->idle_count; i++)
        curl_multi_cleanup (self->idle [i]);
    passes_destroy (&self->passes);
    pthread_mutex_destroy (&self->lock);
}

/* The one that came back last has the freshest connections. */
static CURLM *take_multi (door_calls_t *self)
{
    pthread_mutex_lock (&self->lock);
    CURLM *multi = self->idle_count > 0 ? self->idle [--self->idle_count] : NULL;
    pthread_mutex_unlock (&self->lock);
    return multi ? multi : curl_multi_init ();
}

static void give_multi (door_calls_t *self, CURLM *multi)
{
    pthread_mutex_lock (&self->lock);
    bool has_room = self->idle_count < IDLE_MULTIS_MAX;
    if (has_room)
        self->idle [self->idle_count++] = multi;
    pthread_mutex_unlock (&self->lock);
    if (!has_room)
        curl_multi_cleanup (multi);
}

/* Headers ------------------------------------------------------------------------------------------------------------ */

/* All of Accept goes on: without it the registry answers with an older kind of manifest. */
static enum MHD_Result keep_header (void *argument, enum MHD_ValueKind kind, const char *name, const char *value)
{
    static const char *const passed [] = { "Accept", "Range", "Content-Type", "Content-Range", "If-None-Match" };
    call_t *self = argument;
    (void) kind;
    for (size_t i = 0; value && i < sizeof passed / sizeof *passed; i++)
        if (strcasecmp (name, passed [i]) == 0 && self->header_count < 22 && !value [strcspn (value, "\r\n")])
            self->headers [self->header_count++] = mem_printf ("%s: %s", passed [i], value);
    return MHD_YES;
}

static const char *header (const call_t *self, const char *name)
{
    return MHD_lookup_connection_value (self->connection, MHD_HEADER_KIND, name);
}

static const char *query (const call_t *self, const char *name)
{
    return MHD_lookup_connection_value (self->connection, MHD_GET_ARGUMENT_KIND, name);
}

static bool is_write (const route_t *route)
{
    return route->kind == ROUTE_START_UPLOAD || route->kind == ROUTE_UPLOAD || route->kind == ROUTE_PUT_MANIFEST;
}

static bool is_own (const call_t *self)
{
    return strcmp (self->route.repository.host, self->pass->repository.host) == 0
           && strcmp (self->route.repository.path, self->pass->repository.path) == 0;
}

/* What the attempt builds on, as well as its own. */
static bool may_read (const call_t *self, const reference_t *repository)
{
    return pass_may_read (self->pass, repository->host, repository->path);
}

/* Where a push has been before, the builder asks whether a layer is still there: a no is no failure, and hides none that comes. */
static int refuse_read (const call_t *self, err_t *err)
{
    const reference_t *of = &self->route.repository;
    err_set (err, ERR_REGISTRY_DENIED, "%s/%s is no image that the Dockerfile names (an ONBUILD of a base image may ask for one): name it there, or "
                    "have it added to registry/bases of this worker", of->host, of->path);
    if (!self->is_head || self->route.kind != ROUTE_READ_BLOB)
        pass_note_error (self->pass, err);
    return -1;
}

/* Who asks, for what, and may he? */
static int admit (call_t *self, const char *method, const char *url, err_t *err)
{
    self->pass = passes_enter (self->calls->passes, header (self, "Authorization"));
    if (!self->pass)
        return err_set (err, ERR_DENIED, "the door opens to the password of a running attempt only");
    guests_know (self->connection);
    if (route_parse (&self->route, method, url, err) < 0)
        return -1;
    if (is_write (&self->route) && !is_own (self))
        return err_set (err, ERR_DENIED, "this attempt may only write to %s/%s", self->pass->repository.host,
                        self->pass->repository.path);
    self->is_head = strcmp (method, "HEAD") == 0;
    if (self->route.kind != ROUTE_PING && !may_read (self, &self->route.repository))
        return refuse_read (self, err);
    const char *length = header (self, "Content-Length");
    self->has_body = is_write (&self->route) && (header (self, "Transfer-Encoding") || (length && strcmp (length, "0") != 0));
    upstream_scope (self->scope, self->route.repository.path, is_own (self), NULL);
    MHD_get_connection_values (self->connection, MHD_HEADER_KIND, keep_header, self);
    return 0;
}

static exchange_t *open_exchange (call_t *self)
{
    if (!self->multi)
        self->multi = take_multi (self->calls);
    if (!self->exchange)
        self->exchange = exchange_new (self->multi, self->calls->settings, self->pass, self->route.repository.host);
    return self->exchange;
}

static ask_t ask_of (const call_t *self, const char *method, const char *url)
{
    return (ask_t) { .method = method, .url = url, .headers = (const char *const *) self->headers, .scope = self->scope };
}

/* Base image and Dockerfile make it so large: no fault of this worker's. */
static int refuse_size (err_t *err)
{
    return err_set (err, ERR_REGISTRY_DENIED, "the manifest is larger than %d bytes", MANIFEST_BYTES_MAX);
}

/* Reads -------------------------------------------------------------------------------------------------------------- */

/* All of a manifest, and what it is: whoever asked by a tag has nothing to compare it with. */
static int keep_manifest (call_t *self, const char *name, answer_t *answer, err_t *err)
{
    char block [16 * 1024], digest [OCI_DIGEST_SIZE];
    ssize_t size;
    buffer_clear (&self->body);
    while ((size = exchange_read (self->exchange, block, sizeof block, err)) > 0) {
        if (!pass_count (self->pass, (size_t) size))
            return pass_exceeded (self->pass, err);
        if (self->body.size + (size_t) size > MANIFEST_BYTES_MAX)
            return refuse_size (err);
        buffer_append (&self->body, block, (size_t) size);
    }
    if (size < 0)
        return -1;
    oci_digest_of (self->body.data, self->body.size, digest);
    if (reference_is_digest (name) && strcmp (name, digest) != 0)
        return err_set (err, ERR_REGISTRY, "the registry gives bytes with the digest %s for %s: its storage, or something between, has changed them", digest, name);
    strcpy (answer->digest, digest);
    self->has_manifest = true;
    return 0;
}

/* One that is named by a digest of another kind the builder compares itself. */
static bool is_kept (const call_t *self, const char *name, const answer_t *answer)
{
    return self->route.kind == ROUTE_READ_MANIFEST && !self->is_head && answer->status / 100 == 2 && strncmp (name, "sha512:", 7) != 0;
}

/* name: a tag or a digest. Of a manifest that is kept, answer has its own digest, whatever the registry says. */
static int ask_read (call_t *self, const char *method, const char *name, answer_t *answer, err_t *err)
{
    char path [PATH_SIZE];
    snprintf (path, sizeof path, "/v2/%s/%s/%s", self->route.repository.path, self->route.kind == ROUTE_READ_BLOB ? "blobs" : "manifests", name);
    ask_t ask = ask_of (self, method, path);
    ask.may_follow = true;
    ask.is_quick = self->route.kind == ROUTE_READ_MANIFEST;
    self->has_manifest = false;
    if (exchange_ask (open_exchange (self), &ask, answer, err) < 0)
        return -1;
    return is_kept (self, name, answer) ? keep_manifest (self, name, answer, err) : 0;
}

/* The registry has said what a tag means now; it may have meant something else to the build before. */
static int ask_pinned (call_t *self, const char *method, char digest [OCI_DIGEST_SIZE], answer_t *answer, err_t *err)
{
    if (pass_pin (self->pass, &self->route.repository, self->route.name, answer->digest, digest, err) < 0)
        return -1;
    return strcmp (digest, answer->digest) == 0 ? 0 : ask_read (self, method, digest, answer, err);
}

/* What a tag means for the whole build, by its digest. Where a registry does not say digests to a HEAD, or none of the usual kind, what it gives. */
static int ask_base (call_t *self, const char *method, answer_t *answer, err_t *err)
{
    char digest [OCI_DIGEST_SIZE] = "";
    const reference_t *repository = &self->route.repository;
    bool is_known = pass_find_base (self->pass, repository, self->route.name, digest);
    int rc = ask_read (self, method, is_known ? digest : self->route.name, answer, err);
    if (rc == 0 && !is_known && answer->status / 100 == 2 && strncmp (answer->digest, "sha256:", 7) == 0 && reference_is_digest (answer->digest))
        rc = ask_pinned (self, method, digest, answer, err);
    bool is_given = rc == 0 && answer->status / 100 == 2;
    const err_t *withheld = exchange_withheld (self->exchange);
    pass_note_base (self->pass, repository, self->route.name, digest, is_given);
    if (!is_given && withheld && withheld->code == ERR_REGISTRY_DENIED)
        pass_note_withheld (self->pass, repository, self->route.name, withheld->text);
    return rc;
}

static enum MHD_Result read_through (call_t *self, const char *method)
{
    answer_t answer;
    err_t err;
    bool is_base = self->route.kind == ROUTE_READ_MANIFEST && !reference_is_digest (self->route.name);
    if ((is_base ? ask_base (self, method, &answer, &err) : ask_read (self, method, self->route.name, &answer, &err)) < 0)
        return answer_failure (self, &err);
    if (answer.status >= 400)
        return answer_refusal (self, &answer);
    return self->has_manifest ? answer_manifest (self, &answer) : answer_stream (self, &answer);
}

/* Manifests ---------------------------------------------------------------------------------------------------------- */

static enum MHD_Result put_manifest (call_t *self)
{
    char digest [OCI_DIGEST_SIZE], path [PATH_SIZE];
    answer_t answer;
    err_t err;
    const char *type = header (self, "Content-Type");
    if (self->is_refused)
        refuse_size (&err);
    else if (!self->body.size || !type || strlen (type) >= 128)
        err_set (&err, ERR_VERIFY, "a manifest without bytes or without Content-Type");
    if (self->is_refused || !self->body.size || !type || strlen (type) >= 128)
        return answer_failure (self, &err);
    if (!pass_count (self->pass, self->body.size)) {
        pass_exceeded (self->pass, &err);
        return answer_failure (self, &err);
    }
    oci_digest_of (self->body.data, self->body.size, digest);
    if (strncmp (self->route.name, "sha256:", 7) == 0 && strcmp (self->route.name, digest) != 0) {
        err_set (&err, ERR_VERIFY, "the manifest's digest is %s, not %s", digest, self->route.name);
        return answer_failure (self, &err);
    }
    snprintf (path, sizeof path, "/v2/%s/manifests/%s", self->route.repository.path, digest);
    ask_t ask = ask_of (self, "PUT", path);
    ask.body = self->body.data;
    ask.body_size = self->body.size;
    if (exchange_ask (open_exchange (self), &ask, &answer, &err) < 0)
        return answer_failure (self, &err);
    if (answer.status >= 300)
        return answer_refusal (self, &answer);
    if (answer.digest [0] && strcmp (answer.digest, digest) != 0) {
        err_set (&err, ERR_REGISTRY, "the registry took %s for %s", digest, answer.digest);
        return answer_failure (self, &err);
    }
    pass_note_push (self->pass, digest, type, (int64_t) self->body.size);
    snprintf (path, sizeof path, "/v2/%s/%s/manifests/%s", self->route.masked_host, self->route.repository.path, digest);
    return answer_empty (self, 201, path, digest, NULL);
}

/* Uploads ------------------------------------------------------------------------------------------------------------ */

/* The registry's 202 says where to go on, its 201 that the blob is there. */
static enum MHD_Result answer_upload (call_t *self, const answer_t *answer, const char *digest)
{
    char path [PATH_SIZE], id [UPLOAD_ID_SIZE] = "";
    err_t err;
    if (answer->status >= 300)
        return answer_refusal (self, answer);
    if (answer->status == 201) {
        const char *known = answer->digest [0] ? answer->digest : digest ? digest : "";
        snprintf (path, sizeof path, "/v2/%s/%s/blobs/%s", self->route.masked_host, self->route.repository.path, known);
        return answer_empty (self, 201, path, known, NULL);
    }
    AUTO_FREE char *url = exchange_location (self->exchange, answer);
    if (url)
        pass_add_upload (self->pass, url, answer->place, id);
    else if (self->route.kind == ROUTE_UPLOAD)
        strcpy (id, self->route.name);          /* as before */
    else {
        err_set (&err, ERR_REGISTRY, "the registry does not say where to send it (Location: \"%.200s\")", answer->location);
        return answer_failure (self, &err);
    }
    snprintf (path, sizeof path, "/v2/%s/%s/blobs/uploads/%s", self->route.masked_host, self->route.repository.path, id);
    return answer_empty (self, answer->status, path, NULL, answer->range);
}

static const char *digest_of_query (const call_t *self)
{
    const char *digest = query (self, "digest");
    return digest && reference_is_digest (digest) ? digest : NULL;
}

/* The address of an upload, with the digest that completes it. NULL when the attempt has none of this name. */
static char *upload_url (const call_t *self, place_t *from)
{
    const char *digest = digest_of_query (self);
    if (self->route.kind == ROUTE_START_UPLOAD)
        return digest ? mem_printf ("/v2/%s/blobs/uploads/?digest=%s", self->route.repository.path, digest)
                      : mem_printf ("/v2/%s/blobs/uploads/", self->route.repository.path);
    AUTO_FREE char *url = pass_find_upload (self->pass, self->route.name, from);
    if (!url || !digest)
        return take (&url);
    return mem_printf ("%s%cdigest=%s", url, strchr (url, '?') ? '&' : '?', digest);
}

/* Ask for a blob of another repository of the same registry, if the attempt may read that one: a mounted blob can be read. False
 * when it was not given: then it is uploaded. */
static bool mount (call_t *self, answer_t *answer)
{
    char masked [REFERENCE_HOST_MAX + 2], path [PATH_SIZE];
    reference_t from;
    const char *digest = query (self, "mount"), *text = query (self, "from");
    if (!digest || !text || !reference_is_digest (digest) || route_parse_repository (&from, text, masked, NULL) < 0
        || strcmp (from.host, self->route.repository.host) != 0 || !may_read (self, &from))
        return false;
    int size = snprintf (path, sizeof path, "/v2/%s/blobs/uploads/?mount=%s&from=%s", self->route.repository.path, digest, from.path);
    if (size < 0 || (size_t) size >= sizeof path)
        return false;
    char scope [UPSTREAM_SCOPE_MAX];
    upstream_scope (scope, self->route.repository.path, true, from.path);
    ask_t ask = ask_of (self, "POST", path);
    ask.scope = scope;
    err_t err;
    return exchange_ask (open_exchange (self), &ask, answer, &err) == 0 && (answer->status == 201 || answer->status == 202);
}

static enum MHD_Result ask_upload (call_t *self, const char *method)
{
    answer_t answer;
    err_t err;
    if (self->route.kind == ROUTE_START_UPLOAD && mount (self, &answer))
        return answer_upload (self, &answer, query (self, "mount"));
    place_t from = PLACE_OUTSIDE;
    AUTO_FREE char *url = upload_url (self, &from);
    if (!url) {
        err_set (&err, ERR_NOT_FOUND, "this attempt has no upload %.32s", self->route.name);
        return answer_failure (self, &err);
    }
    ask_t ask = ask_of (self, method, url);
    ask.from = from;
    if (exchange_ask (open_exchange (self), &ask, &answer, &err) < 0)
        return answer_failure (self, &err);
    return answer_upload (self, &answer, digest_of_query (self));
}

/* Bodies ------------------------------------------------------------------------------------------------------------- */

static void begin_stream (call_t *self, const char *method)
{
    place_t from = PLACE_OUTSIDE;
    AUTO_FREE char *url = upload_url (self, &from);
    const char *length = header (self, "Transfer-Encoding") ? NULL : header (self, "Content-Length");     /* chunks say more */
    char *end = NULL;
    int64_t size = length ? strtoll (length, &end, 10) : -1;
    self->is_streaming = true;
    if (!url) {
        err_set (&self->failure, ERR_NOT_FOUND, "this attempt has no upload %.32s", self->route.name);
        return;
    }
    ask_t ask = ask_of (self, method, url);
    ask.from = from;
    exchange_begin (open_exchange (self), &ask, end && !*end && size >= 0 ? size : -1, &self->failure);
}

/* A part of a blob. What comes after a failure is dropped; after a while the connection is. */
static enum MHD_Result take_part (call_t *self, const char *method, const char *data, size_t size)
{
    if (!self->is_streaming)
        begin_stream (self, method);
    if (self->failure.code == ERR_NONE && !pass_count (self->pass, size))
        pass_exceeded (self->pass, &self->failure);
    if (self->failure.code == ERR_NONE && !exchange_is_early (self->exchange)) {
        exchange_send (self->exchange, data, size, &self->failure);
        return MHD_YES;
    }
    self->dropped_bytes += size;
    if (self->dropped_bytes <= DROPPED_MAX)
        return MHD_YES;
    if (self->failure.code != ERR_NONE) {
        char what [CALL_TEXT_MAX];
        call_describe (self, what);
        err_wrap (&self->failure, "%s", what);
        pass_note_error (self->pass, &self->failure);
    }
    return MHD_NO;
}

static enum MHD_Result take_body (call_t *self, const char *method, const char *data, size_t size)
{
    if (self->route.kind != ROUTE_PUT_MANIFEST)
        return take_part (self, method, data, size);
    if (self->body.size + size > MANIFEST_BYTES_MAX)
        self->is_refused = true;
    else
        buffer_append (&self->body, data, size);
    self->dropped_bytes += self->is_refused ? size : 0;
    return self->dropped_bytes <= DROPPED_MAX ? MHD_YES : MHD_NO;
}

static enum MHD_Result end_stream (call_t *self)
{
    answer_t answer;
    if (self->failure.code == ERR_NONE && exchange_finish (self->exchange, &answer, &self->failure) == 0)
        return answer_upload (self, &answer, digest_of_query (self));
    return answer_failure (self, &self->failure);
}

/* The call ----------------------------------------------------------------------------------------------------------- */

static enum MHD_Result act (call_t *self, const char *method)
{
    switch (self->route.kind) {
        case ROUTE_PING:
            return answer_ping (self);
        case ROUTE_READ_MANIFEST:
        case ROUTE_READ_BLOB:
            return read_through (self, method);
        case ROUTE_PUT_MANIFEST:
            return put_manifest (self);
        case ROUTE_START_UPLOAD:
        case ROUTE_UPLOAD:
            break;
    }
    return self->is_streaming ? end_stream (self) : ask_upload (self, method);
}

enum MHD_Result calls_on_request (void *argument, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *data_size, void **call)
{
    call_t *self = *call;
    (void) version;
    if (!self) {
        err_t err;
        *call = self = mem_alloc (sizeof *self);
        self->calls = argument;
        self->connection = connection;
        return admit (self, method, url, &err) < 0 ? answer_own_error (self, &err) : MHD_YES;
    }
    if (*data_size == 0)
        return act (self, method);
    enum MHD_Result result = self->has_body ? take_body (self, method, data, *data_size) : MHD_NO;
    *data_size = 0;
    return result;
}

/* An answer that was not taken to its end: the connection was lost on this machine, or the builder has given up. Which it was cannot be told from
 * here, so no worker is blamed for it, and it is tried again. */
static void note_broken (const call_t *self)
{
    err_t err;
    bool is_read = self->route.kind == ROUTE_READ_MANIFEST || self->route.kind == ROUTE_READ_BLOB;
    if (!self->pass || !is_read || atomic_load (&self->pass->is_closed))
        return;
    err_set (&err, ERR_REGISTRY, "the connection between the builder and the worker's door ended before the whole of an image had come");
    pass_note_first_error (self->pass, &err);
}

void calls_on_completed (void *argument, struct MHD_Connection *connection, void **call, enum MHD_RequestTerminationCode code)
{
    call_t *self = *call;
    (void) argument;
    (void) connection;
    if (!self)
        return;
    if (code == MHD_REQUEST_TERMINATED_WITH_ERROR)
        note_broken (self);
    exchange_destroy (&self->exchange);
    if (self->multi)
        give_multi (self->calls, self->multi);
    for (int i = 0; i < self->header_count; i++)
        free (self->headers [i]);
    buffer_free (&self->body);
    passes_leave (self->calls->passes, &self->pass);
    free (self);
    *call = NULL;
}
