/* worker_ls.c - farmctl worker ls. */
#include <czmq.h>

#include "farmctl/client.h"
#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/track.h"
#include "farmctl/worker.h"

static void add_row (output_table_t *table, const json_t *worker)
{
    AUTO_FREE char *platforms = worker_platforms (worker), *state = worker_state (worker);
    AUTO_FREE char *busy = mem_printf ("%lld/%lld", (long long) track_int (worker, "busy"),
                                       (long long) track_int (worker, "slots"));
    AUTO_FREE char *cpus = mem_printf ("%lld", (long long) track_int (worker, "cpus"));
    const char *cells [] = { track_text (worker, "name"), state, platforms, busy, cpus,
                             output_bytes ((uint64_t) track_int (worker, "memory_bytes")), track_text (worker, "builder"),
                             track_text (worker, "isolation"), output_ago (track_int (worker, "seen_ms")), track_text (worker, "comment") };
    output_table_add (table, cells);
}

static void print_workers (const json_t *workers)
{
    static const char *const heads [] = { "WORKER", "STATE", "PLATFORMS", "BUSY", "CPUS", "MEMORY", "BUILDER", "ISOLATION",
                                          "SEEN", "COMMENT" };
    AUTO (output_table) output_table_t *table = output_table_new (10);
    size_t i;
    json_t *worker;
    output_table_add (table, heads);
    json_array_foreach (workers, i, worker)
        add_row (table, worker);
    output_table_print (table);
}

/* Page after page, for a message has a limit. *more: there are some behind those. */
static int add_page (client_t *client, json_t *workers, bool *more, err_t *err)
{
    const json_t *last = json_array_get (workers, json_array_size (workers) - 1);
    json_t *question = last ? json_pack ("{s:s}", "after", track_text (last, "name")) : NULL;
    AUTO (msg) msg_t *answer = client_ask (client, "workers", question, "worker-list", 0, err);
    if (!answer)
        return err_wrap (err, "list workers");
    json_t *page = json_object_get (msg_header (answer), "workers");
    *more = msg_bool (answer, "has_more") && json_array_size (page) > 0;
    return json_array_extend (workers, page);
}

int worker_ls (int argc, char **argv, err_t *err)
{
    const option_t none [] = { { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (none, &argc, argv, err) < 0 || options_words (argc, argv, 0, 0, "worker ls", err) < 0)
        return -1;
    AUTO (client) client_t *client = client_new (err);
    if (!client)
        return -1;
    AUTO_JSON json_t *workers = json_array ();
    for (bool more = true; more; )
        if (add_page (client, workers, &more, err) < 0)
            return -1;
    if (output_is_json ())
        return output_json (json_pack ("{s:O}", "workers", workers), err);
    print_workers (workers);
    return 0;
}
