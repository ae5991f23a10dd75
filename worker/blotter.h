/* blotter.h - what a builder says, without the secrets of its build: a line of output goes in, in any pieces, and comes out with "***" where a
 * secret stood.
 *
 * Blotted are each line of a secret of 8 bytes or more, where the whole of it stands (a '\r' at its end does not count), and, of a line of more than 4 KiB, each
 * piece of 32 bytes or more: so much can be cut on its way, or have other output in its midst (PIPE_BUF). What overlaps becomes one "***". Of a piece from the
 * midst up to 7 bytes at either end may stay, where its bytes there stand in the secrets more than once.
 *
 * It takes a few steps for each byte, whatever the secrets and the output are. All that it remembers is in locked memory, and wiped; of an index it needs
 * 64 MiB at most, for secrets of 16 MB. */
#ifndef FARM_BLOTTER_H
#define FARM_BLOTTER_H

#include "common/secret.h"

typedef struct blotter blotter_t;

/* Secrets are borrowed until it is destroyed; NULL: none. */
blotter_t *blotter_new (const secrets_t *secrets);
void blotter_destroy (blotter_t **self);

/* The next bytes of a line of output, which have no '\n'. */
void blotter_add (blotter_t *self, const char *data, size_t size);

/* The line has ended: what may be seen of it, 20 KiB at most; the rest is dropped. Borrowed until the next call. */
const char *blotter_end (blotter_t *self, size_t *size);

#endif
