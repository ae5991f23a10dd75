/* registry.c - see registry.h: one manifest or blob, and whether a registry is there. */
#include <stdio.h>
#include <string.h>

#include "common/challenge.h"
#include "common/docker_config.h"
#include "common/registry_call.h"

void manifest_free (manifest_t *self)
{
    buffer_free (&self->bytes);
}

int registry_credential (const char *auth_file, const char *host, char **authorization, err_t *err)
{
    return docker_config_find (auth_file, host, authorization, err);
}

static int ask_result (const registry_ask_t *ask, err_t *err)
{
    if (ask->err.code != ERR_NONE && err)
        *err = ask->err;
    return ask->err.code == ERR_NONE ? 0 : -1;
}

/* -- manifests ----------------------------------------------------------------------------------------------------- */

int registry_get_manifest (registry_t *self, const reference_t *ref, manifest_t *out, err_t *err)
{
    AUTO_FREE registry_ask_t *ask = mem_alloc (sizeof *ask);
    *ask = (registry_ask_t) { .kind = ASK_MANIFEST, .of = ref, .found = { .bytes = out->bytes } };
    registry_ask (self, ask, 1);
    *out = ask->found;
    return ask_result (ask, err);
}

static int put_manifest (registry_t *self, const reference_t *repository, const char *name, const manifest_t *manifest,
                         err_t *err)
{
    char url [CALL_URL_MAX], scope [TOKEN_SCOPE_MAX], type [sizeof manifest->media_type + 16];
    AUTO_BUFFER buffer_t body = { 0 };
    AUTO_FREE http_answer_t *answer = mem_alloc (sizeof *answer);
    const char *const headers [] = { type, NULL };
    snprintf (type, sizeof type, "Content-Type: %s", manifest->media_type);
    snprintf (url, sizeof url, "/v2/%s/manifests/%s", repository->path, name);
    call_scope (scope, repository, "pull,push");
    call_t call = { .method = "PUT", .host = repository->host, .url = url, .scope = scope, .headers = headers,
                    .body = manifest->bytes.data, .body_size = manifest->bytes.size };
    if (call_whole (self, &call, ERROR_BODY_MAX, answer, &body, err) < 0)
        return -1;
    if (answer->status != 201 && answer->status != 200)
        return call_failed (&call, answer, &body, err);
    if (strncmp (answer->digest, "sha256:", 7) == 0 && strcmp (answer->digest, manifest->digest) != 0)
        return err_set (err, ERR_VERIFY, "%s has stored %s for %s: it, or something before it, changes what is sent",
                        repository->host, answer->digest, manifest->digest);
    return 0;
}

int registry_put_manifest (registry_t *self, const reference_t *repository, const char *tag, const manifest_t *manifest,
                           err_t *err)
{
    char digest [OCI_DIGEST_SIZE];
    oci_digest_of (manifest->bytes.data, manifest->bytes.size, digest);
    if (strcmp (digest, manifest->digest) != 0)
        return err_set (err, ERR_FARM, "a manifest to put has the digest %s and says %s: what was stored of it is broken",
                        digest, manifest->digest);
    if (put_manifest (self, repository, tag ? tag : manifest->digest, manifest, err) < 0)
        return err_wrap (err, "put manifest %s/%s%s%s", repository->host, repository->path, tag ? ":" : "@",
                         tag ? tag : manifest->digest);
    return 0;
}

/* -- blobs --------------------------------------------------------------------------------------------------------- */

int registry_head_blob (registry_t *self, const reference_t *repository, const char *digest, int64_t *size_bytes, err_t *err)
{
    AUTO_FREE registry_ask_t *ask = mem_alloc (sizeof *ask);
    *ask = (registry_ask_t) { .kind = ASK_BLOB_SIZE, .of = repository, .digest = digest };
    registry_ask (self, ask, 1);
    *size_bytes = ask->size_bytes;
    return ask_result (ask, err);
}

int registry_get_blob (registry_t *self, const reference_t *repository, const char *digest, size_t max_bytes, buffer_t *out,
                       err_t *err)
{
    AUTO_FREE registry_ask_t *ask = mem_alloc (sizeof *ask);
    *ask = (registry_ask_t) { .kind = ASK_BLOB, .of = repository, .digest = digest, .max_bytes = max_bytes,
                              .found = { .bytes = *out } };
    registry_ask (self, ask, 1);
    *out = ask->found.bytes;
    return ask_result (ask, err);
}

int registry_open_blob (registry_t *self, const reference_t *repository, const char *digest, int64_t size_bytes, err_t *err)
{
    char url [CALL_URL_MAX], scope [TOKEN_SCOPE_MAX];
    AUTO_FREE http_answer_t *answer = mem_alloc (sizeof *answer);
    snprintf (url, sizeof url, "/v2/%s/blobs/%s", repository->path, digest);
    call_scope (scope, repository, "pull");
    call_t call = { .method = "GET", .host = repository->host, .url = url, .scope = scope };
    if (call_open (self, self->source, &call, answer, err) < 0)
        return -1;
    if (answer->status == 404)
        return err_set (err, ERR_VERIFY, "%s does not have it in %s any more", repository->host, repository->path);
    if (answer->status != 200)
        return call_failed (&call, answer, NULL, err);
    if (answer->content_length >= 0 && answer->content_length != size_bytes)
        return err_set (err, ERR_VERIFY, "it has %lld bytes in %s, and %lld were expected", (long long) answer->content_length,
                        repository->path, (long long) size_bytes);
    return 0;
}

ssize_t registry_read_blob (registry_t *self, void *data, size_t size, err_t *err)
{
    return http_read (self->source, data, size, err);
}

/* -- is it there --------------------------------------------------------------------------------------------------- */

/* A registry that wants a login is there as well. */
int registry_ping (registry_t *self, const char *host, err_t *err)
{
    AUTO_FREE http_answer_t *answer = mem_alloc (sizeof *answer);
    AUTO_FREE challenge_t *challenge = mem_alloc (sizeof *challenge);
    AUTO_BUFFER buffer_t body = { 0 };
    err_t why = { 0 };
    call_t call = { .method = "GET", .host = host, .url = "/v2/", .scope = "" };
    int rc = call_whole (self, &call, ERROR_BODY_MAX, answer, &body, &why);
    if (rc < 0 && why.code == ERR_REGISTRY_DENIED && answer->status == 401
        && challenge_parse (challenge, answer->challenge, NULL) == 0)
        return 0;
    if (rc < 0) {
        if (err)
            *err = why;
        return err_wrap (err, "registry %s", host);
    }
    if (answer->status == 404)
        return err_set (err, ERR_REGISTRY_DENIED, "registry %s: it does not speak the registry's protocol (no /v2/)", host);
    return answer->status == 200 ? 0 : call_failed (&call, answer, &body, err);
}
