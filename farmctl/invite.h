/* invite.h - what farmctl user and farmctl worker share: join strings, and taking a right back. */
#ifndef FARM_INVITE_H
#define FARM_INVITE_H

#include <jansson.h>

#include "common/err.h"

enum { INVITE_EXPIRE_MS = 3600000 };

/* Have somebody invited and print the join string. The key in it is made here: its secret half is in the string alone. Takes limits
 * (NULL: none). */
int invite (const char *role, const char *name, int64_t expire_ms, json_t *limits, err_t *err);

/* kind: "user" or "worker" */
int invite_revoke (const char *kind, const char *name, err_t *err);

#endif
