/* test_joblog.c - logs of attempts over real sockets: to a real depot service, which ends and comes back, and to one that
 * loses what it is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/actor.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/msg.h"
#include "coordinator/depot_service.h"
#include "coordinator/zap.h"
#include "trees.h"
#include "worker/joblog.h"

enum { PATIENCE_MS = 20000, JOB = 7, ATTEMPT = 2, LOG_MAX = 64 * 1024 * 1024 };

typedef struct {
    char *top, *state, *file;
    zsock_t *zap, *service_actor;
    depot_service_t *service;
    keypair_t server, worker;
    char endpoint [256];
    joblog_t *log;
} farm_t;

/* -- the disk: defined before the C library's ----------------------------------------------------------------------- */

static struct {
    const char *file;               /* of whose reads these fail; NULL: none */
    atomic_int failures;
} disk;

static bool fails (int fd)
{
    char link [64], path [4096];
    snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = disk.file ? readlink (link, path, sizeof path) : -1;
    return size == (ssize_t) (disk.file ? strlen (disk.file) : 0) && memcmp (path, disk.file, (size_t) size) == 0
           && atomic_fetch_sub (&disk.failures, 1) > 0;
}

ssize_t pread (int fd, void *data, size_t size, off_t offset)
{
    if (!fails (fd))
        return syscall (SYS_pread64, fd, data, size, offset);
    errno = EIO;
    return -1;
}

ssize_t pread64 (int fd, void *data, size_t size, off64_t offset)
{
    return pread (fd, data, size, offset);
}

/* -- the farm --------------------------------------------------------------------------------------------------------- */

static void open_log (farm_t *self)
{
    zstr_sendx (self->service_actor, "OPEN-LOG", "7", "2", "2", NULL);
}

static void start_service (farm_t *self, const char *endpoint, int64_t limit_bytes)
{
    err_t err = { 0 };
    char hex [KEY_HEX_SIZE + 1];
    depot_service_settings_t settings = {
        .state_folder = self->state, .endpoint = endpoint, .server = &self->server, .log_limit_bytes = limit_bytes
    };
    for (int tries = 0; depot_service_new (&self->service, &settings, &err) < 0; tries++) {
        if (tries == 100 || !strstr (err.text, "in use"))
            fail_msg ("%s", err.text);
        zclock_sleep (50);              /* the former one's socket is closed some time later, in libzmq's thread */
    }
    snprintf (self->endpoint, sizeof self->endpoint, "%s", depot_service_endpoint (self->service));
    self->service_actor = actor_new (depot_service_actor, self->service, NULL);
    zstr_send (self->service_actor, "OPEN");
    key_to_hex (self->worker.public_key, hex);
    zstr_sendx (self->service_actor, "PRINCIPAL", hex, "2", "worker", NULL);
}

static void stop_service (farm_t *self)
{
    actor_destroy (&self->service_actor);
    depot_service_destroy (&self->service);
}

static int set_up (void **state)
{
    farm_t *self = mem_alloc (sizeof *self);
    char hex [KEY_HEX_SIZE + 1];
    self->top = tree_new ();
    self->state = file_join (self->top, "state");
    self->file = file_join (self->top, "log");
    disk.file = NULL;
    keypair_make (&self->server);
    keypair_make (&self->worker);
    self->zap = actor_new (zap_actor, NULL, NULL);
    key_to_hex (self->worker.public_key, hex);
    zap_allow (self->zap, hex);
    *state = self;
    return 0;
}

static int tear_down (void **state)
{
    farm_t *self = *state;
    joblog_destroy (&self->log);
    stop_service (self);
    actor_destroy (&self->zap);
    tree_remove (self->top);
    free (self->top);
    free (self->state);
    free (self->file);
    free (self);
    return 0;
}

static void begin (farm_t *self, int64_t limit_bytes)
{
    err_t err = { 0 };
    joblog_settings_t settings = {
        .endpoint = self->endpoint, .own = &self->worker, .server_key = self->server.public_key, .job = JOB,
        .attempt = ATTEMPT, .file = self->file, .limit_bytes = limit_bytes
    };
    if (joblog_new (&self->log, &settings, &err) < 0)
        fail_msg ("%s", err.text);
}

/* What the coordinator has; the caller frees. */
static char *read_log (const farm_t *self)
{
    err_t err = { 0 };
    AUTO_BUFFER buffer_t text = { 0 };
    AUTO_FREE char *path = mem_printf ("%s/logs/%d-%d.log", self->state, JOB, ATTEMPT);
    if (file_read (path, LOG_MAX, &text, &err) < 0 && err.code != ERR_NOT_FOUND)
        fail_msg ("%s", err.text);
    return mem_strndup (text.data ? (const char *) text.data : "", text.size);
}

/* Lines "line 0" to "line N-1", all there, in order, in the form of the protocol. */
static void assert_lines (const char *text, int count)
{
    for (int i = 0; i < count; i++) {
        long long ms = 0;
        char stream = 0;
        int number = -1, used = 0;
        assert_int_equal (sscanf (text, "%lld %c line %d%n", &ms, &stream, &number, &used), 3);
        assert_int_equal (number, i);
        assert_int_equal (stream, 'o');
        assert_in_range (ms, 1600000000000, clock_wall_ms ());
        assert_int_equal (text [used], '\n');
        text += used + 1;
    }
    assert_string_equal (text, "");
}

static void add_lines (farm_t *self, int from, int to)
{
    char text [32];
    for (int i = from; i < to; i++) {
        int size = snprintf (text, sizeof text, "line %d", i);
        joblog_line (self->log, 'o', text, (size_t) size);
    }
}

static void all_lines_are_there_after_a_flush (void **state)
{
    farm_t *self = *state;
    start_service (self, "tcp://127.0.0.1:*", LOG_MAX);
    open_log (self);
    begin (self, 0);
    assert_true (joblog_flush (self->log, PATIENCE_MS));
    add_lines (self, 0, 20000);
    assert_true (joblog_flush (self->log, PATIENCE_MS));
    AUTO_FREE char *text = read_log (self);
    assert_lines (text, 20000);
}

static void a_line_goes_out_without_a_flush (void **state)
{
    farm_t *self = *state;
    start_service (self, "tcp://127.0.0.1:*", LOG_MAX);
    open_log (self);
    begin (self, 0);
    add_lines (self, 0, 1);
    for (int i = 0; i < 500; i++) {
        AUTO_FREE char *text = read_log (self);
        if (*text)
            break;
        zclock_sleep (10);
    }
    AUTO_FREE char *text = read_log (self);
    assert_lines (text, 1);
}

static void a_long_line_is_cut_and_says_so (void **state)
{
    farm_t *self = *state;
    static const char mark [] = " [cut: the line is longer than 16 KiB]\n";
    start_service (self, "tcp://127.0.0.1:*", LOG_MAX);
    open_log (self);
    begin (self, 0);
    AUTO_BUFFER buffer_t line = { 0 };
    for (int i = 0; i < 10000; i++)
        buffer_text (&line, "\xc3\xa9");            /* two bytes each */
    joblog_line (self->log, 'o', (const char *) line.data, line.size);
    joblog_line (self->log, 'o', (const char *) line.data + 1, JOBLOG_TEXT_MAX);
    joblog_line (self->log, 'o', "two\nlines", 9);
    joblog_say (self->log, "%d words", 3);
    assert_true (joblog_flush (self->log, PATIENCE_MS));
    AUTO_FREE char *text = read_log (self);
    char *end = strchr (text, '\n');
    char *start = strstr (text, " o ") + 3;
    size_t size = (size_t) (end - start);
    assert_true (size <= JOBLOG_TEXT_MAX && size >= JOBLOG_TEXT_MAX - 4);
    assert_memory_equal (end + 1 - strlen (mark), mark, strlen (mark));
    assert_int_equal ((size - (strlen (mark) - 1)) % 2, 0);         /* no half character */
    start = strstr (end, " o ") + 3;
    end = strchr (start, '\n');
    assert_int_equal (end - start, JOBLOG_TEXT_MAX);                /* exactly the most: not cut */
    assert_non_null (strstr (end, " o two lines\n"));
    assert_non_null (strstr (end, " w 3 words\n"));
}

static void a_restart_of_the_coordinator_loses_nothing (void **state)
{
    farm_t *self = *state;
    start_service (self, "tcp://127.0.0.1:*", LOG_MAX);
    open_log (self);
    begin (self, 0);
    for (int round = 0; round < 3; round++) {
        add_lines (self, 6000 * round, 6000 * round + 3000);
        if (round < 2) {
            stop_service (self);
            add_lines (self, 6000 * round + 3000, 6000 * round + 6000);
            start_service (self, self->endpoint, LOG_MAX);
            zclock_sleep (round * 2000);        /* who writes it is told later: until then its answer is "closed" */
            open_log (self);
        }
    }
    assert_true (joblog_flush (self->log, PATIENCE_MS));
    AUTO_FREE char *text = read_log (self);
    assert_lines (text, 15000);
}

static void a_full_log_of_the_coordinator_ends_no_flush (void **state)
{
    farm_t *self = *state;
    start_service (self, "tcp://127.0.0.1:*", 100000);
    open_log (self);
    begin (self, 0);
    add_lines (self, 0, 50000);
    assert_true (joblog_flush (self->log, PATIENCE_MS));
    AUTO_FREE char *text = read_log (self);
    assert_non_null (strstr (text, "the log has reached its limit"));
}

/* A coordinator that is not there for long: the build goes on, and the file stays small. */
static void what_has_no_room_is_left_out_and_counted (void **state)
{
    farm_t *self = *state;
    start_service (self, "tcp://127.0.0.1:*", LOG_MAX);
    stop_service (self);
    begin (self, 20000);
    int64_t start = clock_boot_ms ();
    add_lines (self, 0, 5000);
    assert_true (clock_boot_ms () - start < 5000);
    assert_false (joblog_flush (self->log, 100));
    assert_true (clock_boot_ms () - start < 5000);
    start_service (self, self->endpoint, LOG_MAX);
    open_log (self);
    assert_true (joblog_flush (self->log, PATIENCE_MS));
    joblog_say (self->log, "and on");
    assert_true (joblog_flush (self->log, PATIENCE_MS));
    AUTO_FREE char *text = read_log (self);
    char *last = strstr (text, " lines are left out here");
    assert_non_null (last);
    *last = 0;
    char *count = strrchr (text, ' ');
    int kept = 0;
    for (char *at = text; (at = strstr (at, " o line ")); at++)
        kept++;
    assert_int_equal (kept + atoi (count), 5000);
    assert_non_null (strstr (last + 1, " w and on\n"));
    assert_true (strlen (text) < 21000);
}

static void a_closed_log_ends_a_flush (void **state)
{
    farm_t *self = *state;
    start_service (self, "tcp://127.0.0.1:*", LOG_MAX);
    begin (self, 0);
    add_lines (self, 0, 10);
    assert_true (joblog_flush (self->log, 2 * PATIENCE_MS));
}

/* How much of it is there, when so many reads fail? */
static void flush_with_failures (farm_t *self, int failures)
{
    start_service (self, "tcp://127.0.0.1:*", LOG_MAX);
    open_log (self);
    begin (self, 0);
    AUTO_FREE char *path = realpath (self->file, NULL);
    disk.failures = failures;
    disk.file = path;
    add_lines (self, 0, 1000);
    assert_true (joblog_flush (self->log, PATIENCE_MS));
    joblog_destroy (&self->log);
    disk.file = NULL;
}

static void what_could_not_be_read_is_read_again (void **state)
{
    farm_t *self = *state;
    flush_with_failures (self, 3);
    AUTO_FREE char *text = read_log (self);
    assert_lines (text, 1000);
}

static void what_can_never_be_read_ends_a_flush (void **state)
{
    farm_t *self = *state;
    flush_with_failures (self, 1000);
    AUTO_FREE char *text = read_log (self);
    assert_string_equal (text, "");
    assert_in_range (disk.failures, 900, 999);
}

/* -- a coordinator that loses ----------------------------------------------------------------------------------- */

typedef struct {
    keypair_t *server;
    char bound [256];
    buffer_t log;           /* what it has taken, read after the actor's end */
} loser_t;

static void answer (zsock_t *router, zframe_t *peer, int64_t re, size_t offset)
{
    err_t err;
    msg_t *out = msg_new ("logged", json_pack ("{s:I, s:I}", "re", (json_int_t) re, "offset", (json_int_t) offset), NULL, 0);
    msg_send (&out, router, peer, &err);
}

/* Every third request is lost before it is taken, and of the others every third answer. */
static void lose (zsock_t *pipe, void *argument)
{
    loser_t *self = argument;
    err_t err = { 0 };
    int requests = 0, taken = 0;
    zsock_t *router = msg_bind ("tcp://127.0.0.1:*", self->server, 100, self->bound, &err);
    zsock_signal (pipe, 0);
    zpoller_t *poller = zpoller_new (pipe, router, NULL);
    while (zpoller_wait (poller, -1) == router) {
        zframe_t *peer = NULL;
        AUTO (msg) msg_t *in = msg_recv (router, &peer, NULL, NULL, &err);
        size_t size;
        if (in && ++requests % 3 != 0) {
            const uint8_t *body = msg_body (in, &size);
            if (msg_int (in, "offset") == (int64_t) self->log.size)
                buffer_append (&self->log, body, size);
            if (++taken % 3 != 0)
                answer (router, peer, msg_int (in, "seq"), self->log.size);
        }
        zframe_destroy (&peer);
    }
    zpoller_destroy (&poller);
    zsock_destroy (&router);
}

static void lost_requests_and_answers_lose_no_line (void **state)
{
    farm_t *self = *state;
    loser_t loser = { .server = &self->server };
    zsock_t *actor = actor_new (lose, &loser, NULL);
    snprintf (self->endpoint, sizeof self->endpoint, "%s", loser.bound);
    begin (self, 0);
    add_lines (self, 0, 60000);                     /* several messages */
    assert_true (joblog_flush (self->log, 6 * PATIENCE_MS));
    joblog_destroy (&self->log);
    actor_destroy (&actor);
    AUTO_FREE char *text = mem_strndup ((const char *) loser.log.data, loser.log.size);
    assert_lines (text, 60000);
    buffer_free (&loser.log);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, set_up, tear_down)

int main (void)
{
    const struct CMUnitTest tests [] = {
        TEST (all_lines_are_there_after_a_flush),
        TEST (a_line_goes_out_without_a_flush),
        TEST (a_long_line_is_cut_and_says_so),
        TEST (a_restart_of_the_coordinator_loses_nothing),
        TEST (a_full_log_of_the_coordinator_ends_no_flush),
        TEST (what_has_no_room_is_left_out_and_counted),
        TEST (a_closed_log_ends_a_flush),
        TEST (what_could_not_be_read_is_read_again),
        TEST (what_can_never_be_read_ends_a_flush),
        TEST (lost_requests_and_answers_lose_no_line),
    };
    zsys_handler_set (NULL);
    return cmocka_run_group_tests (tests, NULL, NULL);
}
