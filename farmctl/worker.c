/* worker.c - farmctl worker ls. */
#include <czmq.h>

#include "farmctl/client.h"
#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/track.h"
#include "farmctl/verbs.h"

static char *platforms_of (const json_t *worker)
{
    AUTO_BUFFER buffer_t text = { 0 };
    size_t i;
    json_t *platform;
    json_array_foreach (json_object_get (worker, "platforms"), i, platform)
        buffer_printf (&text, "%s%s%s", i ? ", " : "", track_text (platform, "platform"),
                       json_is_true (json_object_get (platform, "emulated")) ? " (emulated)" : "");
    return mem_strdup (text.size ? (char *) text.data : "");
}

static void add_row (output_table_t *table, const json_t *worker)
{
    AUTO_FREE char *platforms = platforms_of (worker);
    AUTO_FREE char *busy = mem_printf ("%lld/%lld", (long long) track_int (worker, "busy"),
                                       (long long) track_int (worker, "slots"));
    AUTO_FREE char *cpus = mem_printf ("%lld", (long long) track_int (worker, "cpus"));
    const char *cells [] = { track_text (worker, "name"), track_text (worker, "state"), platforms, busy, cpus,
                             output_bytes ((uint64_t) track_int (worker, "memory_bytes")), track_text (worker, "builder"),
                             track_text (worker, "isolation"), output_ago (track_int (worker, "seen_ms")) };
    output_table_add (table, cells);
}

static void print_workers (const json_t *workers)
{
    static const char *const heads [] = { "WORKER", "STATE", "PLATFORMS", "BUSY", "CPUS", "MEMORY", "BUILDER", "ISOLATION",
                                          "SEEN" };
    AUTO (output_table) output_table_t *table = output_table_new (9);
    size_t i;
    json_t *worker;
    output_table_add (table, heads);
    json_array_foreach (workers, i, worker)
        add_row (table, worker);
    output_table_print (table);
}

int verb_worker (int argc, char **argv, err_t *err)
{
    const option_t none [] = { { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (none, &argc, argv, err) < 0 || options_words (argc, argv, 1, 1, "worker ls", err) < 0)
        return -1;
    if (!streq (argv [1], "ls"))
        return err_set (err, ERR_USAGE, "worker has no verb \"%s\": farmctl worker ls", argv [1]);
    AUTO (client) client_t *client = client_new (err);
    if (!client)
        return -1;
    AUTO (msg) msg_t *answer = client_ask (client, "workers", NULL, "worker-list", 0, err);
    if (!answer)
        return err_wrap (err, "list workers");
    json_t *workers = json_object_get (msg_header (answer), "workers");
    if (output_is_json ())
        return output_json (json_pack ("{s:O}", "workers", workers), err);
    print_workers (workers);
    return 0;
}
