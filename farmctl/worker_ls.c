/* worker_ls.c - farmctl worker ls. */
#include <czmq.h>

#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/pages.h"
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
    output_table_of (heads, 10, workers, add_row);
}

int worker_ls (int argc, char **argv, err_t *err)
{
    const option_t none [] = { { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (none, &argc, argv, err) < 0 || options_words (argc, argv, 0, 0, "worker ls", err) < 0)
        return -1;
    static const pages_t pages = { "workers", "worker-list", "workers", "name" };
    AUTO (client) client_t *client = client_new (err);
    if (!client)
        return -1;
    AUTO_JSON json_t *workers = pages_read (client, &pages, NULL, err);
    if (!workers)
        return err_wrap (err, "list workers");
    if (output_is_json ())
        return output_json (json_pack ("{s:O}", "workers", workers), err);
    print_workers (workers);
    return 0;
}
