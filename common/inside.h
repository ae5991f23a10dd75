/* inside.h - addresses inside: this machine's own, its link's, a private network's. Who stands outside may not send us there.
 *
 *     registry.example.com (93.184.…)   307, Location: https://10.0.0.7/…     refused
 *     registry.lan (192.168.1.10)       401, realm="https://auth.lan/token", which is 192.168.1.11: a place like its own
 *
 * What counts is the address that a connection is made to, so no name and no answer of DNS gets around it. */
#ifndef FARM_INSIDE_H
#define FARM_INSIDE_H

#include <curl/curl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "common/err.h"

typedef enum { PLACE_OUTSIDE, PLACE_PRIVATE, PLACE_LINK, PLACE_LOOPBACK } place_t;

/* Of an address of IPv4 or IPv6; one of IPv4 that is wrapped into one of IPv6 (mapped, NAT64, 6to4, Teredo) is unwrapped; of several, the
 * one that lies farthest in counts. LINK are also multicast and what is no host's: 0.0.0.0 leads to this machine, so it is LOOPBACK. */
place_t place_of (const struct sockaddr *address);
/* Of an address as text, in brackets or not; OUTSIDE for a name. */
place_t place_of_text (const char *text);

/* What watches over one request to where somebody has sent us. */
typedef struct {
    place_t may_reach;                  /* beside OUTSIDE: the place of who sent us */
    bool is_proxied;                    /* a proxy makes the connection: then only an address in the URL itself is looked at */
    place_t literal;                    /* of that */
    char refused [INET6_ADDRSTRLEN];    /* "" while nothing was */
} guard_t;

/* Before the request is handed to libcurl; self outlives it. */
void guard_set (guard_t *self, CURL *easy, const char *url, place_t may_reach);

/* The request has failed because of the guard: ERR_REGISTRY_DENIED with host and address, -1. 0 where it had not. */
int guard_error (const guard_t *self, const char *host, err_t *err);

/* Where an answer came from; OUTSIDE where a proxy is between. */
place_t guard_place (CURL *easy);

#endif
