/* msg.c - sends, receives and checks messages. A peer's frames are looked at one by one as they arrive, so what is too
 * much is dropped before it is kept. */
#include "common/msg.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/backlog.h"
#include "common/schema.h"

enum { DEALER_HIGH_WATER = 1000, ROUTER_RECEIVES = 8, GIVEN_AWAY_FROM = 16 * 1024 };
enum { ZAP_ENFORCE_DOMAIN = 93 };       /* a draft name in zmq.h 4.3.4, but the option is served (design.md) */

struct msg {
    char verb [MSG_VERB_MAX + 1];
    json_t *header;
    buffer_t body;
    bool is_private;                /* its body is wiped when it is done with */
};

typedef struct {
    const char *verb;
    bool is_private;                /* it is a secret */
} body_rule_t;

/* Of those that may have a body (docs/protocol.md tells which); else NULL. */
static const body_rule_t *body_rule (const char *verb)
{
    static const body_rule_t rules [] = {
        { "secret", true }, { "secret-part", true }, { "order-schedule", true },
        { "ask-agent", false }, { "agent-request", false }, { "agent-reply", false }, { "agent-answer", false },
        { "missing", false }, { "put", false }, { "want", false }, { "objects", false }, { "log", false }, { "log-part", false },
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp (rules [i].verb, verb) == 0)
            return &rules [i];
    return NULL;
}

static bool is_private (const char *verb)
{
    const body_rule_t *rule = body_rule (verb);
    return rule && rule->is_private;
}

msg_t *msg_new (const char *verb, json_t *header, const void *body, size_t body_size)
{
    assert (strlen (verb) <= MSG_VERB_MAX && body_size <= MSG_BODY_MAX);
    msg_t *self = mem_alloc (sizeof *self);
    strcpy (self->verb, verb);
    self->is_private = is_private (verb);
    self->header = header ? header : json_object ();
    if (body_size)
        buffer_append (&self->body, body, body_size);
    return self;
}

msg_t *msg_new_with (const char *verb, json_t *header, buffer_t *body)
{
    assert (body->size <= MSG_BODY_MAX);
    msg_t *self = msg_new (verb, header, NULL, 0);
    self->body = *body;
    *body = (buffer_t) { 0 };
    return self;
}

void msg_destroy (msg_t **self_p)
{
    msg_t *self = *self_p;
    if (!self)
        return;
    json_decref (self->header);
    if (self->is_private && self->body.data)
        sodium_memzero (self->body.data, self->body.capacity);
    buffer_free (&self->body);
    free (self);
    *self_p = NULL;
}

const char *msg_verb (const msg_t *self)
{
    return self->verb;
}

int msg_is (const msg_t *self, const char *verb)
{
    return strcmp (self->verb, verb) == 0;
}

const json_t *msg_header (const msg_t *self)
{
    return self->header;
}

const uint8_t *msg_body (const msg_t *self, size_t *size)
{
    *size = self->body.size;
    return self->body.size ? self->body.data : (const uint8_t *) "";
}

int64_t msg_int (const msg_t *self, const char *field)
{
    return json_integer_value (json_object_get (self->header, field));
}

const char *msg_text (const msg_t *self, const char *field)
{
    return json_string_value (json_object_get (self->header, field));
}

int msg_bool (const msg_t *self, const char *field)
{
    return json_is_true (json_object_get (self->header, field));
}

/* -- sending ---------------------------------------------------------------------------------------------------- */

static int send_frame (void *handle, const void *data, size_t size, int flags)
{
    int rc;
    do
        rc = zmq_send (handle, data, size, flags);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? -1 : 0;
}

/* hint: how much of it is to be wiped. */
static void free_body (void *data, void *hint)
{
    sodium_memzero (data, (size_t) (uintptr_t) hint);
    free (data);
}

/* A long body is given away as it is: libzmq frees it, in a thread of its own, when it was sent. */
static int send_body (msg_t *self, void *handle)
{
    zmq_msg_t frame;
    int rc;
    if (self->body.size < GIVEN_AWAY_FROM && !(self->is_private && self->body.size > 0))
        return send_frame (handle, self->body.data, self->body.size, 0);
    void *wipe = (void *) (uintptr_t) (self->is_private ? self->body.size : 0);
    if (zmq_msg_init_data (&frame, self->body.data, self->body.size, free_body, wipe) < 0)
        return -1;
    self->body = (buffer_t) { 0 };
    do
        rc = zmq_msg_send (&frame, handle, 0);
    while (rc < 0 && errno == EINTR);
    if (rc >= 0)
        return 0;
    int errnum = errno;
    zmq_msg_close (&frame);
    errno = errnum;
    return -1;
}

static int send_frames (msg_t *self, void *handle, zframe_t *peer, const char *header, size_t header_size)
{
    if (peer && send_frame (handle, zframe_data (peer), zframe_size (peer), ZMQ_SNDMORE) < 0)
        return -1;
    if (send_frame (handle, self->verb, strlen (self->verb), ZMQ_SNDMORE) < 0)
        return -1;
    if (send_frame (handle, header, header_size, ZMQ_SNDMORE) < 0)
        return -1;
    return send_body (self, handle);
}

int msg_send (msg_t **self_p, void *socket, zframe_t *peer, err_t *err)
{
    AUTO (msg) msg_t *self = take (self_p);
    AUTO_FREE char *header = json_dumps (self->header, JSON_COMPACT);
    if (!header)
        return err_set (err, ERR_PROTOCOL, "send %s: its header cannot be written as JSON", self->verb);
    size_t header_size = strlen (header);
    if (header_size > MSG_HEADER_MAX)
        return err_set (err, ERR_PROTOCOL, "send %s: its header has %zu bytes, more than %d", self->verb, header_size,
                        MSG_HEADER_MAX);
    if (send_frames (self, zsock_resolve (socket), peer, header, header_size) < 0)
        return err_set (err, ERR_NETWORK, "send %s: %s", self->verb,
                        errno == EAGAIN ? "the peer does not take it" : zmq_strerror (errno));
    return 0;
}

/* -- receiving -------------------------------------------------------------------------------------------------- */

/* The frames of one message behind the routing id: at most three are kept, the rest is read and dropped. */
typedef struct {
    zmq_msg_t frames [3];
    int count;
    size_t wire_bytes;              /* of all of them, as they came */
} parcel_t;

static void parcel_close (parcel_t *self)
{
    for (int i = 0; i < 3; i++)
        zmq_msg_close (&self->frames [i]);
}

static int receive_frame (zmq_msg_t *frame, void *handle)
{
    return zmq_msg_recv (frame, handle, 0) < 0 ? -1 : 0;
}

static int has_more (const zmq_msg_t *frame)
{
    return zmq_msg_more (frame);
}

static void receive_parcel (parcel_t *self, void *handle)
{
    int more = 1;
    while (more) {
        zmq_msg_t extra;
        zmq_msg_init (&extra);
        zmq_msg_t *frame = self->count < 3 ? &self->frames [self->count] : &extra;
        if (receive_frame (frame, handle) < 0)
            more = 0;
        else {
            more = has_more (frame);
            self->wire_bytes += backlog_wire_size (zmq_msg_size (frame));
            self->count++;
        }
        zmq_msg_close (&extra);
    }
}

static int read_verb (msg_t *self, zmq_msg_t *frame, err_t *err)
{
    size_t size = zmq_msg_size (frame);
    const char *text = zmq_msg_data (frame);
    if (size == 0 || size > MSG_VERB_MAX)
        return err_set (err, ERR_PROTOCOL, "a verb has 1 to %d characters", MSG_VERB_MAX);
    for (size_t i = 0; i < size; i++)
        if (!(text [i] == '-' || (text [i] >= 'a' && text [i] <= 'z')))
            return err_set (err, ERR_PROTOCOL, "a verb has lower-case letters and '-' only");
    memcpy (self->verb, text, size);
    self->verb [size] = 0;
    self->is_private = is_private (self->verb);
    return 0;
}

static int read_header (msg_t *self, zmq_msg_t *frame, err_t *err)
{
    size_t size = zmq_msg_size (frame);
    if (size > MSG_HEADER_MAX)
        return err_set (err, ERR_PROTOCOL, "%s: a header of %zu bytes, more than %d", self->verb, size, MSG_HEADER_MAX);
    json_error_t why;
    self->header = json_loadb (zmq_msg_data (frame), size, JSON_REJECT_DUPLICATES, &why);
    if (!self->header)
        return err_set (err, ERR_PROTOCOL, "%s: header: %s", self->verb, why.text);
    return schema_check (schema_messages (), self->verb, self->header, err);
}

static msg_t *parse (parcel_t *parcel, err_t *err)
{
    AUTO (msg) msg_t *self = mem_alloc (sizeof *self);
    if (parcel->count != 3) {
        err_set (err, ERR_PROTOCOL, "a message has 3 frames, not %d", parcel->count);
        return NULL;
    }
    if (read_verb (self, &parcel->frames [0], err) < 0)
        return NULL;
    if (!schema_has (schema_messages (), self->verb)) {      /* a part's name has '_', a verb has none */
        err_set (err, ERR_PROTOCOL, "there is no verb \"%s\"", self->verb);
        return NULL;
    }
    if (read_header (self, &parcel->frames [1], err) < 0)
        return NULL;
    size_t size = zmq_msg_size (&parcel->frames [2]);
    if (size > MSG_BODY_MAX) {
        err_set (err, ERR_PROTOCOL, "%s: a body of %zu bytes, more than %d", self->verb, size, MSG_BODY_MAX);
        return NULL;
    }
    if (size && !body_rule (self->verb)) {
        err_set (err, ERR_PROTOCOL, "%s: a body of %zu bytes where there is none", self->verb, size);
        return NULL;
    }
    if (size)
        buffer_append (&self->body, zmq_msg_data (&parcel->frames [2]), size);
    if (self->is_private)
        sodium_memzero (zmq_msg_data (&parcel->frames [2]), size);
    return take (&self);
}

static void read_metadata (zmq_msg_t *frame, char user_key [KEY_HEX_SIZE + 1], int *fd)
{
    const char *id = zmq_msg_gets (frame, "User-Id");
    snprintf (user_key, KEY_HEX_SIZE + 1, "%s", id ? id : "");
    *fd = zmq_msg_get (frame, ZMQ_SRCFD);
}

/* The first frame came or did not: a routing id for a ROUTER, the verb for a DEALER. */
static int receive_first (zmq_msg_t *first, void *handle, err_t *err)
{
    if (receive_frame (first, handle) == 0)
        return 0;
    if (errno == EAGAIN)
        return err_set (err, ERR_NETWORK, "nothing came in time");
    if (errno == EINTR)
        return err_set (err, ERR_INTERRUPTED, "interrupted by a signal");
    return err_set (err, ERR_NETWORK, "receive: %s", zmq_strerror (errno));
}

msg_t *msg_recv (void *socket, zframe_t **peer, char *user_key, int *fd, err_t *err)
{
    void *handle = zsock_resolve (socket);
    parcel_t parcel = { .count = 0 };
    for (int i = 0; i < 3; i++)
        zmq_msg_init (&parcel.frames [i]);
    zmq_msg_t first;
    zmq_msg_init (&first);
    msg_t *self = NULL;
    if (receive_first (&first, handle, err) == 0) {
        int more = has_more (&first);
        if (peer)
            *peer = zframe_new (zmq_msg_data (&first), zmq_msg_size (&first));
        else {
            zmq_msg_move (&parcel.frames [0], &first);
            parcel.count = 1;
        }
        if (more)
            receive_parcel (&parcel, handle);
        int source;
        char key [KEY_HEX_SIZE + 1];
        read_metadata (&parcel.frames [0], key, &source);
        bool counts = !peer || backlog_note (source, parcel.wire_bytes, key);
        if (user_key)
            memcpy (user_key, key, sizeof key);
        if (fd)
            *fd = source;
        if (counts)
            self = parse (&parcel, err);
        else {
            zframe_destroy (peer);
            err_set (err, ERR_NETWORK, "its connection was ended");
        }
    }
    parcel_close (&parcel);
    zmq_msg_close (&first);
    return self;
}

/* -- sockets ---------------------------------------------------------------------------------------------------- */

static void set_int (void *handle, int option, int value)
{
    int rc = zmq_setsockopt (handle, option, &value, sizeof value);
    assert (rc == 0);       /* our own options: a wrong one is our mistake */
}

static void set_common_options (void *handle)
{
    int64_t frame_max = MSG_FRAME_MAX;
    zmq_setsockopt (handle, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max);
    set_int (handle, ZMQ_IPV6, 1);
    set_int (handle, ZMQ_TCP_KEEPALIVE, 1);
    set_int (handle, ZMQ_TCP_KEEPALIVE_IDLE, 30);
    set_int (handle, ZMQ_TCP_KEEPALIVE_INTVL, 10);
    set_int (handle, ZMQ_TCP_KEEPALIVE_CNT, 3);
}

static void set_key (void *handle, int option, const uint8_t key [KEY_SIZE])
{
    zmq_setsockopt (handle, option, key, KEY_SIZE);
}

zsock_t *msg_dealer (const keypair_t *own, const uint8_t server_key [KEY_SIZE], int high_water, err_t *err)
{
    zsock_t *socket = zsock_new (ZMQ_DEALER);
    if (!socket) {
        err_set (err, ERR_FARM, "open a socket: %s", zmq_strerror (errno));
        return NULL;
    }
    void *handle = zsock_resolve (socket);
    set_common_options (handle);
    set_key (handle, ZMQ_CURVE_PUBLICKEY, own->public_key);
    set_key (handle, ZMQ_CURVE_SECRETKEY, own->secret_key);
    set_key (handle, ZMQ_CURVE_SERVERKEY, server_key);
    set_int (handle, ZMQ_SNDHWM, high_water);
    set_int (handle, ZMQ_RCVHWM, high_water);
    set_int (handle, ZMQ_RECONNECT_IVL, 1000);
    set_int (handle, ZMQ_RECONNECT_IVL_MAX, 32000);
    set_int (handle, ZMQ_LINGER, 1000);
    set_int (handle, ZMQ_SNDTIMEO, 10000);
    return socket;
}

zsock_t *msg_connect (const char *endpoint, const keypair_t *own, const uint8_t server_key [KEY_SIZE], err_t *err)
{
    zsock_t *socket = msg_dealer (own, server_key, DEALER_HIGH_WATER, err);
    if (socket && zsock_connect (socket, "%s", endpoint) != 0) {
        err_set (err, ERR_USAGE, "%s is no address that can be connected to (tcp://HOST:PORT): %s", endpoint,
                 zmq_strerror (errno));
        zsock_destroy (&socket);
    }
    return socket;
}

/* With IPv6 on, an IPv4 address is told as "tcp://[::ffff:127.0.0.1]:5570": people know it as 127.0.0.1. */
static void unmap_ipv4 (char bound [256])
{
    static const char prefix [] = "tcp://[::ffff:";
    char *end = strchr (bound, ']');
    if (strncmp (bound, prefix, sizeof prefix - 1) != 0 || !end || !strchr (bound, '.'))
        return;
    AUTO_FREE char *text = mem_printf ("tcp://%.*s%s", (int) (end - bound - (int) sizeof prefix + 1), bound + sizeof prefix - 1,
                                       end + 1);
    strcpy (bound, text);
}

zsock_t *msg_bind (const char *endpoint, const keypair_t *server, int high_water, char bound [256], err_t *err)
{
    zsock_t *socket = zsock_new (ZMQ_ROUTER);
    if (!socket) {
        err_set (err, ERR_FARM, "open a socket: %s", zmq_strerror (errno));
        return NULL;
    }
    void *handle = zsock_resolve (socket);
    set_common_options (handle);
    set_int (handle, ZMQ_CURVE_SERVER, 1);
    set_key (handle, ZMQ_CURVE_SECRETKEY, server->secret_key);
    zmq_setsockopt (handle, ZMQ_ZAP_DOMAIN, "farm", 4);
    set_int (handle, ZAP_ENFORCE_DOMAIN, 1);
    set_int (handle, ZMQ_ROUTER_MANDATORY, 1);
    set_int (handle, ZMQ_ROUTER_HANDOVER, 0);
    set_int (handle, ZMQ_RCVHWM, ROUTER_RECEIVES);
    set_int (handle, ZMQ_SNDHWM, high_water);
    set_int (handle, ZMQ_SNDTIMEO, 0);
    set_int (handle, ZMQ_LINGER, 1000);
    set_int (handle, ZMQ_BACKLOG, 1024);
    size_t size = 256;
    if (zmq_bind (handle, endpoint) != 0 || zmq_getsockopt (handle, ZMQ_LAST_ENDPOINT, bound, &size) != 0) {
        err_set (err, ERR_FARM, "listen on %s: %s", endpoint, zmq_strerror (errno));
        zsock_destroy (&socket);
    }
    else
        unmap_ipv4 (bound);
    return socket;
}

uint16_t msg_port (const char *endpoint)
{
    const char *colon = strrchr (endpoint, ':');
    return colon ? (uint16_t) strtoul (colon + 1, NULL, 10) : 0;
}
