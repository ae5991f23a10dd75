/* invitations.h - how somebody new comes to the farm: an admin has an invitation made, whose key is in a join string; whoever has the
 * string says `join` with that key, once and in time, for a key of their own. */
#ifndef FARM_INVITATIONS_H
#define FARM_INVITATIONS_H

#include "coordinator/engine_private.h"

handler_fn invitations_on_invite;       /* an admin: this key may join, as that role, under that name */
handler_fn invitations_on_join;

/* Whoever is of this name may not invite any more: nor are the strings good that are not used yet. */
int invitations_withdraw (engine_t *self, const char *invited_by, err_t *err);

#endif
