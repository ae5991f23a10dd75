/* test_msg.c - messages over real CURVE sockets: what fits arrives, what does not is refused and named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <czmq.h>
#include <sodium.h>

#include "gates.h"

typedef struct {
    gate_t gate;
    zsock_t *router, *dealer;           /* router: the gate's */
} wire_t;

static int connect_both (void **state)
{
    static wire_t wire;
    gate_open (&wire.gate, 100);
    wire.router = wire.gate.router;
    wire.dealer = gate_dial (&wire.gate);
    zsock_set_rcvtimeo (wire.router, 5000);
    zsock_set_rcvtimeo (wire.dealer, 5000);
    *state = &wire;
    return 0;
}

static int close_both (void **state)
{
    wire_t *wire = *state;
    zsock_destroy (&wire->dealer);
    gate_close (&wire->gate);
    return 0;
}

static void a_message_arrives_whole_with_its_sender_s_key (void **state)
{
    wire_t *wire = *state;
    err_t err = { 0 };
    msg_t *out = msg_new ("put", json_pack ("{s:i}", "seq", 7), "body\0bytes", 10);
    assert_int_equal (msg_send (&out, wire->dealer, NULL, &err), 0);
    assert_null (out);
    zframe_t *peer = NULL;
    char key [KEY_HEX_SIZE + 1], expected [KEY_HEX_SIZE + 1];
    int fd = -1;
    AUTO (msg) msg_t *in = msg_recv (wire->router, &peer, key, &fd, &err);
    assert_non_null (in);
    assert_true (msg_is (in, "put"));
    assert_int_equal (msg_int (in, "seq"), 7);
    size_t size;
    assert_memory_equal (msg_body (in, &size), "body\0bytes", 10);
    assert_int_equal (size, 10);
    key_to_hex (wire->gate.known.public_key, expected);
    assert_string_equal (key, expected);
    assert_true (fd >= 0);
    msg_t *answer = msg_new ("stored", json_pack ("{s:i, s:i}", "re", 7, "objects", 1), NULL, 0);
    assert_int_equal (msg_send (&answer, wire->router, peer, &err), 0);
    AUTO (msg) msg_t *back = msg_recv (wire->dealer, NULL, NULL, NULL, &err);
    assert_non_null (back);
    assert_int_equal (msg_int (back, "re"), 7);
    zframe_destroy (&peer);
}

typedef struct { const char *what; const char *frames [10]; const char *says; } bad_t;

static void what_does_not_fit_is_refused_with_the_reason (void **state)
{
    wire_t *wire = *state;
    static const bad_t bad [] = {
        { "one frame", { "put" }, "3 frames" },
        { "two frames", { "put", "{}" }, "3 frames" },
        { "four frames", { "put", "{\"seq\":1}", "", "" }, "3 frames" },
        { "unknown verb", { "destroy", "{}", "" }, "no verb" },
        { "a part as verb", { "_spec", "{}", "" }, "verb" },
        { "empty verb", { "", "{}", "" }, "verb" },
        { "long verb", { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "{}", "" }, "verb" },
        { "upper case", { "PUT", "{}", "" }, "verb" },
        { "no JSON", { "put", "seq=1", "" }, "header" },
        { "no object", { "put", "[1]", "" }, "put" },
        { "missing field", { "put", "{}", "" }, "seq" },
        { "wrong type", { "put", "{\"seq\":\"1\"}", "" }, "seq" },
        { "below the minimum", { "put", "{\"seq\":0}", "" }, "seq" },
        { "unknown field", { "put", "{\"seq\":1,\"more\":2}", "" }, "more" },
        { "duplicate field", { "put", "{\"seq\":1,\"seq\":2}", "" }, "duplicate" },
        { "bad digest", { "report", "{\"seq\":1,\"job\":1,\"attempt\":1,\"state\":\"pushed\",\"digest\":\"sha256:xyz\"}", "" }, "digest" },
        { "bad state", { "report", "{\"seq\":1,\"job\":1,\"attempt\":1,\"state\":\"eaten\"}", "" }, "state" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        zmsg_t *message = zmsg_new ();
        for (int f = 0; bad [i].frames [f]; f++)
            zmsg_addstr (message, bad [i].frames [f]);
        zmsg_send (&message, wire->dealer);
        zframe_t *peer = NULL;
        err_t err = { 0 };
        msg_t *in = msg_recv (wire->router, &peer, NULL, NULL, &err);
        if (in || err.code != ERR_PROTOCOL || !strstr (err.text, bad [i].says))
            fail_msg ("%s: %s", bad [i].what, in ? "was let through" : err.text);
        assert_non_null (peer);
        zframe_destroy (&peer);
    }
}

static void a_giant_header_or_body_is_refused (void **state)
{
    wire_t *wire = *state;
    char *big = calloc (1, MSG_BODY_MAX + 2);
    memset (big, 'x', MSG_BODY_MAX + 1);
    for (int which = 1; which <= 2; which++) {
        zmsg_t *message = zmsg_new ();
        zmsg_addstr (message, "put");
        zmsg_addstr (message, which == 1 ? big : "{\"seq\":1}");
        zmsg_addstr (message, which == 2 ? big : "");
        zmsg_send (&message, wire->dealer);
        zframe_t *peer = NULL;
        err_t err = { 0 };
        assert_null (msg_recv (wire->router, &peer, NULL, NULL, &err));
        assert_int_equal (err.code, ERR_PROTOCOL);
        zframe_destroy (&peer);
    }
    free (big);
}

/* Also when it cannot be sent. */
static void a_long_body_is_taken (void **state)
{
    wire_t *wire = *state;
    err_t err = { 0 };
    size_t size;
    buffer_t body = { 0 }, other = { 0 };
    AUTO_BUFFER buffer_t copy = { 0 };
    for (int i = 0; i < 50000; i++)
        buffer_append (&copy, &i, sizeof i);
    buffer_append (&body, copy.data, copy.size);
    buffer_append (&other, copy.data, copy.size);
    msg_t *out = msg_new_with ("put", json_pack ("{s:i}", "seq", 7), &body);
    assert_null (body.data);
    assert_int_equal (msg_send (&out, wire->dealer, NULL, &err), 0);
    zframe_t *peer = NULL, *nobody = zframe_new ("\0abcd", 5);
    AUTO (msg) msg_t *in = msg_recv (wire->router, &peer, NULL, NULL, &err);
    assert_non_null (in);
    const uint8_t *data = msg_body (in, &size);
    assert_int_equal (size, copy.size);
    assert_memory_equal (data, copy.data, size);
    out = msg_new_with ("put", json_pack ("{s:i}", "seq", 7), &other);
    assert_int_equal (msg_send (&out, wire->router, nobody, &err), -1);
    assert_int_equal (err.code, ERR_NETWORK);
    zframe_destroy (&peer);
    zframe_destroy (&nobody);
}

static void a_peer_that_is_gone_is_an_error_at_the_sender (void **state)
{
    wire_t *wire = *state;
    err_t err = { 0 };
    zframe_t *nobody = zframe_new ("\0abcd", 5);
    msg_t *out = msg_new ("alive", NULL, NULL, 0);
    assert_int_equal (msg_send (&out, wire->router, nobody, &err), -1);
    assert_int_equal (err.code, ERR_NETWORK);
    zframe_destroy (&nobody);
}

int main (void)
{
    if (sodium_init () < 0)
        return 99;
    zsys_init ();
    zsys_handler_set (NULL);
    const struct CMUnitTest tests [] = {
        cmocka_unit_test_setup_teardown (a_message_arrives_whole_with_its_sender_s_key, connect_both, close_both),
        cmocka_unit_test_setup_teardown (what_does_not_fit_is_refused_with_the_reason, connect_both, close_both),
        cmocka_unit_test_setup_teardown (a_giant_header_or_body_is_refused, connect_both, close_both),
        cmocka_unit_test_setup_teardown (a_long_body_is_taken, connect_both, close_both),
        cmocka_unit_test_setup_teardown (a_peer_that_is_gone_is_an_error_at_the_sender, connect_both, close_both),
    };
    int failed = cmocka_run_group_tests (tests, NULL, NULL);
    zsys_shutdown ();
    return failed;
}
