/* register.c - enrols a worker that never comes back: so a coordinator under measurement has one for the platform, accepts
 * builds, and keeps them queued.
 *
 *     register JOIN-FILE NAME PLATFORM */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/msg.h"

enum { JOIN_MAX = 4096, ANSWER_MS = 10000 };

/* One question over a connection of its own. Takes header. */
static int ask (const invitation_t *to, const keypair_t *own, const char *verb, json_t *header, const char *expected,
                err_t *err)
{
    AUTO (zsock) zsock_t *socket = msg_connect (to->control, own, to->server_key, err);
    AUTO (msg) msg_t *question = msg_new (verb, header, NULL, 0);
    if (!socket || msg_send (&question, socket, NULL, err) < 0)
        return -1;
    zsock_set_rcvtimeo (socket, ANSWER_MS);
    AUTO (msg) msg_t *answer = msg_recv (socket, NULL, NULL, NULL, err);
    if (!answer)
        return -1;
    if (!msg_is (answer, expected))
        return err_set (err, ERR_PROTOCOL, "%s is answered by %s: %s", verb, msg_verb (answer), msg_text (answer, "text"));
    return 0;
}

static int enrol (const char *join_file, const char *name, const char *platform, err_t *err)
{
    AUTO_BUFFER buffer_t text = { 0 };
    invitation_t to;
    keypair_t invited, own;
    char hex [KEY_HEX_SIZE + 1];
    if (file_read (join_file, JOIN_MAX, &text, err) < 0)
        return -1;
    text.data [strcspn ((char *) text.data, "\n")] = 0;
    if (invitation_decode (&to, (char *) text.data, err) < 0)
        return -1;
    keypair_from_secret (&invited, to.invitation);
    keypair_make (&own);
    key_to_hex (own.public_key, hex);
    if (ask (&to, &invited, "join", json_pack ("{s:i, s:s, s:s, s:s}", "seq", 1, "kind", "worker", "name", name, "public_key",
                                               hex), "joined", err) < 0)
        return -1;
    hex [32] = 0;
    return ask (&to, &own, "hello", json_pack ("{s:i, s:s, s:s, s:s, s:{s:s, s:[{s:s, s:b}], s:i, s:i, s:i, s:s, s:s}, s:[]}",
                "seq", 1, "program", "farm-worker", "version", PACKAGE_VERSION, "instance", hex, "worker", "name", name,
                "platforms", "platform", platform, "emulated", 0, "slots", 1, "cpus", 1, "memory_bytes", 0, "builder", "none",
                "isolation", "none", "attempts"), "welcome", err);
}

int main (int argc, char **argv)
{
    err_t err = { 0 };
    if (argc != 4) {
        fputs ("usage: register JOIN-FILE NAME PLATFORM\n", stderr);
        return 2;
    }
    if (enrol (argv [1], argv [2], argv [3], &err) < 0) {
        fprintf (stderr, "register: %s\n", err.text);
        return 1;
    }
    return 0;
}
