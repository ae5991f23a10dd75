/* source_rules.h - what the coordinator fetches, for whom, and with what: the settings git/….
 *
 * The rules are one JSON object, so that the program that fetches (fetch_main.c) is given them as the engine has them:
 * {hosts, transports, inside, folders, keys, helpers: […], known_hosts, ca_file, proxy: "…", lfs: bool}. */
#ifndef FARM_SOURCE_RULES_H
#define FARM_SOURCE_RULES_H

#include <jansson.h>

#include "common/settings.h"
#include "common/source.h"

/* ERR_USAGE names the setting that is none. To the caller; NULL on error. */
json_t *source_rules_new (const settings_t *settings, err_t *err);

/* Those that hold for one user: hosts that are others' are left out. To the caller. */
json_t *source_rules_for (const json_t *self, const char *user);

/* May it be fetched? user NULL: the rules are one user's already. ERR_DENIED with what an admin could set; rules NULL: nothing may. */
int source_rules_check (const json_t *self, const char *user, const source_t *source, err_t *err);

/* May this host's addresses be inside (common/inside.h)? */
bool source_rules_may_be_inside (const json_t *self, const source_t *source);
/* They may not, and this one is: ERR_DENIED with what an admin could set. Returns -1. */
int source_rules_refuse_inside (const source_t *source, const char *address, err_t *err);

/* The file with the key for ssh, and the credential helper for http: NULL where there is none. A longer path before a shorter one. Borrowed. */
const char *source_rules_key (const json_t *self, const source_t *source);
const char *source_rules_helper (const json_t *self, const source_t *source);

#endif
