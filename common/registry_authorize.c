/* registry_authorize.c - what a registry wants to be shown for a scope, found out for somebody who has no credential. */
#include <string.h>

#include "common/registry_call.h"

/* The registry is asked with what is known already, and its challenge met where that does not do. */
static int greet (registry_t *self, const char *host, const char *scope, err_t *err)
{
    AUTO_FREE http_answer_t *answer = mem_alloc (sizeof *answer);
    AUTO_BUFFER buffer_t body = { 0 };
    call_t call = { .method = "GET", .host = host, .url = "/v2/", .scope = scope };
    if (call_whole (self, &call, ERROR_BODY_MAX, answer, &body, err) < 0)
        return -1;
    return answer->status == 200 ? 0 : call_failed (&call, answer, &body, err);
}

static bool is_password (const char *authorization)
{
    return strncmp (authorization, "Bearer ", 7) != 0;
}

int registry_authorize (registry_t *self, const char *host, const char *scope, bool may_be_password, char **authorization, int64_t *keep_ms,
                        err_t *err)
{
    tokens_forget_due (self->tokens, host, scope);      /* its time must not end while it is on its way */
    if (greet (self, host, scope, err) < 0)
        return err_wrap (err, "registry %s", host);
    const char *known = tokens_known (self->tokens, host, scope);
    *keep_ms = tokens_left_ms (self->tokens, host, scope);
    if (known && is_password (known) && !may_be_password)
        return err_set (err, ERR_REGISTRY_DENIED, "registry %s knows passwords only, no tokens: what it has is not given to workers that do not push there", host);
    *authorization = mem_strdup (known ? known : "");
    return 0;
}
