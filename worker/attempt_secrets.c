/* attempt_secrets.c - what the build was given in confidence: asked of the coordinator, kept in locked memory until its builder has ended. */
#include <sodium.h>
#include <string.h>

#include "common/file.h"
#include "worker/aside.h"
#include "worker/attempt.h"

static msg_t *ask_part (attempt_t *self, aside_t *aside, const char *id, int part, err_t *err)
{
    json_t *question = json_pack ("{s:I, s:i, s:s, s:i}", "job", (json_int_t) self->job, "attempt", self->number, "secret", id, "part", part);
    return aside_ask (aside, "want-secret", question, "secret-part", err);
}

static int ask_one (attempt_t *self, aside_t *aside, const char *id, err_t *err)
{
    size_t sizes [SECRET_PARTS_MAX] = { 0 };
    AUTO (msg) msg_t *first = ask_part (self, aside, id, 0, err);
    if (!first)
        return -1;
    AUTO (msg) msg_t *second = msg_int (first, "parts") > 1 ? ask_part (self, aside, id, 1, err) : NULL;
    if (msg_int (first, "parts") > 1 && !second)
        return -1;
    const uint8_t *one = msg_body (first, &sizes [0]), *other = second ? msg_body (second, &sizes [1]) : NULL;
    secret_t *secret = secrets_add (&self->secrets, id, sizes [0] + sizes [1], err);
    if (!secret)
        return -1;
    if (sizes [0])
        memcpy (secret->data, one, sizes [0]);
    if (sizes [1])
        memcpy (secret->data + sizes [0], other, sizes [1]);
    return 0;
}

static int ask_all (attempt_t *self, const json_t *ids, err_t *err)
{
    size_t i;
    json_t *id;
    AUTO (aside) aside_t *aside = attempt_aside (self, self->is_stopped);
    json_array_foreach ((json_t *) ids, i, id)
        if (ask_one (self, aside, json_string_value (id), err) < 0)
            return -1;
    return 0;
}

int attempt_make_vault (attempt_t *self, err_t *err)
{
    if (self->vault)
        return 0;
    if (!self->parts->vault)
        return err_set (err, ERR_FARM, "this worker has no folder in memory (tmpfs) for secrets: see its log");
    self->task.vault = self->vault = mem_printf ("%s/%lld-%d", self->parts->vault, (long long) self->job, self->number);
    return file_make_folders (self->vault, 0700, err);
}

/* Whatever it is, it is not the user's fault. */
int attempt_ask_secrets (attempt_t *self, err_t *err)
{
    const json_t *ids = json_object_get (self->task.spec, "secrets");
    if (json_array_size (ids) == 0)
        return 0;
    if (attempt_make_vault (self, err) == 0 && ask_all (self, ids, err) == 0) {
        self->task.secrets = &self->secrets;
        joblog_say (self->log, "%zu secret%s for this build", self->secrets.count, self->secrets.count == 1 ? "" : "s");
        return 0;
    }
    if (err->code != ERR_CANCELLED && err->code != ERR_TIMEOUT && !err_is_farm_fault (err->code))
        err->code = ERR_FARM;
    return err_wrap (err, "the build's secrets");
}
