/* prune.c - farmctl prune: has the coordinator's depot collected now. */
#include <czmq.h>

#include "farmctl/client.h"
#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/verbs.h"

enum { PATIENCE_MS = 600000 };

int verb_prune (int argc, char **argv, err_t *err)
{
    const option_t none [] = { { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (none, &argc, argv, err) < 0 || options_words (argc, argv, 0, 0, "prune", err) < 0)
        return -1;
    AUTO (client) client_t *client = client_new (err);
    if (!client)
        return -1;
    AUTO (msg) msg_t *answer = client_ask (client, "prune", NULL, "pruned", PATIENCE_MS, err);
    if (!answer)
        return err_wrap (err, "prune the depot");
    int64_t objects = msg_int (answer, "objects"), bytes = msg_int (answer, "bytes");
    if (output_is_json ())
        return output_json (json_pack ("{s:I, s:I}", "objects", (json_int_t) objects, "bytes", (json_int_t) bytes), err);
    printf ("%s in %s objects taken away\n", output_bytes ((uint64_t) bytes), output_count ((uint64_t) objects));
    return 0;
}
