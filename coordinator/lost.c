/* lost.c - what the depot has lost by damage, and workers may bring back.
 *
 * The depot takes a damaged object out with all that names it. Each of these is noted, and the roots among them are told to the gateway,
 * which asks the workers. A worker may put what is noted here and nothing else: its digest proves the bytes, and the disk had room for
 * them before. */
#include "coordinator/depot_answers.h"

enum { LOST_MAX = 65536 };

static void note (depot_service_t *self, const digest_t *digest)
{
    if (lost_holds (self, digest))
        return;
    buffer_append (&self->lost, digest, sizeof *digest);
    digest_map_set (&self->lost_by_digest, digest, 0);
}

/* Forget those that are there again. */
static void tidy (depot_service_t *self)
{
    AUTO_BUFFER buffer_t before = self->lost;
    const digest_t *digests = (const digest_t *) before.data;
    self->lost = (buffer_t) { 0 };
    digest_map_free (&self->lost_by_digest);
    for (size_t i = 0; i < before.size / sizeof *digests; i++)
        if (!depot_has (self->depot, &digests [i]))
            note (self, &digests [i]);
}

void lost_tell (depot_service_t *self)
{
    depot_lost_t lost;
    while (depot_next_lost (self->depot, &lost)) {
        char hex [DIGEST_HEX_SIZE + 1];
        if (self->lost.size >= LOST_MAX * sizeof lost.digest)
            tidy (self);
        if (self->lost.size < LOST_MAX * sizeof lost.digest)
            note (self, &lost.digest);
        digest_to_hex (&lost.digest, hex);
        if (lost.is_root)
            zstr_sendx (self->pipe, "LOST", hex, NULL);
    }
}

bool lost_holds (const depot_service_t *self, const digest_t *digest)
{
    return digest_map_find (&self->lost_by_digest, digest) >= 0;
}

int lost_check (const depot_service_t *self, const request_t *request, const digest_t *digest, err_t *err)
{
    char hex [DIGEST_HEX_SIZE + 1];
    if (!(request->speaker.roles & ROLE_WORKS) || lost_holds (self, digest))
        return 0;
    digest_to_hex (digest, hex);
    return err_set (err, ERR_DENIED, "object %s is none that the depot has lost: a worker may only bring back what it has", hex);
}
