/* secret.c - see secret.h. */
#include "common/secret.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/mem.h"

int secret_check_id (const char *id, err_t *err)
{
    static const char letters [] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    size_t length = strlen (id);
    if (length > SECRET_ID_MAX)
        return err_set (err, ERR_USAGE, "secret %.60s…: its id is longer than %d bytes", id, SECRET_ID_MAX);
    if (!length || !strchr (letters, id [0]) || id [strspn (id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")])
        return err_set (err, ERR_USAGE, "secret \"%s\": an id has letters, digits, '.', '_' and '-', and does not begin with '.' or '-'", id);
    return 0;
}

void *secret_memory (size_t size)
{
    void *memory = sodium_init () < 0 ? NULL : sodium_malloc (size);
    if (!memory)
        mem_exhausted ();
    return memory;
}

secret_t *secrets_add (secrets_t *self, const char *id, size_t size, err_t *err)
{
    if (secret_check_id (id, err) < 0)
        return NULL;
    if (secrets_find (self, id))
        err_set (err, ERR_USAGE, "secret %s is given twice", id);
    else if (size > SECRET_BYTES_MAX)
        err_set (err, ERR_USAGE, "secret %s has %zu bytes: %d at most", id, size, SECRET_BYTES_MAX);
    else if (self->count == SECRETS_MAX)
        err_set (err, ERR_USAGE, "secret %s: a build can have %d secrets", id, SECRETS_MAX);
    else {
        secret_t *item = &self->items [self->count++];
        *item = (secret_t) { .size = size, .data = size ? secret_memory (size) : NULL };
        snprintf (item->id, sizeof item->id, "%s", id);
        return item;
    }
    return NULL;
}

const secret_t *secrets_find (const secrets_t *self, const char *id)
{
    for (size_t i = 0; i < self->count; i++)
        if (strcmp (self->items [i].id, id) == 0)
            return &self->items [i];
    return NULL;
}

void secrets_free (secrets_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        sodium_free (self->items [i].data);
    *self = (secrets_t) { .count = 0 };
}

int secret_parts (const secret_t *self)
{
    return self->size <= SECRET_PART_MAX ? 1 : SECRET_PARTS_MAX;
}

const uint8_t *secret_part (const secret_t *self, int part, size_t *size)
{
    size_t from = (size_t) part * SECRET_PART_MAX, left = self->size - from;
    *size = left < SECRET_PART_MAX ? left : SECRET_PART_MAX;
    return self->data ? self->data + from : (const uint8_t *) "";
}

void secret_guard_process (void)
{
    struct rlimit none = { 0, 0 };
    setrlimit (RLIMIT_CORE, &none);
    prctl (PR_SET_DUMPABLE, 0);
}
