/* credentials.c - see credentials.h. */
#include "coordinator/credentials.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/reference.h"
#include "common/registry.h"

enum { KEEP_MS = 60000 };

/* One registry at a time is remembered: a farm pushes to one, and another costs a look into a file. */
struct credentials {
    char *auth_file;
    char host [REFERENCE_HOST_MAX];
    char *authorization;
    int64_t until_ms;
};

static void forget (credentials_t *self)
{
    if (self->authorization)
        sodium_memzero (self->authorization, strlen (self->authorization));
    free (self->authorization);
    self->authorization = NULL;
    self->host [0] = 0;
}

credentials_t *credentials_new (const char *auth_file)
{
    credentials_t *self = mem_alloc (sizeof *self);
    self->auth_file = mem_strdup (auth_file);
    return self;
}

void credentials_destroy (credentials_t **self_p)
{
    if (!*self_p)
        return;
    forget (*self_p);
    free ((*self_p)->auth_file);
    free (*self_p);
    *self_p = NULL;
}

const char *credentials_find (credentials_t *self, const char *repository, err_t *err)
{
    reference_t reference;
    err->code = ERR_NONE;
    if (!self->auth_file || reference_parse (&reference, repository, err) < 0)
        return NULL;
    int64_t now = clock_boot_ms ();
    if (strcmp (self->host, reference.host) == 0 && now < self->until_ms)
        return self->authorization;
    forget (self);
    if (registry_credential (self->auth_file, reference.host, &self->authorization, err) < 0)
        return NULL;
    strcpy (self->host, reference.host);
    self->until_ms = now + KEEP_MS;
    return self->authorization;
}
