/* watchman.c - see watchman.h. Looking at memory costs one read of /proc; only where that has grown the connections are gone through. */
#include "coordinator/watchman.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/msg.h"

enum { LOOK_MS = 20, LOOK_AGAIN_MS = 5, STILL_MS = 250, STILL_BUSY_MS = 1000, STILL_LONG_MS = 30000, TIDY_MS = 10000, TIDY_SOON_MS = 25, REST_SHARE = 4 };
enum { MIB = 1024 * 1024 };
/* NEAR: half of what one may have is there, and a crowd sends as much again between two looks. */
enum { GROWN_BYTES = 8 * MIB, GROWN_NEAR_BYTES = 2 * MIB, UNTIDY_BYTES = 4 * MIB };
/* Whole messages of one peer: 8 (the ROUTERs' high-water mark) of header and body. More is a message without an end. */
enum { UNREAD_MAX = 3 * MIB, UNREAD_ALL_MAX = 12 * MIB, UNREAD_ONE = MSG_HEADER_MAX + MSG_BODY_MAX + 1024, UNREAD_SMALL = 64 * 1024 };
/* ZMTP's greeting; then two buffers of 8 KiB, the mechanism, and a session with pipes: measured. */
enum { GREETING_BYTES = 64, GREETED_BYTES = 36 * 1024 };
/* However busy the reader is: of the connections of one key, of all over which nobody admitted has spoken, and of all together. */
enum { UNREAD_KEY_MAX = 20 * MIB, UNREAD_UNKNOWN_MAX = 6 * MIB, UNREAD_MOST = 32 * MIB };
/* Of all over which nobody admitted has spoken, with what libzmq has for them: some 1,100, as the boards of a large farm come all at once. */
enum { GREETED_MOST = 40 * MIB };

typedef struct {
    const watchman_settings_t *settings;
    int statm;                      /* /proc/self/statm */
    int spare;                      /* to end connections with; of statm else */
    DIR *descriptors;               /* /proc/self/fd */
    size_t resident_bytes;          /* when connections were last gone through, or what it has shrunk to since */
    size_t least_bytes;             /* the least that it was ever seen to be */
    int64_t next_at_ms, tidied_ms;  /* boot clock */
    bool shall_go_on;               /* connections were ended, or some have more than they may */
    bool is_near;                   /* they may have it soon */
    buffer_t found;                 /* of backlog_t */
} watchman_t;

/* -- which ------------------------------------------------------------------------------------------------------- */

static int by_stillness (const void *a, const void *b)
{
    const backlog_t *x = a, *y = b;
    return (x->still_at_ms > y->still_at_ms) - (x->still_at_ms < y->still_at_ms);
}

static int by_silence (const void *a, const void *b)
{
    const backlog_t *x = a, *y = b;
    if (x->was_read != y->was_read)
        return x->was_read ? 1 : -1;
    return (x->silent_ms < y->silent_ms) - (x->silent_ms > y->silent_ms);
}

/* Whose share of the memory it has: "" for all that are not admitted. */
static const char *owner_of (const backlog_t *one)
{
    return one->is_admitted ? one->key_hex : "";
}

typedef size_t (weigh_fn) (const backlog_t *one);

static size_t unread_of (const backlog_t *one)
{
    return one->unread_bytes;
}

/* What it has sent, and what libzmq has for it from the greeting on: of one that is admitted that is little beside what it may send. */
static size_t weight_of (const backlog_t *one)
{
    return one->unread_bytes + (!one->is_admitted && one->unread_bytes >= GREETING_BYTES ? GREETED_BYTES : 0);
}

/* The heaviest first; of those that weigh the same the oldest, for an honest one speaks soon. */
static int by_size (const void *a, const void *b)
{
    size_t x = weight_of (a), y = weight_of (b);
    return x == y ? by_stillness (a, b) : (x < y) - (x > y);
}

static int by_owner (const void *a, const void *b)
{
    int order = strcmp (owner_of (a), owner_of (b));
    return order ? order : by_size (a, b);
}

static size_t sum_of (const backlog_t *connections, size_t count, weigh_fn *weigh)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += weigh (&connections [i]);
    return total;
}

/* It goes to the chosen ones in front. */
static void choose_one (backlog_t *connections, size_t at, size_t *chosen)
{
    backlog_t one = connections [at];
    connections [at] = connections [*chosen];
    connections [(*chosen)++] = one;
}

static size_t choose_at_once (backlog_t *connections, size_t count)
{
    size_t chosen = 0;
    for (size_t i = 0; i < count; i++)
        if (connections [i].unread_bytes > UNREAD_MAX || connections [i].is_over)
            choose_one (connections, i, &chosen);
    return chosen;
}

/* The first of these, which are sorted, until the rest weighs max at most. Returns where the rest begins. */
static size_t choose_first (backlog_t *connections, size_t from, size_t to, weigh_fn *weigh, size_t max, size_t *chosen)
{
    size_t total = sum_of (connections + from, to - from, weigh), i;
    for (i = from; i < to && total > max; i++) {
        total -= weigh (&connections [i]);
        choose_one (connections, i, chosen);
    }
    return i;
}

/* Is it certain that no owner has more than one part in `parts` of what would be too much? */
static bool is_little (const backlog_t *connections, size_t count, size_t parts)
{
    return sum_of (connections, count, unread_of) <= UNREAD_UNKNOWN_MAX / parts && sum_of (connections, count, weight_of) <= GREETED_MOST / parts;
}

static size_t choose_by_owner (backlog_t *connections, size_t count)
{
    size_t chosen = 0, to;
    if (is_little (connections, count, 1))
        return 0;
    qsort (connections, count, sizeof *connections, by_owner);
    for (size_t from = 0; from < count; from = to) {
        const char *owner = owner_of (&connections [from]);
        for (to = from + 1; to < count && strcmp (owner_of (&connections [to]), owner) == 0;)
            to++;
        bool is_unknown = !*owner;
        size_t rest = choose_first (connections, from, to, unread_of, is_unknown ? UNREAD_UNKNOWN_MAX : UNREAD_KEY_MAX, &chosen);
        if (is_unknown)
            choose_first (connections, rest, to, weight_of, GREETED_MOST, &chosen);
    }
    return chosen;
}

static size_t choose_largest (backlog_t *connections, size_t count)
{
    size_t chosen = 0;
    if (sum_of (connections, count, unread_of) <= UNREAD_MOST)
        return 0;
    qsort (connections, count, sizeof *connections, by_size);
    choose_first (connections, 0, count, unread_of, UNREAD_MOST, &chosen);
    return chosen;
}

/* Whoever sends whole messages is read in turn, at once where the reader has nothing else to do. Part of a message may take long over a slow
 * line, and is less than one. */
static bool is_stuck (const backlog_t *one, int64_t now_ms)
{
    int64_t still_ms = now_ms - one->still_at_ms;
    if (one->unread_bytes > UNREAD_ONE)
        return still_ms >= (one->reader_rests ? STILL_MS : STILL_BUSY_MS);
    return one->unread_bytes > UNREAD_SMALL && still_ms >= STILL_LONG_MS;
}

static size_t choose_stuck (backlog_t *connections, size_t count, int64_t now_ms)
{
    size_t total = sum_of (connections, count, unread_of), chosen = 0;
    if (total <= UNREAD_ALL_MAX)
        return 0;
    qsort (connections, count, sizeof *connections, by_stillness);
    for (size_t i = 0; i < count && total > UNREAD_ALL_MAX; i++)
        if (is_stuck (&connections [i], now_ms)) {
            total -= connections [i].unread_bytes;
            choose_one (connections, i, &chosen);
        }
    return chosen;
}

static size_t choose_silent (backlog_t *connections, size_t count, size_t over)
{
    size_t chosen = 0;
    if (over > 0 && count > 0)
        qsort (connections, count, sizeof *connections, by_silence);
    while (chosen < count && chosen < over && !connections [chosen].was_read)
        chosen++;
    return chosen;
}

size_t watchman_choose (backlog_t *connections, size_t count, size_t descriptors_over, int64_t now_ms)
{
    size_t chosen = choose_at_once (connections, count);
    chosen += choose_by_owner (connections + chosen, count - chosen);
    chosen += choose_stuck (connections + chosen, count - chosen, now_ms);
    chosen += choose_largest (connections + chosen, count - chosen);
    size_t left = descriptors_over > chosen ? descriptors_over - chosen : 0;
    return chosen + choose_silent (connections + chosen, count - chosen, left);
}

/* -- looking ----------------------------------------------------------------------------------------------------- */

static size_t resident_bytes (const watchman_t *self)
{
    char text [128] = "";
    unsigned long size, resident = 0;
    ssize_t got = pread (self->statm, text, sizeof text - 1, 0);
    if (got <= 0 || sscanf (text, "%lu %lu", &size, &resident) != 2)
        return 0;
    return resident * (size_t) sysconf (_SC_PAGESIZE);
}

/* Returns how many descriptors the process has. */
static size_t go_through (watchman_t *self, int64_t now_ms)
{
    size_t descriptors = 0;
    const struct dirent *entry;
    backlog_t connection;
    self->found.size = 0;
    rewinddir (self->descriptors);
    while ((entry = readdir (self->descriptors)))
        if (*entry->d_name != '.') {
            descriptors++;
            if (backlog_of (atoi (entry->d_name), self->settings->ports, 2, now_ms, &connection))
                buffer_append (&self->found, &connection, sizeof connection);
        }
    return descriptors;
}

/* More are too many; the rest is for the program's own files and sockets. */
static size_t descriptors_max (void)
{
    struct rlimit limit = { 0 };
    getrlimit (RLIMIT_NOFILE, &limit);
    return (size_t) (limit.rlim_cur - limit.rlim_cur / 8);
}

/* Descriptors are given out from below, so this one says whether there may be too many. */
static bool is_crowded (size_t max)
{
    return fcntl ((int) max, F_GETFD) >= 0;
}

/* -- ending ------------------------------------------------------------------------------------------------------- */

static void tell_ended (const backlog_t *first, const char *address, size_t ended, size_t unread_bytes)
{
    log_warn ("watchman", "ended %zu connections, the first of %s: %s (%zu KiB of all of them)", ended, address,
              first->unread_bytes > UNREAD_SMALL ? "what came over it is no message, and does not become one"
              : first->is_over ? "its key has too many (connections/per-key)" : "there are too many, and nothing has come over it", unread_bytes / 1024);
}

static void end_all (const watchman_t *self, const backlog_t *chosen, size_t count)
{
    char address [NI_MAXHOST] = "?";
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    size_t ended = 0, unread_bytes = 0;
    if (count > 0 && getpeername (chosen->fd, (struct sockaddr *) &name, &size) == 0)
        getnameinfo ((struct sockaddr *) &name, size, address, sizeof address, NULL, 0, NI_NUMERICHOST);
    for (size_t i = 0; i < count; i++)
        if (backlog_end (&chosen [i], self->spare)) {
            ended++;
            unread_bytes += chosen [i].unread_bytes;
        }
    if (count > 0)
        dup3 (self->statm, self->spare, O_CLOEXEC);
    if (ended > 0)
        tell_ended (chosen, address, ended, unread_bytes);
}

/* What a crowd leaves behind in the allocator is given back: when it has gone, and while it is being ended, as the pieces are too small for what
 * comes next to take their place. */
static void tidy (watchman_t *self, size_t resident, int64_t now_ms)
{
    if (resident < self->least_bytes)
        self->least_bytes = resident;
    if (now_ms < self->tidied_ms + (self->shall_go_on ? TIDY_SOON_MS : TIDY_MS) || resident < self->least_bytes + UNTIDY_BYTES)
        return;
    self->tidied_ms = now_ms;
    malloc_trim (0);
}

static void look (watchman_t *self)
{
    int64_t now_ms = clock_boot_ms ();
    size_t resident = resident_bytes (self), max = descriptors_max ();
    tidy (self, resident, now_ms);
    bool has_grown = resident > self->resident_bytes + (self->is_near ? GROWN_NEAR_BYTES : GROWN_BYTES);
    if (resident < self->resident_bytes)
        self->resident_bytes = resident;
    bool may_rest = now_ms < self->next_at_ms && !(self->is_near && has_grown);
    if (may_rest || !(has_grown || self->shall_go_on || is_crowded (max)))
        return;
    size_t descriptors = go_through (self, now_ms);
    size_t over = descriptors > max ? descriptors - max : 0;
    backlog_t *found = (backlog_t *) (void *) self->found.data;
    size_t count = self->found.size / sizeof *found, chosen = watchman_choose (found, count, over, now_ms);
    end_all (self, found, chosen);
    self->shall_go_on = chosen > 0 || !is_little (found, count, 1);
    self->is_near = self->shall_go_on || !is_little (found, count, 2);
    self->resident_bytes = resident;
    self->next_at_ms = now_ms + (self->shall_go_on ? 1 : REST_SHARE) * (clock_boot_ms () - now_ms);
}

/* -- the actor ---------------------------------------------------------------------------------------------------- */

void watchman_actor (zsock_t *pipe, void *settings)
{
    watchman_t self = { .settings = settings };
    self.statm = open ("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    self.descriptors = opendir ("/proc/self/fd");
    self.spare = self.statm < 0 ? -1 : fcntl (self.statm, F_DUPFD_CLOEXEC, 0);
    if (self.statm < 0 || !self.descriptors)
        log_warn ("watchman", "/proc cannot be read, so nobody looks after connections that fill the memory: mount it");
    self.resident_bytes = self.least_bytes = resident_bytes (&self);
    zsock_set_rcvtimeo (pipe, self.descriptors && self.statm >= 0 ? LOOK_MS : -1);
    zsock_signal (pipe, 0);
    bool goes_on = true;
    while (goes_on) {
        char *command = zstr_recv (pipe);
        goes_on = !command && !zsys_interrupted;
        zstr_free (&command);
        if (goes_on && self.descriptors) {
            look (&self);
            zsock_set_rcvtimeo (pipe, self.is_near ? LOOK_AGAIN_MS : LOOK_MS);
        }
    }
    if (self.descriptors)
        closedir (self.descriptors);
    auto_close (&self.spare);
    auto_close (&self.statm);
    buffer_free (&self.found);
}
