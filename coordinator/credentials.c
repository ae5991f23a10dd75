/* credentials.c - see credentials.h.
 *
 *     gateway --["FIND", peer, re, host, scope, "own" or ""]--> thread --["FOUND", peer, re, authorization, ms, code, text]--> gateway
 *
 * Questions about one host go to one thread: a registry that hangs holds up those of its own thread alone, and tokens are kept there. */
#include "coordinator/credentials.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/actor.h"
#include "common/docker_config.h"
#include "common/mem.h"

enum { THREADS = 4, WAITING_MAX = 1024, TIMEOUT_MS = 10000, AUTHORIZATION_MAX = 16384 };

struct credentials {
    registry_settings_t settings;
    zsock_t *threads [THREADS];
    int waiting;
};

/* -- a thread --------------------------------------------------------------------------------------------------- */

/* As for base images (resolve.c), which these may be: own is for the build's registry, and others may not be on this machine or its link. */
typedef struct {
    registry_t *own, *others;
} registries_t;

static void find (zsock_t *pipe, const registries_t *registries, zmsg_t *question)
{
    AUTO_FREE char *asker = zmsg_popstr (question), *host = zmsg_popstr (question), *scope = zmsg_popstr (question),
                   *own = zmsg_popstr (question);
    err_t err = { 0 };
    char *authorization = NULL, keep [24];
    int64_t keep_ms = 0;
    bool is_own = own && *own;
    int rc = registry_authorize (is_own ? registries->own : registries->others, host, scope, is_own, &authorization, &keep_ms, &err);
    snprintf (keep, sizeof keep, "%lld", (long long) keep_ms);
    zstr_sendx (pipe, "FOUND", asker, rc == 0 ? authorization : "", keep, rc == 0 ? "" : err_name (err.code), rc == 0 ? "" : err.text, NULL);
    docker_config_wipe (&authorization);
}

static void lookup_actor (zsock_t *pipe, void *settings)
{
    registry_settings_t guarded = *(const registry_settings_t *) settings;
    guarded.guards_homes = true;
    registries_t registries = { registry_new (settings), registry_new (&guarded) };
    bool goes_on = true;
    zsock_signal (pipe, 0);
    while (goes_on) {
        zmsg_t *question = zmsg_recv (pipe);
        AUTO_FREE char *verb = question ? zmsg_popstr (question) : NULL;
        goes_on = question ? verb && streq (verb, "FIND") : errno == EINTR;
        if (question && goes_on)
            find (pipe, &registries, question);
        zmsg_destroy (&question);
    }
    registry_destroy (&registries.own);
    registry_destroy (&registries.others);
}

/* -- new and destroy -------------------------------------------------------------------------------------------- */

credentials_t *credentials_new (const registry_settings_t *settings, err_t *err)
{
    AUTO (credentials) credentials_t *self = mem_alloc (sizeof *self);
    self->settings = *settings;
    if (self->settings.timeout_ms <= 0 || self->settings.timeout_ms > TIMEOUT_MS)
        self->settings.timeout_ms = TIMEOUT_MS;
    for (int i = 0; i < THREADS; i++)
        if (!(self->threads [i] = actor_new (lookup_actor, &self->settings, err)))
            return NULL;
    return take (&self);
}

void credentials_destroy (credentials_t **self)
{
    if (!*self)
        return;
    for (int i = 0; i < THREADS; i++)
        actor_destroy (&(*self)->threads [i]);
    free (*self);
    *self = NULL;
}

void credentials_poll (credentials_t *self, zpoller_t *poller)
{
    for (int i = 0; i < THREADS; i++)
        zpoller_add (poller, self->threads [i]);
}

bool credentials_are_idle (const credentials_t *self)
{
    return self->waiting == 0;
}

/* -- questions -------------------------------------------------------------------------------------------------- */

static zsock_t *thread_of (credentials_t *self, const char *host)
{
    unsigned hash = 5381;
    for (const char *c = host; *c; c++)
        hash = hash * 33 + (unsigned char) *c;
    return self->threads [hash % THREADS];
}

static const char *text_of (const json_t *token, const char *field)
{
    return json_string_value (json_object_get (token, field));
}

static int64_t number_of (const json_t *token, const char *field)
{
    return json_integer_value (json_object_get (token, field));
}

int credentials_ask (credentials_t *self, uint64_t peer, const json_t *token, err_t *err)
{
    char asker [96];
    if (self->waiting >= WAITING_MAX)
        return err_set (err, ERR_FULL, "%d questions wait for registries already", self->waiting);
    snprintf (asker, sizeof asker, "%" PRIu64 " %" PRId64 " %" PRId64 " %" PRId64, peer, number_of (token, "re"), number_of (token, "job"),
              number_of (token, "attempt"));
    zstr_sendx (thread_of (self, text_of (token, "host")), "FIND", asker, text_of (token, "host"), text_of (token, "scope"),
                json_is_true (json_object_get (token, "is_own")) ? "own" : "", NULL);
    self->waiting++;
    return 0;
}

/* The header may hold no more than its schema says; a longer token is of no use. */
static json_t *header_of (int64_t re, const char *authorization, int64_t keep_ms, err_t *why)
{
    if (strlen (authorization) <= AUTHORIZATION_MAX)
        return json_pack ("{s:I, s:s, s:I}", "re", (json_int_t) re, "authorization", authorization, "keep_ms", (json_int_t) keep_ms);
    err_set (why, ERR_REGISTRY, "a token of more than %d bytes", AUTHORIZATION_MAX);
    return NULL;
}

static bool take_answer (credentials_t *self, zsock_t *thread, asker_t *asker, json_t **token, err_t *why)
{
    char *verb = NULL, *asked = NULL, *authorization = NULL, *keep = NULL, *code = NULL, *text = NULL;
    if (!(zsock_events (thread) & ZMQ_POLLIN) || zstr_recvx (thread, &verb, &asked, &authorization, &keep, &code, &text, NULL) < 6)
        return false;
    self->waiting--;
    *asker = (asker_t) { .peer = 0 };
    sscanf (asked, "%" SCNu64 " %" SCNd64 " %" SCNd64 " %" SCNd64, &asker->peer, &asker->re, &asker->job, &asker->attempt);
    *token = *code ? NULL : header_of (asker->re, authorization, strtoll (keep, NULL, 10), why);
    if (*code)
        err_set (why, err_from_name (code), "%s", text);
    docker_config_wipe (&authorization);
    char *texts [] = { verb, asked, keep, code, text };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        zstr_free (&texts [i]);
    return true;
}

bool credentials_next (credentials_t *self, asker_t *asker, json_t **token, err_t *why)
{
    for (int i = 0; self->waiting && i < THREADS; i++)
        if (take_answer (self, self->threads [i], asker, token, why))
            return true;
    return false;
}
