/* lost.c - what the depot has lost by damage, and workers may bring back.
 *
 * The depot takes a damaged object out with all that names it. Each of these is noted, and the roots among them are told to the gateway,
 * which asks the workers. A worker may put what is noted here, or is there anyway, and nothing else: its digest proves the bytes, and
 * the disk had room for them before. What is back is noted no more: a root comes last, so that is looked at when one has come. */
#include "common/clock.h"
#include "coordinator/depot_answers.h"

enum { LOST_MAX = 65536 };

typedef struct {
    digest_t digest;
    bool is_root;
    int64_t lost_ms;                /* boot clock */
} entry_t;

static entry_t *find (const depot_service_t *self, const digest_t *digest)
{
    int64_t at = digest_map_find (&self->lost_by_digest, digest);
    return at < 0 ? NULL : (entry_t *) self->lost.data + at;
}

static size_t count (const depot_service_t *self)
{
    return self->lost.size / sizeof (entry_t);
}

static void note (depot_service_t *self, const entry_t *lost)
{
    entry_t *entry = find (self, &lost->digest);
    if (entry)
        *entry = *lost;
    else if (count (self) < LOST_MAX) {
        digest_map_set (&self->lost_by_digest, &lost->digest, count (self));
        buffer_append (&self->lost, lost, sizeof *lost);
    }
}

/* Forget those that are there again. */
static void tidy (depot_service_t *self)
{
    AUTO_BUFFER buffer_t before = self->lost;
    const entry_t *entries = (const entry_t *) before.data;
    self->lost = (buffer_t) { 0 };
    self->is_lost_back = self->is_lost_root_back = false;
    digest_map_free (&self->lost_by_digest);
    for (size_t i = 0; i < before.size / sizeof *entries; i++)
        if (!depot_has (self->depot, &entries [i].digest))
            note (self, &entries [i]);
}

void lost_put (depot_service_t *self, const digest_t *digest)
{
    const entry_t *entry = find (self, digest);
    self->is_lost_back |= entry != NULL;
    self->is_lost_root_back |= entry && entry->is_root;
}

void lost_tell (depot_service_t *self)
{
    depot_lost_t lost;
    if (self->is_lost_root_back || (self->is_lost_back && count (self) >= LOST_MAX))
        tidy (self);
    while (depot_next_lost (self->depot, &lost)) {
        char hex [DIGEST_HEX_SIZE + 1];
        note (self, &(entry_t) { lost.digest, lost.is_root, clock_boot_ms () });
        scopes_forget (self->scopes);
        digest_to_hex (&lost.digest, hex);
        if (lost.is_root)
            zstr_sendx (self->pipe, "LOST", hex, NULL);
    }
}

bool lost_holds (const depot_service_t *self, const digest_t *digest)
{
    return find (self, digest) != NULL;
}

bool lost_is_awaited (const depot_service_t *self, const digest_t *digest, int64_t patience_ms)
{
    const entry_t *entry = find (self, digest);
    return entry && clock_boot_ms () - entry->lost_ms < patience_ms && !depot_has (self->depot, digest);
}

int lost_check (const depot_service_t *self, const request_t *request, const digest_t *digest, err_t *err)
{
    char hex [DIGEST_HEX_SIZE + 1];
    if (!request->speaker.is_worker || lost_holds (self, digest) || depot_has (self->depot, digest))
        return 0;
    digest_to_hex (digest, hex);
    return err_set (err, ERR_DENIED, "object %s is none that the depot has lost: a worker may only bring back what it has", hex);
}
