/* chance.h - numbers that look random and are the same for the same seed: splitmix64, as its author has it
 * (https://prng.di.unimi.it/splitmix64.c). Its state after i steps is seed + i * CHANCE_STEP, so none need be taken in order. */
#ifndef FARM_TESTS_CHANCE_H
#define FARM_TESTS_CHANCE_H

#include <stdint.h>

#define CHANCE_STEP 0x9e3779b97f4a7c15U

/* The number of a state. */
static inline uint64_t chance_of (uint64_t state)
{
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static inline uint64_t chance_next (uint64_t *state)
{
    return chance_of (*state += CHANCE_STEP);
}

#endif
