/* docker_config.h - docker's config.json: who we are to which registry.
 *
 *     { "auths": { "registry.lan:5000": { "auth": "<base64 of user:password>" } },
 *       "credHelpers": { "ghcr.io": "pass" },       `docker-credential-pass get` is asked for that one registry
 *       "credsStore": "secretservice" }             and this for all others, before auths */
#ifndef FARM_DOCKER_CONFIG_H
#define FARM_DOCKER_CONFIG_H

#include "common/err.h"

enum { DOCKER_CONFIG_MAX = 1024 * 1024 };

/* The value of an Authorization header ("Basic …") for a registry's host, or NULL where the file has nothing for it or is
 * not there. The caller frees by docker_config_wipe. -1 (ERR_FARM) when the file cannot be used, or the
 * helper fails. */
int docker_config_find (const char *file, const char *host, char **authorization, err_t *err);

/* Overwrite a secret, free it, and forget it. */
void docker_config_wipe (char **secret);

/* The file that docker itself reads: $DOCKER_CONFIG/config.json, else ~/.docker/config.json. The caller frees. */
char *docker_config_default (void);

#endif
