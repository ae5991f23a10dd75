/* challenge.h - reads WWW-Authenticate (RFC 9110, 11.6.1): Bearer realm="https://auth.lan/token",service="registry.lan" */
#ifndef FARM_CHALLENGE_H
#define FARM_CHALLENGE_H

#include "common/err.h"

enum { CHALLENGE_VALUE_MAX = 2048 };

typedef enum { CHALLENGE_NONE, CHALLENGE_BASIC, CHALLENGE_BEARER } challenge_scheme;

typedef struct {
    challenge_scheme scheme;
    char realm [CHALLENGE_VALUE_MAX];       /* of a Bearer: where tokens are to be had */
    char service [CHALLENGE_VALUE_MAX];
    char scope [CHALLENGE_VALUE_MAX];
} challenge_t;

/* The first Bearer challenge of the header's value, else the first Basic one. ERR_REGISTRY where there is neither, for a
 * Bearer without realm, and for what does not follow the grammar. */
int challenge_parse (challenge_t *self, const char *header, err_t *err);

#endif
