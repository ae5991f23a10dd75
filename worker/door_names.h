/* door_names.h - how a builder is told of the door: images are named with it in front, and its password stands where docker's login would.
 *
 *     registry.lan:5000/team/app    127.0.0.1:PORT/registry.lan__5000/team/app        (a reference cannot have a second ':' there) */
#ifndef FARM_DOOR_NAMES_H
#define FARM_DOOR_NAMES_H

#include <stdbool.h>

#include "common/reference.h"

/* IPv6 addresses have no form that a path can have. */
bool door_can_mask (const char *host);

/* "registry.lan:5000" -> "registry.lan__5000", in small letters. */
void door_mask (const char *host, char out [REFERENCE_HOST_MAX + 2]);

/* "127.0.0.1:PORT/registry.lan__5000/team/app"; the caller frees. */
char *door_name (int port, const reference_t *repository);

/* Each such name in a text as a person knows it: "registry.lan:5000/team/app". In place. */
void door_unmask (char *text, int port);

/* docker's config.json with the attempt's password for the door; the caller frees, and wipes. */
char *door_auth_text (int port, const char *password);

#endif
