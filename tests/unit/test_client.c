/* test_client.c - farmctl's end of the wire against a coordinator that the test plays: who and hello, answers matched by
 * `re`, errors by their codes, silence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <czmq.h>
#include <locale.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "common/actor.h"
#include "common/clock.h"
#include "coordinator/zap.h"
#include "farmctl/client.h"
#include "farmctl/log_reader.h"
#include "farmctl/track.h"

/* The played coordinator: knows nobody at the start, and does what the number of the build asks. */
enum { BUILD_FINE = 1, BUILD_FORGETS = 2, BUILD_UNKNOWN = 3, BUILD_STRANGE = 4, BUILD_LATE = 5, BUILD_SILENT = 6,
       BUILD_ENDS = 7, BUILD_UNREADABLE = 8, BUILD_RESTARTS = 9 };

typedef struct {
    zsock_t *zap, *actor;
    keypair_t server, own;
    zsock_t *router;
    char endpoint [256];
    atomic_int hellos, questions;
    bool is_known, is_restarted;
} fake_t;

static void answer (fake_t *self, zframe_t *peer, const char *verb, json_t *header)
{
    msg_t *message = msg_new (verb, header, NULL, 0);
    msg_send (&message, self->router, peer, NULL);
}

static json_t *a_build (int64_t id, const char *state)
{
    return json_pack ("{s:{s:I, s:s, s:[]}}", "build", "id", (json_int_t) id, "state", state, "jobs");
}

static void answer_build (fake_t *self, zframe_t *peer, int64_t re, json_t *header)
{
    if (re)
        json_object_set_new (header, "re", json_integer (re));
    answer (self, peer, "build", header);
}

static void on_question (fake_t *self, zframe_t *peer, int64_t seq, int64_t build)
{
    self->questions++;
    if (build == BUILD_FORGETS && self->questions == 1) {
        self->is_known = false;     /* a restart: the question is lost on us */
        answer (self, peer, "who", NULL);
    } else if (build == BUILD_UNKNOWN)
        answer (self, peer, "error", json_pack ("{s:I, s:s, s:s}", "re", (json_int_t) seq, "code", "not-found", "text",
                                                "there is no build 3"));
    else if (build == BUILD_STRANGE)
        answer (self, peer, "joined", json_pack ("{s:I, s:s, s:s}", "re", (json_int_t) seq, "role", "worker", "name", "w"));
    else if (build == BUILD_UNREADABLE)
        answer (self, peer, "error", json_pack ("{s:s, s:s}", "code", "protocol", "text", "cannot be read"));
    else if (build == BUILD_LATE) {
        answer_build (self, peer, seq + 1000, a_build (99, "queued"));      /* an answer to another question */
        answer_build (self, peer, 0, a_build (98, "queued"));               /* nobody asked */
        answer_build (self, peer, seq, a_build (build, "queued"));
    } else if (build == BUILD_ENDS) {
        answer_build (self, peer, seq, a_build (build, "running"));
        answer_build (self, peer, 0, a_build (build, "published"));
    } else if (build == BUILD_RESTARTS)
        answer_build (self, peer, seq, a_build (build, self->is_restarted ? "published" : "running"));
    else if (build != BUILD_SILENT)
        answer_build (self, peer, seq, a_build (build, "queued"));
}

static void on_message (fake_t *self, zframe_t *peer, const msg_t *message)
{
    int64_t seq = msg_int (message, "seq");
    if (msg_is (message, "hello")) {
        self->hellos++;
        self->is_known = true;
        answer (self, peer, "welcome",
                json_pack ("{s:I, s:s, s:s, s:s, s:i, s:i, s:i}", "re", (json_int_t) seq, "version", "9.9", "principal", "ann",
                           "role", "submitter", "heartbeat_ms", 5000, "lease_ms", 45000, "now_ms", 1));
    } else if (!self->is_known)
        answer (self, peer, "who", NULL);
    else
        on_question (self, peer, seq, msg_int (message, "build"));
}

static void fake_actor (zsock_t *pipe, void *argument)
{
    fake_t *self = argument;
    zpoller_t *poller = zpoller_new (pipe, self->router, NULL);
    zsock_signal (pipe, 0);
    while (zpoller_wait (poller, -1) == self->router) {
        zframe_t *peer = NULL;
        AUTO (msg) msg_t *message = msg_recv (self->router, &peer, NULL, NULL, NULL);
        if (message)
            on_message (self, peer, message);
        zframe_destroy (&peer);
    }
    zpoller_destroy (&poller);
}

static int start (void **state)
{
    static fake_t fake;
    char hex [KEY_HEX_SIZE + 1];
    fake = (fake_t) { .hellos = 0 };
    keypair_make (&fake.server);
    keypair_make (&fake.own);
    fake.zap = actor_new (zap_actor, NULL, NULL);
    key_to_hex (fake.own.public_key, hex);
    zap_allow (fake.zap, hex);
    fake.router = msg_bind ("tcp://127.0.0.1:*", &fake.server, 100, fake.endpoint, NULL);
    assert_non_null (fake.router);
    fake.actor = actor_new (fake_actor, &fake, NULL);
    *state = &fake;
    return 0;
}

/* What it knew of its peers is gone. */
static void go_away (fake_t *fake)
{
    actor_destroy (&fake->actor);
    zsock_destroy (&fake->router);
    fake->is_known = false;
}

static void come_back (fake_t *fake)
{
    char bound [256];
    while (!(fake->router = msg_bind (fake->endpoint, &fake->server, 100, bound, NULL)))
        zclock_sleep (50);
    fake->is_restarted = true;
    fake->actor = actor_new (fake_actor, fake, NULL);
}

static int end (void **state)
{
    fake_t *fake = *state;
    actor_destroy (&fake->actor);
    zsock_destroy (&fake->router);
    actor_destroy (&fake->zap);
    return 0;
}

static client_t *connect_as (const fake_t *fake, const keypair_t *own)
{
    return client_new_to (fake->endpoint, fake->endpoint, fake->server.public_key, own);
}

static msg_t *inspect (client_t *client, int64_t build, int timeout_ms, err_t *err)
{
    return client_ask (client, "inspect", json_pack ("{s:I}", "build", (json_int_t) build), "build", timeout_ms, err);
}

static int64_t build_of (const msg_t *message)
{
    return track_int (json_object_get (msg_header (message), "build"), "id");
}

static void hello_goes_before_the_first_question_and_once (void **state)
{
    fake_t *fake = *state;
    err_t err = { 0 };
    AUTO (client) client_t *client = connect_as (fake, &fake->own);
    AUTO (msg) msg_t *first = inspect (client, BUILD_FINE, 0, &err);
    AUTO (msg) msg_t *second = inspect (client, BUILD_FINE, 0, &err);
    assert_non_null (first);
    assert_non_null (second);
    assert_int_equal (build_of (second), BUILD_FINE);
    assert_int_equal (fake->hellos, 1);
}

static void who_is_answered_by_hello_and_the_question_again (void **state)
{
    fake_t *fake = *state;
    err_t err = { 0 };
    AUTO (client) client_t *client = connect_as (fake, &fake->own);
    AUTO (msg) msg_t *message = inspect (client, BUILD_FORGETS, 0, &err);
    assert_non_null (message);
    assert_int_equal (build_of (message), BUILD_FORGETS);
    assert_int_equal (fake->hellos, 2);
    assert_int_equal (fake->questions, 2);
}

static void the_welcome_says_who_the_coordinator_is (void **state)
{
    fake_t *fake = *state;
    err_t err = { 0 };
    AUTO (client) client_t *client = connect_as (fake, &fake->own);
    const json_t *welcome = client_greet (client, 0, &err);
    assert_non_null (welcome);
    assert_string_equal (track_text (welcome, "version"), "9.9");
}

static void an_error_keeps_its_code_and_words (void **state)
{
    fake_t *fake = *state;
    err_t err = { 0 };
    AUTO (client) client_t *client = connect_as (fake, &fake->own);
    assert_null (inspect (client, BUILD_UNKNOWN, 0, &err));
    assert_int_equal (err.code, ERR_NOT_FOUND);
    assert_string_equal (err.text, "there is no build 3");
    assert_null (inspect (client, BUILD_UNREADABLE, 0, &err));      /* refused without a `re` */
    assert_int_equal (err.code, ERR_PROTOCOL);
}

static void an_answer_of_another_kind_is_a_protocol_error (void **state)
{
    fake_t *fake = *state;
    err_t err = { 0 };
    AUTO (client) client_t *client = connect_as (fake, &fake->own);
    assert_null (inspect (client, BUILD_STRANGE, 0, &err));
    assert_int_equal (err.code, ERR_PROTOCOL);
    assert_non_null (strstr (err.text, "\"joined\""));
}

static void answers_are_matched_and_the_unasked_is_kept (void **state)
{
    fake_t *fake = *state;
    err_t err = { 0 };
    AUTO (client) client_t *client = connect_as (fake, &fake->own);
    AUTO (msg) msg_t *message = inspect (client, BUILD_LATE, 0, &err);
    assert_non_null (message);
    assert_int_equal (build_of (message), BUILD_LATE);
    bool has_unasked = false;
    for (AUTO (msg) msg_t *kept = client_next (client, 0, &err); kept; kept = client_next (client, 0, &err)) {
        has_unasked |= build_of (kept) == 98;
        msg_destroy (&kept);
    }
    assert_true (has_unasked);
    assert_int_equal (err.code, ERR_TIMEOUT);
}

static void silence_names_the_address_and_what_to_look_at (void **state)
{
    fake_t *fake = *state;
    err_t err = { 0 };
    AUTO (client) client_t *client = connect_as (fake, &fake->own);
    assert_null (inspect (client, BUILD_SILENT, 300, &err));
    assert_int_equal (err.code, ERR_NETWORK);
    assert_non_null (strstr (err.text, fake->endpoint));
    assert_non_null (strstr (err.text, "is it running"));
    AUTO (msg) msg_t *after = inspect (client, BUILD_FINE, 0, &err);
    assert_non_null (after);        /* the connection goes on */
}

static void a_stranger_s_key_is_refused_at_once (void **state)
{
    fake_t *fake = *state;
    err_t err = { 0 };
    keypair_t stranger;
    keypair_make (&stranger);
    AUTO (client) client_t *client = connect_as (fake, &stranger);
    assert_null (inspect (client, BUILD_FINE, 0, &err));
    assert_int_equal (err.code, ERR_DENIED);
    assert_non_null (strstr (err.text, "does not know this user's key: join the farm (again)"));
    assert_int_equal (fake->hellos, 0);
}

static void another_coordinator_s_key_gets_silence (void **state)
{
    fake_t *fake = *state;
    err_t err = { 0 };
    keypair_t other;
    keypair_make (&other);
    AUTO (client) client_t *client = client_new_to (fake->endpoint, NULL, other.public_key, &fake->own);
    assert_null (inspect (client, BUILD_FINE, 500, &err));
    assert_int_equal (err.code, ERR_NETWORK);
    assert_non_null (strstr (err.text, "does not answer"));
    assert_int_equal (fake->hellos, 0);
}

/* On either connection, and by each way to wait. */
static void nobody_there_is_told_soon (void **state)
{
    (void) state;
    keypair_t own, server;
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);       /* bound and not listening: nobody else gets the port */
    assert_int_equal (bind (fd, (struct sockaddr *) &address, size), 0);
    assert_int_equal (getsockname (fd, (struct sockaddr *) &address, &size), 0);
    AUTO_FREE char *endpoint = mem_printf ("tcp://127.0.0.1:%d", ntohs (address.sin_port));
    keypair_make (&own);
    keypair_make (&server);
    for (int way = 0; way < 4; way++) {
        err_t err = { 0 };
        track_t wish = { .is_once = true };
        int64_t start_ms = clock_boot_ms ();
        AUTO (client) client_t *client = client_new_to (endpoint, endpoint, server.public_key, &own);
        if (way == 0)
            assert_null (inspect (client, BUILD_FINE, 0, &err));
        else if (way == 1)
            assert_null (client_ask_objects (client, "stats", NULL, NULL, 0, "depot", 0, &err));
        else if (way == 2)
            assert_null (client_greet (client, 0, &err));
        else
            assert_null (track_build (&wish, client, BUILD_FINE, &err));
        client_destroy (&client);                                   /* nor does what was said linger */
        assert_int_equal (err.code, ERR_NETWORK);
        assert_non_null (strstr (err.text, endpoint));
        assert_non_null (strstr (err.text, "refuses the connection"));
        assert_in_range (clock_boot_ms () - start_ms, 400, 3000);   /* tried twice */
    }
    close (fd);
}

static void a_restart_after_the_first_answer_is_waited_for (void **state)
{
    fake_t *fake = *state;
    err_t err = { 0 };
    AUTO (client) client_t *client = connect_as (fake, &fake->own);
    AUTO (msg) msg_t *first = inspect (client, BUILD_FINE, 0, &err);
    assert_non_null (first);
    go_away (fake);
    assert_int_equal (client_open (client, &err), 0);               /* the second connection, refused from the start */
    assert_int_equal (client_wait (client, 3000, &err), 0);
    come_back (fake);
    AUTO (msg) msg_t *second = inspect (client, BUILD_FINE, 20000, &err);
    assert_non_null (second);
    assert_int_equal (build_of (second), BUILD_FINE);
}

static void restart (void *argument, const json_t *build)
{
    (void) build;
    fake_t *fake = argument;
    if (fake->is_restarted)
        return;
    go_away (fake);
    come_back (fake);
}

/* Not at its next question, which may be seconds away. */
static void a_restarted_coordinator_is_asked_as_soon_as_it_is_there (void **state)
{
    fake_t *fake = *state;
    err_t err = { 0 };
    track_t wish = { .on_build = restart, .argument = fake };
    int64_t start_ms = clock_boot_ms ();
    AUTO (client) client_t *client = connect_as (fake, &fake->own);
    AUTO_JSON json_t *build = track_build (&wish, client, BUILD_RESTARTS, &err);
    assert_non_null (build);
    assert_string_equal (track_text (build, "state"), "published");
    assert_in_range (clock_boot_ms () - start_ms, 0, 3000);
}

static void count_builds (void *argument, const json_t *build)
{
    (void) build;
    ++*(int *) argument;
}

static void a_watched_build_is_seen_until_it_ends (void **state)
{
    fake_t *fake = *state;
    err_t err = { 0 };
    int seen = 0;
    track_t wish = { .on_build = count_builds, .argument = &seen };
    AUTO (client) client_t *client = connect_as (fake, &fake->own);
    AUTO_JSON json_t *build = track_build (&wish, client, BUILD_ENDS, &err);
    assert_non_null (build);
    assert_string_equal (track_text (build, "state"), "published");
    assert_int_equal (seen, 2);
    assert_null (track_build (&wish, client, BUILD_UNKNOWN, &err));
    assert_int_equal (err.code, ERR_NOT_FOUND);
}

/* A worker may send any bytes as its log; what is shown is for a terminal, and can be written as JSON. */
static void keep_line (void *argument, const log_reader_t *reader, const log_line_t *line)
{
    json_t *lines = argument;
    (void) reader;
    assert_true (line->stream == 'o' || line->stream == 'w');
    json_t *text = json_string (line->text);
    if (!text)
        fail_msg ("line %zu is no UTF-8", json_array_size (lines));
    for (const char *c = line->text; *c; c++)
        assert_true ((unsigned char) *c >= ' ' || *c == '\t');
    json_array_append_new (lines, text);
}

static void any_bytes_make_lines_fit_for_a_terminal (void **state)
{
    (void) state;
    static const char log [] = "1 o fine\n2 \xff odd\n3 o \x1b[31m\n\n4 o a\0b\n5 o \xed\xa0\x80\xf4\x90\x80\x80\xc2\x9b\xc0\xaf\n"
                               "99999999999999999999 w x\n-5 o y\r\n6 o";
    log_reader_t reader = { .job = 1, .attempt = 1, .asked_seq = 7 };
    AUTO_JSON json_t *lines = json_array ();
    AUTO (msg) msg_t *answer = msg_new ("log-part", json_pack ("{s:i, s:i, s:b}", "re", 7, "offset", 0, "is_ended", 1), log,
                                        sizeof log - 1);
    assert_int_equal (log_reader_take (&reader, answer, 0, keep_line, lines), 1);
    assert_int_equal (json_array_size (lines), 9);
    assert_string_equal (json_string_value (json_array_get (lines, 0)), "fine");
    assert_string_equal (json_string_value (json_array_get (lines, 1)), "2 ? odd");
    assert_string_equal (json_string_value (json_array_get (lines, 2)), "?[31m");
    log_reader_free (&reader);
}

int main (void)
{
    setlocale (LC_CTYPE, "C.UTF-8");        /* as farmctl's main does */
    const struct CMUnitTest tests [] = {
        cmocka_unit_test_setup_teardown (hello_goes_before_the_first_question_and_once, start, end),
        cmocka_unit_test_setup_teardown (who_is_answered_by_hello_and_the_question_again, start, end),
        cmocka_unit_test_setup_teardown (the_welcome_says_who_the_coordinator_is, start, end),
        cmocka_unit_test_setup_teardown (an_error_keeps_its_code_and_words, start, end),
        cmocka_unit_test_setup_teardown (an_answer_of_another_kind_is_a_protocol_error, start, end),
        cmocka_unit_test_setup_teardown (answers_are_matched_and_the_unasked_is_kept, start, end),
        cmocka_unit_test_setup_teardown (silence_names_the_address_and_what_to_look_at, start, end),
        cmocka_unit_test_setup_teardown (a_stranger_s_key_is_refused_at_once, start, end),
        cmocka_unit_test_setup_teardown (another_coordinator_s_key_gets_silence, start, end),
        cmocka_unit_test (nobody_there_is_told_soon),
        cmocka_unit_test_setup_teardown (a_restart_after_the_first_answer_is_waited_for, start, end),
        cmocka_unit_test_setup_teardown (a_restarted_coordinator_is_asked_as_soon_as_it_is_there, start, end),
        cmocka_unit_test (any_bytes_make_lines_fit_for_a_terminal),
        cmocka_unit_test_setup_teardown (a_watched_build_is_seen_until_it_ends, start, end),
    };
    zsys_handler_set (NULL);
    return cmocka_run_group_tests (tests, NULL, NULL);
}
