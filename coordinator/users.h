/* users.h - what an admin says of those who may connect: who they are, what they may do, and that they may not any more. */
#ifndef FARM_USERS_H
#define FARM_USERS_H

#include "coordinator/engine_private.h"

handler_fn users_on_users;              /* all of them, and who is invited */
handler_fn users_on_grant;              /* another role, other limits */
handler_fn users_on_revoke;             /* a user, a worker or an invitation: its key is worth nothing any more */

#endif
