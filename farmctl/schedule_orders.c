/* schedule_orders.c - farmctl schedule run, pause, resume, rm: say what becomes of one. */
#include <czmq.h>

#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/request.h"
#include "farmctl/schedule.h"
#include "farmctl/track.h"

enum { LOOK_MS = 300 };       /* between two looks at what becomes of a run */

/* The answer, NULL on error; *client stays for more questions. */
static msg_t *give (client_t **client, int argc, char **argv, const char *order, err_t *err)
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
    *client = client_new (err);
    if (*client)
        return schedule_ask (*client, "order-schedule", question, argv [1], err);
    json_decref (question);
    return NULL;
}

static int change (int argc, char **argv, const char *order, err_t *err)
{
    AUTO (client) client_t *client = NULL;
    AUTO (msg) msg_t *answer = give (&client, argc, argv, order, err);
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
    AUTO (client) client_t *client = NULL;
    AUTO (msg) msg_t *answer = give (&client, argc, argv, "remove", err);
    if (!answer)
        return -1;
    const json_t *schedule = json_object_get (msg_header (answer), "schedule");
    output_note ("schedule %s is removed", track_text (schedule, "name"));
    return output_is_json () ? output_json (json_deep_copy (schedule), err) : 0;
}

/* -- run --------------------------------------------------------------------------------------------------------------- */

/* What has become of the firing of that time */
static const json_t *firing_at (const json_t *schedule, int64_t fired_ms)
{
    size_t i;
    json_t *firing;
    json_array_foreach (json_object_get (schedule, "firings"), i, firing)
        if (track_int (firing, "fired_ms") == fired_ms)
            return firing;
    return json_object_get (schedule, "last");
}

/* A tag with {commit} has to know it before there is a build: it is asked of the repository's host. */
static const json_t *see_it_through (client_t *client, msg_t **answer, err_t *err)
{
    const json_t *schedule = json_object_get (msg_header (*answer), "schedule"), *firing = json_object_get (schedule, "last");
    int64_t fired_ms = track_int (firing, "fired_ms");
    bool has_said = false;
    while (streq (track_text (firing, "outcome"), "looking")) {
        if (!has_said)
            output_note ("schedule %s: its commit is being looked up; what comes of it goes on without you", track_text (schedule, "name"));
        has_said = true;
        const char *name = track_text (schedule, "name");
        msg_t *next = client_wait (client, LOOK_MS, err) < 0 ? NULL : schedule_ask (client, "schedule", json_pack ("{s:s}", "name", name), name, err);
        if (!next)
            return NULL;
        msg_destroy (answer);
        *answer = next;
        schedule = json_object_get (msg_header (next), "schedule");
        firing = firing_at (schedule, fired_ms);
    }
    return firing;
}

/* That it was not accepted is an error, as with submit. */
static int check_firing (const json_t *schedule, const json_t *firing, err_t *err)
{
    if (!streq (track_text (firing, "outcome"), "refused"))
        return 0;
    return err_set (err, ERR_USAGE, "schedule %s: no build: %s", track_text (schedule, "name"), track_text (firing, "text"));
}

int schedule_run (int argc, char **argv, err_t *err)
{
    AUTO (client) client_t *client = NULL;
    AUTO (msg) msg_t *answer = give (&client, argc, argv, "run", err);
    const json_t *firing = answer ? see_it_through (client, &answer, err) : NULL;
    if (!firing)
        return -1;
    const json_t *schedule = json_object_get (msg_header (answer), "schedule");
    long long build = track_int (firing, "build");
    if (!build && check_firing (schedule, firing, err) < 0)
        return -1;
    if (!build)
        output_note ("schedule %s: it waits until an earlier build has ended", track_text (schedule, "name"));
    else {
        output_note ("build %lld queued; farmctl wait %lld follows it", build, build);
        output_line ("%lld", build);
    }
    return output_is_json () ? output_json (build ? json_pack ("{s:O, s:I}", "schedule", schedule, "build", (json_int_t) build)
                                                  : json_pack ("{s:O}", "schedule", schedule), err) : 0;
}
