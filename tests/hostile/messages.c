/* messages.c - see hostile.h: sends each row, and looks at all that comes of it.
 *
 * who <tab> rule <tab> verb <tab> header <tab> body <tab> answer
 *
 * who     user, viewer or worker, to the control socket; with "/objects" to the other
 * verb    or "=" and the frames of the message, between '|'; "\xNN" is a byte, "~N" behind a byte: N times that
 * header  JSON; without a seq it gets one
 * body    "-" none; hex digits; "N*hh": N bytes of this value
 * answer  "-" none at all; "error CODE WORDS"; or a verb, and words of its header
 *
 * After each row comes a question whose answer names what nothing else does: with that, all that came of the row is there. */
#include "hostile.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMN_WHO, COLUMN_RULE, COLUMN_VERB, COLUMN_HEADER, COLUMN_BODY, COLUMN_ANSWER };

/* -- sending ---------------------------------------------------------------------------------------------------------- */

static void add_frame (zmsg_t *frames, const char *text, size_t size)
{
    AUTO_BUFFER buffer_t bytes = { 0 };
    for (size_t i = 0; i < size; i++) {
        long count = 1;
        char byte = text [i];
        if (byte == '\\' && i + 3 < size && text [i + 1] == 'x') {
            char hex [3] = { text [i + 2], text [i + 3], 0 };
            byte = (char) strtol (hex, NULL, 16);
            i += 3;
        }
        if (i + 1 < size && text [i + 1] == '~') {
            char *end;
            count = strtol (text + i + 2, &end, 10);
            i = (size_t) (end - text) - 1;
        }
        for (; count > 0; count--)
            buffer_append (&bytes, &byte, 1);
    }
    zmsg_addmem (frames, bytes.data, bytes.size);
}

static zmsg_t *raw_frames (const char *text)
{
    zmsg_t *frames = zmsg_new ();
    for (;;) {
        size_t size = strcspn (text, "|");
        add_frame (frames, text, size);
        if (!text [size])
            return frames;
        text += size + 1;
    }
}

static void add_body (zmsg_t *frames, const char *text)
{
    AUTO_BUFFER buffer_t body = { 0 };
    const char *star = strchr (text, '*');
    size_t count = star ? (size_t) atol (text) : 1, size = 0;
    const char *hex = star ? star + 1 : streq (text, "-") ? "" : text;
    unsigned char piece [32768];
    if (sodium_hex2bin (piece, sizeof piece, hex, strlen (hex), NULL, &size, NULL) != 0)
        give_up ("a body that is no hex: %.40s", text);
    for (; count > 0 && size > 0; count--)
        buffer_append (&body, piece, size);
    zmsg_addmem (frames, body.data, body.size);
}

/* A header that is no JSON object is sent as it is. */
static void send_row (peer_t *peer, zsock_t *socket, const row_t *row)
{
    AUTO_FREE char *verb = table_fill (peer->scene, row->columns [COLUMN_VERB], NULL);
    AUTO_FREE char *header = table_fill (peer->scene, row->columns [COLUMN_HEADER], NULL);
    AUTO_FREE char *body = table_fill (peer->scene, row->columns [COLUMN_BODY], NULL);
    zmsg_t *frames = *verb == '=' ? raw_frames (verb + 1) : zmsg_new ();
    if (*verb != '=') {
        AUTO_JSON json_t *object = json_loads (header, 0, NULL);
        bool is_plain = json_is_object (object) && !json_object_get (object, "seq") && !streq (verb, "heartbeat") && !streq (verb, "restored");
        if (is_plain)
            json_object_set_new (object, "seq", json_integer (++peer->seq));
        AUTO_FREE char *text = is_plain ? json_dumps (object, JSON_COMPACT) : mem_strdup (header);
        zmsg_addstr (frames, verb);
        zmsg_addstr (frames, text);
        add_body (frames, body);
    }
    peer_send (socket, &frames);
}

/* A question, and what stands in its answer alone. */
typedef struct { char verb [32], header [64], sign [64]; } probe_t;

/* A verb that is none. */
static void make_nonsense (probe_t *self, unsigned number)
{
    char *at = self->verb + sprintf (self->verb, "probe-");
    for (; number; number /= 26)
        *at++ = (char) ('a' + number % 26);
    *at = 0;
    snprintf (self->header, sizeof self->header, "{}");
    snprintf (self->sign, sizeof self->sign, "\"%s\"", self->verb);
}

/* A build that there is not. That is not refused: of the user there are so many rows that with as many refused questions the connection could end (conduct.h). */
static void make_question (probe_t *self, unsigned number)
{
    long long build = (1LL << 52) + number;
    snprintf (self->verb, sizeof self->verb, "inspect");
    snprintf (self->header, sizeof self->header, "{\"seq\":1,\"build\":%lld}", build);
    snprintf (self->sign, sizeof self->sign, "build %lld:", build);
}

static probe_t send_probe (const peer_t *peer, zsock_t *socket)
{
    static unsigned count;
    probe_t probe;
    if (streq (peer->role, "user") && socket == peer->control)
        make_question (&probe, ++count);
    else
        make_nonsense (&probe, ++count);
    zmsg_t *frames = zmsg_new ();
    zmsg_addstr (frames, probe.verb);
    zmsg_addstr (frames, probe.header);
    zmsg_addmem (frames, "", 0);
    peer_send (socket, &frames);
    return probe;
}

/* -- what comes of it --------------------------------------------------------------------------------------------------- */

/* What the coordinator says without having been asked. */
static bool is_unasked (const heard_t *heard)
{
    static const char *const verbs [] = { "abort", "restore", "closing", "assign", "alive" };
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (streq (heard->verb, verbs [i]))
            return true;
    return false;
}

static bool is_probes (const heard_t *heard, const probe_t *probe)
{
    const char *text = json_string_value (json_object_get (heard->header, "text"));
    return streq (heard->verb, "error") && text && strstr (text, probe->sign);
}

/* "error CODE words", "verb words" */
static bool is_wanted (const heard_t *heard, const char *answer)
{
    AUTO_FREE char *copy = mem_strdup (answer);
    char *rest = copy, *verb = strsep (&rest, " ");
    if (!streq (heard->verb, verb))
        return false;
    if (streq (verb, "error")) {
        const char *code = strsep (&rest, " "), *text = json_string_value (json_object_get (heard->header, "text"));
        return code && streq (code, json_string_value (json_object_get (heard->header, "code"))) && (!rest || strstr (text, rest));
    }
    AUTO_FREE char *text = json_dumps (heard->header, JSON_COMPACT | JSON_SORT_KEYS);
    return !rest || strstr (text, rest);
}

static void complain (const row_t *row, const heard_t *heard, const char *answer)
{
    AUTO_FREE char *text = heard ? json_dumps (heard->header, JSON_COMPACT) : NULL;
    printf ("line %d, %s: %s %.300s, and not %s\n", row->line, row->columns [COLUMN_RULE], heard ? heard->verb : "nothing", text ? text : "", answer);
}

/* 1: it was not as it should be. */
static int run_row (peer_t *peer, const row_t *row)
{
    AUTO_FREE char *answer = table_fill (peer->scene, row->columns [COLUMN_ANSWER], NULL);
    zsock_t *socket = peer_socket (peer, strstr (row->columns [COLUMN_WHO], "/objects") != NULL);
    bool wants_none = streq (answer, "-"), has_answer = wants_none, has_probe = false;
    int is_wrong = 0;
    heard_t heard;
    send_row (peer, socket, row);
    const probe_t probe = send_probe (peer, socket);
    while (!has_probe || !has_answer) {
        if (!peer_hear (peer, socket, &heard)) {
            complain (row, NULL, answer);
            return 1;
        }
        if (is_probes (&heard, &probe))
            has_probe = true;
        else if (!is_unasked (&heard)) {
            if (wants_none || has_answer || !is_wanted (&heard, answer)) {
                complain (row, &heard, answer);
                is_wrong = 1;
            }
            has_answer = true;
        }
        json_decref (heard.header);
    }
    return is_wrong;
}

int messages_run (const table_t *table, peer_t *user, peer_t *viewer, peer_t *worker)
{
    int wrong = 0;
    for (size_t i = 0; i < table->count; i++) {
        const char *who = table->rows [i].columns [COLUMN_WHO];
        peer_t *peer = strncmp (who, "user", 4) == 0 ? user : strncmp (who, "viewer", 6) == 0 ? viewer : worker;
        wrong += run_row (peer, &table->rows [i]);
    }
    return wrong;
}
