/* packer.c - each thread fills a pack of its own, and puts it on a short shelf when it is full, from where the sender takes it. A
 * full shelf makes the threads wait, so memory does not grow with the context. Where the caller packs, nobody takes anything meanwhile,
 * so the shelf grows. */
#include "farmctl/packer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/crew.h"
#include "common/msg.h"
#include "common/pack.h"

enum { SHELF_MAX = 8 };

typedef struct {
    buffer_t body;
    uint64_t objects;
} pack_t;

struct hand {
    packer_t *packer;
    pack_t pack;
};

struct packer {
    packer_work *work;
    void *argument;
    int fd;
    crew_t *crew;                   /* NULL: the caller has packed */
    pthread_mutex_t lock;           /* for all below */
    pthread_cond_t changed;
    pack_t *shelf;
    size_t shelved, packing;        /* packs there; threads that may bring more */
    bool is_ended, is_failed;
    err_t err;
};

/* -- threads ---------------------------------------------------------------------------------------------------- */

static void wake (const packer_t *self)
{
    eventfd_write (self->fd, 1);
}

void hand_wake (const hand_t *self)
{
    wake (self->packer);
}

/* False when nobody wants it. Takes the pack's body. */
static bool shelve (packer_t *self, pack_t *pack)
{
    pthread_mutex_lock (&self->lock);
    while (self->crew && self->shelved >= SHELF_MAX && !self->is_ended)
        pthread_cond_wait (&self->changed, &self->lock);
    bool is_wanted = !self->is_ended && !self->is_failed;
    if (is_wanted) {
        self->shelf = mem_resize (self->shelf, (self->shelved + 1) * sizeof *self->shelf);
        self->shelf [self->shelved++] = *pack;
        *pack = (pack_t) { .objects = 0 };
    }
    pthread_mutex_unlock (&self->lock);
    wake (self);
    return is_wanted;
}

bool hand_add (hand_t *self, object_kind kind, const digest_t *digest, const void *data, size_t size)
{
    buffer_reserve (&self->pack.body, MSG_BODY_MAX);
    if (!pack_add (&self->pack.body, kind, digest, data, size)) {
        if (!shelve (self->packer, &self->pack))
            return false;
        buffer_reserve (&self->pack.body, MSG_BODY_MAX);
        if (!pack_add (&self->pack.body, kind, digest, data, size))
            abort ();               /* an object of ours is larger than an object may be */
    }
    self->pack.objects++;
    return true;
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
    wake (self);
}

static void pack_some (void *argument)
{
    packer_t *self = argument;
    hand_t hand = { .packer = self };
    err_t err;
    int rc = self->work (self->argument, &hand, &err);
    if (rc == 0 && hand.pack.objects)
        shelve (self, &hand.pack);
    leave (self, rc < 0 ? &err : NULL);
    buffer_free (&hand.pack.body);
}

/* -- the face --------------------------------------------------------------------------------------------------- */

/* A thread that is ready at once waits at the lock until it is counted. */
static void start (packer_t *self)
{
    pthread_mutex_lock (&self->lock);
    self->crew = crew_new (pack_some, self, CREW_ALL);
    self->packing = crew_size (self->crew);
    if (self->packing == 0) {
        self->is_failed = true;
        err_set (&self->err, ERR_FARM, "no thread can be started: this user has too many processes");
    }
    pthread_mutex_unlock (&self->lock);
}

packer_t *packer_new (packer_work *work, void *argument, bool is_little)
{
    packer_t *self = mem_alloc (sizeof *self);
    self->work = work;
    self->argument = argument;
    self->fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init (&self->lock, NULL);
    pthread_cond_init (&self->changed, NULL);
    if (is_little) {
        self->packing = 1;
        pack_some (self);
    } else
        start (self);
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
    free (self->shelf);
    pthread_mutex_destroy (&self->lock);
    pthread_cond_destroy (&self->changed);
    auto_close (&self->fd);
    free (self);
    *self_p = NULL;
}

int packer_take (packer_t *self, buffer_t *body, uint64_t *objects, err_t *err)
{
    int rc = 0;
    pthread_mutex_lock (&self->lock);
    if (self->is_failed) {
        rc = -1;
        if (err)
            *err = self->err;
    } else if (self->shelved) {
        rc = 1;
        buffer_free (body);
        *body = self->shelf [0].body;
        *objects = self->shelf [0].objects;
        memmove (self->shelf, self->shelf + 1, --self->shelved * sizeof *self->shelf);
        pthread_cond_broadcast (&self->changed);
    }
    pthread_mutex_unlock (&self->lock);
    return rc;
}

bool packer_is_done (packer_t *self)
{
    pthread_mutex_lock (&self->lock);
    bool is_done = self->packing == 0 && self->shelved == 0 && !self->is_failed;
    pthread_mutex_unlock (&self->lock);
    return is_done;
}

int packer_fd (const packer_t *self)
{
    return self->fd;
}

void packer_reset (const packer_t *self)
{
    eventfd_t count;
    eventfd_read (self->fd, &count);
}
