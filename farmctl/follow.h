/* follow.h - shows a person how a build goes on, and ends as the build ends: for submit and wait. */
#ifndef FARM_FOLLOW_H
#define FARM_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "farmctl/agent_offer.h"
#include "farmctl/client.h"

typedef struct {
    bool cancels_on_interrupt;
    int64_t timeout_ms;              /* 0: none */
    agent_offer_t *agents;           /* borrowed; NULL: none */
} follow_options_t;

/* Follow to the end: steps and states on standard error; the index digest (with --json the build) on standard output.
 * A build that failed is an error with the code of its reason. A signal (interrupt.h must be catching) or the time-out
 * leaves it running and says how to come back to it. */
int follow_build (client_t *client, int64_t id, const follow_options_t *options, err_t *err);

#endif
