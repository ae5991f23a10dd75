/* credentials.c - see credentials.h.
 *
 *     gateway --["FIND", host]--> thread --["FOUND", host, authorization or ""]--> gateway
 *
 * What cannot be found out counts as none: the worker's push then says what the registry thinks of that. */
#include "coordinator/credentials.h"

#include <sodium.h>
#include <string.h>

#include "common/actor.h"
#include "common/clock.h"
#include "common/docker_config.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/reference.h"
#include "common/registry.h"

enum { KEEP_MS = 60000 };

typedef struct {
    uint64_t peer;
    json_t *assign;
    char host [REFERENCE_HOST_MAX];
} kept_t;

/* One registry at a time is remembered: a farm pushes to one, and another costs a look into a file. */
struct credentials {
    char *auth_file;
    zsock_t *actor;
    char host [REFERENCE_HOST_MAX];     /* "": none is known */
    char *authorization;
    int64_t until_ms;
    zlistx_t *kept;                     /* kept_t, oldest first */
};

/* -- the thread ------------------------------------------------------------------------------------------------- */

static void find (zsock_t *pipe, const char *auth_file, const char *host)
{
    err_t err = { 0 };
    char *authorization = NULL;
    if (registry_credential (auth_file, host, &authorization, &err) < 0)
        log_warn ("gateway", "%s", err.text);
    zstr_sendx (pipe, "FOUND", host, authorization ? authorization : "", NULL);
    docker_config_wipe (&authorization);
}

static void lookup_actor (zsock_t *pipe, void *auth_file)
{
    bool goes_on = true;
    zsock_signal (pipe, 0);
    while (goes_on) {
        char *verb = NULL, *host = NULL;
        if (zstr_recvx (pipe, &verb, &host, NULL) < 0)
            goes_on = errno == EINTR;
        else if (streq (verb, "FIND") && host)
            find (pipe, auth_file, host);
        else
            goes_on = false;
        zstr_free (&verb);
        zstr_free (&host);
    }
}

/* -- new and destroy -------------------------------------------------------------------------------------------- */

static void kept_free (void **item)
{
    json_decref (((kept_t *) *item)->assign);
    free (*item);
    *item = NULL;
}

credentials_t *credentials_new (const char *auth_file, err_t *err)
{
    AUTO (credentials) credentials_t *self = mem_alloc (sizeof *self);
    self->kept = zlistx_new ();
    zlistx_set_destructor (self->kept, kept_free);
    if (auth_file) {
        self->auth_file = mem_strdup (auth_file);
        self->actor = actor_new (lookup_actor, self->auth_file, err);
        if (!self->actor)
            return NULL;
    }
    return take (&self);
}

void credentials_destroy (credentials_t **self_p)
{
    credentials_t *self = *self_p;
    if (!self)
        return;
    actor_destroy (&self->actor);
    zlistx_destroy (&self->kept);
    docker_config_wipe (&self->authorization);
    free (self->auth_file);
    free (self);
    *self_p = NULL;
}

zsock_t *credentials_actor (credentials_t *self)
{
    return self->actor;
}

/* -- assignments ------------------------------------------------------------------------------------------------ */

static int64_t field (const json_t *assign, const char *name)
{
    return json_integer_value (json_object_get (assign, name));
}

static kept_t *find_kept (credentials_t *self, const char *host)
{
    for (kept_t *kept = zlistx_first (self->kept); kept; kept = zlistx_next (self->kept))
        if (streq (kept->host, host))
            return kept;
    return NULL;
}

void credentials_forget (credentials_t *self, int64_t job, int64_t attempt)
{
    for (kept_t *kept = zlistx_first (self->kept); kept; kept = zlistx_next (self->kept))
        if (field (kept->assign, "job") == job && (!attempt || field (kept->assign, "attempt") == attempt))
            zlistx_delete (self->kept, zlistx_cursor (self->kept));
}

static void put (const credentials_t *self, json_t *assign)
{
    if (self->authorization)
        json_object_set_new (assign, "authorization", json_string (self->authorization));
}

static void keep (credentials_t *self, uint64_t peer, json_t *assign, const char *host)
{
    bool is_asked = find_kept (self, host) != NULL;
    kept_t *kept = mem_alloc (sizeof *kept);
    kept->peer = peer;
    kept->assign = json_incref (assign);
    strcpy (kept->host, host);
    zlistx_add_end (self->kept, kept);
    if (streq (self->host, host))
        self->host [0] = 0;             /* too old */
    if (!is_asked)
        zstr_sendx (self->actor, "FIND", host, NULL);
}

bool credentials_add (credentials_t *self, uint64_t peer, json_t *assign)
{
    err_t err = { 0 };
    reference_t reference;
    credentials_forget (self, field (assign, "job"), 0);
    if (!self->actor)
        return true;
    if (reference_parse (&reference, json_string_value (json_object_get (assign, "repository")), &err) < 0) {
        log_warn ("gateway", "%s", err.text);
        return true;
    }
    if (streq (self->host, reference.host) && clock_boot_ms () < self->until_ms) {
        put (self, assign);
        return true;
    }
    keep (self, peer, assign, reference.host);
    return false;
}

static bool take_answer (credentials_t *self)
{
    char *verb = NULL, *host = NULL, *authorization = NULL;
    if (!self->actor || !(zsock_events (self->actor) & ZMQ_POLLIN)
    ||  zstr_recvx (self->actor, &verb, &host, &authorization, NULL) < 3)
        return false;
    docker_config_wipe (&self->authorization);
    snprintf (self->host, sizeof self->host, "%s", host);
    if (*authorization)
        self->authorization = mem_strdup (authorization);
    self->until_ms = clock_boot_ms () + KEEP_MS;
    zstr_free (&verb);
    zstr_free (&host);
    docker_config_wipe (&authorization);
    return true;
}

/* One answer after the other, for the next may be of another registry. */
json_t *credentials_next (credentials_t *self, uint64_t *peer)
{
    do {
        kept_t *kept = self->host [0] ? find_kept (self, self->host) : NULL;
        if (!kept)
            continue;
        json_t *assign = take (&kept->assign);
        *peer = kept->peer;
        put (self, assign);
        zlistx_delete (self->kept, zlistx_cursor (self->kept));
        return assign;
    } while (take_answer (self));
    return NULL;
}
