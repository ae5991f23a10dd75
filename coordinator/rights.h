/* rights.h - who may say what, to the control socket and to the objects socket: one table. */
#ifndef FARM_RIGHTS_H
#define FARM_RIGHTS_H

#include <stdbool.h>

/* May somebody of this role (admin, submitter, viewer, worker, invitation) say this verb? False for a role or verb that there is not. */
bool rights_may (const char *role, const char *verb);

/* Does this role see builds of others? */
bool rights_sees_all (const char *role);

#endif
