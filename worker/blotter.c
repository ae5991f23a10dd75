/* blotter.c - see blotter.h.
 *
 * A table of hashes is made of the secrets. With sums over all that came before (`hashes`), the hash of any bytes between is one multiplication, so
 * at each byte of output the table is asked:
 *
 *   Which is the longest line that begins here? The bits of its length are found from the highest down (Waldvogel's search): of a line of 44 bytes the table
 *   has the first 32, 32 + 8 and 32 + 8 + 4 bytes, and the first 8, without which nothing else is asked. Each of these knows the longest line that it begins with itself.
 *
 *       44 = 101100   first 8: yes   32: yes   48: no   40: yes   44: yes   46: no   45: no
 *
 *   Is it a piece of a line that is too long to be there as a whole? The table has its 24 bytes from each eighth on. Any 32 bytes of it have some of these
 *   in them, and what stands before and behind is compared. */
#include "worker/blotter.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "common/mem.h"

enum { LINE_MIN = 8, WHOLE_MAX = 4096, PIECE = 24, PIECE_STEP = 8, BESIDE_MAX = PIECE_STEP - 1 };
enum { WINDOW = 5 * WHOLE_MAX, SHOWN_MAX = 20 * 1024 };
enum { IS_PIECE = 0 };                  /* in the place of a length */

/* A slot of the table: 40 bits of a hash, then what it tells: of a beginning how long the line is (0: none), of a piece where it stands. 0 is free. */
static const uint64_t value_mask = 0xffffff, is_taken = 1ull << 63;
_Static_assert (SECRETS_MAX * SECRET_BYTES_MAX <= 0xffffff, "a slot has room for each place");

struct blotter {
    const secrets_t *secrets;
    uint64_t *slots;                    /* NULL: there is nothing to blot */
    size_t slot_count;                  /* a power of 2 */
    uint64_t base, powers [WHOLE_MAX + 1];
    size_t top_bit;                     /* of the longest line; 0: there is none */
    bool has_pieces;
    /* The line of output */
    uint64_t hashes [WINDOW + 1];
    char window [WINDOW];               /* what of it is not shown yet */
    size_t size;
    size_t next;                        /* where to look next */
    size_t kept;                        /* what came before is shown, or blotted */
    char shown [SHOWN_MAX];
    size_t shown_size;
};

/* Lines of secrets ------------------------------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *data;
    size_t size;
    size_t place;                       /* in all secrets */
    size_t item, next;                  /* where the one behind it begins */
    size_t item_place;
} line_t;

static bool next_line (const secrets_t *secrets, line_t *line)
{
    while (line->item < secrets->count) {
        const secret_t *secret = &secrets->items [line->item];
        if (line->next == secret->size) {
            line->item_place += secret->size;
            line->item++;
            line->next = 0;
            continue;
        }
        size_t left = secret->size - line->next;
        line->data = secret->data + line->next;
        line->place = line->item_place + line->next;
        const uint8_t *feed = memchr (line->data, '\n', left);
        line->size = feed ? (size_t) (feed - line->data) : left;
        line->next += line->size + (feed ? 1 : 0);
        line->size -= line->size > 0 && line->data [line->size - 1] == '\r';
        if (line->size >= LINE_MIN)
            return true;
    }
    return false;
}

/* The secret that has this place, which becomes one in it. */
static const secret_t *find_secret (const secrets_t *secrets, size_t *place)
{
    const secret_t *secret = secrets->items;
    for (; *place >= secret->size; secret++)
        *place -= secret->size;
    return secret;
}

/* The table ---------------------------------------------------------------------------------------------------------------- */

/* Secrets whose hashes are the same by design uncover only themselves: who made them has them. */
static uint64_t hash_on (const blotter_t *self, uint64_t hash, uint8_t byte)
{
    return hash * self->base + byte + 1;
}

static uint64_t hash_between (const blotter_t *self, const uint64_t *hashes, size_t length)
{
    return hashes [length] - hashes [0] * self->powers [length];
}

static uint64_t key_of (uint64_t hash, size_t length)
{
    hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93ull + length;
    hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93ull;
    return (hash ^ hash >> 32) | is_taken;
}

/* The slot that has it, or the free one where it is to be. */
static uint64_t *find (const blotter_t *self, uint64_t key)
{
    size_t at = key & (self->slot_count - 1);
    while (self->slots [at] && (self->slots [at] ^ key) & ~value_mask)
        at = (at + 1) & (self->slot_count - 1);
    return &self->slots [at];
}

static uint64_t look_up (const blotter_t *self, const uint64_t *hashes, size_t length)
{
    return *find (self, key_of (hash_between (self, hashes, length), length));
}

/* How long the longest line is with which `size` bytes begin; 0: none. */
static size_t find_line (const blotter_t *self, const uint64_t *hashes, size_t size)
{
    uint64_t best = self->top_bit && size >= LINE_MIN ? look_up (self, hashes, LINE_MIN) : 0;
    size_t length = 0;
    size = size < WHOLE_MAX ? size : WHOLE_MAX;
    for (size_t bit = best ? self->top_bit : 0; bit > 0; bit >>= 1) {
        if (length + bit < LINE_MIN || length + bit > size)
            continue;
        uint64_t slot = length + bit == LINE_MIN ? best : look_up (self, hashes, length + bit);
        if (slot) {
            length += bit;
            best = slot;
        }
    }
    return best & value_mask;
}

static void put (blotter_t *self, size_t length, bool is_whole)
{
    uint64_t key = key_of (hash_between (self, self->hashes, length), length), *slot = find (self, key);
    if (!*slot || is_whole)
        *slot = (key & ~value_mask) | (is_whole ? length : find_line (self, self->hashes, length));
}

/* After all that are shorter. */
static void put_line (blotter_t *self, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        self->hashes [i + 1] = hash_on (self, self->hashes [i], data [i]);
    for (self->top_bit = self->top_bit ? self->top_bit : LINE_MIN; self->top_bit * 2 <= size;)
        self->top_bit *= 2;
    put (self, LINE_MIN, size == LINE_MIN);
    size_t length = 0;
    for (size_t bit = self->top_bit; bit > 0; bit >>= 1)
        if (size & bit) {
            length += bit;
            put (self, length, length == size);
        }
}

static void put_piece (blotter_t *self, const line_t *line, size_t at)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < PIECE; i++)
        hash = hash_on (self, hash, line->data [at + i]);
    uint64_t key = key_of (hash, IS_PIECE);
    *find (self, key) = (key & ~value_mask) | (line->place + at);
    self->has_pieces = true;
}

/* Those that are whole, by their length; `ends` are the ends of each length among them. */
static void put_lines (blotter_t *self)
{
    size_t ends [WHOLE_MAX + 2] = { 0 };
    for (line_t line = { 0 }; next_line (self->secrets, &line);)
        if (line.size <= WHOLE_MAX)
            ends [line.size + 1]++;
    for (size_t size = 0; size <= WHOLE_MAX; size++)
        ends [size + 1] += ends [size];
    const uint8_t **lines = secret_memory (ends [WHOLE_MAX + 1] * sizeof *lines);
    for (line_t line = { 0 }; next_line (self->secrets, &line);)
        if (line.size <= WHOLE_MAX)
            lines [ends [line.size]++] = line.data;
    size_t i = 0;
    for (size_t size = LINE_MIN; size <= WHOLE_MAX; size++)
        for (; i < ends [size]; i++)
            put_line (self, lines [i], size);
    sodium_free (lines);
}

static void put_pieces (blotter_t *self)
{
    for (line_t line = { 0 }; next_line (self->secrets, &line);) {
        if (line.size <= WHOLE_MAX)
            continue;
        for (size_t at = 0; at + PIECE <= line.size; at += PIECE_STEP)
            put_piece (self, &line, at);
        put_piece (self, &line, line.size - PIECE);
    }
}

static void make_table (blotter_t *self)
{
    size_t count = 0;
    for (line_t line = { 0 }; next_line (self->secrets, &line);)
        count += line.size > WHOLE_MAX ? line.size / PIECE_STEP + 1 : (size_t) __builtin_popcountll (line.size) + (line.size >= 2 * LINE_MIN);
    if (count == 0)
        return;
    for (self->slot_count = 16; self->slot_count * 3 < count * 4;)
        self->slot_count *= 2;
    self->slots = secret_memory (self->slot_count * sizeof *self->slots);
    memset (self->slots, 0, self->slot_count * sizeof *self->slots);
    randombytes_buf (&self->base, sizeof self->base);
    self->base |= 1;
    self->powers [0] = 1;
    for (size_t i = 0; i < WHOLE_MAX; i++)
        self->powers [i + 1] = self->powers [i] * self->base;
    put_lines (self);
    put_pieces (self);
}

blotter_t *blotter_new (const secrets_t *secrets)
{
    blotter_t *self = secret_memory (sizeof *self);
    memset (self, 0, sizeof *self);
    self->secrets = secrets;
    if (secrets)
        make_table (self);
    return self;
}

void blotter_destroy (blotter_t **self_p)
{
    blotter_t *self = *self_p;
    if (!self)
        return;
    sodium_free (self->slots);
    sodium_free (self);
    *self_p = NULL;
}

/* The output --------------------------------------------------------------------------------------------------------------- */

static void show (blotter_t *self, const char *text, size_t size)
{
    size_t room = SHOWN_MAX - self->shown_size;
    size = size < room ? size : room;
    memcpy (self->shown + self->shown_size, text, size);
    self->shown_size += size;
}

/* How much from `next` on is of a long line, and of what stands before it. */
static size_t find_piece (const blotter_t *self, size_t *before)
{
    const char *at = self->window + self->next;
    size_t left = self->size - self->next, size = PIECE;
    uint64_t slot = left < PIECE ? 0 : *find (self, key_of (hash_between (self, self->hashes + self->next, PIECE), IS_PIECE));
    if (!slot)
        return 0;
    size_t place = slot & value_mask;
    const secret_t *secret = find_secret (self->secrets, &place);
    const uint8_t *there = secret->data + place;
    size_t there_left = secret->size - place;
    while (size < PIECE + BESIDE_MAX && size < left && size < there_left && (uint8_t) at [size] == there [size])
        size++;
    while (*before < BESIDE_MAX && self->next - *before > self->kept && *before < place && (uint8_t) at [-1 - (int) *before] == there [-1 - (int) *before])
        ++*before;
    return size;
}

/* Blot what begins before `to`. */
static void look (blotter_t *self, size_t to)
{
    for (; self->next < to; self->next++) {
        size_t before = 0, piece = self->has_pieces ? find_piece (self, &before) : 0;
        size_t line = find_line (self, self->hashes + self->next, self->size - self->next), size = line > piece ? line : piece;
        if (size > 0 && self->next >= self->kept) {
            show (self, self->window + self->kept, self->next - before - self->kept);
            show (self, "***", 3);
        }
        if (size > 0 && self->next + size > self->kept)
            self->kept = self->next + size;
    }
}

static void show_until (blotter_t *self, size_t to)
{
    if (to <= self->kept)
        return;
    show (self, self->window + self->kept, to - self->kept);
    self->kept = to;
}

/* Make room in a window that is full: what a line may still begin in stays, and what may still belong to a piece. */
static void slide (blotter_t *self)
{
    look (self, self->size - WHOLE_MAX);
    show_until (self, self->next - BESIDE_MAX);
    size_t gone = self->kept < self->next ? self->kept : self->next;
    self->size -= gone;
    self->next -= gone;
    self->kept -= gone;
    memmove (self->window, self->window + gone, self->size);
    memmove (self->hashes, self->hashes + gone, (self->size + 1) * sizeof *self->hashes);
}

void blotter_add (blotter_t *self, const char *data, size_t size)
{
    if (!self->slots)
        show (self, data, size);
    while (self->slots && size > 0 && self->shown_size < SHOWN_MAX) {
        if (self->size == WINDOW)
            slide (self);
        size_t room = WINDOW - self->size, part = size < room ? size : room;
        memcpy (self->window + self->size, data, part);
        for (size_t i = 0; i < part; i++, self->size++)
            self->hashes [self->size + 1] = hash_on (self, self->hashes [self->size], (uint8_t) data [i]);
        data += part;
        size -= part;
    }
}

const char *blotter_end (blotter_t *self, size_t *size)
{
    look (self, self->size);
    show_until (self, self->size);
    *size = self->shown_size;
    self->size = self->next = self->kept = self->shown_size = 0;
    return self->shown;
}
