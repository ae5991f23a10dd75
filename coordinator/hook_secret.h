/* hook_secret.h - what a hook is signed with. Each hook has a secret of its own, made of a key that only the coordinator has (news.key of its
 * state folder), so farm.db and its copies tell none: https://www.standardwebhooks.com has the form of secret and signature. */
#ifndef FARM_HOOK_SECRET_H
#define FARM_HOOK_SECRET_H

#include <stddef.h>

#include "common/keys.h"

enum { HOOK_MAC = 32 };
/* HMAC-SHA256 (RFC 2104) over a text and, behind it, a body. */
void hook_mac (const void *key, size_t key_size, const char *text, const void *body, size_t size, uint8_t out [HOOK_MAC]);

/* "whsec_…", for whoever receives it; the caller wipes and frees. name and salt: of the subscriber. */
char *hook_secret_text (const uint8_t key [KEY_SIZE], const char *name, const char *salt);

/* "v1,…": HMAC-SHA256 over "ID.SECONDS.BODY". The caller frees. */
char *hook_sign (const uint8_t key [KEY_SIZE], const char *name, const char *salt, const char *id, const char *seconds, const void *body, size_t size);

#endif
