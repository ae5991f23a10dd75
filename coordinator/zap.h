/* zap.h - who may connect: the ZAP handler (https://rfc.zeromq.org/spec/27/) for domain "farm".
 *
 * An actor that answers libzmq's question about each CURVE handshake from a set of keys. While none runs, nobody is let
 * in, for the sockets enforce their domain (msg_bind). The User-Id of an accepted connection is its key in hex.
 *
 * Pipe: ["ALLOW", key hex], ["DENY", key hex], each answered by a signal once it holds; ["$TERM"]. Whom it has refused it says for the audit
 * log (denials.h). */
#ifndef FARM_ZAP_H
#define FARM_ZAP_H

#include <czmq.h>

void zap_actor (zsock_t *pipe, void *unused);

/* The two commands, as calls that return when the handler has taken them. */
void zap_allow (zsock_t *zap, const char *key_hex);
void zap_deny (zsock_t *zap, const char *key_hex);

#endif
