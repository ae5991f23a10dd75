/* supply.c - see supply.h. */
#include "worker/supply.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A round brings back what one damaged object took along: a lost segment, with some thousand objects, takes that many. */
enum { WINDOW_BYTES = 8 * 1024 * 1024, BUCKETS = 4096, ROUNDS_MAX = 10000, IDLE_ROUNDS_MAX = 3 };

/* An object at hand. */
typedef struct entry entry_t;
struct entry {
    entry_t *next;                  /* in its bucket */
    entry_t *older, *newer;         /* of those that were offered */
    digest_t digest;
    const uint8_t *data;            /* behind the entry; or borrowed, when it is held */
    size_t size;
    bool is_held;
};

struct supply {
    depot_t *depot;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    entry_t *buckets [BUCKETS];
    entry_t *oldest, *newest;
    size_t window_bytes;
    uint64_t stored;                /* counts supply_stored, and the ends of rounds */
    int rounds;                     /* begun so far; 0: of the depot alone */
    int idle_rounds;                /* the last ones, that brought nothing */
    uint64_t damaged;               /* objects that the depot had found so when the last round ended */
    bool is_fetching, is_wanted, is_closed;
    bool has_brought;               /* this round: something is in the depot */
    err_t err;                      /* of the last round */
    err_t checkout_err;             /* once it is closed */
};

static uint64_t count_damaged (depot_t *depot)
{
    depot_stats_t stats;
    depot_stats (depot, &stats);
    return stats.damaged_objects;
}

supply_t *supply_new (depot_t *depot)
{
    supply_t *self = mem_alloc (sizeof *self);
    self->depot = depot;
    self->damaged = count_damaged (depot);
    pthread_mutex_init (&self->lock, NULL);
    pthread_cond_init (&self->changed, NULL);
    return self;
}

depot_t *supply_depot (supply_t *self)
{
    return self->depot;
}

/* -- at hand, all under the lock -------------------------------------------------------------------------------- */

static entry_t **bucket_of (supply_t *self, const digest_t *digest)
{
    return &self->buckets [(digest->bytes [0] << 8 | digest->bytes [1]) % BUCKETS];
}

static entry_t **find (supply_t *self, const digest_t *digest)
{
    entry_t **at = bucket_of (self, digest);
    while (*at && !digest_equal (&(*at)->digest, digest))
        at = &(*at)->next;
    return at;
}

static void drop (supply_t *self, entry_t **at)
{
    entry_t *entry = *at;
    *at = entry->next;
    if (!entry->is_held) {
        *(entry->older ? &entry->older->newer : &self->oldest) = entry->newer;
        *(entry->newer ? &entry->newer->older : &self->newest) = entry->older;
        self->window_bytes -= entry->size;
    }
    free (entry);
}

static void add (supply_t *self, entry_t *entry)
{
    entry_t **bucket = bucket_of (self, &entry->digest);
    entry->next = *bucket;
    *bucket = entry;
    pthread_cond_broadcast (&self->changed);
}

/* What was offered has been read then, by the one file that most objects belong to; another one finds it in the depot. */
static bool take_at_hand (supply_t *self, const digest_t *digest, buffer_t *out)
{
    entry_t **at = find (self, digest);
    if (!*at)
        return false;
    buffer_clear (out);
    buffer_append (out, (*at)->data, (*at)->size);
    if (!(*at)->is_held)
        drop (self, at);
    return true;
}

static void drop_oldest (supply_t *self)
{
    entry_t **at = bucket_of (self, &self->oldest->digest);
    while (*at != self->oldest)
        at = &(*at)->next;
    drop (self, at);
}

static void drop_all (supply_t *self)
{
    for (size_t i = 0; i < BUCKETS; i++)
        while (self->buckets [i])
            drop (self, &self->buckets [i]);
}

void supply_destroy (supply_t **self_p)
{
    supply_t *self = *self_p;
    if (!self)
        return;
    drop_all (self);
    pthread_cond_destroy (&self->changed);
    pthread_mutex_destroy (&self->lock);
    free (self);
    *self_p = NULL;
}

/* -- for the checkout ------------------------------------------------------------------------------------------- */

/* 1: it was at hand; 0: the depot may have it; *stored says how much that had when we looked. */
static bool look_at_hand (supply_t *self, const digest_t *digest, buffer_t *out, uint64_t *stored)
{
    pthread_mutex_lock (&self->lock);
    bool is_there = take_at_hand (self, digest, out);
    *stored = self->stored;
    pthread_mutex_unlock (&self->lock);
    return is_there;
}

/* Under the lock. */
static bool may_help (const supply_t *self)
{
    return self->rounds > 0 && self->rounds < ROUNDS_MAX && self->idle_rounds < IDLE_ROUNDS_MAX && self->err.code == ERR_NONE;
}

/* Under the lock. The error of the round that should have brought it says more than that it is not there. */
static int give_up (const supply_t *self, const err_t *why, err_t *err)
{
    if (err)
        *err = self->err.code != ERR_NONE ? self->err : *why;
    return -1;
}

/* The depot does not have it, or not any more: 0 when it is worth to look again. */
static int await_more (supply_t *self, const digest_t *digest, uint64_t stored, const err_t *why, err_t *err)
{
    int rc = 0;
    pthread_mutex_lock (&self->lock);
    if (self->is_fetching)
        while (self->is_fetching && self->stored == stored && !*find (self, digest))
            pthread_cond_wait (&self->changed, &self->lock);
    else if (self->stored == stored) {
        int round = self->rounds;
        if (!may_help (self))
            rc = give_up (self, why, err);
        else {
            self->is_wanted = true;
            pthread_cond_broadcast (&self->changed);
            while (self->rounds == round)
                pthread_cond_wait (&self->changed, &self->lock);
        }
    }
    pthread_mutex_unlock (&self->lock);
    return rc;
}

int supply_get (supply_t *self, const digest_t *digest, buffer_t *out, err_t *err)
{
    uint64_t stored;
    err_t why;
    while (!look_at_hand (self, digest, out, &stored)) {
        if (depot_get (self->depot, digest, out, NULL, &why) == 0)
            return 0;
        if (why.code != ERR_NOT_FOUND && why.code != ERR_FARM) {
            if (err)
                *err = why;
            return -1;
        }
        if (await_more (self, digest, stored, &why, err) < 0)
            return -1;
    }
    return 0;
}

void supply_close (supply_t *self, const err_t *err)
{
    pthread_mutex_lock (&self->lock);
    self->is_closed = true;
    self->checkout_err = *err;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
}

/* -- for the one who fetches ------------------------------------------------------------------------------------ */

void supply_begin (supply_t *self)
{
    pthread_mutex_lock (&self->lock);
    self->rounds++;
    self->is_fetching = true;
    self->is_wanted = self->has_brought = false;
    self->err = (err_t) { 0 };
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
}

void supply_hold (supply_t *self, const digest_t *digest, const void *data, size_t size)
{
    entry_t *entry = mem_alloc (sizeof *entry);
    *entry = (entry_t) { .digest = *digest, .data = data, .size = size, .is_held = true };
    pthread_mutex_lock (&self->lock);
    add (self, entry);
    pthread_mutex_unlock (&self->lock);
}

/* One too old is in the depot, or soon will be. */
void supply_offer (supply_t *self, const digest_t *digest, const void *data, size_t size)
{
    entry_t *entry = mem_alloc (sizeof *entry + size);
    *entry = (entry_t) { .digest = *digest, .data = (uint8_t *) (entry + 1), .size = size };
    if (size)
        memcpy (entry + 1, data, size);
    pthread_mutex_lock (&self->lock);
    entry->older = self->newest;
    *(self->newest ? &self->newest->newer : &self->oldest) = entry;
    self->newest = entry;
    self->window_bytes += size;
    add (self, entry);
    while (self->window_bytes > WINDOW_BYTES)
        drop_oldest (self);
    pthread_mutex_unlock (&self->lock);
}

int supply_check (supply_t *self, err_t *err)
{
    pthread_mutex_lock (&self->lock);
    bool has_failed = self->checkout_err.code != ERR_NONE;
    if (has_failed && err)
        *err = self->checkout_err;
    pthread_mutex_unlock (&self->lock);
    return has_failed ? -1 : 0;
}

void supply_stored (void *argument)
{
    supply_t *self = argument;
    pthread_mutex_lock (&self->lock);
    self->stored++;
    self->has_brought = true;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
}

void supply_clear (supply_t *self)
{
    pthread_mutex_lock (&self->lock);
    drop_all (self);
    self->stored++;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
}

void supply_end (supply_t *self, const err_t *err)
{
    uint64_t damaged = count_damaged (self->depot);
    pthread_mutex_lock (&self->lock);
    bool has_lost = damaged != self->damaged, is_cut = has_lost && err->code == ERR_PROTOCOL;
    self->idle_rounds = has_lost || self->has_brought ? 0 : self->idle_rounds + 1;
    self->damaged = damaged;
    self->is_fetching = false;
    self->stored++;
    self->err = is_cut ? (err_t) { 0 } : *err;
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->lock);
}

bool supply_await (supply_t *self)
{
    pthread_mutex_lock (&self->lock);
    while (!self->is_closed && !self->is_wanted)
        pthread_cond_wait (&self->changed, &self->lock);
    bool is_more = !self->is_closed;
    pthread_mutex_unlock (&self->lock);
    return is_more;
}
