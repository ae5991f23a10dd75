/* chunker.c - the cut. A gear hash rolls over the bytes: shifted left by one for each, so a byte is forgotten after 64,
 * and a chunk ends where the top bits of the hash are zero. Before the average more of them must be (18), behind it
 * fewer (14): sizes come close to the average, which is what the paper calls normalised chunking, level 2. */
#include "common/chunker.h"

#include <pthread.h>

static const uint64_t HARD_MASK = ~(uint64_t) 0 << (64 - 18);
static const uint64_t EASY_MASK = ~(uint64_t) 0 << (64 - 14);

static uint64_t gear [256];
static pthread_once_t gear_once = PTHREAD_ONCE_INIT;

/* 256 numbers of splitmix64 (Steele, Lea, Flood 2014) from the seed "archfarm" as a big-endian number. Another table
 * cuts elsewhere: contexts would still be right, but nothing stored before would be found again. */
static void make_gear (void)
{
    uint64_t state = 0x617263686661726dU;
    for (int i = 0; i < 256; i++) {
        state += 0x9e3779b97f4a7c15U;
        uint64_t z = state;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
        gear [i] = z ^ (z >> 31);
    }
}

size_t chunker_cut (const uint8_t *data, size_t size)
{
    if (size <= CHUNK_MIN)
        return size;
    pthread_once (&gear_once, make_gear);
    size_t end = size < CHUNK_MAX ? size : CHUNK_MAX;
    size_t middle = end < CHUNK_AVERAGE ? end : CHUNK_AVERAGE;
    uint64_t hash = 0;
    size_t at = CHUNK_MIN;
    for (; at < middle; at++) {
        hash = (hash << 1) + gear [data [at]];
        if ((hash & HARD_MASK) == 0)
            return at + 1;
    }
    for (; at < end; at++) {
        hash = (hash << 1) + gear [data [at]];
        if ((hash & EASY_MASK) == 0)
            return at + 1;
    }
    return end;
}
