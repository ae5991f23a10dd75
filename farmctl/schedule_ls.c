/* schedule_ls.c - farmctl schedule ls. */
#include <czmq.h>

#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/pages.h"
#include "farmctl/schedule.h"
#include "farmctl/track.h"

static void add_row (output_table_t *table, const json_t *schedule)
{
    const json_t *last = json_object_get (schedule, "last");
    const char *next = track_text (json_object_get (schedule, "next"), "text");
    AUTO_FREE char *outcome = schedule_outcome (last);
    AUTO_FREE char *ago = json_is_object (last) ? mem_strdup (output_ago (track_int (last, "scheduled_ms"))) : NULL;
    const char *cells [] = { track_text (schedule, "name"), track_text (schedule, "state"), track_text (schedule, "user"), track_text (schedule, "cron"),
                             track_text (schedule, "zone"), *next ? next : track_text (schedule, "reason"), ago, outcome };
    output_table_add (table, cells);
}

static void print_schedules (const json_t *schedules)
{
    static const char *const heads [] = { "SCHEDULE", "STATE", "USER", "CRON", "ZONE", "NEXT", "LAST", "OUTCOME" };
    output_table_of (heads, 8, schedules, add_row);
}

int schedule_ls (int argc, char **argv, err_t *err)
{
    const option_t none [] = { { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (none, &argc, argv, err) < 0 || options_words (argc, argv, 0, 0, "schedule ls", err) < 0)
        return -1;
    static const pages_t pages = { "schedules", "schedule-list", "schedules", "name" };
    AUTO (client) client_t *client = client_new (err);
    if (!client)
        return -1;
    AUTO_JSON json_t *schedules = pages_read (client, &pages, NULL, err);
    if (!schedules)
        return err_wrap (err, "list schedules");
    if (output_is_json ())
        return output_json (json_pack ("{s:O}", "schedules", schedules), err);
    print_schedules (schedules);
    return 0;
}
