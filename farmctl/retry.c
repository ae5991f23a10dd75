/* retry.c - farmctl retry ID: a new build from the same context and options as an earlier one. */
#include <czmq.h>

#include "farmctl/interrupt.h"
#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/request.h"
#include "farmctl/secret_options.h"
#include "farmctl/verbs.h"

/* What it was submitted with, to the caller. */
static json_t *read_spec (client_t *client, int64_t id, err_t *err)
{
    AUTO (msg) msg_t *answer = client_ask (client, "spec", json_pack ("{s:I}", "build", (json_int_t) id), "build-spec", 0, err);
    return answer ? json_incref (json_object_get (msg_header (answer), "spec")) : NULL;
}

typedef struct { int64_t id; json_t *spec; } again_t;

/* Nobody here has the files; but a commit can be fetched again. */
static int is_gone (void *argument, err_t *err)
{
    again_t *self = argument;
    json_t *source = json_object_get (self->spec, "source"), *commit = json_object_get (source, "commit");
    if (!source || !json_object_get (self->spec, "context"))
        return err_set (err, ERR_NOT_FOUND, "the coordinator does not keep the context of build %lld any more: submit the folder again", (long long) self->id);
    if (commit)
        json_object_set (source, "ref", commit);
    json_object_del (self->spec, "context");
    json_object_del (json_object_get (self->spec, "dockerfile"), "digest");
    json_object_del (json_object_get (self->spec, "dockerfile"), "size");
    output_note ("the coordinator does not keep the context of build %lld any more, and fetches it again", (long long) self->id);
    return 0;
}

/* They were gone when the build had ended. */
static int check_secrets (const json_t *spec, const secrets_t *secrets, int64_t id, err_t *err)
{
    size_t i;
    json_t *name;
    json_array_foreach (json_object_get (spec, "secrets"), i, name)
        if (!secrets_find (secrets, json_string_value (name)))
            return err_set (err, ERR_USAGE, "build %lld had a secret %s, which is not kept: give it again, with --secret id=%s,src=FILE",
                            (long long) id, json_string_value (name), json_string_value (name));
    return secrets->count == i ? 0 : err_set (err, ERR_USAGE, "--secret: build %lld had %zu secrets, and gets as many", (long long) id, i);
}

/* Its agent is asked while farmctl is there. */
static int check_agents (const json_t *spec, const after_t *after, int64_t id, err_t *err)
{
    AUTO_JSON json_t *offered = after->agents ? agent_offer_ids (after->agents) : json_array ();
    json_t *wanted = json_object_get (spec, "ssh");
    if (json_array_size (wanted) != json_array_size (offered) || (wanted && !json_equal (wanted, offered)))
        return err_set (err, ERR_USAGE, "build %lld %s: give retry the same --ssh", (long long) id, wanted ? "asked an ssh agent" : "asked no ssh agent");
    return after->agents && after->is_detached ? err_set (err, ERR_USAGE, "--ssh: farmctl has to stay: leave out --detach") : 0;
}

static int retry (client_t *client, int64_t id, bool is_failed_only, const secrets_t *secrets, const after_t *after, err_t *err)
{
    int64_t build;
    AUTO_JSON json_t *spec = read_spec (client, id, err);
    if (!spec || check_secrets (spec, secrets, id, err) < 0 || check_agents (spec, after, id, err) < 0)
        return -1;
    if (!is_failed_only)                    /* the whole of it: what is known of it already is no answer */
        json_object_set_new (spec, "no_result_cache", json_true ());
    again_t again = { id, spec };
    request_t request = { .spec = spec, .secrets = secrets, .reuse = is_failed_only ? id : 0, .resend = is_gone, .argument = &again };
    interrupt_catch ();
    return request_submit (&request, client, &build, err) < 0 ? -1 : request_follow (after, client, build, err);
}

int verb_retry (int argc, char **argv, err_t *err)
{
    int64_t id;
    bool is_failed_only = false;
    after_t after = { .timeout_ms = 0 };
    AUTO_OPTION_LIST option_list_t given = { 0 };
    AUTO_OPTION_LIST option_list_t ssh = { 0 };
    AUTO (agent_offer) agent_offer_t *agents = NULL;
    AUTO_SECRETS secrets_t secrets = { .count = 0 };
    const option_t options [] = {
        { "failed-only", 0, OPTION_FLAG, &is_failed_only },
        { "secret", 0, OPTION_LIST, &given }, { "ssh", 0, OPTION_LIST, &ssh },
        { "quiet", 'q', OPTION_FLAG, &after.is_quiet },
        { "detach", 0, OPTION_FLAG, &after.is_detached },
        { "cancel-on-interrupt", 0, OPTION_FLAG, &after.cancels_on_interrupt },
        { "follow-timeout", 0, OPTION_DURATION, &after.timeout_ms },
        { NULL, 0, OPTION_FLAG, NULL }
    };
    if (options_parse (options, &argc, argv, err) < 0 || options_words (argc, argv, 1, 1, "retry ID [--failed-only]", err) < 0
        || options_build_id (argv [1], &id, err) < 0 || secret_options_read (&given, &secrets, err) < 0
        || agent_offer_read (&agents, &ssh, err) < 0)
        return -1;
    after.agents = agents;
    output_set_quiet (after.is_quiet);
    AUTO (client) client_t *client = client_new (err);
    if (!client)
        return -1;
    return retry (client, id, is_failed_only, &secrets, &after, err) < 0 ? err_wrap (err, "retry build %lld", (long long) id) : 0;
}
