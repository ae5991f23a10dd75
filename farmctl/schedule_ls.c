/* schedule_ls.c - farmctl schedule ls. */
#include <czmq.h>

#include "farmctl/options.h"
#include "farmctl/output.h"
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
    AUTO (output_table) output_table_t *table = output_table_new (8);
    size_t i;
    json_t *schedule;
    output_table_add (table, heads);
    json_array_foreach (schedules, i, schedule)
        add_row (table, schedule);
    output_table_print (table);
}

/* Page after page, for a message has a limit. *more: there are some behind those. */
static int add_page (client_t *client, json_t *schedules, bool *more, err_t *err)
{
    const json_t *last = json_array_get (schedules, json_array_size (schedules) - 1);
    json_t *question = last ? json_pack ("{s:s}", "after", track_text (last, "name")) : NULL;
    AUTO (msg) msg_t *answer = client_ask (client, "schedules", question, "schedule-list", 0, err);
    if (!answer)
        return err_wrap (err, "list schedules");
    json_t *page = json_object_get (msg_header (answer), "schedules");
    *more = msg_bool (answer, "has_more") && json_array_size (page) > 0;
    return json_array_extend (schedules, page);
}

int schedule_ls (int argc, char **argv, err_t *err)
{
    const option_t none [] = { { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (none, &argc, argv, err) < 0 || options_words (argc, argv, 0, 0, "schedule ls", err) < 0)
        return -1;
    AUTO (client) client_t *client = client_new (err);
    if (!client)
        return -1;
    AUTO_JSON json_t *schedules = json_array ();
    for (bool more = true; more; )
        if (add_page (client, schedules, &more, err) < 0)
            return -1;
    if (output_is_json ())
        return output_json (json_pack ("{s:O}", "schedules", schedules), err);
    print_schedules (schedules);
    return 0;
}
