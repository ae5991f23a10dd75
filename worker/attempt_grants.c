/* attempt_grants.c - what the door may show a registry for an attempt: asked of the coordinator, for one scope, when a registry wants it;
 * and what a tag means that the coordinator has not looked up. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "worker/attempt.h"

/* What is wrong with us or the coordinator is nothing that the registry has said. */
static int judge (err_t *err)
{
    bool is_final = err->code == ERR_DENIED || err->code == ERR_STALE || err->code == ERR_FULL || err->code == ERR_REGISTRY_DENIED;
    err->code = is_final ? ERR_REGISTRY_DENIED : ERR_REGISTRY;
    return -1;
}

int attempt_grant (void *attempt, const char *host, const char *scope, char **authorization, int64_t *keep_ms, err_t *err)
{
    attempt_t *self = attempt;
    json_t *question = json_pack ("{s:I, s:i, s:s, s:s}", "job", (json_int_t) self->job, "attempt", self->number, "host", host, "scope", scope);
    AUTO (msg) msg_t *answer = aside_ask (self->grants, "want-token", question, "token", err);
    if (!answer) {
        judge (err);
        return err_wrap (err, "the coordinator has nothing to show %s", host);
    }
    const char *found = msg_text (answer, "authorization");
    *authorization = mem_strdup (found);
    *keep_ms = msg_int (answer, "keep_ms");
    sodium_memzero ((char *) found, strlen (found));
    return 0;
}

int attempt_pin (void *attempt, const char *reference, const char *digest, char pinned [OCI_DIGEST_SIZE], err_t *err)
{
    attempt_t *self = attempt;
    json_t *question = json_pack ("{s:I, s:i, s:s, s:s}", "job", (json_int_t) self->job, "attempt", self->number, "reference", reference, "digest", digest);
    AUTO (msg) msg_t *answer = aside_ask (self->grants, "pin", question, "pinned", err);
    if (!answer) {
        judge (err);
        return err_wrap (err, "the coordinator does not say what %s means for this build", reference);
    }
    snprintf (pinned, OCI_DIGEST_SIZE, "%s", msg_text (answer, "digest"));
    return 0;
}
