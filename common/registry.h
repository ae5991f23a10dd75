/* registry.h - a client of an OCI registry (OCI Distribution Spec 1.1) on libcurl.
 *
 * One client serves one thread. It keeps connections and bearer tokens per registry and repository. Plain http is used
 * only for hosts listed as such; redirects are followed by hand, never with Authorization to another origin; a token
 * realm gets credentials only when it shares the registry's site; neither may lead to addresses inside, unless the registry is
 * there itself (common/inside.h); Retry-After is honoured within the time
 * limit. 5xx, 429 and connection errors are tried three times; then ERR_REGISTRY. 400, 401, 403, 404, 405 are ERR_REGISTRY_DENIED
 * (404 of a manifest or blob: ERR_NOT_FOUND). Bytes from a registry are bounded and never trusted. */
#ifndef FARM_REGISTRY_H
#define FARM_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/digest.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/reference.h"
#include "common/registry_tally.h"

enum { MANIFEST_BYTES_MAX = 4 * 1024 * 1024, CONFIG_BYTES_MAX = 8 * 1024 * 1024 };

typedef struct {
    const char *const *plain_http_hosts;    /* NULL-ended list of "host[:port]"; borrowed */
    const char *const *inside_hosts;        /* the same, of those inside that registries elsewhere may send us to (common/inside.h) */
    const char *auth_file;                  /* docker's config.json; NULL: none. Read at each need, so it may change */
    const char *certs_folder;               /* certs.d: <host>/{ca.crt,client.cert,client.key}; NULL: /etc/docker/certs.d */
    int timeout_ms;                         /* of one request without progress; 0: 30 s */
    registry_tally_t *tally;                /* where requests are counted; borrowed; NULL: nowhere */
    bool is_brief;                          /* for what need not be known: one try, timeout_ms in all, and a host that has failed
                                             * is not asked again for rest_ms, but fails at once */
    int rest_ms;                            /* 0: a minute */
    bool guards_homes;                      /* registries themselves may not be on this machine or its link, but where plain_http_hosts or inside_hosts names them */
} registry_settings_t;

typedef struct registry registry_t;

registry_t *registry_new (const registry_settings_t *settings);
void registry_destroy (registry_t **self);

/* What is asked from now on has to be done by then (clock_boot_ms), whatever it takes: redirects, index after index; 0: no such end. Not while something is
 * being asked. */
void registry_set_deadline (registry_t *self, int64_t until_ms);

/* Use this Authorization value ("Basic …") for the registry of a host, before anything in auth_file; NULL takes it back. */
void registry_set_credential (registry_t *self, const char *host, const char *authorization);

/* A manifest or index as the registry has it: the raw bytes, never written again in another form. */
typedef struct {
    char media_type [128];                  /* of the Content-Type header */
    char digest [OCI_DIGEST_SIZE];          /* SHA-256 recomputed over bytes */
    buffer_t bytes;
} manifest_t;
void manifest_free (manifest_t *self);

/* reference: host and path of *ref, and its digest if it has one, else its tag (else "latest"). A digest asked for is
 * compared with the bytes: ERR_VERIFY. All four media types of manifests are accepted. */
int registry_get_manifest (registry_t *self, const reference_t *ref, manifest_t *out, err_t *err);

/* Put the bytes under `tag` or, with tag NULL, under their digest. The registry's Docker-Content-Digest is compared. */
int registry_put_manifest (registry_t *self, const reference_t *repository, const char *tag,
                           const manifest_t *manifest, err_t *err);

/* Length of a blob; ERR_NOT_FOUND where it is not there. */
int registry_head_blob (registry_t *self, const reference_t *repository, const char *digest, int64_t *size_bytes,
                        err_t *err);

/* A small blob (a config), whole, its digest compared: ERR_VERIFY. */
int registry_get_blob (registry_t *self, const reference_t *repository, const char *digest, size_t max_bytes,
                       buffer_t *out, err_t *err);

/* A blob of any size in parts: open it, then read until 0. size_bytes as it should have: ERR_VERIFY. One at a time; whoever reads
 * compares the digest. Nothing is tried again once its bytes have begun. */
int registry_open_blob (registry_t *self, const reference_t *repository, const char *digest, int64_t size_bytes, err_t *err);
ssize_t registry_read_blob (registry_t *self, void *data, size_t size, err_t *err);

/* Questions like the three above, put at once: four of them are on their way, each over a connection of its own. */
typedef enum { ASK_MANIFEST, ASK_DIGEST, ASK_BLOB, ASK_BLOB_SIZE } registry_ask_kind;
typedef struct {
    registry_ask_kind kind;
    const reference_t *of;                  /* a manifest's reference or a blob's repository; borrowed */
    const char *digest;                     /* of a blob; borrowed */
    size_t max_bytes;                       /* of a whole blob */
    manifest_t found;                       /* out: a manifest (ASK_DIGEST: only its digest counts, which is the registry's word:
                                             * some count a GET as a pull), or a whole blob's bytes; the caller frees */
    int64_t size_bytes;                     /* out: of a blob that is looked for */
    err_t err;                              /* out: how it went, as above */
} registry_ask_t;
void registry_ask (registry_t *self, registry_ask_t *asks, size_t count);

/* Make a blob of one repository known in another of the same registry: mounted, or copied in bounded memory where the
 * registry will not mount. Nothing is sent when it is there already. */
int registry_copy_blob (registry_t *self, const reference_t *from, const reference_t *to, const char *digest,
                        int64_t size_bytes, err_t *err);

/* Is the registry there and does it talk the protocol (GET /v2/)? */
int registry_ping (registry_t *self, const char *host, err_t *err);

/* What this registry wants to be shown for a scope ("repository:team/app:pull,push", a second one behind a space): "Bearer …", got with the
 * credential that there is; "" where it wants nothing; where it knows no tokens the password itself, if it may be that. The caller frees, and
 * wipes. *keep_ms: how long to use it. Errors as above. */
int registry_authorize (registry_t *self, const char *host, const char *scope, bool may_be_password, char **authorization, int64_t *keep_ms,
                        err_t *err);

/* What docker's config.json (or its credential helper) has for a registry's host: the value of an Authorization header
 * ("Basic …") or NULL where there is nothing. The caller frees, and wipes. Returns -1 when the file cannot be used. */
int registry_credential (const char *auth_file, const char *host, char **authorization, err_t *err);

#endif
