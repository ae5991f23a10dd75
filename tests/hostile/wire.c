/* wire.c - a crowd on the wire, against one socket of a coordinator on this machine (flow/wire.sh):
 *
 *     wire PORT SERVER-KEY HOW COUNT [KEY-FILE]
 *
 * Says "stands" when COUNT connections are there and do what HOW says, and "all are ended" when the coordinator has ended all of those that
 * send; goes on until its standard input ends, and then says how many were ended, and what was taken of them:
 *
 *     idle                   connects, and says nothing
 *     slow                   says a byte of the greeting now and then; every other one stops in the middle of CURVE, behind HELLO
 *     giant                  without a key: a frame that is to have 1 TiB, in place of the handshake's, as message or as command
 *     giant-known            the same behind the handshake
 *     endless-stranger       frames without an end, behind a handshake with a key that nobody knows, and in place of one
 *     endless SIZE           with a known key: a message of frames of SIZE bytes that does not end
 *     known                  with a known key: its side of the handshake, and nothing behind it
 *     silent-reader          with a known key: asks and asks, and never reads an answer
 *     silent-asker JOB       with a known key: asks for the log of that job from its beginning, again and again, and never reads an answer
 *     whole                  with a known key: speaks once, and when all have, messages of 250 KiB as fast as they are taken
 *     part                   with a known key: all but the end of a message of 300 KiB, and no more
 *     refused                with a known key: short messages that are none, as fast as they are taken */
#include "hostile/curve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"

enum { BLOCK = 320 * 1024, ROUND_MS = 300, PATIENCE_S = 40 };

typedef struct {
    curve_t curve;
    uint8_t *out;                   /* what is being sent, over and over where it can be */
    size_t size, sent;
    uint64_t total;
    int number;
    bool has_ended;
} one_t;

typedef struct crowd crowd_t;
typedef bool (begin_fn) (crowd_t *self, one_t *one);
typedef void (fill_fn) (crowd_t *self, one_t *one);

struct crowd {
    int port, count;
    size_t frame_size;              /* of endless */
    unsigned long job;              /* of silent-asker */
    uint8_t server_key [KEY_SIZE];
    keypair_t own;
    one_t *ones;
    begin_fn *begin;                /* up to what is sent over and over */
    fill_fn *fill;                  /* the next piece of that; NULL: nothing more is sent */
    int pause_ms;                   /* between two pieces */
};

static void give_up (const char *text)
{
    fprintf (stderr, "wire: %s\n", text);
    exit (1);
}

/* -- beginnings --------------------------------------------------------------------------------------------------- */

static bool begin_idle (crowd_t *self, one_t *one)
{
    (void) self;
    (void) one;
    return true;
}

static bool begin_slow (crowd_t *self, one_t *one)
{
    uint8_t greeting [CURVE_GREETING], hello [CURVE_HELLO];
    curve_greeting (greeting);
    if (one->number % 2 == 0)
        return curve_send (&one->curve, greeting, 1);
    curve_hello (&one->curve, self->server_key, hello);
    return curve_send (&one->curve, greeting, sizeof greeting) && curve_send (&one->curve, hello, sizeof hello);
}

/* What says how long its frame is: 1 TiB; every other one as a command. */
static const uint8_t *giant_head (const one_t *one)
{
    static const uint8_t message [9] = { 0x02, 0, 0, 1 }, command [9] = { 0x06, 0, 0, 1 };
    return one->number % 2 ? message : command;
}

static bool begin_giant (crowd_t *self, one_t *one)
{
    uint8_t greeting [CURVE_GREETING];
    (void) self;
    curve_greeting (greeting);
    return curve_send (&one->curve, greeting, sizeof greeting) && curve_send (&one->curve, giant_head (one), 9);
}

static bool begin_known (crowd_t *self, one_t *one)
{
    return curve_enter (&one->curve, &self->own, self->server_key);
}

static void add_message (one_t *one, const char *verb, const char *header, const void *body, size_t body_size)
{
    one->size += curve_frame (&one->curve, verb, strlen (verb), true, one->out + one->size);
    one->size += curve_frame (&one->curve, header, strlen (header), true, one->out + one->size);
    one->size += curve_frame (&one->curve, body, body_size, false, one->out + one->size);
}

/* What comes back is not waited for. */
static bool begin_rushing (crowd_t *self, one_t *one)
{
    return curve_rush (&one->curve, &self->own, self->server_key);
}

/* So it is one that has spoken, and not one of those that the watchman ends first. */
static bool begin_heard (crowd_t *self, one_t *one)
{
    uint8_t message [1024];
    if (!begin_known (self, one))
        return false;
    one->out = message;
    add_message (one, "put", "{\"seq\":1}", "", 0);
    one->out = NULL;
    size_t size = one->size;
    one->size = 0;
    return curve_send (&one->curve, message, size);
}

static bool begin_giant_known (crowd_t *self, one_t *one)
{
    return begin_known (self, one) && curve_send (&one->curve, giant_head (one), 9);
}

/* Every other one has a handshake, all but its end. */
static bool begin_stranger (crowd_t *self, one_t *one)
{
    uint8_t greeting [CURVE_GREETING];
    keypair_t stranger;
    keypair_make (&stranger);
    curve_greeting (greeting);
    return one->number % 2 ? curve_rush (&one->curve, &stranger, self->server_key) : curve_send (&one->curve, greeting, sizeof greeting);
}

/* -- what is sent over and over ----------------------------------------------------------------------------------- */

static void fill_byte (crowd_t *self, one_t *one)
{
    uint8_t greeting [CURVE_GREETING];
    (void) self;
    curve_greeting (greeting);
    one->size = one->number % 2 == 0 && one->total < sizeof greeting - 1 ? 1 : 0;
    if (one->size)
        *one->out = greeting [one->total + 1];
}

static void fill_zeros (crowd_t *self, one_t *one)
{
    (void) self;
    one->size = BLOCK;
}

static void fill_endless (crowd_t *self, one_t *one)
{
    static const uint8_t nothing [BLOCK];
    one->size = 0;
    while (one->size + self->frame_size + CURVE_FRAME_ADDS <= BLOCK)
        one->size += curve_frame (&one->curve, nothing, self->frame_size, true, one->out + one->size);
}

/* Frames of a message that are no part of a handshake, or come before the answer to one. */
static void fill_plain (crowd_t *self, one_t *one)
{
    static const uint8_t head [9] = { 0x03, 0, 0, 0, 0, 0, 1, 0, 0 };
    (void) self;
    memset (one->out, 0, BLOCK);
    memcpy (one->out, head, sizeof head);
    one->size = 65536 + sizeof head;
}

static void fill_questions (crowd_t *self, one_t *one)
{
    (void) self;
    one->size = 0;
    if (one->total == 0)
        add_message (one, "hello", "{\"program\":\"farmctl\",\"version\":\"0\",\"instance\":\"00000000000000000000000000000001\"}", "", 0);
    for (int i = 0; i < 64; i++)
        add_message (one, "list", "{\"seq\":1,\"limit\":50}", "", 0);
}

/* Each is answered by the 256 KiB that a log-part has at most. */
static void fill_log_questions (crowd_t *self, one_t *one)
{
    AUTO_FREE char *header = mem_printf ("{\"seq\":1,\"job\":%lu,\"attempt\":1,\"offset\":0,\"wait_ms\":0}", self->job);
    one->size = 0;
    for (int i = 0; i < 8; i++)
        add_message (one, "read-log", header, "", 0);
}

static void fill_whole (crowd_t *self, one_t *one)
{
    static const char body [250 * 1024];
    (void) self;
    one->size = 0;
    add_message (one, "put", "{\"seq\":1}", body, sizeof body);
}

static void fill_part (crowd_t *self, one_t *one)
{
    static const uint8_t nothing [300 * 1024];
    (void) self;
    one->size = one->total ? 0 : curve_frame (&one->curve, nothing, sizeof nothing, false, one->out) - 1;
}

static void fill_refused (crowd_t *self, one_t *one)
{
    (void) self;
    one->size = 0;
    for (int i = 0; i < 64; i++)
        add_message (one, "no-such-verb", "{}", "", 0);
}

/* -- the crowd ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *name;
    begin_fn *begin;
    fill_fn *fill;
    int pause_ms;
} how_t;

static const how_t ways [] = {
    { "idle", begin_idle, NULL, 0 },
    { "slow", begin_slow, fill_byte, 500 },
    { "giant", begin_giant, fill_zeros, 0 },
    { "giant-known", begin_giant_known, fill_zeros, 0 },
    { "endless-stranger", begin_stranger, fill_plain, 0 },
    { "endless", begin_known, fill_endless, 0 },
    { "known", begin_rushing, NULL, 0 },
    { "silent-reader", begin_known, fill_questions, 0 },
    { "silent-asker", begin_known, fill_log_questions, 20 },
    { "whole", begin_heard, fill_whole, 0 },
    { "part", begin_rushing, fill_part, 20 },
    { "refused", begin_known, fill_refused, 0 },
};

static void choose_way (crowd_t *self, const char *name)
{
    char *copy = mem_strdup (name), *rest = copy;
    const char *word = strsep (&rest, " ");
    self->frame_size = self->job = rest ? strtoul (rest, NULL, 10) : 0;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strcmp (ways [i].name, word) == 0) {
            self->begin = ways [i].begin;
            self->fill = ways [i].fill;
            self->pause_ms = ways [i].pause_ms;
        }
    free (copy);
    if (!self->begin)
        give_up ("there is no such way: see the head of wire.c");
}

static void stand (crowd_t *self)
{
    self->ones = mem_alloc ((size_t) self->count * sizeof *self->ones);
    for (int i = 0; i < self->count; i++) {
        one_t *one = &self->ones [i];
        one->number = i;
        if (!curve_connect (&one->curve, self->port))
            give_up (strerror (errno));
        const struct timeval patience = { .tv_sec = PATIENCE_S };
        setsockopt (one->curve.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        one->has_ended = !self->begin (self, one);
        fcntl (one->curve.fd, F_SETFL, O_NONBLOCK);
        if (self->fill)
            one->out = mem_alloc (BLOCK + CURVE_FRAME_ADDS);
    }
    printf ("stands\n");
    fflush (stdout);
}

/* Nobody reads what comes: only its end counts. */
static bool is_ended (const one_t *one)
{
    struct pollfd item = { .fd = one->curve.fd, .events = POLLRDHUP };
    return poll (&item, 1, 0) > 0;
}

static void send_more (crowd_t *self, one_t *one)
{
    if (one->sent == one->size) {
        one->sent = 0;
        self->fill (self, one);
    }
    ssize_t sent = one->size ? send (one->curve.fd, one->out + one->sent, one->size - one->sent, MSG_NOSIGNAL) : 0;
    if (sent < 0 && errno != EAGAIN)
        one->has_ended = true;
    else if (sent > 0) {
        one->sent += (size_t) sent;
        one->total += (uint64_t) sent;
    }
}

/* Each that takes something gets a piece. */
static void send_round (crowd_t *self)
{
    for (int i = 0; i < self->count; i++) {
        one_t *one = &self->ones [i];
        struct pollfd item = { .fd = one->curve.fd, .events = POLLOUT };
        if (!one->has_ended && poll (&item, 1, 0) > 0)
            send_more (self, one);
    }
}

static bool stdin_ended (int wait_ms)
{
    struct pollfd item = { .fd = 0, .events = POLLIN };
    char byte;
    return poll (&item, 1, wait_ms) > 0 && read (0, &byte, 1) <= 0;
}

static bool all_ended (const crowd_t *self)
{
    for (int i = 0; i < self->count; i++)
        if (!self->ones [i].has_ended)
            return false;
    return true;
}

static void go_on (crowd_t *self)
{
    bool is_told = false;
    while (!stdin_ended (self->fill && !is_told ? self->pause_ms : ROUND_MS)) {
        if (self->fill)
            send_round (self);
        if (!is_told && all_ended (self)) {
            is_told = true;
            printf ("all are ended\n");
            fflush (stdout);
        }
    }
}

static void tell (crowd_t *self)
{
    int ended = 0;
    uint64_t most = 0, total = 0;
    for (int i = 0; i < self->count; i++) {
        one_t *one = &self->ones [i];
        ended += one->has_ended || is_ended (one);
        total += one->total;
        most = one->total > most ? one->total : most;
    }
    printf ("ended %d of %d, at most %llu KiB of one, %llu KiB of all\n", ended, self->count, (unsigned long long) most / 1024,
            (unsigned long long) total / 1024);
}

int main (int argc, char **argv)
{
    crowd_t self = { .port = 0 };
    err_t err = { 0 };
    if (argc < 5 || sodium_init () < 0)
        give_up ("see the head of wire.c");
    self.port = atoi (argv [1]);
    self.count = atoi (argv [4]);
    if (key_from_hex (self.server_key, argv [2], &err) < 0 || (argc > 5 && keypair_load (&self.own, argv [5], &err) < 0))
        give_up (err.text);
    struct rlimit limit;
    getrlimit (RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit (RLIMIT_NOFILE, &limit);
    choose_way (&self, argv [3]);
    stand (&self);
    go_on (&self);
    tell (&self);
    for (int i = 0; i < self.count; i++)
        free (self.ones [i].out);
    free (self.ones);
    return 0;
}
