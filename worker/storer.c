/* storer.c - one batch is filled while the other is written. */
#include "worker/storer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_BYTES = 2 * 1024 * 1024, BATCH_OBJECTS = 1000 };

typedef struct {
    object_kind kind;
    digest_t digest;
    size_t size, zip_size;          /* bytes in the batch: the object's own, and behind them, where it came so, compressed ones */
} parcel_t;

typedef struct { buffer_t parcels, bytes; } batch_t;

struct storer {
    depot_t *depot;
    void (*on_stored) (void *argument);
    void *argument;
    batch_t filling;                /* the caller's */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    batch_t full;                   /* the thread's while is_full */
    bool is_full, is_over;
    err_t err;
};

/* -- the thread ------------------------------------------------------------------------------------------------- */

static int put_all (storer_t *self, const batch_t *batch, err_t *err)
{
    const parcel_t *parcels = (const parcel_t *) batch->parcels.data;
    const uint8_t *at = batch->bytes.data;
    for (size_t i = 0; i < batch->parcels.size / sizeof *parcels; i++) {
        const parcel_t *parcel = &parcels [i];
        zip_t zip = { at, parcel->size, false };
        if (parcel->zip_size)
            zip = (zip_t) { at + parcel->size, parcel->zip_size, true };
        if (depot_put_zip (self->depot, parcel->kind, &parcel->digest, at, parcel->size, &zip, err) < 0)
            return -1;
        at += parcel->size + parcel->zip_size;
    }
    return 0;
}

static int write_batch (storer_t *self, const batch_t *batch, err_t *err)
{
    if (depot_begin (self->depot, err) < 0)
        return -1;
    if (put_all (self, batch, err) < 0) {
        depot_rollback (self->depot);
        return -1;
    }
    return depot_commit (self->depot, err);
}

/* Under the lock, which is open while the batch is written. */
static void write_full (storer_t *self)
{
    err_t err;
    pthread_mutex_unlock (&self->lock);
    int rc = write_batch (self, &self->full, &err);
    if (rc == 0 && self->on_stored)
        self->on_stored (self->argument);
    pthread_mutex_lock (&self->lock);
    if (rc < 0 && self->err.code == ERR_NONE)
        self->err = err;
    buffer_clear (&self->full.parcels);
    buffer_clear (&self->full.bytes);
    self->is_full = false;
    pthread_cond_broadcast (&self->changed);
}

static void *run (void *argument)
{
    storer_t *self = argument;
    pthread_mutex_lock (&self->lock);
    while (!self->is_over || self->is_full) {
        if (self->is_full)
            write_full (self);
        else
            pthread_cond_wait (&self->changed, &self->lock);
    }
    pthread_mutex_unlock (&self->lock);
    return NULL;
}

/* -- the caller ------------------------------------------------------------------------------------------------- */

storer_t *storer_new (depot_t *depot, void (*on_stored) (void *argument), void *argument, err_t *err)
{
    storer_t *self = mem_alloc (sizeof *self);
    self->depot = depot;
    self->on_stored = on_stored;
    self->argument = argument;
    pthread_mutex_init (&self->lock, NULL);
    pthread_cond_init (&self->changed, NULL);
    int errnum = pthread_create (&self->thread, NULL, run, self);
    if (errnum == 0)
        return self;
    pthread_cond_destroy (&self->changed);
    pthread_mutex_destroy (&self->lock);
    free (self);
    err_sys (err, errnum, "start a thread that stores what is fetched");
    return NULL;
}

void storer_destroy (storer_t **self_p)
{
    storer_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_lock (&self->lock);
    self->is_over = true;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
    pthread_join (self->thread, NULL);
    batch_t *const batches [] = { &self->filling, &self->full };
    for (size_t i = 0; i < 2; i++) {
        buffer_free (&batches [i]->parcels);
        buffer_free (&batches [i]->bytes);
    }
    pthread_cond_destroy (&self->changed);
    pthread_mutex_destroy (&self->lock);
    free (self);
    *self_p = NULL;
}

/* Wait until the thread has nothing, and hand it the next batch. */
static int hand_over (storer_t *self, err_t *err)
{
    pthread_mutex_lock (&self->lock);
    while (self->is_full)
        pthread_cond_wait (&self->changed, &self->lock);
    int rc = self->err.code == ERR_NONE ? 0 : -1;
    if (rc < 0 && err)
        *err = self->err;
    if (rc == 0 && self->filling.parcels.size > 0) {
        batch_t empty = self->full;
        self->full = self->filling;
        self->filling = empty;
        self->is_full = true;
        pthread_cond_broadcast (&self->changed);
    }
    pthread_mutex_unlock (&self->lock);
    return rc;
}

int storer_put (storer_t *self, object_kind kind, const arrival_t *object, err_t *err)
{
    parcel_t parcel = { .kind = kind, .digest = object->digest, .size = object->size };
    parcel.zip_size = object->zip.is_zstd ? object->zip.size : 0;
    buffer_append (&self->filling.bytes, object->data, object->size);
    if (parcel.zip_size)
        buffer_append (&self->filling.bytes, object->zip.data, parcel.zip_size);
    buffer_append (&self->filling.parcels, &parcel, sizeof parcel);
    bool is_full = self->filling.bytes.size >= BATCH_BYTES || self->filling.parcels.size >= BATCH_OBJECTS * sizeof parcel;
    return is_full ? hand_over (self, err) : 0;
}

int storer_flush (storer_t *self, err_t *err)
{
    return hand_over (self, err) < 0 || hand_over (self, err) < 0 ? -1 : 0;     /* the second one waits for the first */
}
