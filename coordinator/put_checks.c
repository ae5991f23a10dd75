/* put_checks.c - the packs are taken one after the other, by the helper and by the caller while it has to wait for one. */
#include "coordinator/put_checks.h"

#include <pthread.h>
#include <stdatomic.h>

#include "common/crew.h"
#include "common/pack.h"

struct put_checks {
    request_t **requests;
    size_t count;
    atomic_size_t next;             /* not taken yet */
    crew_t *crew;
    pthread_mutex_t lock;           /* for is_done */
    pthread_cond_t changed;
    bool is_done [BATCH_MAX];
    buffer_t plain [BATCH_MAX];     /* a bool for each object, of one thread until is_done */
};

/* Ends early at what cannot be read: whoever stores it finds and tells it. */
static void check_pack (const request_t *request, buffer_t *plain)
{
    size_t body_size, size;
    const uint8_t *body = msg_body (request->message, &body_size), *data;
    object_kind kind;
    digest_t digest;
    pack_reader_t reader;
    pack_reader_init (&reader, body, body_size);
    while (pack_read (&reader, &kind, &digest, &data, &size, NULL) == 1) {
        digest_t own = digest_of (data, size);
        bool is_plain = kind == OBJECT_CONTENT && digest_equal (&own, &digest) && depot_is_plain (data, size);
        buffer_append (plain, &is_plain, sizeof is_plain);
    }
    pack_reader_free (&reader);
}

/* False when all are taken. */
static bool check_next (put_checks_t *self)
{
    size_t i = atomic_fetch_add (&self->next, 1);
    if (i >= self->count)
        return false;
    check_pack (self->requests [i], &self->plain [i]);
    pthread_mutex_lock (&self->lock);
    self->is_done [i] = true;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
    return true;
}

static void check_all (void *argument)
{
    while (check_next (argument))
        ;
}

put_checks_t *put_checks_new (request_t **requests, size_t count)
{
    put_checks_t *self = mem_alloc (sizeof *self);
    assert (count <= BATCH_MAX);
    self->requests = requests;
    self->count = count;
    pthread_mutex_init (&self->lock, NULL);
    pthread_cond_init (&self->changed, NULL);
    if (count > 1)
        self->crew = crew_new (check_all, self, CREW_BESIDE);
    return self;
}

void put_checks_destroy (put_checks_t **self_p)
{
    put_checks_t *self = *self_p;
    if (!self)
        return;
    atomic_store (&self->next, self->count);
    crew_destroy (&self->crew);
    for (size_t i = 0; i < self->count; i++)
        buffer_free (&self->plain [i]);
    pthread_cond_destroy (&self->changed);
    pthread_mutex_destroy (&self->lock);
    free (self);
    *self_p = NULL;
}

static bool is_done (put_checks_t *self, size_t request, bool waits)
{
    pthread_mutex_lock (&self->lock);
    while (waits && !self->is_done [request])
        pthread_cond_wait (&self->changed, &self->lock);
    bool is_done = self->is_done [request];
    pthread_mutex_unlock (&self->lock);
    return is_done;
}

const buffer_t *put_checks_of (put_checks_t *self, size_t request)
{
    bool is_any_left = true;
    while (!is_done (self, request, !is_any_left))
        is_any_left = check_next (self);
    return &self->plain [request];
}
