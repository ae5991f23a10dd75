/* gateway_secrets.c - secrets on their way through the gateway: sealed before the engine gets them, opened after it has given them out. */
#include <sodium.h>
#include <string.h>

#include "common/mem.h"
#include "common/secret.h"
#include "coordinator/gateway_private.h"
#include "coordinator/web.h"

enum { ABOUT_MAX = 256 };

/* What a sealed part is of: of nothing else does it open. */
static void tell_about (char about [ABOUT_MAX], int64_t principal, const char *request, const char *name, int64_t part, int64_t parts)
{
    snprintf (about, ABOUT_MAX, "archfarm secret 1|%lld|%s|%s|%lld/%lld", (long long) principal, request, name, (long long) part, (long long) parts);
}

static int64_t int_of (const json_t *header, const char *field)
{
    return json_integer_value (json_object_get (header, field));
}

static const char *text_of (const json_t *header, const char *field)
{
    return json_string_value (json_object_get (header, field));
}

static int check_size (const msg_t *message, size_t size, err_t *err)
{
    if (size > SECRET_PART_MAX || msg_int (message, "size") != (int64_t) size)
        return err_set (err, ERR_PROTOCOL, "secret %s: a part of %zu bytes that should have %lld", msg_text (message, "secret"), size,
                        (long long) msg_int (message, "size"));
    return 0;
}

void gateway_take_secret (gateway_t *self, peer_t *peer, int64_t principal, const msg_t *message)
{
    err_t err = { 0 };
    size_t size;
    char about [ABOUT_MAX];
    const uint8_t *body = msg_body (message, &size);
    if (check_size (message, size, &err) < 0) {
        gateway_send_error (self, peer, msg_int (message, "seq"), &err);
        return;
    }
    tell_about (about, principal, msg_text (message, "request"), msg_text (message, "secret"), msg_int (message, "part"), msg_int (message, "parts"));
    AUTO_FREE char *sealed = seal_close (self->parts.seal, about, body, size);
    AUTO_JSON json_t *event = json_copy ((json_t *) msg_header (message));
    json_object_set_new (event, "sealed", json_string (sealed));
    gateway_give_engine (self, "secret", peer->number, principal, event);
}

void gateway_send_secret (gateway_t *self, peer_t *peer, const json_t *part)
{
    err_t err = { 0 };
    char about [ABOUT_MAX];
    buffer_t body = { 0 };
    int64_t re = int_of (part, "re");
    tell_about (about, int_of (part, "principal"), text_of (part, "request"), text_of (part, "secret"), int_of (part, "part"), int_of (part, "parts"));
    if (seal_open (self->parts.seal, about, text_of (part, "sealed"), &body, &err) < 0) {
        err_wrap (&err, "secret %s", text_of (part, "secret"));
        gateway_send_error (self, peer, re, &err);
        buffer_free (&body);
        return;
    }
    json_t *header = json_pack ("{s:I, s:I, s:I}", "re", (json_int_t) re, "part", (json_int_t) int_of (part, "part"), "parts",
                                (json_int_t) int_of (part, "parts"));
    gateway_send_body (self, peer, "secret-part", header, &body);
}

/* -- a hook's ----------------------------------------------------------------------------------------------------- */

static int check_hook_secret (const uint8_t *secret, size_t size, err_t *err)
{
    if (size < HOOK_SECRET_MIN || size > HOOK_SECRET_MAX)
        return err_set (err, ERR_USAGE, "the secret of a hook has %zu bytes: it can have %d to %d", size, HOOK_SECRET_MIN, HOOK_SECRET_MAX);
    for (size_t i = 0; i < size; i++)
        if (secret [i] <= ' ' || secret [i] > '~')
            return err_set (err, ERR_USAGE, "the secret of a hook has other characters than letters, digits and signs of ASCII");
    return 0;
}

/* The engine, its database and the log see it sealed only. */
void gateway_take_hook (gateway_t *self, peer_t *peer, int64_t principal, const msg_t *message)
{
    err_t err = { 0 };
    size_t size;
    const uint8_t *secret = msg_body (message, &size);
    if (check_hook_secret (secret, size, &err) < 0) {
        gateway_send_error (self, peer, msg_int (message, "seq"), &err);
        return;
    }
    AUTO_FREE char *about = mem_printf (HOOK_ABOUT, msg_text (message, "name"));
    AUTO_FREE char *sealed = seal_close (self->parts.seal, about, secret, size);
    AUTO_JSON json_t *event = json_copy ((json_t *) msg_header (message));
    json_object_set_new (event, "sealed", json_string (sealed));
    gateway_give_engine (self, "order-schedule", peer->number, principal, event);
}
