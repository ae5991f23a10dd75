/* submissions.c - see submissions.h. */
#include "coordinator/submissions.h"

#include "common/mem.h"

struct submissions {
    zhashx_t *waiting;          /* token -> submission_t */
    uint64_t last_token;
};

static void submission_free (void **item)
{
    json_decref (((submission_t *) *item)->header);
    free (*item);
    *item = NULL;
}

submissions_t *submissions_new (void)
{
    submissions_t *self = mem_alloc (sizeof *self);
    self->waiting = zhashx_new ();
    zhashx_set_destructor (self->waiting, submission_free);
    return self;
}

void submissions_destroy (submissions_t **self_p)
{
    if (!*self_p)
        return;
    zhashx_destroy (&(*self_p)->waiting);
    free (*self_p);
    *self_p = NULL;
}

void submissions_add (submissions_t *self, zsock_t *depot, uint64_t peer, const principal_t *principal, const char *verb, const json_t *header)
{
    const json_t *spec = json_object_get (header, "spec");
    const char *context = json_string_value (json_object_get (spec, "context"));
    const char *dockerfile = json_string_value (json_object_get (json_object_get (spec, "dockerfile"), "digest"));
    char token [24], owner [24];
    snprintf (token, sizeof token, "%llu", (unsigned long long) ++self->last_token);
    submission_t *submission = mem_alloc (sizeof *submission);
    submission->peer = peer;
    submission->principal = principal->id;
    snprintf (submission->verb, sizeof submission->verb, "%s", verb);
    submission->header = json_incref ((json_t *) header);
    zhashx_insert (self->waiting, token, submission);
    snprintf (owner, sizeof owner, "%lld", streq (principal->role, "admin") ? 0LL : (long long) principal->id);
    zstr_sendx (depot, "HAS", token, owner, context, dockerfile, NULL);
}

bool submissions_take (submissions_t *self, const char *token, submission_t *out)
{
    submission_t *found = zhashx_lookup (self->waiting, token);
    if (!found)
        return false;
    *out = *found;
    found->header = NULL;
    zhashx_delete (self->waiting, token);
    return true;
}
