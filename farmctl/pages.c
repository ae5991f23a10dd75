/* pages.c - see pages.h. */
#include "farmctl/pages.h"

static json_t *question_behind (const json_t *question, const json_t *last, const char *key)
{
    json_t *header = question ? json_copy ((json_t *) question) : json_object ();
    if (last)
        json_object_set (header, "after", json_object_get (last, key));
    return header;
}

json_t *pages_read (client_t *client, const pages_t *how, const json_t *question, err_t *err)
{
    AUTO_JSON json_t *all = json_array ();
    for (bool has_more = true; has_more; ) {
        const json_t *last = json_array_get (all, json_array_size (all) - 1);
        AUTO (msg) msg_t *answer = client_ask (client, how->verb, question_behind (question, last, how->key), how->answer, 0, err);
        if (!answer)
            return NULL;
        json_t *page = json_object_get (msg_header (answer), how->list);
        has_more = msg_bool (answer, "has_more") && json_array_size (page) > 0;
        json_array_extend (all, page);
    }
    return take (&all);
}
