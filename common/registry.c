/* registry.c - see registry.h: manifests, and blobs as they are read. */
#include <stdio.h>
#include <string.h>

#include "common/challenge.h"
#include "common/docker_config.h"
#include "common/manifest.h"
#include "common/registry_call.h"

enum { PATH_TEXT_MAX = REFERENCE_PATH_MAX + REFERENCE_DIGEST_MAX + 64 };

void manifest_free (manifest_t *self)
{
    buffer_free (&self->bytes);
}

int registry_credential (const char *auth_file, const char *host, char **authorization, err_t *err)
{
    return docker_config_find (auth_file, host, authorization, err);
}

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

static int read_manifest (const reference_t *ref, const http_answer_t *answer, manifest_t *out, err_t *err)
{
    if (!is_manifest_type (answer->content_type))
        return err_set (err, ERR_REGISTRY, "%s says that it is \"%.100s\", which is no image or index: is it a registry, and the "
                        "image not of a former kind?", ref->host, answer->content_type);
    snprintf (out->media_type, sizeof out->media_type, "%.127s", answer->content_type);
    oci_digest_of (out->bytes.data, out->bytes.size, out->digest);
    if (ref->digest [0])
        return check_digest (ref->digest, out->digest, err);
    return strncmp (answer->digest, "sha256:", 7) == 0 ? check_digest (answer->digest, out->digest, err) : 0;
}

static int get_manifest (registry_t *self, const reference_t *ref, manifest_t *out, err_t *err)
{
    static const char *const headers [] = { "Accept: " MEDIA_OCI_INDEX ", " MEDIA_OCI_MANIFEST ", " MEDIA_DOCKER_LIST ", "
                                            MEDIA_DOCKER_MANIFEST, NULL };
    char url [PATH_TEXT_MAX], scope [TOKEN_SCOPE_MAX];
    AUTO_FREE http_answer_t *answer = mem_alloc (sizeof *answer);
    snprintf (url, sizeof url, "/v2/%s/manifests/%s", ref->path, name_of (ref));
    call_scope (scope, ref, "pull");
    call_t call = { .method = "GET", .host = ref->host, .url = url, .scope = scope, .headers = headers };
    if (call_whole (self, &call, MANIFEST_BYTES_MAX, answer, &out->bytes, err) < 0)
        return -1;
    if (answer->status == 404)
        return err_set (err, ERR_NOT_FOUND, "%s has no %s %s in %s", ref->host, ref->digest [0] ? "manifest" : "tag",
                        name_of (ref), ref->path);
    if (answer->status != 200)
        return call_failed (&call, answer, &out->bytes, err);
    return read_manifest (ref, answer, out, err);
}

int registry_get_manifest (registry_t *self, const reference_t *ref, manifest_t *out, err_t *err)
{
    buffer_clear (&out->bytes);
    out->media_type [0] = out->digest [0] = 0;
    if (get_manifest (self, ref, out, err) < 0)
        return err_wrap (err, "get manifest %s/%s%s%s", ref->host, ref->path, ref->digest [0] ? "@" : ":", name_of (ref));
    return 0;
}

static int put_manifest (registry_t *self, const reference_t *repository, const char *name, const manifest_t *manifest,
                         err_t *err)
{
    char url [PATH_TEXT_MAX], scope [TOKEN_SCOPE_MAX], type [sizeof manifest->media_type + 16];
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

static int head_blob (registry_t *self, const reference_t *repository, const char *digest, int64_t *size_bytes, err_t *err)
{
    char url [PATH_TEXT_MAX], scope [TOKEN_SCOPE_MAX];
    AUTO_FREE http_answer_t *answer = mem_alloc (sizeof *answer);
    snprintf (url, sizeof url, "/v2/%s/blobs/%s", repository->path, digest);
    call_scope (scope, repository, "pull");
    call_t call = { .method = "HEAD", .host = repository->host, .url = url, .scope = scope };
    if (call_open (self, self->http, &call, answer, err) < 0)
        return -1;
    if (answer->status == 404)
        return err_set (err, ERR_NOT_FOUND, "%s does not have it in %s", repository->host, repository->path);
    if (answer->status != 200)
        return call_failed (&call, answer, NULL, err);
    if (answer->content_length < 0)
        return err_set (err, ERR_REGISTRY, "%s does not say how long it is", repository->host);
    *size_bytes = answer->content_length;
    return 0;
}

int registry_head_blob (registry_t *self, const reference_t *repository, const char *digest, int64_t *size_bytes, err_t *err)
{
    if (head_blob (self, repository, digest, size_bytes, err) < 0)
        return err_wrap (err, "look for blob %s/%s@%s", repository->host, repository->path, digest);
    return 0;
}

static int get_blob (registry_t *self, const reference_t *repository, const char *digest, size_t max_bytes, buffer_t *out,
                     err_t *err)
{
    char url [PATH_TEXT_MAX], scope [TOKEN_SCOPE_MAX], got [OCI_DIGEST_SIZE];
    AUTO_FREE http_answer_t *answer = mem_alloc (sizeof *answer);
    snprintf (url, sizeof url, "/v2/%s/blobs/%s", repository->path, digest);
    call_scope (scope, repository, "pull");
    call_t call = { .method = "GET", .host = repository->host, .url = url, .scope = scope };
    if (call_whole (self, &call, max_bytes, answer, out, err) < 0)
        return -1;
    if (answer->status == 404)
        return err_set (err, ERR_NOT_FOUND, "%s does not have it in %s", repository->host, repository->path);
    if (answer->status != 200)
        return call_failed (&call, answer, out, err);
    oci_digest_of (out->data, out->size, got);
    return check_digest (digest, got, err);
}

int registry_get_blob (registry_t *self, const reference_t *repository, const char *digest, size_t max_bytes, buffer_t *out,
                       err_t *err)
{
    if (get_blob (self, repository, digest, max_bytes, out, err) < 0)
        return err_wrap (err, "get blob %s/%s@%s", repository->host, repository->path, digest);
    return 0;
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
