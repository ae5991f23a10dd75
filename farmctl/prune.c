/* prune.c - farmctl prune: has the coordinator take away now what its retention does not keep, or says what that would be. */
#include <czmq.h>
#include <time.h>

#include "farmctl/client.h"
#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/verbs.h"

enum { PATIENCE_MS = 600000 };

/* "3 logs (1.2 MB)", behind what stands there; nothing for none. */
static void add_part (buffer_t *text, const msg_t *answer, const char *field, const char *one, const char *many, const char *bytes_field)
{
    int64_t count = msg_int (answer, field);
    if (count == 0)
        return;
    buffer_printf (text, "%s%s %s", text->size ? ", " : "", output_count ((uint64_t) count), count == 1 ? one : many);
    if (bytes_field)
        buffer_printf (text, " (%s)", output_bytes ((uint64_t) msg_int (answer, bytes_field)));
}

static void print_gone (const msg_t *answer, bool is_dry)
{
    AUTO_BUFFER buffer_t text = { 0 };
    add_part (&text, answer, "builds", "build", "builds", NULL);
    add_part (&text, answer, "logs", "log", "logs", "log_bytes");
    add_part (&text, answer, "contexts", "context", "contexts", NULL);
    add_part (&text, answer, "objects", "object", "objects", "bytes");
    if (text.size == 0)
        printf ("nothing %s taken away\n", is_dry ? "would be" : "was");
    else
        printf ("%s: %s\n", is_dry ? "would be taken away" : "taken away", (const char *) text.data);
}

/* Why it is less than one might expect. */
static void print_young (const msg_t *answer)
{
    char when [32] = "";
    int64_t objects = msg_int (answer, "young_objects");
    time_t until = (time_t) (msg_int (answer, "young_until_ms") / 1000);
    struct tm parts;
    if (objects == 0)
        return;
    if (localtime_r (&until, &parts))
        strftime (when, sizeof when, "%Y-%m-%d %H:%M", &parts);
    printf ("%s more that no build needs (%s) stay for now: sent or asked for within depot/grace-ms, or since the coordinator started; prune again"
            " after %s\n", output_count ((uint64_t) objects), output_bytes ((uint64_t) msg_int (answer, "young_bytes")), when);
}

static json_t *as_json (const msg_t *answer)
{
    static const char *const fields [] = { "dry_run", "builds", "logs", "log_bytes", "contexts", "objects", "bytes", "young_objects", "young_bytes",
                                           "young_until_ms" };
    json_t *shown = json_object ();
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        json_object_set (shown, fields [i], json_object_get (msg_header (answer), fields [i]));
    return shown;
}

int verb_prune (int argc, char **argv, err_t *err)
{
    bool is_dry = false;
    const option_t options [] = { { "dry-run", 'n', OPTION_FLAG, &is_dry }, { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (options, &argc, argv, err) < 0 || options_words (argc, argv, 0, 0, "prune [--dry-run]", err) < 0)
        return -1;
    AUTO (client) client_t *client = client_new (err);
    if (!client)
        return -1;
    AUTO (msg) msg_t *answer = client_ask (client, "prune", json_pack ("{s:b}", "dry_run", is_dry), "pruned", PATIENCE_MS, err);
    if (!answer)
        return err_wrap (err, "prune");
    if (output_is_json ())
        return output_json (as_json (answer), err);
    print_gone (answer, is_dry);
    print_young (answer);
    return 0;
}
