/* registries.h - registries for tests: Debian's docker-registry, and one that does as a script says (lib/fake_registry.py). */
#ifndef FARM_TEST_REGISTRIES_H
#define FARM_TEST_REGISTRIES_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/registry.h"

typedef struct {
    pid_t pid;
    int input, output;                      /* ours; the process ends when its input does, or is ended */
    char host [64];                         /* "127.0.0.1:PORT" */
    char name [64];                         /* "localhost:PORT", the same one as another origin */
    char folder [64];                       /* removed at the end */
    const char *plain [3];                  /* both names, for settings */
} server_t;

/* script: see fake_registry.py. Fails the test where it does not start. */
void fake_start (server_t *self, const char *script);
/* The same over TLS, with a file that has key and certificate. */
void fake_start_tls (server_t *self, const char *script, const char *pem);
/* Let it begin anew with another script. From any thread, so without failing the test. */
int fake_script (const server_t *self, const char *script, err_t *err);
/* How many requests with this method ("" any) and this in their path it has had; of them with an Authorization. */
int fake_requests (const server_t *self, const char *method, const char *path);
int fake_authorized (const server_t *self, const char *method, const char *path);
/* How many came to it under this name, its host or its name; of them with an Authorization. */
int fake_requests_to (const server_t *self, const char *host);
int fake_shown_to (const server_t *self, const char *host);
/* How many connections they came over. */
int fake_connections (const server_t *self);

/* Debian's docker-registry; with more of its settings, and more of their section http (", tls: {…}"). False where it is not
 * installed. */
bool real_start (server_t *self);
bool real_start_as (server_t *self, const char *more, const char *more_http);

/* One for all tests of a program, and a client of it: for the set-up and the tear-down of a group. False where it is not installed. */
bool real_begin (server_t *self, registry_t **client);
void real_end (server_t *self, registry_t **client);

/* lib/token_service.py with its folder. False where openssl is not installed. */
bool token_service_start (server_t *self);

/* One that wants tokens of this service. False where openssl is not installed; fails the test where the registry does not start. */
bool real_start_with_tokens (server_t *self, server_t *service);

void server_stop (server_t *self);

/* What the environment says of proxies is not for tests. */
void without_proxies (void);

/* A client that may speak plain http with it; auth_file may be NULL. The caller destroys. */
registry_t *client_of (const server_t *self, const char *auth_file);
reference_t reference_of (const char *host, const char *rest);

/* Push as another client would; authorization may be NULL. digest gets the digest. */
void push_blob (const server_t *self, const char *path, const char *authorization, const void *data, size_t size,
                char digest [OCI_DIGEST_SIZE]);

#endif
