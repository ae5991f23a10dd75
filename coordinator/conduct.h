/* conduct.h - what a key may do on one ROUTER beside what its role allows: so many connections, so many refused messages, so many lines of
 * the log. Each actor has one for its socket. Reads no clock. */
#ifndef FARM_CONDUCT_H
#define FARM_CONDUCT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* Refused messages of one key: so many at once, and so many a second on top. The next one ends its connection. */
enum { CONDUCT_REFUSED_MAX = 1000, CONDUCT_REFUSED_PER_S = 20 };

typedef struct conduct conduct_t;

/* area: of its lines in the log; borrowed, as literals are. connections_max: of one key (connections/per-key); 0: no limit. */
conduct_t *conduct_new (const char *area, size_t connections_max);
void conduct_destroy (conduct_t **self);

/* May the connection that a message of this key was just read from be used? -1: the key has too many; *err is for its far end. */
int conduct_admit (const conduct_t *self, int fd, err_t *err);

/* A message of this key was refused, or denied, for this: says so in the log, where there is room, and ends the connection when there have been too
 * many; true then. now_ms: boot clock. */
bool conduct_refuse (conduct_t *self, const char *key_hex, int fd, const err_t *why, int64_t now_ms);

/* Say what was left out of the log, where it is time; now and then. */
void conduct_tell (conduct_t *self, int64_t now_ms);

#endif
