/* request.c - see request.h. */
#include "farmctl/request.h"

#include <string.h>

#include "common/clock.h"
#include "farmctl/follow.h"
#include "farmctl/output.h"

enum { SUBMIT_TRY_MS = 5000, SUBMIT_REST_MS = 1000, SUBMIT_MS = 60000, RESENDS_MAX = 3 };

void request_make_id (char id [33])
{
    keypair_t random;
    char hex [KEY_HEX_SIZE + 1];
    keypair_make (&random);
    key_to_hex (random.public_key, hex);
    memcpy (id, hex, 32);
    id [32] = 0;
}

static msg_t *ask (const request_t *self, client_t *client, const char *id, err_t *err)
{
    json_t *question = json_pack ("{s:s, s:O}", "request", id, "spec", self->spec);
    if (self->reuse)
        json_object_set_new (question, "reuse", json_integer (self->reuse));
    return client_ask (client, "submit", question, "accepted", SUBMIT_TRY_MS, err);
}

static int send_part (const secret_t *secret, int part, client_t *client, const char *id, err_t *err)
{
    size_t size;
    const uint8_t *data = secret_part (secret, part, &size);
    buffer_t body = { 0 };
    buffer_append (&body, data, size);
    json_t *header = json_pack ("{s:s, s:s, s:i, s:i, s:I}", "request", id, "secret", secret->id, "part", part, "parts", secret_parts (secret),
                                "size", (json_int_t) size);
    AUTO (msg) msg_t *answer = client_ask_with (client, "secret", header, &body, "kept", SUBMIT_TRY_MS, err);
    return answer ? 0 : -1;
}

/* Before the build, under its request. Sent twice they are the same. */
static int send_secrets (const request_t *self, client_t *client, const char *id, err_t *err)
{
    for (size_t i = 0; self->secrets && i < self->secrets->count; i++)
        for (int part = 0; part < secret_parts (&self->secrets->items [i]); part++)
            if (send_part (&self->secrets->items [i], part, client, id, err) < 0)
                return -1;
    return 0;
}

/* A coordinator that is being stopped says so at once, and the next one is not there yet. */
static int rest (client_t *client, int64_t asked_ms, err_t *err)
{
    int64_t left = asked_ms + SUBMIT_REST_MS - clock_boot_ms ();
    return left > 0 ? client_wait (client, (int) left, err) : 0;
}

int request_submit (const request_t *self, client_t *client, int64_t *build, err_t *err)
{
    char id [33];
    request_make_id (id);
    int64_t deadline = clock_boot_ms () + SUBMIT_MS;
    bool has_sent = false;
    for (int resends = 0;;) {
        int64_t asked_ms = clock_boot_ms ();
        has_sent = has_sent || send_secrets (self, client, id, err) == 0;
        AUTO (msg) msg_t *answer = has_sent ? ask (self, client, id, err) : NULL;
        if (answer) {
            *build = msg_int (answer, "build");
            return 0;
        }
        if (err->code == ERR_NOT_FOUND && self->resend && resends++ < RESENDS_MAX) {
            if (self->resend (self->argument, err) < 0)
                return -1;
            has_sent = false;
        } else if (err->code != ERR_NETWORK || clock_boot_ms () >= deadline || rest (client, asked_ms, err) < 0)
            return err->code == ERR_INTERRUPTED ? err_wrap (err, "submit (farmctl ls tells whether it was accepted)") : -1;
    }
}

int request_follow (const after_t *self, client_t *client, int64_t build, err_t *err)
{
    follow_options_t follow = { .cancels_on_interrupt = self->cancels_on_interrupt, .timeout_ms = self->timeout_ms, .agents = self->agents };
    output_note ("build %lld queued", (long long) build);
    if (!self->is_detached)
        return follow_build (client, build, &follow, err);
    output_line ("%lld", (long long) build);
    return output_is_json () ? output_json (json_pack ("{s:I}", "build", (json_int_t) build), err) : 0;
}
