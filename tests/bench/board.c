/* board.c - see board.h. */
#include <string.h>

#include "board.h"
#include "common/file.h"

enum { JOIN_MAX = 4096, ANSWER_MS = 10000 };

/* Takes header. */
static int ask (zsock_t *socket, const char *verb, json_t *header, const char *expected, err_t *err)
{
    AUTO (msg) msg_t *question = msg_new (verb, header, NULL, 0);
    if (msg_send (&question, socket, NULL, err) < 0)
        return -1;
    zsock_set_rcvtimeo (socket, ANSWER_MS);
    AUTO (msg) msg_t *answer = msg_recv (socket, NULL, NULL, NULL, err);
    if (!answer)
        return -1;
    if (!msg_is (answer, expected))
        return err_set (err, ERR_PROTOCOL, "%s is answered by %s: %s", verb, msg_verb (answer), msg_text (answer, "text"));
    return 0;
}

int board_join (const char *join_file, const char *name, invitation_t *to, keypair_t *own, err_t *err)
{
    AUTO_BUFFER buffer_t text = { 0 };
    keypair_t invited;
    char hex [KEY_HEX_SIZE + 1];
    if (file_read (join_file, JOIN_MAX, &text, err) < 0)
        return -1;
    text.data [strcspn ((char *) text.data, "\n")] = 0;
    if (invitation_decode (to, (char *) text.data, err) < 0)
        return -1;
    keypair_from_secret (&invited, to->invitation);
    keypair_make (own);
    key_to_hex (own->public_key, hex);
    AUTO (zsock) zsock_t *socket = msg_connect (to->control, &invited, to->server_key, err);
    return !socket ? -1 : ask (socket, "join", json_pack ("{s:i, s:s, s:s, s:s}", "seq", 1, "kind", "worker", "name", name, "public_key", hex),
                               "joined", err);
}

zsock_t *board_greet (const invitation_t *to, const keypair_t *own, const char *name, const char *platform, err_t *err)
{
    char instance [KEY_HEX_SIZE + 1];
    key_to_hex (own->public_key, instance);
    instance [32] = 0;
    zsock_t *socket = msg_connect (to->control, own, to->server_key, err);
    json_t *hello = json_pack ("{s:i, s:s, s:s, s:s, s:{s:s, s:[{s:s, s:b}], s:i, s:i, s:i, s:s, s:s}, s:[]}",
                "seq", 1, "program", "farm-worker", "version", PACKAGE_VERSION, "instance", instance, "worker", "name", name,
                "platforms", "platform", platform, "emulated", 0, "slots", 1, "cpus", 1, "memory_bytes", 0, "builder", "none",
                "isolation", "none", "attempts");
    if (!socket)
        json_decref (hello);
    else if (ask (socket, "hello", hello, "welcome", err) < 0)
        zsock_destroy (&socket);
    return socket;
}

int board_await_job (zsock_t *socket, err_t *err)
{
    for (bool has_job = false; !has_job;) {
        AUTO (msg) msg_t *message = msg_recv (socket, NULL, NULL, NULL, err);
        if (!message)
            return err_wrap (err, "wait for a job");
        has_job = msg_is (message, "assign");
    }
    return 0;
}
