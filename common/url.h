/* url.h - addresses of registries: which host a URL leads to, and whether two of them are one. libcurl's own parser takes
 * them apart, so what we have compared is what it connects to. */
#ifndef FARM_URL_H
#define FARM_URL_H

#include <stdbool.h>

#include "common/err.h"
#include "common/mem.h"

enum { URL_MAX = 8192, ORIGIN_HOST_MAX = 256 };

/* Scheme, host and port of a URL (RFC 6454). */
typedef struct {
    bool is_https;
    int port;
    char host [ORIGIN_HOST_MAX];            /* lower case; an IPv6 address in brackets */
} origin_t;

/* The origin of an absolute URL. ERR_REGISTRY for what is neither http nor https, is longer than URL_MAX, or has a user,
 * a password, white space or a control character in it. */
int url_origin (const char *url, origin_t *out, err_t *err);

bool origin_equal (const origin_t *a, const origin_t *b);

/* One host, or names under one domain: auth.docker.io and registry-1.docker.io, registry.example.com and example.com.
 * Never through a domain of one part ("lan", "com") or one like "co.uk"; an address is of its own site alone. */
bool origin_is_same_site (const origin_t *a, const origin_t *b);

/* Is it in a NULL-ended list (or NULL) of "host[:port]"? Without a port the scheme's own is meant. */
bool origin_is_listed (const origin_t *self, const char *const *hosts);
/* https, or a host that stands in the list. */
bool origin_is_allowed (const origin_t *self, const char *const *plain_http_hosts);

/* "auth.lan:5001"; without a port that is the scheme's own. The caller frees. */
char *origin_name (const origin_t *self);

/* Where the registry of references to host is: "https://registry.lan:5000", "https://registry-1.docker.io" for docker.io;
 * http for a host of the list (NULL-ended, "host[:port]"; may be NULL). The caller frees. */
char *url_of_registry (const char *host, const char *const *plain_http_hosts);

/* A Location header, as an absolute URL; the caller frees. NULL with ERR_REGISTRY where it cannot be used. */
char *url_resolve (const char *base, const char *location, err_t *err);

/* Add "?name=value" or "&name=value", escaped. */
void url_add_query (buffer_t *url, const char *name, const char *value);

#endif
