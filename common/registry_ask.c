/* registry_ask.c - what is read of a registry: manifests and blobs, several at once.
 *
 *     question 1   begin ---------- end                  each lane has one on its way; a lane that is free takes the next
 *     question 2     begin ------------ end
 *     question 3       begin -------------- end */
#include <stdio.h>
#include <string.h>

#include "common/manifest.h"
#include "common/registry_call.h"

typedef struct {
    char url [CALL_URL_MAX], scope [TOKEN_SCOPE_MAX];
    call_t call;
    http_answer_t answer;
    call_progress progress;
} lane_t;

/* The bytes are what was asked for. Another hash than SHA-256 is nothing we ever wrote. */
static int check_digest (const char *wanted, const char *got, err_t *err)
{
    if (strcmp (wanted, got) == 0)
        return 0;
    return err_set (err, ERR_VERIFY, "the registry gives bytes with the digest %s for %s: its storage, or something between, "
                    "is broken", got, wanted);
}

/* -- manifests ----------------------------------------------------------------------------------------------------- */

static bool is_manifest_type (const char *type)
{
    return media_is_index (type) || strcmp (type, MEDIA_OCI_MANIFEST) == 0 || strcmp (type, MEDIA_DOCKER_MANIFEST) == 0;
}

static const char *name_of (const reference_t *ref)
{
    return ref->digest [0] ? ref->digest : ref->tag [0] ? ref->tag : "latest";
}

static int no_manifest (const reference_t *ref, err_t *err)
{
    return err_set (err, ERR_NOT_FOUND, "%s has no %s %s in %s", ref->host, ref->digest [0] ? "manifest" : "tag", name_of (ref),
                    ref->path);
}

static int read_manifest (const reference_t *ref, const http_answer_t *answer, manifest_t *out, err_t *err)
{
    if (answer->status == 404)
        return no_manifest (ref, err);
    if (!is_manifest_type (answer->content_type))
        return err_set (err, ERR_REGISTRY, "%s says that it is \"%.100s\", which is no image or index: is it a registry, and the "
                        "image not of a former kind?", ref->host, answer->content_type);
    snprintf (out->media_type, sizeof out->media_type, "%.127s", answer->content_type);
    oci_digest_of (out->bytes.data, out->bytes.size, out->digest);
    if (ref->digest [0])
        return check_digest (ref->digest, out->digest, err);
    return strncmp (answer->digest, "sha256:", 7) == 0 ? check_digest (answer->digest, out->digest, err) : 0;
}

/* -- blobs --------------------------------------------------------------------------------------------------------- */

static int read_blob (registry_ask_t *ask, const http_answer_t *answer, err_t *err)
{
    if (answer->status == 404)
        return err_set (err, ERR_NOT_FOUND, "%s does not have it in %s", ask->of->host, ask->of->path);
    if (ask->kind == ASK_BLOB) {
        oci_digest_of (ask->found.bytes.data, ask->found.bytes.size, ask->found.digest);
        return check_digest (ask->digest, ask->found.digest, err);
    }
    if (answer->content_length < 0)
        return err_set (err, ERR_REGISTRY, "%s does not say how long it is", ask->of->host);
    ask->size_bytes = answer->content_length;
    return 0;
}

/* -- a question ---------------------------------------------------------------------------------------------------- */

static bool asks_for_manifest (const registry_ask_t *ask)
{
    return ask->kind == ASK_MANIFEST || ask->kind == ASK_DIGEST;
}

static void set_call (lane_t *lane, const registry_ask_t *ask)
{
    static const char *const accept [] = { "Accept: " MEDIA_OCI_INDEX ", " MEDIA_OCI_MANIFEST ", " MEDIA_DOCKER_LIST ", "
                                           MEDIA_DOCKER_MANIFEST, NULL };
    bool is_manifest = asks_for_manifest (ask), is_head = ask->kind == ASK_DIGEST || ask->kind == ASK_BLOB_SIZE;
    snprintf (lane->url, sizeof lane->url, "/v2/%s/%s/%s", ask->of->path, is_manifest ? "manifests" : "blobs",
              is_manifest ? name_of (ask->of) : ask->digest);
    call_scope (lane->scope, ask->of, "pull");
    lane->call = (call_t) { .method = is_head ? "HEAD" : "GET", .host = ask->of->host, .url = lane->url,
                            .scope = lane->scope, .headers = is_manifest ? accept : NULL };
}

static void wrap (registry_ask_t *ask)
{
    const reference_t *of = ask->of;
    if (asks_for_manifest (ask))
        err_wrap (&ask->err, "get manifest %s/%s%s%s", of->host, of->path, of->digest [0] ? "@" : ":", name_of (of));
    else
        err_wrap (&ask->err, "%s blob %s/%s@%s", ask->kind == ASK_BLOB ? "get" : "look for", of->host, of->path, ask->digest);
}

static void begin (registry_t *self, http_t *http, lane_t *lane, registry_ask_t *ask)
{
    buffer_clear (&ask->found.bytes);
    ask->found.media_type [0] = ask->found.digest [0] = 0;
    ask->size_bytes = -1;
    ask->err = (err_t) { 0 };
    set_call (lane, ask);
    lane->progress = call_begin (self, http, &lane->call, &lane->answer, &ask->err);
}

/* HEAD has told it, or GET has to: not every registry says it, or knows HEAD. */
static int end_digest (registry_t *self, lane_t *lane, registry_ask_t *ask, err_t *err)
{
    const http_answer_t *answer = &lane->answer;
    if (answer->status == 404)
        return no_manifest (ask->of, err);
    if (answer->status == 200 && strncmp (answer->digest, "sha256:", 7) == 0 && reference_is_digest (answer->digest)) {
        strcpy (ask->found.digest, answer->digest);
        return 0;
    }
    if (answer->status != 200 && answer->status != 405)
        return call_failed (&lane->call, answer, NULL, err);
    lane->call.method = "GET";
    if (call_whole (self, &lane->call, MANIFEST_BYTES_MAX, &lane->answer, &ask->found.bytes, err) < 0)
        return -1;
    if (answer->status != 200 && answer->status != 404)
        return call_failed (&lane->call, answer, &ask->found.bytes, err);
    return read_manifest (ask->of, answer, &ask->found, err);
}

static int end (registry_t *self, http_t *http, lane_t *lane, registry_ask_t *ask, err_t *err)
{
    size_t max_bytes = ask->kind == ASK_MANIFEST ? MANIFEST_BYTES_MAX : ask->max_bytes;
    buffer_t *body = ask->kind == ASK_BLOB_SIZE || ask->kind == ASK_DIGEST ? NULL : &ask->found.bytes;
    if (lane->progress == CALL_NEW
        || call_end (self, http, &lane->call, lane->progress, max_bytes, &lane->answer, body, err) < 0)
        return -1;
    if (ask->kind == ASK_DIGEST)
        return end_digest (self, lane, ask, err);
    if (lane->answer.status != 200 && lane->answer.status != 404)
        return call_failed (&lane->call, &lane->answer, body, err);
    return ask->kind == ASK_MANIFEST ? read_manifest (ask->of, &lane->answer, &ask->found, err) : read_blob (ask, &lane->answer, err);
}

void registry_ask (registry_t *self, registry_ask_t *asks, size_t count)
{
    size_t width = count < REGISTRY_LANES ? count : REGISTRY_LANES;
    AUTO_FREE lane_t *lanes = mem_alloc (width * sizeof *lanes + 1);
    for (size_t i = 0; i < count + width; i++) {
        size_t at = i % width;
        if (i >= width && end (self, self->lanes [at], &lanes [at], &asks [i - width], &asks [i - width].err) < 0)
            wrap (&asks [i - width]);
        if (i < count)
            begin (self, self->lanes [at], &lanes [at], &asks [i]);
    }
}
