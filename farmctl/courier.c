/* courier.c - see courier.h. */
#include "farmctl/courier.h"

#include "common/clock.h"
#include "common/digest.h"

enum { SILENCE_MS = 60000 };

courier_t courier_of (client_t *client, upload_stats_t *stats)
{
    return (courier_t) { .client = client, .stats = stats, .heard_ms = client_has_heard (client) ? clock_boot_ms () : 0 };
}

bool courier_may_post (const courier_t *self)
{
    return self->on_the_way < COURIER_MAX;
}

static int64_t post (courier_t *self, const char *verb, buffer_t *body, err_t *err)
{
    int64_t seq = client_send_objects (self->client, verb, NULL, body, err);
    if (seq < 0)
        return -1;
    if (self->first_seq == 0)
        self->first_seq = seq;
    self->on_the_way++;
    return seq;
}

int64_t courier_ask (courier_t *self, buffer_t *digests, err_t *err)
{
    self->stats->questions++;
    return post (self, "missing", digests, err);
}

int64_t courier_put (courier_t *self, buffer_t *pack, uint64_t objects, err_t *err)
{
    size_t size = pack->size;
    int64_t seq = post (self, "put", pack, err);
    if (seq > 0) {
        self->stats->sent_objects += objects;
        self->stats->sent_bytes += size;
    }
    return seq;
}

static msg_t *judge (msg_t **answer, err_t *err)
{
    size_t size;
    msg_body (*answer, &size);
    if (msg_is (*answer, "error"))
        client_refusal (*answer, err);
    else if (msg_is (*answer, "missing") && size % DIGEST_SIZE)
        err_set (err, ERR_PROTOCOL, "the coordinator's answer about missing objects is cut");
    else if (!msg_is (*answer, "missing") && !msg_is (*answer, "stored"))
        err_set (err, ERR_PROTOCOL, "the coordinator answers \"%s\" to an upload", msg_verb (*answer));
    else
        return take (answer);
    return NULL;
}

msg_t *courier_answer (courier_t *self, err_t *err)
{
    for (;;) {
        AUTO (msg) msg_t *answer = client_next_objects (self->client, COURIER_PATIENCE_MS, err);
        if (!answer)
            return NULL;
        int64_t re = msg_int (answer, "re");
        if (re && re < self->first_seq)
            continue;
        self->heard_ms = clock_boot_ms ();
        self->on_the_way--;
        return judge (&answer, err);
    }
}

/* Nothing on the way: nothing to be heard, so only fd counts, however long that takes. */
int courier_wait (courier_t *self, int fd, err_t *err)
{
    int rc;
    do
        rc = client_wait_objects (self->client, fd, COURIER_PATIENCE_MS, err);
    while (rc == 0 && self->on_the_way == 0);
    return rc == 0 ? client_silence (self->client, COURIER_PATIENCE_MS, err) : rc < 0 ? -1 : 0;
}

void courier_forget (courier_t *self)
{
    self->on_the_way = 0;
    self->first_seq = 0;            /* set by the next message: late answers to this try are older */
}

bool courier_may_try_again (const courier_t *self, const err_t *why)
{
    return why->code == ERR_NETWORK && self->heard_ms && clock_boot_ms () - self->heard_ms < SILENCE_MS;
}
