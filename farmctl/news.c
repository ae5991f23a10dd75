/* news.c - farmctl news add|ls|rm|test|outbox|retry: who is told of what becomes of builds, schedules and workers, and what was sent. */
#include <czmq.h>

#include "farmctl/news.h"
#include "farmctl/output.h"
#include "farmctl/pages.h"
#include "farmctl/schedule.h"
#include "farmctl/subverb.h"
#include "farmctl/track.h"

enum { TEST_MS = 120000, OUTBOX_SHOWN = 50 };

/* -- add -------------------------------------------------------------------------------------------------------------- */

/* "failed,fixed" -> ["failed", "fixed"]; NULL for NULL, and with err for a word that is no event. */
static json_t *read_events (const char *text, err_t *err)
{
    static const char *const names [] = { "failed", "fixed", "succeeded", "missed", "lost", "quarantined", NULL };
    AUTO_JSON json_t *events = json_array ();
    AUTO_FREE char *copy = mem_strdup (text);
    char *rest = copy;
    for (char *word; (word = strsep (&rest, ",")); ) {
        size_t i = 0;
        while (names [i] && !streq (names [i], word))
            i++;
        if (!names [i]) {
            err_set (err, ERR_USAGE, "--on %s: \"%s\" is no event: failed, fixed, succeeded, missed, lost, quarantined", text, word);
            return NULL;
        }
        json_array_append_new (events, json_string (word));
    }
    return take (&events);
}

static int report (const json_t *subscriber, err_t *err)
{
    if (output_is_json ())
        return output_json (json_deep_copy (subscriber), err);
    output_note ("news %s go to %s", track_text (subscriber, "name"), track_text (subscriber, "address"));
    if (!*track_text (subscriber, "secret"))
        return 0;
    output_note ("they are signed with this secret, which is not shown again:");
    output_line ("%s", track_text (subscriber, "secret"));
    return 0;
}

static int add (const news_wish_t *wish, err_t *err)
{
    int failed;
    AUTO (client) client_t *client = client_new (err);
    if (!client)
        return -1;
    AUTO_JSON json_t *subscriber = news_add (client, wish, false, &failed, err);
    return failed ? -1 : report (subscriber, err);
}

static int news_verb_add (int argc, char **argv, err_t *err)
{
    const char *mail = NULL, *hook = NULL, *on = NULL, *schedule = NULL;
    bool is_farm = false, replaces = false;
    const option_t options [] = {
        { "mail", 0, OPTION_TEXT, &mail }, { "hook", 0, OPTION_TEXT, &hook }, { "on", 0, OPTION_TEXT, &on }, { "schedule", 0, OPTION_TEXT, &schedule },
        { "farm", 0, OPTION_FLAG, &is_farm }, { "replace", 0, OPTION_FLAG, &replaces }, { NULL, 0, OPTION_FLAG, NULL }
    };
    if (options_parse (options, &argc, argv, err) < 0 || options_words (argc, argv, 1, 1, "news add NAME --mail ADDRESS|--hook URL", err) < 0
        || schedule_check_name (argv [1], err) < 0 || (schedule && schedule_check_name (schedule, err) < 0))
        return -1;
    if (!mail == !hook)
        return err_set (err, ERR_USAGE, "news %s: say where they go: --mail ADDRESS or --hook URL", argv [1]);
    AUTO_JSON json_t *events = on ? read_events (on, err) : NULL;
    if (on && !events)
        return -1;
    const news_wish_t wish = { .name = argv [1], .kind = mail ? "mail" : "hook", .address = mail ? mail : hook, .schedule = schedule, .events = events,
                               .is_farm = is_farm, .replaces = replaces };
    return add (&wish, err);
}

/* -- ls --------------------------------------------------------------------------------------------------------------- */

static char *join_events (const json_t *events)
{
    AUTO_BUFFER buffer_t text = { 0 };
    size_t i;
    json_t *event;
    json_array_foreach ((json_t *) events, i, event)
        buffer_printf (&text, "%s%s", i ? "," : "", json_string_value (event));
    return mem_strdup (text.size ? (const char *) text.data : "");
}

static void add_subscriber (output_table_t *table, const json_t *subscriber)
{
    const char *schedule = track_text (subscriber, "schedule"), *scope = track_text (subscriber, "scope");
    AUTO_FREE char *of = *schedule ? mem_printf ("schedule %s", schedule) : mem_strdup (streq (scope, "user") ? track_text (subscriber, "user") : scope);
    AUTO_FREE char *events = join_events (json_object_get (subscriber, "events")), *waiting = mem_printf ("%lld", (long long) track_int (subscriber, "waiting"));
    const char *cells [] = { track_text (subscriber, "name"), of, track_text (subscriber, "kind"), track_text (subscriber, "address"), events, waiting,
                             json_is_true (json_object_get (subscriber, "silent")) ? "silent: its user may not see that any more" : "" };
    output_table_add (table, cells);
}

static int news_verb_ls (int argc, char **argv, err_t *err)
{
    static const char *const heads [] = { "NAME", "OF", "BY", "TO", "EVENTS", "WAITING", "" };
    static const pages_t pages = { "news", "news-list", "subscribers", "id" };
    const option_t none [] = { { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (none, &argc, argv, err) < 0 || options_words (argc, argv, 0, 0, "news ls", err) < 0)
        return -1;
    AUTO (client) client_t *client = client_new (err);
    AUTO_JSON json_t *all = client ? pages_read (client, &pages, NULL, err) : NULL;
    if (!all)
        return err_wrap (err, "list news");
    if (output_is_json ())
        return output_json (json_pack ("{s:O}", "subscribers", all), err);
    output_table_of (heads, 7, all, add_subscriber);
    return 0;
}

/* -- rm, test --------------------------------------------------------------------------------------------------------- */

static msg_t *order (int argc, char **argv, const char *what, const char *answer, int timeout_ms, err_t *err)
{
    const option_t none [] = { { NULL, 0, OPTION_FLAG, NULL } };
    AUTO_FREE char *form = mem_printf ("%s NAME", argv [0]);
    if (options_parse (none, &argc, argv, err) < 0 || options_words (argc, argv, 1, 1, form, err) < 0 || schedule_check_name (argv [1], err) < 0)
        return NULL;
    AUTO (client) client_t *client = client_new (err);
    msg_t *said = client ? client_ask (client, "order-news", json_pack ("{s:s, s:s}", "name", argv [1], "order", what), answer, timeout_ms, err) : NULL;
    if (!said)
        err_wrap (err, "news %s", argv [1]);
    return said;
}

static int news_verb_rm (int argc, char **argv, err_t *err)
{
    AUTO (msg) msg_t *answer = order (argc, argv, "remove", "news-state", 0, err);
    if (!answer)
        return -1;
    const json_t *subscriber = json_object_get (msg_header (answer), "subscriber");
    output_note ("news %s are not sent any more", track_text (subscriber, "name"));
    return output_is_json () ? output_json (json_deep_copy (subscriber), err) : 0;
}

/* Tried once, and waited for. */
static int news_verb_test (int argc, char **argv, err_t *err)
{
    AUTO (msg) msg_t *answer = order (argc, argv, "test", "news-tested", TEST_MS, err);
    if (!answer)
        return -1;
    const json_t *said = msg_header (answer);
    if (!msg_bool (answer, "ok"))
        return err_set (err, ERR_NETWORK, "the test did not arrive: %s", track_text (said, "text"));
    output_note ("it has arrived: %s", track_text (said, "text"));
    return output_is_json () ? output_json (json_pack ("{s:b, s:s}", "ok", 1, "text", track_text (said, "text")), err) : 0;
}

/* -- the outbox ------------------------------------------------------------------------------------------------------- */

static void add_news (output_table_t *table, const json_t *news)
{
    AUTO_FREE char *id = mem_printf ("%lld", (long long) track_int (news, "id")), *tries = mem_printf ("%lld", (long long) track_int (news, "tries"));
    AUTO_FREE char *ago = mem_strdup (output_ago (track_int (news, "at_ms")));
    AUTO_FREE char *title = output_clean (mem_strdup (track_text (news, "title"))), *text = output_clean (mem_strdup (track_text (news, "text")));
    const char *cells [] = { id, ago, track_text (news, "name"), track_text (news, "event"), track_text (news, "state"), tries, title, text };
    output_table_add (table, cells);
}

static json_t *read_outbox (client_t *client, int64_t limit, const char *state, err_t *err)
{
    AUTO_JSON json_t *all = json_array ();
    for (bool has_more = true; has_more && (int64_t) json_array_size (all) < limit; ) {
        json_t *question = json_pack ("{s:s*}", "state", state);
        const json_t *last = json_array_get (all, json_array_size (all) - 1);
        if (last)
            json_object_set (question, "after", json_object_get (last, "id"));
        AUTO (msg) msg_t *answer = client_ask (client, "outbox", question, "outbox-page", 0, err);
        if (!answer)
            return NULL;
        json_t *page = json_object_get (msg_header (answer), "news");
        has_more = msg_bool (answer, "has_more") && json_array_size (page) > 0;
        json_array_extend (all, page);
    }
    while ((int64_t) json_array_size (all) > limit)
        json_array_remove (all, json_array_size (all) - 1);
    return take (&all);
}

static int news_verb_outbox (int argc, char **argv, err_t *err)
{
    static const char *const heads [] = { "ID", "SINCE", "NAME", "EVENT", "STATE", "TRIES", "NEWS", "LAST TRY" };
    int64_t limit = OUTBOX_SHOWN;
    const char *state = NULL;
    const option_t options [] = { { "limit", 0, OPTION_NUMBER, &limit }, { "state", 0, OPTION_TEXT, &state }, { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (options, &argc, argv, err) < 0 || options_words (argc, argv, 0, 0, "news outbox [--state STATE] [--limit N]", err) < 0)
        return -1;
    if (state && !streq (state, "waiting") && !streq (state, "sent") && !streq (state, "given-up"))
        return err_set (err, ERR_USAGE, "--state %s: it can be waiting, sent or given-up", state);
    AUTO (client) client_t *client = client_new (err);
    AUTO_JSON json_t *all = client ? read_outbox (client, limit, state, err) : NULL;
    if (!all)
        return err_wrap (err, "list the outbox");
    if (output_is_json ())
        return output_json (json_pack ("{s:O}", "news", all), err);
    output_table_of (heads, 8, all, add_news);
    return 0;
}

static int news_verb_retry (int argc, char **argv, err_t *err)
{
    const option_t none [] = { { NULL, 0, OPTION_FLAG, NULL } };
    int64_t id = 0;
    if (options_parse (none, &argc, argv, err) < 0 || options_words (argc, argv, 1, 1, "news retry ID|all", err) < 0)
        return -1;
    char *end = NULL;
    if (!streq (argv [1], "all") && ((id = strtoll (argv [1], &end, 10)) < 1 || *end))
        return err_set (err, ERR_USAGE, "\"%s\" is no number of news: farmctl news outbox shows them; or all", argv [1]);
    AUTO (client) client_t *client = client_new (err);
    AUTO (msg) msg_t *answer = client ? client_ask (client, "retry-news", id ? json_pack ("{s:I}", "id", (json_int_t) id) : json_object (), "news-retried", 0, err) : NULL;
    if (!answer)
        return err_wrap (err, "news");
    output_note ("%lld that were given up are tried again", (long long) msg_int (answer, "count"));
    return output_is_json () ? output_json (json_pack ("{s:I}", "count", (json_int_t) msg_int (answer, "count")), err) : 0;
}

static const subverb_t verbs [] = {
    { "add", news_verb_add }, { "ls", news_verb_ls }, { "rm", news_verb_rm }, { "test", news_verb_test }, { "outbox", news_verb_outbox }, { "retry", news_verb_retry },
};
static const subverbs_t all_verbs = { "news", verbs, sizeof verbs / sizeof *verbs, "add NAME --mail ADDRESS|--hook URL, ls, rm NAME, test NAME, outbox, retry ID|all" };

int verb_news (int argc, char **argv, err_t *err)
{
    return subverb_run (&all_verbs, argc, argv, err);
}
