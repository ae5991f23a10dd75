/* crowd_peers.c - see crowd.h: connections, and what is said over them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "crowd.h"
#include "farmctl/upload.h"

enum { ANSWER_MS = 30000, HEARTBEAT_US = 5000000, PLACES = 500, UNPUBLISHED_MAX = 256 };

int64_t now_us (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* -- out ------------------------------------------------------------------------------------------------------------ */

static void __attribute__ ((format (printf, 3, 4))) say (peer_t *peer, const char *verb, const char *format, ...)
{
    char header [2048];
    va_list args;
    va_start (args, format);
    int size = vsnprintf (header, sizeof header, format, args);
    va_end (args);
    zmq_send (peer->handle, verb, strlen (verb), ZMQ_SNDMORE);
    zmq_send (peer->handle, header, (size_t) size, ZMQ_SNDMORE);
    zmq_send (peer->handle, "", 0, 0);
}

static void report (crowd_t *self, peer_t *peer, const char *state, const char *more)
{
    say (peer, "report", "{\"seq\":%lld,\"job\":%lld,\"attempt\":%lld,\"state\":\"%s\"%s}", (long long) ++self->seq, (long long) peer->job,
         (long long) peer->attempt, state, more);
}

static void beat (peer_t *peer)
{
    if (peer->has_job)
        say (peer, "heartbeat", "{\"attempts\":[{\"job\":%lld,\"attempt\":%lld}]}", (long long) peer->job,
             (long long) peer->attempt);
    else
        say (peer, "heartbeat", "{\"attempts\":[]}");
}

/* Each build of a few hundred repositories, under a tag of its own. */
void crowd_submit (crowd_t *self)
{
    int64_t number = ++self->submitted;
    say (&self->peers [number % USERS], "submit", "{\"seq\":%lld,\"request\":\"%032llx\",\"spec\":{\"context\":\"%s\",\"dockerfile\":"
         "{\"digest\":\"%s\",\"size\":1,\"name\":\"Dockerfile\"},\"platforms\":[\"linux/arm64\"],\"tags\":[\"127.0.0.1:%d/team/app%d:n%lld\"],"
         "\"queue_timeout_ms\":86400000}}", (long long) ++self->seq, (unsigned long long) number, self->context, self->context, self->port ? self->port : 5000,
         (int) (number % PLACES), (long long) number);
}

/* -- a build ---------------------------------------------------------------------------------------------------------- */

static void stand_in_line (crowd_t *self, peer_t *peer, int64_t build_us)
{
    peer->due_us = now_us () + build_us;
    self->line [(self->line_begin + self->line_count++) % self->count] = (int) (peer - self->peers);
}

static void begin_build (crowd_t *self, peer_t *peer)
{
    report (self, peer, "fetching", "");
    report (self, peer, "building", "");
    stand_in_line (self, peer, self->build_us);
}

static void end_build (crowd_t *self, peer_t *peer)
{
    char image [128];
    snprintf (image, sizeof image, ",\"digest\":\"%s\"", registry_image);
    peer->has_job = false;
    report (self, peer, "pushing", "");
    peer->freed_us = now_us ();
    self->pushed += self->is_pushing;
    if (self->is_pushing)
        report (self, peer, "pushed", image);
    else
        report (self, peer, "failed", ",\"code\":\"build\",\"text\":\"exit status 1\",\"exit_status\":1");
    if (self->is_refilling)
        crowd_submit (self);
}

/* Spread over the time of a build, as if they had not begun at once; also those that were stopped before their ends. */
void crowd_work (crowd_t *self)
{
    self->line_count = 0;
    for (int i = USERS; i < self->count; i++)
        if (self->peers [i].has_job)
            stand_in_line (self, &self->peers [i], self->build_us * (i - USERS) / (self->count - USERS));
}

/* -- in --------------------------------------------------------------------------------------------------------------- */

static int64_t number_behind (const char *text, const char *name)
{
    const char *at = strstr (text, name);
    return at ? strtoll (at + strlen (name), NULL, 10) : 0;
}

static void on_assign (crowd_t *self, peer_t *peer, const char *header)
{
    int64_t now = now_us ();
    peer->job = number_behind (header, "\"job\":");
    peer->attempt = number_behind (header, "\"attempt\":");
    peer->has_job = true;
    self->assigned++;
    if (peer->job == self->awaited_job && peer->attempt > 1)
        self->awaited_us = now;
    if (peer->freed_us && self->is_working) {
        if (self->wait_count == self->wait_capacity) {
            self->wait_capacity = self->wait_capacity ? 2 * self->wait_capacity : 4096;
            self->waits_us = mem_resize (self->waits_us, self->wait_capacity * sizeof *self->waits_us);
        }
        self->waits_us [self->wait_count++] = now - peer->freed_us;
    }
    peer->freed_us = 0;
    if (self->is_working)
        begin_build (self, peer);
}

static void on_message (crowd_t *self, peer_t *peer, const char *verb, const char *header)
{
    if (strcmp (verb, "assign") == 0)
        on_assign (self, peer, header);
    else if (strcmp (verb, "accepted") == 0)
        self->accepted++;
    else if (strcmp (verb, "error") == 0) {         /* there is nothing to be measured then */
        fprintf (stderr, "crowd: %s: %s\n", peer->name, header);
        exit (1);
    }
}

static bool take_frame (peer_t *peer, char *out, size_t size)
{
    int rc = zmq_recv (peer->handle, out, size - 1, ZMQ_DONTWAIT);
    if (rc < 0)
        return false;
    out [(size_t) rc < size ? (size_t) rc : size - 1] = 0;
    return true;
}

/* A socket's descriptor tells of a change only once, and sending may take that away: all that is there is taken. */
static void drain (crowd_t *self, peer_t *peer)
{
    char verb [64], header [4096], body [16];
    while (take_frame (peer, verb, sizeof verb)) {
        take_frame (peer, header, sizeof header);
        take_frame (peer, body, sizeof body);
        on_message (self, peer, verb, header);
    }
}

/* -- time ------------------------------------------------------------------------------------------------------------- */

/* Builds end as fast as others are accepted in their place, and images come as fast as they are published: a line that grows would
 * be all that is measured, or would hide what the coordinator puts off. */
static bool may_end (const crowd_t *self)
{
    return self->is_working && self->submitted - self->accepted < ON_THE_WAY_MAX
           && (!self->is_pushing || self->pushed - registry_tags () < UNPUBLISHED_MAX);
}

static int64_t next_due (const crowd_t *self)
{
    const peer_t *first = self->line_count ? &self->peers [self->line [self->line_begin]] : NULL;
    return first && may_end (self) && first->due_us < self->beat_us ? first->due_us : self->beat_us;
}

static void do_due (crowd_t *self)
{
    int64_t now = now_us ();
    while (may_end (self) && self->line_count) {
        peer_t *peer = &self->peers [self->line [self->line_begin]];
        if (peer->due_us > now)
            break;
        self->line_begin = (self->line_begin + 1) % self->count;
        self->line_count--;
        end_build (self, peer);
        drain (self, peer);
    }
    for (; self->beat_us <= now && self->count > USERS; self->beat_us += HEARTBEAT_US / (self->count - USERS)) {
        peer_t *peer = &self->peers [USERS + self->next_beat++ % (self->count - USERS)];
        beat (peer);
        drain (self, peer);
    }
}

void crowd_turn (crowd_t *self, int64_t until_us)
{
    struct epoll_event events [64];
    int64_t due = next_due (self), wait = (due < until_us ? due : until_us) - now_us ();
    int count = epoll_wait (self->epoll, events, 64, wait > 0 ? (int) ((wait + 999) / 1000) : 0);
    for (int i = 0; i < count; i++)
        drain (self, events [i].data.ptr);
    do_due (self);
    for (int i = 0; i < USERS; i++)             /* they have been sent to */
        drain (self, &self->peers [i]);
}

/* -- enrolment -------------------------------------------------------------------------------------------------------- */

static int join (zsock_t *socket, peer_t *peer, err_t *err)
{
    char hex [KEY_HEX_SIZE + 1];
    keypair_make (&peer->key);
    key_to_hex (peer->key.public_key, hex);
    AUTO (msg) msg_t *question = msg_new ("join", json_pack ("{s:i, s:s, s:s, s:s}", "seq", 1, "kind", peer->is_worker ? "worker" : "submitter",
                                          "name", peer->name, "public_key", hex), NULL, 0);
    if (msg_send (&question, socket, NULL, err) < 0)
        return -1;
    AUTO (msg) msg_t *answer = msg_recv (socket, NULL, NULL, NULL, err);
    return !answer ? -1 : msg_is (answer, "joined") ? 0 : err_set (err, ERR_PROTOCOL, "join: %s", msg_text (answer, "text"));
}

static int greet (crowd_t *self, peer_t *peer, err_t *err)
{
    peer->socket = msg_connect (self->to.control, &peer->key, self->to.server_key, err);
    if (!peer->socket)
        return -1;
    peer->handle = zsock_resolve (peer->socket);
    struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.ptr = peer };
    epoll_ctl (self->epoll, EPOLL_CTL_ADD, zsock_fd (peer->socket), &event);
    if (peer->is_worker)
        say (peer, "hello", "{\"seq\":1,\"program\":\"farm-worker\",\"version\":\"" PACKAGE_VERSION "\",\"instance\":\"%032x\",\"worker\":{"
             "\"name\":\"%s\",\"platforms\":[{\"platform\":\"linux/arm64\",\"emulated\":false}],\"slots\":1,\"cpus\":4,\"memory_bytes\":1,"
             "\"builder\":\"none\",\"isolation\":\"none\"},\"attempts\":[]}", (unsigned) (peer - self->peers), peer->name);
    else
        say (peer, "hello", "{\"seq\":1,\"program\":\"farmctl\",\"version\":\"" PACKAGE_VERSION "\",\"instance\":\"%032x\"}",
             (unsigned) (peer - self->peers));
    zsock_set_rcvtimeo (peer->socket, ANSWER_MS);
    AUTO (msg) msg_t *answer = msg_recv (peer->socket, NULL, NULL, NULL, err);
    zsock_set_rcvtimeo (peer->socket, -1);
    return !answer ? -1 : msg_is (answer, "welcome") ? 0 : err_set (err, ERR_PROTOCOL, "hello: %s", msg_text (answer, "text"));
}

static int send_context (crowd_t *self, const peer_t *peer, err_t *err)
{
    upload_stats_t stats = { 0 };
    client_t *client = client_new_to (self->to.control, self->to.objects, self->to.server_key, &peer->key);
    int rc = upload_context (client, self->scan, &stats, err);
    client_destroy (&client);
    return rc;
}

int crowd_enrol (crowd_t *self, int workers, err_t *err)
{
    keypair_t invited;
    keypair_from_secret (&invited, self->to.invitation);
    AUTO (zsock) zsock_t *socket = msg_connect (self->to.control, &invited, self->to.server_key, err);
    if (!socket)
        return -1;
    zsock_set_rcvtimeo (socket, ANSWER_MS);
    digest_to_hex (scan_root (self->scan), self->context);
    self->count = USERS + workers;
    self->peers = mem_alloc ((size_t) self->count * sizeof *self->peers);
    self->line = mem_alloc ((size_t) self->count * sizeof *self->line);
    self->epoll = epoll_create1 (EPOLL_CLOEXEC);
    self->beat_us = now_us ();
    for (int i = 0; i < self->count; i++) {
        peer_t *peer = &self->peers [i];
        peer->is_worker = i >= USERS;
        snprintf (peer->name, sizeof peer->name, "%s-%d-%d", peer->is_worker ? "board" : "user", (int) getpid (), i);
        if (join (socket, peer, err) < 0 || (!peer->is_worker && send_context (self, peer, err) < 0) || greet (self, peer, err) < 0)
            return err_wrap (err, "%s", peer->name);
    }
    return 0;
}

void crowd_free (crowd_t *self)
{
    for (int i = 0; i < self->count; i++)
        zsock_destroy (&self->peers [i].socket);
    scan_destroy (&self->scan);
    free (self->peers);
    free (self->line);
    free (self->waits_us);
}
