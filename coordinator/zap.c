/* zap.c - the ZAP handler. It decides on the key alone; what a key may do is looked up at each message. */
#include "coordinator/zap.h"

#include <sodium.h>

#include "common/clock.h"
#include "common/keys.h"
#include "common/log.h"
#include "common/log_limit.h"
#include "common/mem.h"
#include "coordinator/denials.h"

enum { TELL_MS = 1000 };
#define ZAP_PLACE "inproc://zeromq.zap.01"     /* RFC 27 */

typedef struct {
    zsock_t *pipe;
    zsock_t *handler;
    zsock_t *outlet;            /* of denials */
    denials_t *denials;
    zhashx_t *keys;             /* hex -> itself */
    log_limit_t lines;          /* about strangers, who have as many keys as they like */
} zap_t;

/* RFC 27: version, request id, domain, address, identity, mechanism, credentials */
typedef struct {
    char *version, *sequence, *domain, *address, *identity, *mechanism;
    zframe_t *key;
} request_t;

static request_t *request_recv (zsock_t *handler)
{
    zmsg_t *message = zmsg_recv (handler);
    if (!message)
        return NULL;
    request_t *self = calloc (1, sizeof *self);
    self->version = zmsg_popstr (message);
    self->sequence = zmsg_popstr (message);
    self->domain = zmsg_popstr (message);
    self->address = zmsg_popstr (message);
    self->identity = zmsg_popstr (message);
    self->mechanism = zmsg_popstr (message);
    self->key = zmsg_pop (message);
    zmsg_destroy (&message);
    return self;
}

static void request_destroy (request_t **self_p)
{
    request_t *self = *self_p;
    free (self->version);
    free (self->sequence);
    free (self->domain);
    free (self->address);
    free (self->identity);
    free (self->mechanism);
    zframe_destroy (&self->key);
    free (self);
    *self_p = NULL;
}

static bool is_allowed (const zap_t *self, const request_t *request, char hex [KEY_HEX_SIZE + 1])
{
    if (!request->mechanism || !streq (request->mechanism, "CURVE") || !request->domain || !streq (request->domain, "farm"))
        return false;
    if (!request->key || zframe_size (request->key) != KEY_SIZE)
        return false;
    key_to_hex (zframe_data (request->key), hex);
    return zhashx_lookup (self->keys, hex) != NULL;
}

static void note_denied (zap_t *self, const char *hex, const char *address)
{
    AUTO_FREE char *text = mem_printf ("from %.64s: this key is not known here", address);
    denials_add (self->denials, hex, "connect", text, clock_boot_ms ());
    if (log_limit_may (&self->lines, clock_boot_ms ()))
        log_warn ("zap", "refused a connection from %s: key %s is not known here", address, hex);
}

static void tell_left_out (zap_t *self)
{
    size_t left_out = log_limit_take (&self->lines, clock_boot_ms ());
    if (left_out > 0)
        log_warn ("zap", "refused connections: %zu more lines were left out", left_out);
}

static void on_request (zap_t *self)
{
    request_t *request = request_recv (self->handler);
    if (!request)
        return;
    char hex [KEY_HEX_SIZE + 1] = "";
    bool allowed = is_allowed (self, request, hex);
    if (!allowed)
        note_denied (self, hex, request->address ? request->address : "?");
    zstr_sendx (self->handler, "1.0", request->sequence ? request->sequence : "", allowed ? "200" : "400",
                allowed ? "OK" : "no such key", allowed ? hex : "", "", NULL);
    request_destroy (&request);
}

/* Returns false when the actor has to end. */
static bool on_command (zap_t *self)
{
    char *command = NULL, *key = NULL;
    if (zstr_recvx (self->pipe, &command, &key, NULL) < 0)
        return false;
    bool goes_on = !streq (command, "$TERM");
    if (streq (command, "ALLOW") && key)
        zhashx_update (self->keys, key, "");
    if (streq (command, "DENY") && key)
        zhashx_delete (self->keys, key);
    if (goes_on)
        zsock_signal (self->pipe, 0);
    zstr_free (&command);
    zstr_free (&key);
    return goes_on;
}

void zap_actor (zsock_t *pipe, void *unused)
{
    (void) unused;
    zap_t self = { .pipe = pipe, .handler = zsock_new (ZMQ_REP), .outlet = denials_outlet_new (), .keys = zhashx_new () };
    int rc = zsock_bind (self.handler, ZAP_PLACE);
    assert (rc == 0);       /* a second handler in the process is our mistake */
    self.denials = denials_new (denials_send, self.outlet);
    zpoller_t *poller = zpoller_new (pipe, self.handler, NULL);
    zsock_signal (pipe, 0);
    bool goes_on = true;
    while (goes_on) {
        int denials_ms = denials_tell (self.denials, clock_boot_ms ());
        void *which = zpoller_wait (poller, denials_ms < 0 && self.lines.left_out > 0 ? TELL_MS : denials_ms);
        tell_left_out (&self);
        if (which == self.handler)
            on_request (&self);
        else if (which == pipe)
            goes_on = on_command (&self);
        else
            goes_on = !zpoller_terminated (poller);
    }
    zpoller_destroy (&poller);
    zsock_unbind (self.handler, ZAP_PLACE);         /* at once; closing does it some time later, in another thread */
    zsock_destroy (&self.handler);
    zsock_destroy (&self.outlet);
    denials_destroy (&self.denials);
    zhashx_destroy (&self.keys);
}

void zap_allow (zsock_t *zap, const char *key_hex)
{
    zstr_sendx (zap, "ALLOW", key_hex, NULL);
    zsock_wait (zap);
}

void zap_deny (zsock_t *zap, const char *key_hex)
{
    zstr_sendx (zap, "DENY", key_hex, NULL);
    zsock_wait (zap);
}
