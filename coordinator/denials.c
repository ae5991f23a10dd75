/* denials.c - see denials.h. A list: what is denied is rare, or of few keys. */
#include "coordinator/denials.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

typedef struct {
    char key [65], act [33], detail [256];
    int64_t times;                  /* not told yet */
} entry_t;

struct denials {
    denials_fn *tell;
    void *context;
    entry_t *entries;               /* DENIALS_APART, and one for all others */
    size_t count;
    int64_t due_ms;                 /* where there are any */
};

denials_t *denials_new (denials_fn *tell, void *context)
{
    denials_t *self = mem_alloc (sizeof *self);
    self->tell = tell;
    self->context = context;
    self->entries = mem_alloc ((DENIALS_APART + 1) * sizeof *self->entries);
    return self;
}

void denials_destroy (denials_t **self_p)
{
    denials_t *self = *self_p;
    if (!self)
        return;
    free (self->entries);
    free (self);
    *self_p = NULL;
}

static entry_t *find (denials_t *self, const entry_t *wanted)
{
    for (size_t i = 0; i < self->count; i++) {
        entry_t *entry = &self->entries [i];
        if (strcmp (entry->key, wanted->key) == 0 && strcmp (entry->act, wanted->act) == 0 && strcmp (entry->detail, wanted->detail) == 0)
            return entry;
    }
    return NULL;
}

static size_t count_of (const denials_t *self, const char *key)
{
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++)
        count += strcmp (self->entries [i].key, key) == 0;
    return count;
}

static entry_t *find_or_add (denials_t *self, const entry_t *wanted)
{
    static const entry_t others = { .act = "others", .detail = "more was denied, too much to name each" };
    entry_t *entry = find (self, wanted), others_of_key = others;
    if (entry)
        return entry;
    if (count_of (self, wanted->key) >= DENIALS_OF_KEY) {
        strcpy (others_of_key.key, wanted->key);
        entry = find (self, wanted = &others_of_key);
    }
    if (entry)
        return entry;
    if (self->count > DENIALS_APART)
        return &self->entries [DENIALS_APART];
    entry = &self->entries [self->count++];
    *entry = self->count > DENIALS_APART ? others : *wanted;
    return entry;
}

static void tell (const denials_t *self, entry_t *entry)
{
    if (entry->times > 0 && self->tell (self->context, entry->key, entry->act, entry->detail, entry->times))
        entry->times = 0;
}

void denials_add (denials_t *self, const char *key_hex, const char *act, const char *detail, int64_t now_ms)
{
    entry_t wanted = { .times = 0 };
    snprintf (wanted.key, sizeof wanted.key, "%s", key_hex);
    snprintf (wanted.act, sizeof wanted.act, "%s", act);
    snprintf (wanted.detail, sizeof wanted.detail, "%s", detail);
    if (self->count == 0)
        self->due_ms = now_ms + DENIALS_MS;
    size_t count = self->count;
    entry_t *entry = find_or_add (self, &wanted);
    entry->times++;
    if (self->count > count)
        tell (self, entry);
}

int denials_tell (denials_t *self, int64_t now_ms)
{
    if (self->count > 0 && now_ms >= self->due_ms) {
        size_t left = 0;
        for (size_t i = 0; i < self->count; i++) {
            tell (self, &self->entries [i]);
            if (self->entries [i].times > 0)
                self->entries [left++] = self->entries [i];
        }
        self->count = left;
        self->due_ms = now_ms + DENIALS_MS;
    }
    return self->count > 0 ? (int) (self->due_ms - now_ms) : -1;
}

/* -- the outlet --------------------------------------------------------------------------------------------------- */

zsock_t *denials_outlet_new (void)
{
    zsock_t *self = zsock_new (ZMQ_PUSH);
    zsock_set_sndhwm (self, 100);
    zsock_set_linger (self, 0);
    zsock_connect (self, DENIALS_PLACE);
    return self;
}

/* False while whoever writes them down has enough to do. */
bool denials_send (void *outlet, const char *key_hex, const char *act, const char *detail, int64_t times)
{
    void *handle = zsock_resolve (outlet);
    char number [24];
    int size = snprintf (number, sizeof number, "%lld", (long long) times);
    if (zmq_send (handle, key_hex, strlen (key_hex), ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return false;
    zmq_send (handle, act, strlen (act), ZMQ_SNDMORE | ZMQ_DONTWAIT);          /* a message goes as a whole */
    zmq_send (handle, detail, strlen (detail), ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send (handle, number, (size_t) size, ZMQ_DONTWAIT);
    return true;
}
