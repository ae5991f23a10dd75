/* enrol.h - what farmctl join and farm-worker join share: say `join` with the invitation of a join string, and write down where
 * the coordinator is. */
#ifndef FARM_ENROL_H
#define FARM_ENROL_H

#include <czmq.h>
#include <stdbool.h>

#include "common/err.h"
#include "common/keys.h"

enum { ENROL_NAME_MAX = 63 };

/* A name as schema/messages.json has them: a letter or digit, then letters, digits, '.', '_', '-'. */
bool enrol_is_name (const char *text);
/* ERR_USAGE saying what a name looks like. */
int enrol_check_name (const char *text, err_t *err);

/* Enrol a public key; kind: "worker" or "submitter", which is any user. name is the one that is wished for, and becomes the one that it is:
 * an invitation may name it. Waits timeout_ms for the answer: ERR_NETWORK without one. */
int enrol_ask (const invitation_t *to, const char *kind, char name [ENROL_NAME_MAX + 1], const uint8_t public_key [KEY_SIZE], int timeout_ms,
               err_t *err);

/* The settings file as it is, or an empty one: what it says beside the coordinator is kept. The caller destroys. */
zconfig_t *enrol_open_settings (const char *path);
/* Put a setting into it so that it counts, also where it stands there several times. */
void enrol_put (zconfig_t *settings, const char *path, const char *value);
/* Put coordinator/control, coordinator/objects and coordinator/key into it. */
void enrol_put_coordinator (zconfig_t *settings, const invitation_t *to);
/* Write it (mode 0600), its folder too. Takes and destroys settings. */
int enrol_save_settings (zconfig_t **settings, const char *path, err_t *err);

/* The folder that a file is in: "/etc" of "/etc/passwd", "." of "passwd". The caller frees. */
char *enrol_folder_of (const char *path);

#endif
