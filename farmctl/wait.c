/* wait.c - farmctl wait ID: follows a build as submit does, and ends with the same exit code. */
#include <czmq.h>

#include "farmctl/follow.h"
#include "farmctl/interrupt.h"
#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/verbs.h"

int verb_wait (int argc, char **argv, err_t *err)
{
    int64_t id;
    bool is_quiet = false;
    follow_options_t follow = { .timeout_ms = 0 };
    AUTO_OPTION_LIST option_list_t given = { 0 };
    AUTO (agent_offer) agent_offer_t *agents = NULL;
    const option_t options [] = {
        { "quiet", 'q', OPTION_FLAG, &is_quiet },
        { "cancel-on-interrupt", 0, OPTION_FLAG, &follow.cancels_on_interrupt },
        { "ssh", 0, OPTION_LIST, &given },
        { "timeout", 0, OPTION_DURATION, &follow.timeout_ms },
        { NULL, 0, OPTION_FLAG, NULL }
    };
    if (options_parse (options, &argc, argv, err) < 0 || options_words (argc, argv, 1, 1, "wait ID", err) < 0
        || options_build_id (argv [1], &id, err) < 0 || agent_offer_read (&agents, &given, err) < 0)
        return -1;
    follow.agents = agents;
    output_set_quiet (is_quiet);
    AUTO (client) client_t *client = client_new (err);
    if (!client)
        return -1;
    interrupt_catch ();
    return follow_build (client, id, &follow, err);
}
