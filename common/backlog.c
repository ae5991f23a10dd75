/* backlog.c - see backlog.h. A table by descriptor; the kernel's cookie tells whether an entry is of the connection that has the
 * descriptor now. Counts start with a connection, so they have to be exact: a byte too few at each message would add up. */
#include "common/backlog.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

/* "\x07MESSAGE", a short nonce, the box's 16 bytes, flags; in front of it 2 or 9 bytes of ZMTP. */
enum { KERNEL_ESTABLISHED = 1 };           /* linux/tcp.h, which has the newer counters, does not name it */
enum { ENTRIES = 65536, CURVE_ADDS = 33, SHORT_FRAME_MAX = 255, SHORT_ADDS = 2, LONG_ADDS = 9 };

typedef struct {
    uint64_t cookie;
    uint64_t read_bytes;
    uint64_t handed_bytes;          /* by backlog_hand; raised to what is acknowledged, for not every byte that libzmq sends is handed */
    int64_t still_at_ms;
    uint16_t port;                  /* and key_hex: once something was read */
    bool is_admitted;
    bool is_over;                   /* was not, for there were too many */
    bool was_ended;                 /* by backlog_end */
    bool is_copy;                   /* by backlog_copy */
    char key_hex [KEY_HEX_SIZE + 1];
} entry_t;

static entry_t entries [ENTRIES];
static int entries_used;            /* none behind these was ever */
static atomic_bool resting [UINT16_MAX + 1];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

size_t backlog_wire_size (size_t frame_bytes)
{
    size_t boxed = frame_bytes + CURVE_ADDS;
    return boxed + (boxed > SHORT_FRAME_MAX ? LONG_ADDS : SHORT_ADDS);
}

/* 0: no socket (any more) */
static uint64_t cookie_of (int fd)
{
    uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    return getsockopt (fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

/* The entry of that connection, begun anew when it was another's; under the lock. */
static entry_t *entry_for (int fd, uint64_t cookie, int64_t now_ms)
{
    entry_t *entry = &entries [fd];
    if (entry->cookie != cookie)
        *entry = (entry_t) { .cookie = cookie, .still_at_ms = now_ms };
    if (fd >= entries_used)
        entries_used = fd + 1;
    return entry;
}

/* Of a connection's own end; 0: it has none. */
static uint16_t port_of (int fd)
{
    union { struct sockaddr any; struct sockaddr_in ip4; struct sockaddr_in6 ip6; } name;
    socklen_t size = sizeof name;
    if (getsockname (fd, &name.any, &size) != 0)
        return 0;
    return name.any.sa_family == AF_INET ? ntohs (name.ip4.sin_port) : name.any.sa_family == AF_INET6 ? ntohs (name.ip6.sin6_port) : 0;
}

/* Under the lock. A descriptor that is another connection's by now tells nothing of its last one. */
static bool note (int fd, uint64_t cookie, size_t wire_bytes, const char *key_hex)
{
    entry_t *last = &entries [fd];
    if (last->was_ended && (!cookie || cookie == last->cookie))
        return false;
    if (!cookie)
        return true;
    int64_t now_ms = clock_boot_ms ();
    entry_t *entry = entry_for (fd, cookie, now_ms);
    if (entry->read_bytes == 0) {
        entry->port = port_of (fd);
        snprintf (entry->key_hex, sizeof entry->key_hex, "%s", key_hex);
    }
    entry->read_bytes += wire_bytes;
    entry->still_at_ms = now_ms;
    return true;
}

bool backlog_note (int fd, size_t wire_bytes, const char *key_hex)
{
    if (fd < 0 || fd >= ENTRIES)
        return true;
    uint64_t cookie = cookie_of (fd);
    pthread_mutex_lock (&lock);
    bool counts = note (fd, cookie, wire_bytes, key_hex);
    pthread_mutex_unlock (&lock);
    return counts;
}

/* How many of that key on that port are admitted and live; under the lock. */
static size_t count_like (const entry_t *one)
{
    size_t count = 0;
    for (int fd = 0; fd < entries_used; fd++) {
        const entry_t *other = &entries [fd];
        if (other->is_admitted && other->port == one->port && strcmp (other->key_hex, one->key_hex) == 0)
            count += cookie_of (fd) == other->cookie;
    }
    return count;
}

bool backlog_admit (int fd, size_t max)
{
    if (fd < 0 || fd >= ENTRIES)
        return true;
    pthread_mutex_lock (&lock);
    entry_t *entry = &entries [fd];
    if (!entry->is_admitted)
        entry->is_over = !(entry->is_admitted = count_like (entry) < max);
    bool is_admitted = entry->is_admitted;
    pthread_mutex_unlock (&lock);
    return is_admitted;
}

/* UINT64_MAX: it is no connection any more. */
static uint64_t acked_bytes (int fd)
{
    struct tcp_info info = { 0 };
    socklen_t size = sizeof info;
    return getsockopt (fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_bytes_acked : UINT64_MAX;
}

/* Under the lock. */
static uint64_t unsent_of (int fd)
{
    entry_t *entry = &entries [fd];
    uint64_t acked = acked_bytes (fd);
    if (acked != UINT64_MAX && entry->handed_bytes < acked)
        entry->handed_bytes = acked;
    return acked == UINT64_MAX ? 0 : entry->handed_bytes - acked;
}

/* Of all connections of that one's key on its port; under the lock. */
static uint64_t unsent_like (const entry_t *one)
{
    uint64_t total = 0;
    for (int fd = 0; fd < entries_used; fd++) {
        const entry_t *other = &entries [fd];
        if (other->handed_bytes > 0 && other->port == one->port && strcmp (other->key_hex, one->key_hex) == 0 && cookie_of (fd) == other->cookie)
            total += unsent_of (fd);
    }
    return total;
}

bool backlog_hand (int fd, size_t wire_bytes, const char *key_hex)
{
    if (fd < 0 || fd >= ENTRIES)
        return true;
    pthread_mutex_lock (&lock);
    entry_t *entry = &entries [fd];
    bool may = true, is_it = entry->cookie && cookie_of (fd) == entry->cookie && strcmp (entry->key_hex, key_hex) == 0;
    if (is_it) {
        uint64_t unsent = unsent_of (fd);
        may = unsent <= BACKLOG_UNSENT_FREE || (unsent <= BACKLOG_UNSENT_MAX && unsent_like (entry) <= BACKLOG_UNSENT_KEY_MAX);
        entry->handed_bytes += may ? wire_bytes : 0;
    }
    pthread_mutex_unlock (&lock);
    return may;
}

void backlog_note_rest (uint16_t port, bool rests)
{
    if (atomic_load_explicit (&resting [port], memory_order_relaxed) != rests)
        atomic_store_explicit (&resting [port], rests, memory_order_relaxed);
}

int backlog_copy (int fd)
{
    int copy = fcntl (fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0 || copy >= ENTRIES)
        return copy;
    pthread_mutex_lock (&lock);
    entry_for (copy, cookie_of (copy), clock_boot_ms ())->is_copy = true;
    pthread_mutex_unlock (&lock);
    return copy;
}

/* Which of these ports it is a connection to; 0 for none. */
static uint16_t port_among (int fd, const uint16_t *ports, size_t count)
{
    uint16_t port = port_of (fd);
    for (size_t i = 0; i < count; i++)
        if (port == ports [i])
            return port;
    return 0;
}

bool backlog_of (int fd, const uint16_t *ports, size_t port_count, int64_t now_ms, backlog_t *out)
{
    struct tcp_info info = { 0 };
    socklen_t size = sizeof info;
    int waiting = 0;
    uint16_t port = fd < 0 || fd >= ENTRIES ? 0 : port_among (fd, ports, port_count);
    if (port == 0)
        return false;
    *out = (backlog_t) { .fd = fd, .cookie = cookie_of (fd), .reader_rests = atomic_load_explicit (&resting [port], memory_order_relaxed) };
    if (getsockopt (fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || info.tcpi_state != KERNEL_ESTABLISHED
        || ioctl (fd, SIOCINQ, &waiting) != 0 || !out->cookie || cookie_of (fd) != out->cookie)
        return false;
    out->silent_ms = info.tcpi_last_data_recv;
    pthread_mutex_lock (&lock);
    const entry_t *entry = entry_for (fd, out->cookie, now_ms);
    bool is_copy = entry->is_copy;
    uint64_t gone = entry->read_bytes + (uint64_t) waiting;
    out->unread_bytes = info.tcpi_bytes_received > gone ? (size_t) (info.tcpi_bytes_received - gone) : 0;
    out->was_read = entry->read_bytes > 0;
    out->still_at_ms = entry->still_at_ms;
    out->is_admitted = entry->is_admitted;
    out->is_over = entry->is_over;
    memcpy (out->key_hex, entry->key_hex, sizeof out->key_hex);
    pthread_mutex_unlock (&lock);
    return !is_copy;
}

/* A second descriptor first: it stays the connection that was looked at. Connecting it to nowhere resets it, and takes away what the kernel
 * has received; a shutdown would have libzmq read that to its end. */
bool backlog_end (const backlog_t *self, int spare)
{
    const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
    if (dup3 (self->fd, spare, O_CLOEXEC) != spare || cookie_of (spare) != self->cookie || connect (spare, &nowhere, sizeof nowhere) != 0)
        return false;
    pthread_mutex_lock (&lock);
    entry_t *entry = &entries [self->fd];
    entry->was_ended = entry->cookie == self->cookie;
    pthread_mutex_unlock (&lock);
    return true;
}

bool backlog_end_of (int fd, const char *key_hex)
{
    backlog_t one = { .fd = fd };
    if (fd < 0 || fd >= ENTRIES)
        return false;
    pthread_mutex_lock (&lock);
    bool is_its = strcmp (entries [fd].key_hex, key_hex) == 0;
    one.cookie = entries [fd].cookie;
    pthread_mutex_unlock (&lock);
    int spare = is_its && one.cookie ? backlog_copy (fd) : -1;
    if (spare < 0)
        return false;
    bool has_ended = backlog_end (&one, spare);
    close (spare);
    return has_ended;
}
