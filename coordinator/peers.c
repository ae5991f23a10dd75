/* peers.c - see peers.h. */
#include "coordinator/peers.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "common/backlog.h"
#include "common/mem.h"

enum { ROUTING_ID_SIZE = 5 };       /* a zero byte and 32 bits (libzmq router.cpp) */

struct peers {
    zhashx_t *by_number;            /* "%u" -> peer_t */
};

static void peer_free (void **item)
{
    peer_t *self = *item;
    zframe_destroy (&self->routing_id);
    auto_close (&self->line);
    free (self);
    *item = NULL;
}

peers_t *peers_new (void)
{
    peers_t *self = mem_alloc (sizeof *self);
    self->by_number = zhashx_new ();
    zhashx_set_destructor (self->by_number, peer_free);
    return self;
}

void peers_destroy (peers_t **self_p)
{
    if (!*self_p)
        return;
    zhashx_destroy (&(*self_p)->by_number);
    free (*self_p);
    *self_p = NULL;
}

static const char *name_of (uint64_t number, char text [24])
{
    snprintf (text, 24, "%llu", (unsigned long long) number);
    return text;
}

static uint64_t number_of (const zframe_t *routing_id)
{
    const uint8_t *id = zframe_data ((zframe_t *) routing_id);
    if (zframe_size ((zframe_t *) routing_id) != ROUTING_ID_SIZE || id [0] != 0)
        return 0;
    uint32_t number = 0;
    memcpy (&number, id + 1, sizeof number);
    return (uint64_t) number + 1;               /* 0 means nobody */
}

peer_t *peers_find (peers_t *self, uint64_t number)
{
    char name [24];
    return zhashx_lookup (self->by_number, name_of (number, name));
}

bool peers_have (peers_t *self, const zframe_t *routing_id)
{
    return peers_find (self, number_of (routing_id)) != NULL;
}

peer_t *peers_find_or_add (peers_t *self, zframe_t **routing_id, const char *key_hex, int fd)
{
    uint64_t number = number_of (*routing_id);
    peer_t *peer = number ? peers_find (self, number) : NULL;
    if (!peer && number) {
        char name [24];
        peer = mem_alloc (sizeof *peer);
        peer->number = number;
        peer->line = -1;
        peer->routing_id = take (routing_id);
        zhashx_insert (self->by_number, name_of (number, name), peer);
    }
    if (peer) {
        snprintf (peer->key_hex, sizeof peer->key_hex, "%s", key_hex);
        peer->fd = fd;
    }
    zframe_destroy (routing_id);
    return peer;
}

void peers_remove (peers_t *self, uint64_t number)
{
    char name [24];
    zhashx_delete (self->by_number, name_of (number, name));
}

size_t peers_of_fd (peers_t *self, int fd, uint64_t *out, size_t max)
{
    size_t count = 0;
    for (peer_t *peer = peers_first (self); peer && count < max; peer = peers_next (self))
        if (peer->fd == fd)
            out [count++] = peer->number;
    return count;
}

/* libzmq closes its descriptor, and with it what the kernel knows; a second one keeps that. */
void peer_keep_line (peer_t *self)
{
    if (self->line < 0)
        self->line = backlog_copy (self->fd);
}

/* CLOSE_WAIT: its FIN has come, and nothing behind it. A reset leaves CLOSE, for it may come from anywhere on the way. */
bool peer_was_closed (const peer_t *self)
{
    struct tcp_info info = { 0 };
    socklen_t size = sizeof info;
    return self->line >= 0 && getsockopt (self->line, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_state == TCP_CLOSE_WAIT;
}

void peer_watch (peer_t *self, int64_t build)
{
    if (peer_watches (self, build))
        return;
    if (self->watch_count == PEER_WATCHES_MAX)
        memmove (self->watches, self->watches + 1, --self->watch_count * sizeof *self->watches);
    self->watches [self->watch_count++] = build;
}

bool peer_watches (const peer_t *self, int64_t build)
{
    for (size_t i = 0; i < self->watch_count; i++)
        if (self->watches [i] == build)
            return true;
    return false;
}

peer_t *peers_first (peers_t *self)
{
    return zhashx_first (self->by_number);
}

peer_t *peers_next (peers_t *self)
{
    return zhashx_next (self->by_number);
}
