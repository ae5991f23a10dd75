/* request.h - asks for a build, and what comes after: for `submit` and `retry`. */
#ifndef FARM_REQUEST_H
#define FARM_REQUEST_H

#include "common/secret.h"
#include "farmctl/agent_offer.h"
#include "farmctl/client.h"

typedef struct {
    json_t *spec;                   /* docs/protocol.md; borrowed */
    const secrets_t *secrets;       /* that the spec names; borrowed. NULL: none */
    int64_t reuse;                  /* the build whose images may be used; 0: none */
    int (*resend) (void *argument, err_t *err);     /* the context is not on the coordinator: send it (again). NULL: it cannot be */
    void *argument;
} request_t;

/* A new one: whoever asks twice with it is answered twice, and asks for one thing. */
void request_make_id (char id [33]);

/* The same request until it is accepted, for the coordinator may restart meanwhile. */
int request_submit (const request_t *self, client_t *client, int64_t *build, err_t *err);

/* What to do with a build that was accepted. */
typedef struct {
    bool is_quiet, is_detached, cancels_on_interrupt;
    agent_offer_t *agents;           /* owned by who has it; NULL: none */
    int64_t timeout_ms;              /* follow for so long at most; 0: to the end */
} after_t;

/* Print its number, or follow it to its end. */
int request_follow (const after_t *self, client_t *client, int64_t build, err_t *err);

#endif
