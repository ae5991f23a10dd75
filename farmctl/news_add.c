/* news_add.c - see news.h. */
#include <czmq.h>

#include "farmctl/news.h"
#include "farmctl/output.h"
#include "farmctl/request.h"
#include "farmctl/track.h"

enum { NAME_PART = 48 };

json_t *news_add (client_t *client, const news_wish_t *wish, bool asks, int *failed, err_t *err)
{
    char id [33];
    request_make_id (id);
    *failed = -1;
    json_t *question = json_pack ("{s:s, s:s, s:s, s:s, s:s*, s:O*, s:b, s:b, s:b}", "request", id, "name", wish->name, "kind", wish->kind, "address", wish->address,
                                  "schedule", wish->schedule, "events", wish->events, "farm", wish->is_farm, "replace", wish->replaces, "ask", asks);
    if (!question) {
        err_set (err, ERR_USAGE, "the address is not UTF-8");
        return NULL;
    }
    AUTO (msg) msg_t *answer = client_ask (client, "add-news", question, asks ? "fine" : "news-state", 0, err);
    if (!answer) {
        err_wrap (err, "news %s", wish->name);
        return NULL;
    }
    *failed = 0;
    json_t *subscriber = json_deep_copy (json_object_get (msg_header (answer), "subscriber"));
    if (subscriber && json_object_get (msg_header (answer), "secret"))
        json_object_set (subscriber, "secret", json_object_get (msg_header (answer), "secret"));
    return subscriber;
}

static int add_one (client_t *client, const char *schedule, const char *kind, const char *address, size_t at, bool replaces, bool asks, err_t *err)
{
    int failed;
    AUTO_FREE char *number = at > 0 ? mem_printf ("-%zu", at + 1) : mem_strdup ("");
    AUTO_FREE char *name = mem_printf ("%.*s-%s%s", NAME_PART, schedule, kind, number);
    const news_wish_t wish = { .name = name, .kind = kind, .address = address, .schedule = asks ? NULL : schedule, .replaces = replaces };
    AUTO_JSON json_t *subscriber = news_add (client, &wish, asks, &failed, err);
    if (failed)
        return -1;
    if (asks)
        return 0;
    output_note ("news %s: %s %s", name, kind, address);
    if (*track_text (subscriber, "secret"))
        output_note ("its secret, which is not shown again: %s", track_text (subscriber, "secret"));
    return 0;
}

int news_add_of_schedule (client_t *client, const char *schedule, const option_list_t *mails, const option_list_t *hooks, bool replaces, bool asks, err_t *err)
{
    for (size_t i = 0; i < mails->count; i++)
        if (add_one (client, schedule, "mail", mails->items [i], i, replaces, asks, err) < 0)
            return -1;
    for (size_t i = 0; i < hooks->count; i++)
        if (add_one (client, schedule, "hook", hooks->items [i], i, replaces, asks, err) < 0)
            return -1;
    return 0;
}
