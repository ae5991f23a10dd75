/* inside.c - see inside.h. libcurl asks before it makes a socket for an address, and again before it sends a request on a
 * connection that was kept. */
#include "common/inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"
#include "common/url.h"

/* -- addresses ----------------------------------------------------------------------------------------------------- */

typedef struct {
    uint32_t network;
    int bits;
    place_t place;
} range_t;

/* IANA's registry of special addresses (RFC 6890), and multicast. */
static const range_t ranges [] = {
    { 0x00000000, 8, PLACE_LOOPBACK },      /* 0.0.0.0/8: this machine */
    { 0x7f000000, 8, PLACE_LOOPBACK },      /* 127/8 */
    { 0xa9fe0000, 16, PLACE_LINK },         /* 169.254/16, where clouds hand out credentials */
    { 0x0a000000, 8, PLACE_PRIVATE },       /* 10/8 */
    { 0xac100000, 12, PLACE_PRIVATE },      /* 172.16/12 */
    { 0xc0a80000, 16, PLACE_PRIVATE },      /* 192.168/16 */
    { 0x64400000, 10, PLACE_PRIVATE },      /* 100.64/10: a provider's */
    { 0xc0000000, 24, PLACE_PRIVATE },      /* 192.0.0/24: protocols' */
    { 0xc6120000, 15, PLACE_PRIVATE },      /* 198.18/15: measurements' */
    { 0xe0000000, 3, PLACE_LINK },          /* 224/3: multicast, reserved, broadcast */
};

static place_t place_of_v4 (uint32_t address)
{
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if ((address ^ ranges [i].network) >> (32 - ranges [i].bits) == 0)
            return ranges [i].place;
    return PLACE_OUTSIDE;
}

static uint32_t v4_at (const uint8_t *bytes)
{
    return (uint32_t) bytes [0] << 24 | (uint32_t) bytes [1] << 16 | (uint32_t) bytes [2] << 8 | bytes [3];
}

static place_t farther_in (place_t a, place_t b)
{
    return a > b ? a : b;
}

/* 2001::/32, Teredo (RFC 4380): its server's address, and the client's with each bit turned over. */
static place_t place_of_teredo (const uint8_t *bytes)
{
    return farther_in (place_of_v4 (v4_at (bytes + 4)), place_of_v4 (~v4_at (bytes + 12)));
}

/* 64:ff9b:1::/48, a network's own NAT64 (RFC 8215). How long its prefix is, 48, 56, 64 or 96 bits, is not to be seen, and what a translator
 * does not need it may ignore, so each reading counts: but for those that begin with 0, as all but the right one do behind a prefix of zeros. */
static place_t place_of_local_nat64 (const uint8_t *bytes)
{
    static const uint8_t readings [] [4] = { { 6, 7, 9, 10 }, { 7, 9, 10, 11 }, { 9, 10, 11, 12 }, { 12, 13, 14, 15 } };      /* RFC 6052, 2.2 */
    place_t place = PLACE_OUTSIDE;
    bool is_any = false;
    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        uint8_t v4 [4];
        for (size_t j = 0; j < 4; j++)
            v4 [j] = bytes [readings [i] [j]];
        if (!v4 [0])
            continue;
        is_any = true;
        place = farther_in (place, place_of_v4 (v4_at (v4)));
    }
    return is_any ? place : PLACE_PRIVATE;
}

/* Where an address of IPv4 stands in one of IPv6: ::ffff:a.b.c.d, ::a.b.c.d, 64:ff9b::a.b.c.d, 2002:aabb:ccdd::; -1 nowhere. */
static int wrapped_at (const uint8_t *bytes)
{
    static const uint8_t zeros [12], mapped [12] = { [10] = 0xff, [11] = 0xff }, nat64 [12] = { 0, 0x64, 0xff, 0x9b };
    if (memcmp (bytes, mapped, 12) == 0 || memcmp (bytes, nat64, 12) == 0 || memcmp (bytes, zeros, 12) == 0)
        return 12;
    return bytes [0] == 0x20 && bytes [1] == 0x02 ? 2 : -1;
}

static place_t place_of_v6 (const uint8_t *bytes)
{
    static const uint8_t teredo [4] = { 0x20, 0x01 }, local_nat64 [6] = { 0, 0x64, 0xff, 0x9b, 0, 1 };
    int at = wrapped_at (bytes);
    if (at >= 0)
        return place_of_v4 (v4_at (bytes + at));        /* ::1 is 0.0.0.1, and so of this machine */
    if (memcmp (bytes, teredo, sizeof teredo) == 0)
        return place_of_teredo (bytes);
    if (memcmp (bytes, local_nat64, sizeof local_nat64) == 0)
        return place_of_local_nat64 (bytes);
    if ((bytes [0] & 0xfe) == 0xfc)
        return PLACE_PRIVATE;                           /* fc00::/7 */
    if (bytes [0] == 0xfe && (bytes [1] & 0xc0) == 0xc0)
        return PLACE_PRIVATE;                           /* fec0::/10 */
    if ((bytes [0] == 0xfe && (bytes [1] & 0xc0) == 0x80) || bytes [0] == 0xff)
        return PLACE_LINK;                              /* fe80::/10, ff00::/8 */
    return PLACE_OUTSIDE;
}

place_t place_of (const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return place_of_v4 (ntohl (((const struct sockaddr_in *) (const void *) address)->sin_addr.s_addr));
    if (address->sa_family == AF_INET6)
        return place_of_v6 (((const struct sockaddr_in6 *) (const void *) address)->sin6_addr.s6_addr);
    return PLACE_LOOPBACK;                              /* nothing that a network has */
}

place_t place_of_text (const char *text)
{
    char bare [INET6_ADDRSTRLEN + 32];
    uint8_t bytes [16];
    snprintf (bare, sizeof bare, "%s", *text == '[' ? text + 1 : text);
    bare [strcspn (bare, "]%")] = 0;
    if (inet_pton (AF_INET, bare, bytes) == 1)
        return place_of_v4 (v4_at (bytes));
    return inet_pton (AF_INET6, bare, bytes) == 1 ? place_of_v6 (bytes) : PLACE_OUTSIDE;
}

/* -- proxies ------------------------------------------------------------------------------------------------------- */

/* Does no_proxy name the host, or a domain that it is of? */
static bool is_excepted (const char *host)
{
    const char *list = getenv ("no_proxy") ? getenv ("no_proxy") : getenv ("NO_PROXY");
    AUTO_FREE char *copy = mem_strdup (list ? list : "");
    char *rest = copy;
    for (char *entry; (entry = strsep (&rest, ", "));) {
        entry += *entry == '.';
        size_t size = strlen (entry), whole = strlen (host);
        if (strcmp (entry, "*") == 0)
            return true;
        if (size && size <= whole && strcasecmp (host + whole - size, entry) == 0 && (size == whole || host [whole - size - 1] == '.'))
            return true;
    }
    return false;
}

static const char *of_environment (const char *const *names)
{
    for (; *names; names++) {
        const char *value = getenv (*names);
        if (value && *value)
            return value;
    }
    return NULL;
}

/* The proxy that libcurl takes for a URL; NULL none. */
static const char *proxy_of (const origin_t *origin)
{
    static const char *const http [] = { "http_proxy", "all_proxy", "ALL_PROXY", NULL };
    static const char *const https [] = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL };
    const char *proxy = of_environment (origin->is_https ? https : http);
    return proxy && !is_excepted (origin->host) ? proxy : NULL;
}

/* -- the guard ----------------------------------------------------------------------------------------------------- */

static bool may_reach (const guard_t *self, place_t place)
{
    return place == PLACE_OUTSIDE || place == self->may_reach;
}

static curl_socket_t on_socket (void *argument, curlsocktype purpose, struct curl_sockaddr *address)
{
    guard_t *self = argument;
    (void) purpose;
    if (!may_reach (self, self->is_proxied ? self->literal : place_of (&address->addr))) {
        const struct sockaddr *is = &address->addr;
        const void *bytes = is->sa_family == AF_INET6 ? (const void *) &((const struct sockaddr_in6 *) (const void *) is)->sin6_addr
                                                      : (const void *) &((const struct sockaddr_in *) (const void *) is)->sin_addr;
        if (!inet_ntop (is->sa_family, bytes, self->refused, sizeof self->refused))
            strcpy (self->refused, "unknown");
        errno = EACCES;
        return CURL_SOCKET_BAD;
    }
    return socket (address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static int on_request (void *argument, char *address, char *own_address, int port, int own_port)
{
    guard_t *self = argument;
    (void) own_address, (void) port, (void) own_port;
    if (may_reach (self, self->is_proxied ? self->literal : place_of_text (address)))
        return CURL_PREREQFUNC_OK;
    snprintf (self->refused, sizeof self->refused, "%s", address);
    return CURL_PREREQFUNC_ABORT;
}

void guard_set (guard_t *self, CURL *easy, const char *url, place_t may_reach)
{
    origin_t origin;
    bool is_good = url_origin (url, &origin, NULL) == 0;
    const char *proxy = is_good ? proxy_of (&origin) : NULL;
    *self = (guard_t) { .may_reach = may_reach, .is_proxied = proxy != NULL, .literal = is_good ? place_of_text (origin.host) : PLACE_LOOPBACK };
    curl_easy_setopt (easy, CURLOPT_PROXY, proxy ? proxy : "");        /* as it was judged here, so it is done */
    curl_easy_setopt (easy, CURLOPT_NOPROXY, "");
    curl_easy_setopt (easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt (easy, CURLOPT_OPENSOCKETDATA, self);
    curl_easy_setopt (easy, CURLOPT_PREREQFUNCTION, on_request);
    curl_easy_setopt (easy, CURLOPT_PREREQDATA, self);
}

int guard_error (const guard_t *self, const char *host, err_t *err)
{
    if (!self->refused [0])
        return 0;
    return err_set (err, ERR_REGISTRY_DENIED, "we are sent to %s, whose address %s is not one that it may name: it lies inside "
                    "(loopback, link-local or private), and not where the registry is; if that is meant, list %s under registry/inside "
                    "in the settings of %s", host, self->refused, host, program_invocation_short_name);
}

place_t guard_place (CURL *easy)
{
    origin_t origin;
    const char *url = NULL, *address = NULL;
    curl_easy_getinfo (easy, CURLINFO_EFFECTIVE_URL, &url);
    curl_easy_getinfo (easy, CURLINFO_PRIMARY_IP, &address);
    if (!url || !address || url_origin (url, &origin, NULL) < 0 || proxy_of (&origin))
        return PLACE_OUTSIDE;
    return place_of_text (address);
}
