/* ls.c - farmctl ls: builds, newest first, a page of the coordinator's at a time. */
#include <czmq.h>

#include "farmctl/client.h"
#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/track.h"
#include "farmctl/verbs.h"

enum { PAGE = 50, DEFAULT_LIMIT = 20 };

static char *join_texts (const json_t *array)
{
    AUTO_BUFFER buffer_t text = { 0 };
    size_t i;
    json_t *item;
    json_array_foreach (array, i, item)
        buffer_printf (&text, "%s%s", i ? "," : "", json_string_value (item));
    return mem_strdup (text.size ? (char *) text.data : "");
}

static const char *waiting_of (const json_t *jobs, size_t job)
{
    return track_text (json_array_get (jobs, job), "waiting");
}

/* Why jobs of it wait; what several say, once. */
static char *join_waiting (const json_t *build)
{
    AUTO_BUFFER buffer_t text = { 0 };
    const json_t *jobs = json_object_get (build, "jobs");
    for (size_t i = 0, j; i < json_array_size (jobs); i++) {
        const char *waiting = waiting_of (jobs, i);
        for (j = 0; !streq (waiting_of (jobs, j), waiting); j++);
        if (j == i && *waiting)
            buffer_printf (&text, "%s%s", text.size ? "; " : "", waiting);
    }
    return mem_strdup (text.size ? (char *) text.data : "");
}

static void add_row (output_table_t *table, const json_t *build)
{
    AUTO_FREE char *id = mem_printf ("%lld", (long long) track_int (build, "id"));
    AUTO_FREE char *platforms = join_texts (json_object_get (build, "platforms"));
    AUTO_FREE char *tags = join_texts (json_object_get (build, "tags"));
    AUTO_FREE char *waiting = join_waiting (build);
    int64_t ended_ms = track_int (build, "ended_ms"), created_ms = track_int (build, "created_ms");
    const char *took = ended_ms ? output_duration (ended_ms - created_ms) : "";
    const char *cells [] = { id, track_shown_state (build), platforms, track_text (build, "user"),
                             output_ago (created_ms), took, tags, waiting };
    output_table_add (table, cells);
}

static int read_page (client_t *client, json_t *builds, int64_t limit, err_t *err)
{
    size_t count = json_array_size (builds);
    json_t *header = json_pack ("{s:I}", "limit", (json_int_t) (limit < PAGE ? limit : PAGE));
    if (count)
        json_object_set_new (header, "before", json_integer (track_int (json_array_get (builds, count - 1), "id")));
    AUTO (msg) msg_t *answer = client_ask (client, "list", header, "builds", 0, err);
    if (!answer)
        return err_wrap (err, "list builds");
    return json_array_extend (builds, json_object_get (msg_header (answer), "builds"));
}

/* limit -1: all. The coordinator may answer with fewer than asked for, so only an empty page is the end. */
static int read_builds (client_t *client, json_t *builds, int64_t limit, err_t *err)
{
    for (;;) {
        size_t before = json_array_size (builds);
        int64_t left = limit < 0 ? PAGE : limit - (int64_t) before;
        if (left <= 0)
            return 0;
        if (read_page (client, builds, left, err) < 0)
            return -1;
        if (json_array_size (builds) == before)
            return 0;
    }
}

static void print_builds (const json_t *builds)
{
    static const char *const heads [] = { "BUILD", "STATE", "PLATFORMS", "USER", "CREATED", "TOOK", "TAGS", "WAITING" };
    output_table_of (heads, 8, builds, add_row);
}

int verb_ls (int argc, char **argv, err_t *err)
{
    int64_t limit = DEFAULT_LIMIT;
    bool is_all = false;
    const option_t options [] = {
        { "limit", 'n', OPTION_NUMBER, &limit }, { "all", 'a', OPTION_FLAG, &is_all }, { NULL, 0, OPTION_FLAG, NULL }
    };
    if (options_parse (options, &argc, argv, err) < 0 || options_words (argc, argv, 0, 0, "ls [--limit N] [--all]", err) < 0)
        return -1;
    AUTO (client) client_t *client = client_new (err);
    AUTO_JSON json_t *builds = json_array ();
    if (!client || read_builds (client, builds, is_all ? -1 : limit, err) < 0)
        return -1;
    if (output_is_json ())
        return output_json (json_pack ("{s:O}", "builds", builds), err);
    print_builds (builds);
    return 0;
}
