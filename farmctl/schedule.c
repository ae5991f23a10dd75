/* schedule.c - farmctl schedule add|ls|inspect|next|run|pause|resume|rm|hook; and one schedule for the eye. */
#include <czmq.h>

#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/schedule.h"
#include "farmctl/subverb.h"
#include "farmctl/track.h"

enum { NAME_MAX_BYTES = 63, SHOWN_TIMES = 3 };

static const subverb_t verbs [] = {
    { "add", schedule_add }, { "ls", schedule_ls }, { "inspect", schedule_inspect }, { "next", schedule_next }, { "run", schedule_run },
    { "pause", schedule_pause }, { "resume", schedule_resume }, { "rm", schedule_rm }, { "hook", schedule_hook },
};
static const subverbs_t all = { "schedule", verbs, sizeof verbs / sizeof *verbs,
                                "add NAME --cron TIMES [options] CONTEXT, ls, inspect NAME, next NAME, run NAME, pause NAME, resume NAME, rm NAME, hook NAME" };

int verb_schedule (int argc, char **argv, err_t *err)
{
    return subverb_run (&all, argc, argv, err);
}

int schedule_check_name (const char *name, err_t *err)
{
    static const char letters [] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t size = strlen (name);
    if (size > 0 && size <= NAME_MAX_BYTES && strspn (name, letters) == size && !strchr ("._-", *name))
        return 0;
    return err_set (err, ERR_USAGE, "\"%s\" is no name of a schedule: 1 to %d letters, digits, '.', '_' and '-', a letter or digit first", name, NAME_MAX_BYTES);
}

msg_t *schedule_ask (client_t *client, const char *verb, json_t *question, const char *name, err_t *err)
{
    msg_t *answer = client_ask (client, verb, question, "schedule-state", 0, err);
    if (!answer)
        err_wrap (err, "schedule %s", name);
    return answer;
}

/* -- one schedule ------------------------------------------------------------------------------------------------------ */

char *schedule_outcome (const json_t *firing)
{
    const char *outcome = track_text (firing, "outcome"), *state = track_text (firing, "build_state");
    long long build = track_int (firing, "build"), times = track_int (firing, "times");
    if (streq (outcome, "unchanged"))
        return mem_printf ("unchanged since %lld", build);
    if (streq (outcome, "missed"))
        return mem_printf ("missed %lld time%s%s", times, times == 1 ? "" : "s", times > 1000 ? " or more" : "");
    if (streq (outcome, "running") || streq (outcome, "built"))
        return *state ? mem_printf ("build %lld %s", build, state) : mem_printf ("build %lld, which is forgotten", build);
    return mem_strdup (outcome);
}

static void line (const char *name, const char *value)
{
    AUTO_FREE char *clean = output_clean (mem_strdup (value));
    if (*value)
        printf ("%-12s %s\n", name, clean);
}

static void print_list (const char *name, const json_t *texts)
{
    AUTO_BUFFER buffer_t text = { 0 };
    size_t i;
    json_t *item;
    json_array_foreach ((json_t *) texts, i, item)
        buffer_printf (&text, "%s%s", i ? ", " : "", json_string_value (item));
    line (name, text.size ? (const char *) text.data : "");
}

static void print_firing (const json_t *firing, bool is_first)
{
    AUTO_FREE char *outcome = schedule_outcome (firing);
    const char *why = track_text (firing, "text");
    AUTO_FREE char *text = mem_printf ("%s: %s%s%s%s", output_ago (track_int (firing, "scheduled_ms")), outcome,
                                       json_is_true (json_object_get (firing, "by_hand")) ? ", by hand" : "", *why ? "; " : "", why);
    line (is_first ? "times" : "", text);
}

static void print_hook (const json_t *schedule)
{
    const json_t *hook = json_object_get (schedule, "hook");
    const char *branch = track_text (hook, "branch");
    AUTO_FREE char *text = mem_printf ("POST /hooks/%s%s%s", track_text (schedule, "name"), *branch ? ", pushes to " : "", branch);
    line ("hook", json_is_object (hook) ? text : "");
}

/* Who is told, as far as the asker may see them */
static void print_news (const json_t *schedule)
{
    size_t i;
    json_t *item;
    json_array_foreach (json_object_get (schedule, "news"), i, item) {
        AUTO_FREE char *text = mem_printf ("%s to %s", track_text (item, "name"), track_text (item, "address"));
        line (i ? "" : "news", text);
    }
}

static void print_times (const json_t *schedule)
{
    size_t i;
    json_t *item;
    bool fires = json_is_object (json_object_get (schedule, "next"));       /* paused or ended, it does not */
    json_array_foreach (fires ? json_object_get (schedule, "next_times") : NULL, i, item)
        line (i ? "" : "next", track_text (item, "text"));
    json_array_foreach (json_object_get (schedule, "firings"), i, item)
        print_firing (item, i == 0);
}

int schedule_print (const json_t *schedule, err_t *err)
{
    if (output_is_json ())
        return output_json (json_deep_copy (schedule), err);
    const char *reason = track_text (schedule, "reason");
    AUTO_FREE char *state = mem_printf ("%s%s%s", track_text (schedule, "state"), *reason ? ", " : "", reason);
    AUTO_FREE char *when = mem_printf ("%s  (%s)", track_text (schedule, "cron"), track_text (schedule, "zone"));
    line ("schedule", track_text (schedule, "name"));
    line ("state", state);
    line ("user", track_text (schedule, "user"));
    line ("cron", when);
    line ("catch-up", track_text (schedule, "catch_up"));
    line ("overlap", track_text (schedule, "overlap"));
    line ("if changed", json_is_true (json_object_get (schedule, "if_changed")) ? "only" : "");
    print_list ("tags", json_object_get (schedule, "tags"));
    print_list ("platforms", json_object_get (schedule, "platforms"));
    line ("priority", track_text (schedule, "priority"));
    line ("context", track_text (schedule, "context"));
    print_hook (schedule);
    print_news (schedule);
    print_times (schedule);
    return 0;
}

int schedule_report (const json_t *schedule, err_t *err)
{
    const json_t *next = json_object_get (schedule, "next");
    const char *name = track_text (schedule, "name");
    if (json_is_object (next))
        output_note ("schedule %s: due next at %s (%s)", name, track_text (next, "text"), track_text (schedule, "zone"));
    else
        output_note ("schedule %s is %s", name, track_text (schedule, "state"));
    return output_is_json () ? output_json (json_deep_copy (schedule), err) : 0;
}

static json_t *question (const char *name, int64_t count)
{
    return json_pack ("{s:s, s:I}", "name", name, "count", (json_int_t) count);
}

int schedule_inspect (int argc, char **argv, err_t *err)
{
    const option_t none [] = { { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (none, &argc, argv, err) < 0 || options_words (argc, argv, 1, 1, "schedule inspect NAME", err) < 0
        || schedule_check_name (argv [1], err) < 0)
        return -1;
    AUTO (client) client_t *client = client_new (err);
    AUTO (msg) msg_t *answer = client ? schedule_ask (client, "schedule", question (argv [1], SHOWN_TIMES), argv [1], err) : NULL;
    return answer ? schedule_print (json_object_get (msg_header (answer), "schedule"), err) : -1;
}

int schedule_next (int argc, char **argv, err_t *err)
{
    int64_t count = 5;
    const option_t options [] = { { "count", 'n', OPTION_NUMBER, &count }, { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (options, &argc, argv, err) < 0 || options_words (argc, argv, 1, 1, "schedule next NAME [-n N]", err) < 0
        || schedule_check_name (argv [1], err) < 0)
        return -1;
    if (count < 1 || count > 100)
        return err_set (err, ERR_USAGE, "-n is how many times to show, 1 to 100");
    AUTO (client) client_t *client = client_new (err);
    AUTO (msg) msg_t *answer = client ? schedule_ask (client, "schedule", question (argv [1], count), argv [1], err) : NULL;
    if (!answer)
        return -1;
    json_t *times = json_object_get (json_object_get (msg_header (answer), "schedule"), "next_times"), *item;
    size_t i;
    json_array_foreach (times, i, item)
        output_line ("%s", track_text (item, "text"));
    return output_is_json () ? output_json (json_pack ("{s:O}", "times", times), err) : 0;
}
