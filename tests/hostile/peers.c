/* peers.c - see hostile.h: speaks the protocol, and whatever else. */
#include "hostile.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/msg.h"

void give_up (const char *format, ...)
{
    va_list args;
    va_start (args, format);
    fputs ("hostile: ", stderr);
    vfprintf (stderr, format, args);
    fputc ('\n', stderr);
    va_end (args);
    exit (1);
}

void peer_init (peer_t *self, const scene_t *scene, const char *role, const char *key_file)
{
    err_t err;
    *self = (peer_t) { .scene = scene, .role = role };
    if (keypair_load (&self->key, key_file, &err) < 0)
        give_up ("%s", err.text);
}

void peer_free (peer_t *self)
{
    zsock_destroy (&self->control);
    zsock_destroy (&self->objects);
}

static json_t *hello_of (const peer_t *self)
{
    bool is_worker = streq (self->role, "worker");
    json_t *hello = json_pack ("{s:s, s:s, s:s}", "program", is_worker ? "farm-worker" : "farmctl", "version", "0.1.0", "instance",
                               "0123456789abcdef0123456789abcdef");
    if (is_worker)
        json_object_set_new (hello, "worker", json_pack ("{s:s, s:[{s:s, s:b}], s:i, s:i, s:I, s:s, s:s}", "name", "mallet", "platforms", "platform",
                                                         "linux/riscv64", "emulated", 0, "slots", 8, "cpus", 4, "memory_bytes", (json_int_t) 1 << 32,
                                                         "builder", "buildah 1.28.2", "isolation", "oci"));
    return hello;
}

zsock_t *peer_socket (peer_t *self, bool is_objects)
{
    zsock_t **socket = is_objects ? &self->objects : &self->control;
    err_t err;
    if (*socket)
        return *socket;
    *socket = msg_connect (is_objects ? self->scene->objects : self->scene->control, &self->key, self->scene->server_key, &err);
    if (!*socket)
        give_up ("%s", err.text);
    zsock_set_rcvtimeo (*socket, ANSWER_MS);
    if (!is_objects)
        json_decref (peer_await (self, "welcome", peer_say (self, "hello", hello_of (self))));
    return *socket;
}

void peer_send (zsock_t *socket, zmsg_t **frames)
{
    if (zmsg_send (frames, socket) != 0)
        give_up ("a message cannot be sent");
}

int64_t peer_say (peer_t *self, const char *verb, json_t *header)
{
    zmsg_t *frames = zmsg_new ();
    int64_t seq = ++self->seq;
    json_object_set_new (header, "seq", json_integer (seq));
    AUTO_FREE char *text = json_dumps (header, JSON_COMPACT);
    zmsg_addstr (frames, verb);
    zmsg_addstr (frames, text);
    zmsg_addmem (frames, "", 0);
    json_decref (header);
    peer_send (peer_socket (self, false), &frames);
    return seq;
}

/* In any frame: headers, and what was asked of the depot. */
static void look_for_canary (const peer_t *self, zmsg_t *frames)
{
    for (zframe_t *frame = zmsg_first (frames); frame; frame = zmsg_next (frames))
        if (memmem (zframe_data (frame), zframe_size (frame), self->scene->canary, strlen (self->scene->canary)))
            give_up ("%s was shown what is not for it", self->role);
}

bool peer_hear (peer_t *self, zsock_t *socket, heard_t *out)
{
    zmsg_t *frames = zmsg_recv (socket);
    if (!frames)
        return false;
    look_for_canary (self, frames);
    AUTO_FREE char *verb = zmsg_popstr (frames), *text = zmsg_popstr (frames);
    snprintf (out->verb, sizeof out->verb, "%s", verb ? verb : "");
    out->header = json_loads (text ? text : "", 0, NULL);
    zmsg_destroy (&frames);
    if (!out->header)
        give_up ("the coordinator sends no JSON with %s", out->verb);
    return true;
}

json_t *peer_await (peer_t *self, const char *verb, int64_t seq)
{
    heard_t heard;
    while (peer_hear (self, peer_socket (self, false), &heard)) {
        bool is_it = streq (heard.verb, verb) && (!seq || json_integer_value (json_object_get (heard.header, "re")) == seq);
        if (is_it)
            return heard.header;
        if (streq (heard.verb, "error") && seq)
            give_up ("%s is answered: %s", verb, json_string_value (json_object_get (heard.header, "text")));
        json_decref (heard.header);
    }
    give_up ("no %s in %d s", verb, ANSWER_MS / 1000);
}
