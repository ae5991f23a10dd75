/* want.c - requests and answers. A request names what is likely to fit one answer; the coordinator answers with the first
 * ones that do fit, and the rest goes back to the front of the queue. */
#include "worker/want.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/msg.h"
#include "common/pack.h"

enum { ON_THE_WAY_MAX = 8, DIGESTS_MAX = 8192, REPEAT_MS = 10000, SILENCE_MS = 60000, LOOK_MS = 100 };

typedef struct {
    digest_t digest;
    uint32_t size_bytes;
    bool has_come;
} wanted_t;

typedef struct {
    int64_t seq;                /* 0: this place is free */
    int64_t sent_ms;
    wanted_t *wanted;
    size_t count;
} request_t;

struct want {
    zsock_t *objects;
    atomic_int *is_cancelled;
    wanted_t *queue;            /* a stack: the order does not matter */
    size_t queued, capacity;
    request_t requests [ON_THE_WAY_MAX];
    request_t *answered;        /* whose answer is being handed out */
    msg_t *answer;
    pack_reader_t reader;
    size_t next;                /* of answered: objects come in the order asked */
    int64_t heard_ms;
    uint64_t wire_bytes;
};

/* Not used twice in a process, also not by those who use the same connection after us. */
static int64_t next_seq (void)
{
    static atomic_llong last = (int64_t) 1 << 48;
    return atomic_fetch_add (&last, 1) + 1;
}

want_t *want_new (zsock_t *objects, atomic_int *is_cancelled)
{
    want_t *self = mem_alloc (sizeof *self);
    self->objects = objects;
    self->is_cancelled = is_cancelled;
    self->heard_ms = clock_boot_ms ();
    return self;
}

void want_destroy (want_t **self_p)
{
    want_t *self = *self_p;
    if (!self)
        return;
    for (int i = 0; i < ON_THE_WAY_MAX; i++)
        free (self->requests [i].wanted);
    pack_reader_free (&self->reader);
    msg_destroy (&self->answer);
    free (self->queue);
    free (self);
    *self_p = NULL;
}

uint64_t want_wire_bytes (const want_t *self)
{
    return self->wire_bytes;
}

void want_add (want_t *self, const digest_t *digest, size_t size_bytes)
{
    if (self->queued == self->capacity) {
        self->capacity = self->capacity ? 2 * self->capacity : 256;
        self->queue = mem_resize (self->queue, self->capacity * sizeof *self->queue);
    }
    uint32_t size = size_bytes < OBJECT_MAX ? (uint32_t) size_bytes : OBJECT_MAX;
    self->queue [self->queued++] = (wanted_t) { .digest = *digest, .size_bytes = size };
}

size_t want_queued (const want_t *self)
{
    return self->queued;
}

/* -- asking ----------------------------------------------------------------------------------------------------- */

static int send_request (want_t *self, request_t *request, err_t *err)
{
    AUTO_BUFFER buffer_t body = { 0 };
    for (size_t i = 0; i < request->count; i++)
        buffer_append (&body, request->wanted [i].digest.bytes, DIGEST_SIZE);
    msg_t *message = msg_new ("want", json_pack ("{s:I}", "seq", (json_int_t) request->seq), body.data, body.size);
    request->sent_ms = clock_boot_ms ();
    err_t why = { 0 };
    if (msg_send (&message, self->objects, NULL, &why) == 0 || why.code == ERR_NETWORK)
        return 0;               /* a connection that is being made again: repeated in a while */
    if (err)
        *err = why;
    return -1;
}

static int fill_request (want_t *self, request_t *request, err_t *err)
{
    size_t bytes = 0, count = 0;
    while (count < self->queued && count < DIGESTS_MAX) {
        bytes += PACK_RECORD_HEAD + self->queue [self->queued - count - 1].size_bytes;
        if (count && bytes > MSG_BODY_MAX)
            break;
        count++;
    }
    request->wanted = mem_alloc (count * sizeof *request->wanted);
    for (size_t i = 0; i < count; i++)
        request->wanted [i] = self->queue [--self->queued];
    request->count = count;
    request->seq = next_seq ();
    return send_request (self, request, err);
}

/* Fill free places. Returns how many requests are on the way. */
static int keep_asking (want_t *self, err_t *err)
{
    int on_the_way = 0;
    for (int i = 0; i < ON_THE_WAY_MAX; i++) {
        request_t *request = &self->requests [i];
        if (!request->seq && self->queued && fill_request (self, request, err) < 0)
            return -1;
        on_the_way += request->seq != 0;
    }
    return on_the_way;
}

/* Only when nothing lies here to be received: storing may have taken longer than a coordinator is waited for. */
static int repeat_late (want_t *self, err_t *err)
{
    int64_t now = clock_boot_ms ();
    for (int i = 0; i < ON_THE_WAY_MAX; i++) {
        request_t *request = &self->requests [i];
        if (request->seq && now - request->sent_ms >= REPEAT_MS && send_request (self, request, err) < 0)
            return -1;
    }
    return 0;
}

/* -- answers ---------------------------------------------------------------------------------------------------- */

static int check_patience (want_t *self, err_t *err)
{
    if (self->is_cancelled && atomic_load (self->is_cancelled))
        return err_set (err, ERR_CANCELLED, "cancelled while the context was being fetched");
    if (clock_boot_ms () - self->heard_ms >= SILENCE_MS)
        return err_set (err, ERR_NETWORK, "the coordinator has not answered for %d s: is it running, and can this machine "
                        "reach it?", SILENCE_MS / 1000);
    return 0;
}

/* What came in a while, or NULL with err->code ERR_NONE when nothing did. */
static msg_t *receive (want_t *self, err_t *err)
{
    zmq_pollitem_t item = { .socket = zsock_resolve (self->objects), .events = ZMQ_POLLIN };
    if (zmq_poll (&item, 1, LOOK_MS) <= 0)
        return NULL;
    err_t why = { 0 };
    msg_t *message = msg_recv (self->objects, NULL, NULL, NULL, &why);
    if (!message && why.code == ERR_PROTOCOL)
        *err = why;
    return message;
}

static request_t *request_of (want_t *self, int64_t re)
{
    for (int i = 0; i < ON_THE_WAY_MAX; i++)
        if (re && self->requests [i].seq == re)
            return &self->requests [i];
    return NULL;
}

/* Make a message the answer that is handed out, when it is one. */
static int take_message (want_t *self, msg_t **message, err_t *err)
{
    request_t *request = request_of (self, msg_int (*message, "re"));
    bool is_error = msg_is (*message, "error");
    size_t size;
    if (is_error && (request || !msg_int (*message, "re")))
        return err_set (err, err_from_name (msg_text (*message, "code")), "%s", msg_text (*message, "text"));
    if (!request || !msg_is (*message, "objects"))
        return 0;               /* of a request that was repeated, or of somebody else's */
    self->heard_ms = clock_boot_ms ();
    self->answer = take (message);
    self->answered = request;
    self->next = 0;
    const uint8_t *body = msg_body (self->answer, &size);
    self->wire_bytes += size;
    pack_reader_init (&self->reader, body, size);
    return 0;
}

static int await_answer (want_t *self, err_t *err)
{
    err_t why = { 0 };
    AUTO (msg) msg_t *message = receive (self, &why);
    if (why.code) {
        if (err)
            *err = why;
        return -1;
    }
    int rc = message ? take_message (self, &message, err) : repeat_late (self, err);
    return rc < 0 ? -1 : check_patience (self, err);
}

static int end_answer (want_t *self, err_t *err)
{
    request_t *request = self->answered;
    if (self->next == 0)
        return err_set (err, ERR_PROTOCOL, "the coordinator answered without an object");
    for (size_t i = 0; i < request->count; i++)
        if (!request->wanted [i].has_come)
            want_add (self, &request->wanted [i].digest, request->wanted [i].size_bytes);
    free (request->wanted);
    *request = (request_t) { 0 };
    self->answered = NULL;
    pack_reader_free (&self->reader);
    msg_destroy (&self->answer);
    return 0;
}

/* 1: an object of the answer; 0: there are no more in it. */
static int read_answer (want_t *self, arrival_t *out, err_t *err)
{
    object_kind kind;
    int rc = pack_read (&self->reader, &kind, &out->digest, &out->data, &out->size, err);
    if (rc <= 0)
        return rc;
    request_t *request = self->answered;
    if (self->next >= request->count || !digest_equal (&request->wanted [self->next].digest, &out->digest))
        return err_set (err, ERR_PROTOCOL, "the coordinator sent an object that was not asked for");
    digest_t own = digest_of (out->data, out->size);
    if (!digest_equal (&own, &out->digest))
        return err_set (err, ERR_PROTOCOL, "the coordinator sent an object whose bytes have another digest");
    out->zip = self->reader.zip;
    request->wanted [self->next++].has_come = true;
    return 1;
}

int want_next (want_t *self, arrival_t *out, err_t *err)
{
    self->heard_ms = clock_boot_ms ();      /* silence is what we wait for, not what the caller does between two calls */
    for (;;) {
        if (self->answered) {
            int rc = read_answer (self, out, err);
            if (rc != 0 || end_answer (self, err) < 0)
                return rc ? rc : -1;
        }
        if (check_patience (self, err) < 0)
            return -1;
        int on_the_way = keep_asking (self, err);
        if (on_the_way <= 0)
            return on_the_way;
        if (await_answer (self, err) < 0)
            return -1;
    }
}
