/* cancel.c - farmctl cancel ID. */
#include <czmq.h>

#include "farmctl/client.h"
#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/verbs.h"

int verb_cancel (int argc, char **argv, err_t *err)
{
    int64_t id;
    const option_t none [] = { { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (none, &argc, argv, err) < 0 || options_words (argc, argv, 1, 1, "cancel ID", err) < 0
        || options_build_id (argv [1], &id, err) < 0)
        return -1;
    AUTO (client) client_t *client = client_new (err);
    if (!client)
        return -1;
    AUTO (msg) msg_t *answer = client_ask (client, "cancel", json_pack ("{s:I}", "build", (json_int_t) id), "build", 0, err);
    if (!answer)
        return err_wrap (err, "cancel build %lld", (long long) id);
    output_note ("build %lld is cancelled", (long long) id);
    if (!output_is_json ())
        return 0;
    return output_json (json_deep_copy (json_object_get (msg_header (answer), "build")), err);
}
