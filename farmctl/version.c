/* version.c - farmctl version: its own, and the coordinator's when that can be reached. */
#include <czmq.h>

#include "farmctl/client.h"
#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/track.h"
#include "farmctl/verbs.h"

enum { PATIENCE_MS = 3000 };

static void print_coordinator (const client_t *client, const json_t *welcome)
{
    printf ("coordinator %s at %s, known there as %s (%s)\n", track_text (welcome, "version"), client_endpoint (client),
            track_text (welcome, "principal"), track_text (welcome, "role"));
}

int verb_version (int argc, char **argv, err_t *err)
{
    const option_t none [] = { { NULL, 0, OPTION_FLAG, NULL } };
    err_t why = { 0 };
    if (options_parse (none, &argc, argv, err) < 0 || options_words (argc, argv, 0, 0, "version", err) < 0)
        return -1;
    AUTO (client) client_t *client = client_new (&why);
    const json_t *welcome = client ? client_greet (client, PATIENCE_MS, &why) : NULL;
    if (output_is_json ())
        return output_json (json_pack ("{s:s, s:s*, s:s*, s:s*}", "version", PACKAGE_VERSION,
                                       "coordinator", welcome ? track_text (welcome, "version") : NULL,
                                       "principal", welcome ? track_text (welcome, "principal") : NULL,
                                       "role", welcome ? track_text (welcome, "role") : NULL), err);
    printf ("farmctl %s\n", PACKAGE_VERSION);
    if (welcome)
        print_coordinator (client, welcome);
    else
        output_note ("%s", why.text);
    return 0;
}
