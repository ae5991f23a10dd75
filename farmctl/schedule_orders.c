/* schedule_orders.c - farmctl schedule run, pause, resume, rm: say what becomes of one. */
#include <czmq.h>

#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/request.h"
#include "farmctl/schedule.h"
#include "farmctl/track.h"

/* The answer, NULL on error. */
static msg_t *give (int argc, char **argv, const char *order, err_t *err)
{
    const option_t none [] = { { NULL, 0, OPTION_FLAG, NULL } };
    AUTO_FREE char *form = mem_printf ("%s NAME", argv [0]);
    if (options_parse (none, &argc, argv, err) < 0 || options_words (argc, argv, 1, 1, form, err) < 0 || schedule_check_name (argv [1], err) < 0)
        return NULL;
    json_t *question = json_pack ("{s:s, s:s}", "name", argv [1], "order", order);
    if (streq (order, "run")) {
        char id [33];
        request_make_id (id);
        json_object_set_new (question, "request", json_string (id));
    }
    AUTO (client) client_t *client = client_new (err);
    if (client)
        return schedule_ask (client, "order-schedule", question, argv [1], err);
    json_decref (question);
    return NULL;
}

static int change (int argc, char **argv, const char *order, err_t *err)
{
    AUTO (msg) msg_t *answer = give (argc, argv, order, err);
    return answer ? schedule_report (json_object_get (msg_header (answer), "schedule"), err) : -1;
}

int schedule_pause (int argc, char **argv, err_t *err)
{
    return change (argc, argv, "pause", err);
}

int schedule_resume (int argc, char **argv, err_t *err)
{
    return change (argc, argv, "resume", err);
}

int schedule_rm (int argc, char **argv, err_t *err)
{
    AUTO (msg) msg_t *answer = give (argc, argv, "remove", err);
    if (!answer)
        return -1;
    const json_t *schedule = json_object_get (msg_header (answer), "schedule");
    output_note ("schedule %s is removed", track_text (schedule, "name"));
    return output_is_json () ? output_json (json_deep_copy (schedule), err) : 0;
}

/* That it was not accepted is an error, as with submit. */
static int check_firing (const json_t *schedule, err_t *err)
{
    const json_t *last = json_object_get (schedule, "last");
    if (!streq (track_text (last, "outcome"), "refused"))
        return 0;
    return err_set (err, ERR_USAGE, "schedule %s: no build: %s", track_text (schedule, "name"), track_text (last, "text"));
}

int schedule_run (int argc, char **argv, err_t *err)
{
    AUTO (msg) msg_t *answer = give (argc, argv, "run", err);
    if (!answer)
        return -1;
    const json_t *schedule = json_object_get (msg_header (answer), "schedule");
    long long build = msg_int (answer, "build");
    if (!build && check_firing (schedule, err) < 0)
        return -1;
    bool is_looking = streq (track_text (json_object_get (schedule, "last"), "outcome"), "looking");
    if (!build)
        output_note ("schedule %s: it waits until %s", track_text (schedule, "name"), is_looking ? "its context is fetched: farmctl schedule inspect shows its build then"
                     : "an earlier build has ended");
    else {
        output_note ("build %lld queued; farmctl wait %lld follows it", build, build);
        output_line ("%lld", build);
    }
    return output_is_json () ? output_json (build ? json_pack ("{s:O, s:I}", "schedule", schedule, "build", (json_int_t) build)
                                                  : json_pack ("{s:O}", "schedule", schedule), err) : 0;
}
