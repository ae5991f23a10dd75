/* door.h - the worker's door to registries: a small registry front on loopback (libmicrohttpd in, libcurl out).
 *
 * Builders are told to use it in place of every registry and push to it. The upstream is the first part of the path:
 * /v2/registry.lan:5000/team/app/… or, since a reference cannot have a ':' there, /v2/registry.lan__5000/team/app/… A request passes when it names a live attempt (user "attempt", its password) and
 * something that this attempt needs: writes to the attempt's own repository, reads of that and of its base images, under a quota of bytes. The door adds the
 * upstream's credential, puts a manifest that comes under a tag under its digest instead, rewrites Location headers,
 * asks for a base image by the digest that its tag means for the whole build, lets no other bytes of it through, streams in bounded memory, and tries 5xx and 429 again where the body can be sent again. */
#ifndef FARM_DOOR_H
#define FARM_DOOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/reference.h"
#include "common/registry.h"

typedef struct door door_t;

/* What holds for every attempt. */
typedef struct {
    const char *const *bases;       /* NULL-ended patterns of fnmatch for "host/path": may be read too; borrowed; NULL none */
    int64_t quota_bytes;            /* that may pass for one attempt, both ways; 0: no limit */
} door_limits_t;

/* Serve on 127.0.0.1; port 0 takes a free one. The same port from start to start keeps the builder's memory of which
 * blobs are where; so the caller keeps it. Settings are borrowed. */
int door_new (door_t **out, int port, const registry_settings_t *settings, const door_limits_t *limits, err_t *err);
void door_destroy (door_t **self);
int door_port (const door_t *self);

/* What a registry is to be shown for a scope: "Bearer …" or "Basic …" (the caller wipes), "" for nothing; for how long it holds. Called by
 * one thread at a time, any, and not after door_close_pass. */
typedef int (door_grant_fn) (void *argument, const char *host, const char *scope, char **authorization, int64_t *keep_ms, err_t *err);

/* What a name ("host/path:tag") means for all of the build: digest is what its registry says it means now; pinned gets what it meant first. Called as a
 * door_grant_fn is. */
typedef int (door_pin_fn) (void *argument, const char *reference, const char *digest, char pinned [OCI_DIGEST_SIZE], err_t *err);

typedef struct {
    int64_t job;
    int attempt;
    reference_t repository;         /* may be pushed to */
    const json_t *bases;            /* [{"reference": …, "digest": …}]: what names mean, whatever their tags mean by now; NULL: none is known; copied */
    door_pin_fn *pin;               /* asked of other names; NULL: they mean what their registry says each time */
    door_grant_fn *grant;           /* NULL: there is nothing to show */
    void *argument;
} door_pass_t;

/* Let an attempt through. password gets 32 hex digits and NUL. */
void door_open_pass (door_t *self, const door_pass_t *pass, char password [33]);

/* The attempt may read this repository, too; path "": any of the host. */
void door_allow (door_t *self, int64_t job, int attempt, const char *host, const char *path);

/* The digest, media type and size of the manifest last put by the attempt; ERR_NOT_FOUND if none was. */
int door_pushed (door_t *self, int64_t job, int attempt, char digest [OCI_DIGEST_SIZE], char media_type [128],
                 int64_t *size_bytes, err_t *err);

/* Was an image whose digest was known asked for by its tag, and not given in the end? Then the builder may have gone on with a copy of its own, of another
 * digest: ERR_REGISTRY, or ERR_REGISTRY_DENIED where the coordinator has a final no for it. */
int door_check_bases (door_t *self, int64_t job, int attempt, err_t *err);

/* The images that the attempt read by a tag: [{"reference": …, "digest": …}], to the caller. NULL where that is not known for
 * all of them. */
json_t *door_bases (door_t *self, int64_t job, int attempt);

/* Why requests of the attempt failed upstream, the last one; code ERR_NONE where none did. */
void door_last_error (door_t *self, int64_t job, int attempt, err_t *out);

/* Has a registry answered any request of the attempt? */
bool door_was_answered (door_t *self, int64_t job, int attempt);

/* Forget both: what comes next has its own. */
void door_clear_error (door_t *self, int64_t job, int attempt);

void door_close_pass (door_t *self, int64_t job, int attempt);

#endif
