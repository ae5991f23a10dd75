/* resting.h - hosts that have failed and are left alone for a while. */
#ifndef FARM_RESTING_H
#define FARM_RESTING_H

#include <stdint.h>

#include "common/err.h"
#include "common/reference.h"

enum { RESTING_MAX = 16 };

/* All zero: none. */
typedef struct {
    struct {
        char host [REFERENCE_HOST_MAX];
        int64_t until_ms;               /* boot clock */
    } hosts [RESTING_MAX];              /* a ring: the oldest goes */
    unsigned next;
} resting_t;

void resting_add (resting_t *self, const char *host, int rest_ms);

/* -1 with ERR_REGISTRY where the host rests. */
int resting_refuse (const resting_t *self, const char *host, err_t *err);

#endif
