/* crowd.c - a thousand workers and their users, for a coordinator that is measured.
 *
 *     crowd JOIN-FILE CONTEXT PORT WORKERS
 *
 * CONTEXT: the hex digest of a tree that the coordinator's depot has; PORT: where its registry is to be, 0 for none. All join, connect and say hello, then lines are read from
 * standard input, and each is answered by one line:
 *
 *     submit COUNT        so many builds are accepted: "accepted SECONDS"
 *     await COUNT         so many jobs were assigned all in all, which the workers keep: "assigned JOB", the last worker's
 *     run SECONDS MS END  the workers build, each build for so many milliseconds; END is failed (by its Dockerfile's fault) or pushed.
 *                         For each that ends another is submitted. "ran SECONDS ASSIGNED ACCEPTED PUBLISHED P50 P99 MAX", the last
 *                         three in microseconds from a report that freed a slot, sent, to the next job there
 *     again JOB           JOB is assigned for another time: "again MICROSECONDS", of the monotonic clock
 *
 * Ends with its input. */
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/daemon.h"
#include "common/file.h"
#include "crowd.h"

enum { JOIN_MAX = 4096, PATIENCE_US = 600000000 };

static int64_t until (void)
{
    return now_us () + PATIENCE_US;
}

static void on_submit (crowd_t *self, const char *words)
{
    int64_t begun = now_us (), wanted = self->submitted + atoll (words);
    while (self->accepted < wanted) {
        while (self->submitted < wanted && self->submitted - self->accepted < ON_THE_WAY_MAX)
            crowd_submit (self);
        crowd_turn (self, until ());
    }
    printf ("accepted %.3f\n", (double) (now_us () - begun) / 1e6);
}

static void on_await (crowd_t *self, const char *words)
{
    while (self->assigned < atoll (words))
        crowd_turn (self, until ());
    printf ("assigned %lld\n", (long long) self->peers [self->count - 1].job);
}

static void on_again (crowd_t *self, const char *words)
{
    self->awaited_us = 0;
    self->awaited_job = atoll (words);
    while (self->awaited_us == 0)
        crowd_turn (self, until ());
    printf ("again %lld\n", (long long) self->awaited_us);
}

static int compare (const void *a, const void *b)
{
    int64_t x = *(const int64_t *) a, y = *(const int64_t *) b;
    return (x > y) - (x < y);
}

static int64_t quantile (const crowd_t *self, double part)
{
    return self->wait_count ? self->waits_us [(size_t) ((double) (self->wait_count - 1) * part)] : 0;
}

static void on_run (crowd_t *self, const char *words)
{
    double seconds = 1, ms = 0;
    char end [16] = "";
    sscanf (words, "%lf %lf %15s", &seconds, &ms, end);
    int64_t begun = now_us (), assigned = self->assigned, accepted = self->accepted, tags = registry_tags ();
    self->is_pushing = strcmp (end, "pushed") == 0;
    self->build_us = (int64_t) (ms * 1000);
    self->is_working = self->is_refilling = true;
    self->wait_count = 0;
    crowd_work (self);
    int64_t ends = begun + (int64_t) (seconds * 1e6);
    while (now_us () < ends)
        crowd_turn (self, ends);
    self->is_working = self->is_refilling = false;
    qsort (self->waits_us, self->wait_count, sizeof *self->waits_us, compare);
    printf ("ran %.3f %lld %lld %lld %lld %lld %lld\n", (double) (now_us () - begun) / 1e6, (long long) (self->assigned - assigned),
            (long long) (self->accepted - accepted), (long long) (registry_tags () - tags), (long long) quantile (self, 0.5),
            (long long) quantile (self, 0.99), (long long) quantile (self, 1));
}

/* -- commands --------------------------------------------------------------------------------------------------------- */

/* Between two lines as well: heartbeats are due. */
static char *next_line (crowd_t *self, char *line, int size)
{
    struct pollfd input = { .fd = 0, .events = POLLIN };
    fflush (stdout);
    while (poll (&input, 1, 0) == 0)
        crowd_turn (self, now_us () + 2000);
    return fgets (line, size, stdin);
}

static void obey (crowd_t *self)
{
    static const struct { const char *word; void (*run) (crowd_t *self, const char *words); } commands [] = {
        { "submit ", on_submit }, { "await ", on_await }, { "run ", on_run }, { "again ", on_again },
    };
    char line [256];
    while (next_line (self, line, sizeof line))
        for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
            if (strncmp (line, commands [i].word, strlen (commands [i].word)) == 0)
                commands [i].run (self, line + strlen (commands [i].word));
}

static int read_invitation (invitation_t *to, const char *path, err_t *err)
{
    AUTO_BUFFER buffer_t text = { 0 };
    if (file_read (path, JOIN_MAX, &text, err) < 0)
        return -1;
    text.data [strcspn ((char *) text.data, "\n")] = 0;
    return invitation_decode (to, (char *) text.data, err);
}

static int run (crowd_t *self, const char *join_file, const char *folder, int workers, err_t *err)
{
    if (read_invitation (&self->to, join_file, err) < 0 || scan_context (&self->scan, folder, NULL, err) < 0 || (self->port && registry_begin (self->port, err) < 0)
    ||  crowd_enrol (self, workers, err) < 0)
        return -1;
    printf ("enrolled\n");
    obey (self);
    return 0;
}

int main (int argc, char **argv)
{
    err_t err = { 0 };
    if (argc != 5) {
        fputs ("usage: crowd JOIN-FILE FOLDER PORT WORKERS\n", stderr);
        return 2;
    }
    if (sodium_init () < 0)
        return 1;
    daemon_raise_limits (8192);
    zsys_set_max_sockets (2048);
    zsys_handler_set (NULL);
    crowd_t self = { .port = atoi (argv [3]) };
    int rc = run (&self, argv [1], argv [2], atoi (argv [4]), &err);
    if (rc < 0)
        fprintf (stderr, "crowd: %s\n", err.text);
    crowd_free (&self);
    return rc < 0;
}
