/* packer.c - each thread takes the next object until its pack is full, and puts the pack on a short shelf, from where the
 * sender takes it. A full shelf makes the threads wait, so memory does not grow with the context. What fits a few messages
 * is packed by the caller itself. */
#include "farmctl/packer.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/crew.h"
#include "common/pack.h"

enum { SHELF_MAX = 8, FEW_BYTES = 512 * 1024 };

typedef struct {
    buffer_t body;
    uint64_t objects;
} pack_t;

/* One thread's, or the caller's. */
typedef struct {
    buffer_t object;                /* the one in hand, */
    const scan_object_t *in_hand;   /* which did not fit the last pack; NULL for none */
} hand_t;

struct packer {
    const scan_t *scan;
    const scan_object_t *const *objects;
    size_t count;
    atomic_size_t next;
    hand_t own;
    crew_t *crew;                   /* NULL: the caller packs */
    pthread_mutex_t lock;           /* for all below */
    pthread_cond_t changed;
    pack_t shelf [SHELF_MAX];
    size_t shelved, packing;        /* packs there; threads that may bring more */
    bool is_ended, is_failed;
    err_t err;
};

/* -- one pack --------------------------------------------------------------------------------------------------- */

static int take_in_hand (packer_t *self, hand_t *hand, err_t *err)
{
    if (hand->in_hand)
        return 1;
    size_t at = atomic_fetch_add (&self->next, 1);
    if (at >= self->count)
        return 0;
    if (scan_read (self->scan, self->objects [at], &hand->object, err) < 0)
        return -1;
    hand->in_hand = self->objects [at];
    return 1;
}

/* 1 when there is something in it. */
static int fill (packer_t *self, hand_t *hand, pack_t *pack, err_t *err)
{
    int rc;
    buffer_clear (&pack->body);
    pack->objects = 0;
    while ((rc = take_in_hand (self, hand, err)) == 1) {
        if (!pack_add (&pack->body, hand->in_hand->kind, &hand->in_hand->digest, hand->object.data, hand->object.size))
            break;
        pack->objects++;
        hand->in_hand = NULL;
    }
    return rc < 0 ? -1 : pack->objects > 0;
}

/* -- threads ---------------------------------------------------------------------------------------------------- */

/* False when nobody wants it. Takes the pack's body. */
static bool shelve (packer_t *self, pack_t *pack)
{
    pthread_mutex_lock (&self->lock);
    while (self->shelved == SHELF_MAX && !self->is_ended)
        pthread_cond_wait (&self->changed, &self->lock);
    bool is_wanted = !self->is_ended && !self->is_failed;
    if (is_wanted) {
        self->shelf [self->shelved++] = *pack;
        *pack = (pack_t) { .objects = 0 };
        pthread_cond_broadcast (&self->changed);
    }
    pthread_mutex_unlock (&self->lock);
    return is_wanted;
}

static void leave (packer_t *self, const err_t *err)
{
    pthread_mutex_lock (&self->lock);
    if (err && !self->is_failed) {
        self->is_failed = true;
        self->err = *err;
    }
    self->packing--;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
}

static void pack_some (void *argument)
{
    packer_t *self = argument;
    hand_t hand = { .in_hand = NULL };
    pack_t pack = { .objects = 0 };
    err_t err;
    int rc;
    while ((rc = fill (self, &hand, &pack, &err)) == 1 && shelve (self, &pack))
        ;
    leave (self, rc < 0 ? &err : NULL);
    buffer_free (&pack.body);
    buffer_free (&hand.object);
}

/* -- the face --------------------------------------------------------------------------------------------------- */

static bool are_few (const scan_object_t *const *objects, size_t count)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < count && bytes <= FEW_BYTES; i++)
        bytes += objects [i]->size_bytes;
    return bytes <= FEW_BYTES;
}

packer_t *packer_new (const scan_t *scan, const scan_object_t *const *objects, size_t count)
{
    packer_t *self = mem_alloc (sizeof *self);
    self->scan = scan;
    self->objects = objects;
    self->count = count;
    pthread_mutex_init (&self->lock, NULL);
    pthread_cond_init (&self->changed, NULL);
    if (are_few (objects, count))
        return self;
    pthread_mutex_lock (&self->lock);       /* a thread that is ready at once waits here until it is counted */
    self->crew = crew_new (pack_some, self, CREW_ALL);
    self->packing = crew_size (self->crew);
    pthread_mutex_unlock (&self->lock);
    return self;
}

void packer_destroy (packer_t **self_p)
{
    packer_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_lock (&self->lock);
    self->is_ended = true;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
    crew_destroy (&self->crew);
    for (size_t i = 0; i < self->shelved; i++)
        buffer_free (&self->shelf [i].body);
    buffer_free (&self->own.object);
    pthread_mutex_destroy (&self->lock);
    pthread_cond_destroy (&self->changed);
    free (self);
    *self_p = NULL;
}

static int take_from_shelf (packer_t *self, pack_t *pack, err_t *err)
{
    int rc = 0;
    pthread_mutex_lock (&self->lock);
    while (!self->shelved && self->packing && !self->is_failed)
        pthread_cond_wait (&self->changed, &self->lock);
    if (self->is_failed) {
        rc = -1;
        if (err)
            *err = self->err;
    } else if (self->shelved) {
        rc = 1;
        *pack = self->shelf [--self->shelved];
        pthread_cond_broadcast (&self->changed);
    }
    pthread_mutex_unlock (&self->lock);
    return rc;
}

int packer_next (packer_t *self, buffer_t *body, uint64_t *objects, err_t *err)
{
    pack_t pack = { .body = *body };
    int rc;
    if (self->crew && crew_size (self->crew)) {
        buffer_free (body);
        pack = (pack_t) { .objects = 0 };
        rc = take_from_shelf (self, &pack, err);
    } else
        rc = fill (self, &self->own, &pack, err);
    *body = pack.body;
    *objects = pack.objects;
    return rc;
}
