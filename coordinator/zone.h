/* zone.h - a time zone of the system's tzdata: what its clocks show at an instant, and when they show it first.
 *
 * GLib's GTimeZone reads /usr/share/zoneinfo: it is immutable, so threads may share it and several are there at once, and it knows
 * the rule that goes on behind the last transition of a file. TZ and tzset are one for the whole process; a reader of our own would
 * have to know the format's versions and that rule. What GLib does not do is say no: it would open any path, warn on standard error of
 * what is no zone, and take POSIX rules for names. So names are checked here first.
 *
 * A zone is read anew with each zone_new that finds no other in use: whoever keeps none for long follows updates of tzdata.
 * Instants are seconds since 1970; a wall time is what the zone's clock shows, counted as if it were UTC. */
#ifndef FARM_ZONE_H
#define FARM_ZONE_H

#include <stdint.h>

#include "common/err.h"

enum { ZONE_NAME_MAX = 64 };

typedef struct zone zone_t;

/* name: as in tzdata, "Europe/Berlin", "UTC". ERR_USAGE: there is none of that name. */
int zone_new (zone_t **out, const char *name, err_t *err);
void zone_destroy (zone_t **self);

/* Seconds east of UTC. */
int zone_offset (const zone_t *self, int64_t instant);

/* The first instant in (after, until] with another offset than after's; INT64_MAX where there is none. They are no further apart
 * than some days. */
int64_t zone_next_change (const zone_t *self, int64_t after, int64_t until);

/* The latest wall time that the clock has shown up to an instant, or would have in the next second before it was put back. */
int64_t zone_latest_wall (const zone_t *self, int64_t instant);

/* The first instant at which the clock shows a wall time or a later one: of one that comes twice the first, of one that does not
 * exist the moment of the jump. */
int64_t zone_first_instant (const zone_t *self, int64_t wall);

#endif
