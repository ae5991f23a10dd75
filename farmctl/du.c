/* du.c - farmctl du: the counters of the coordinator's depot. */
#include <czmq.h>

#include "farmctl/client.h"
#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/verbs.h"

static void print_counters (const msg_t *answer)
{
    printf ("%-22s %s in %s objects\n", "stored", output_bytes ((uint64_t) msg_int (answer, "bytes")),
            output_count ((uint64_t) msg_int (answer, "objects")));
    printf ("%-22s %s\n", "logs", output_bytes ((uint64_t) msg_int (answer, "log_bytes")));
    printf ("%-22s %s in %s objects\n", "received since start", output_bytes ((uint64_t) msg_int (answer, "received_bytes")),
            output_count ((uint64_t) msg_int (answer, "received_objects")));
    printf ("%-22s %s objects\n", "not sent, were there", output_count ((uint64_t) msg_int (answer, "known_objects")));
    if (msg_int (answer, "damaged_objects") > 0)
        printf ("%-22s %s objects since start: check the coordinator's disk; its log names them\n", "damaged, taken out",
                output_count ((uint64_t) msg_int (answer, "damaged_objects")));
}

int verb_du (int argc, char **argv, err_t *err)
{
    const option_t none [] = { { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (none, &argc, argv, err) < 0 || options_words (argc, argv, 0, 0, "du", err) < 0)
        return -1;
    AUTO (client) client_t *client = client_new (err);
    if (!client)
        return -1;
    AUTO (msg) msg_t *answer = client_ask_objects (client, "stats", NULL, NULL, 0, "depot", 0, err);
    if (!answer)
        return err_wrap (err, "ask for the depot's counters");
    if (!output_is_json ()) {
        print_counters (answer);
        return 0;
    }
    json_t *counters = json_deep_copy (msg_header (answer));
    json_object_del (counters, "re");
    return output_json (counters, err);
}
