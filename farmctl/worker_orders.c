/* worker_orders.c - farmctl worker inspect, drain, pause, resume, label, forget, invite, revoke: look at one worker, or say what becomes
 * of it. */
#include <czmq.h>

#include "common/clock.h"
#include "common/enrol.h"
#include "common/label.h"
#include "farmctl/client.h"
#include "farmctl/interrupt.h"
#include "farmctl/invite.h"
#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/track.h"
#include "farmctl/worker.h"

enum { LOOK_MS = 500 };

/* The worker as the coordinator shows it, to the caller. Takes question. */
static json_t *ask (client_t *client, const char *verb, json_t *question, const char *name, err_t *err)
{
    AUTO (msg) msg_t *answer = client_ask (client, verb, question, "worker-state", 0, err);
    if (answer)
        return json_incref (json_object_get (msg_header (answer), "worker"));
    err_wrap (err, "worker %s", name);
    return NULL;
}

int worker_inspect (int argc, char **argv, err_t *err)
{
    const option_t none [] = { { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (none, &argc, argv, err) < 0 || options_words (argc, argv, 1, 1, "worker inspect NAME", err) < 0)
        return -1;
    AUTO (client) client_t *client = client_new (err);
    AUTO_JSON json_t *worker = client ? ask (client, "worker", json_pack ("{s:s}", "name", argv [1]), argv [1], err) : NULL;
    return worker ? worker_print (worker, err) : -1;
}

/* -- orders ------------------------------------------------------------------------------------------------------------ */

static json_t *order_of (const char *name, const char *mode, const char *comment)
{
    json_t *order = json_pack ("{s:s, s:s}", "name", name, "mode", mode);
    if (comment)
        json_object_set_new (order, "comment", json_string (comment));
    return order;
}

/* Until it works on nothing. */
static int wait_for_end (client_t *client, const char *name, json_t **worker, err_t *err)
{
    while (track_int (*worker, "busy") > 0) {
        if (client_wait (client, LOOK_MS, err) < 0)
            return -1;
        json_decref (*worker);
        *worker = ask (client, "worker", json_pack ("{s:s}", "name", name), name, err);
        if (!*worker)
            return -1;
        if (!streq (track_text (*worker, "state"), "draining"))
            return err_set (err, ERR_CANCELLED, "worker %s is not draining any more: somebody has given another order", name);
    }
    return 0;
}

/* mode: what the verb makes of the worker; done: how that reads, when it was not waited for its end. */
static int order (int argc, char **argv, const char *mode, const char *done, err_t *err)
{
    const char *comment = NULL;
    bool waits = false, is_drain = streq (mode, "draining");
    const option_t options [] = {
        { "comment", 0, OPTION_TEXT, &comment },
        { is_drain ? "wait" : NULL, 0, OPTION_FLAG, &waits },
        { NULL, 0, OPTION_FLAG, NULL }
    };
    AUTO_FREE char *form = mem_printf ("%s NAME [--comment TEXT]%s", argv [0], is_drain ? " [--wait]" : "");
    if (options_parse (options, &argc, argv, err) < 0 || options_words (argc, argv, 1, 1, form, err) < 0)
        return -1;
    if (!comment && streq (mode, "active"))
        comment = "";                       /* what was said of its pause holds no more */
    AUTO (client) client_t *client = client_new (err);
    AUTO_JSON json_t *worker = client ? ask (client, "order", order_of (argv [1], mode, comment), argv [1], err) : NULL;
    if (!worker)
        return -1;
    interrupt_catch ();
    if (waits && wait_for_end (client, argv [1], &worker, err) < 0)
        return -1;
    output_note ("worker %s %s", argv [1], waits ? "is drained" : done);
    return output_is_json () ? output_json (json_incref (worker), err) : 0;
}

int worker_drain (int argc, char **argv, err_t *err)
{
    return order (argc, argv, "draining", "is drained, or will be when what it works on has ended", err);
}

int worker_pause (int argc, char **argv, err_t *err)
{
    return order (argc, argv, "paused", "is paused: it ends what it works on, and gets nothing new until farmctl worker resume", err);
}

int worker_resume (int argc, char **argv, err_t *err)
{
    return order (argc, argv, "active", "takes jobs", err);
}

int worker_forget (int argc, char **argv, err_t *err)
{
    return order (argc, argv, "forgotten", "is forgotten until it connects again", err);
}

/* -- coming and going -------------------------------------------------------------------------------------------------- */

int worker_invite (int argc, char **argv, err_t *err)
{
    int64_t expire_ms = INVITE_EXPIRE_MS;
    const option_t options [] = { { "expire", 0, OPTION_DURATION, &expire_ms }, { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (options, &argc, argv, err) < 0 || options_words (argc, argv, 1, 1, "worker invite NAME [--expire TIME]", err) < 0)
        return -1;
    return enrol_check_name (argv [1], err) < 0 ? -1 : invite ("worker", argv [1], expire_ms, NULL, err);
}

int worker_revoke (int argc, char **argv, err_t *err)
{
    const option_t none [] = { { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (none, &argc, argv, err) < 0 || options_words (argc, argv, 1, 1, "worker revoke NAME", err) < 0)
        return -1;
    return enrol_check_name (argv [1], err) < 0 ? -1 : invite_revoke ("worker", argv [1], err);
}

/* -- labels ------------------------------------------------------------------------------------------------------------ */

/* "K=V", "K", or "K-" to take it away. */
static int add_label (json_t *labels, const char *text, err_t *err)
{
    size_t size = strlen (text);
    if (size < 2 || text [size - 1] != '-' || strchr (text, '='))
        return label_set (labels, text, err);
    AUTO_FREE char *name = mem_strndup (text, size - 1);
    json_object_set_new (labels, name, json_null ());
    return label_check (name, "", err);
}

int worker_label (int argc, char **argv, err_t *err)
{
    const char *comment = NULL;
    const option_t options [] = { { "comment", 0, OPTION_TEXT, &comment }, { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (options, &argc, argv, err) < 0
        || options_words (argc, argv, 2, 1 + LABELS_MAX, "worker label NAME K=V… [--comment TEXT], K- to take one away", err) < 0)
        return -1;
    AUTO_JSON json_t *labels = json_object ();
    for (int i = 2; i < argc; i++)
        if (add_label (labels, argv [i], err) < 0)
            return -1;
    json_t *question = json_pack ("{s:s, s:O}", "name", argv [1], "labels", labels);
    if (comment)
        json_object_set_new (question, "comment", json_string (comment));
    AUTO (client) client_t *client = client_new (err);
    AUTO_JSON json_t *worker = client ? ask (client, "order", json_incref (question), argv [1], err) : NULL;
    json_decref (question);
    return worker ? worker_print (worker, err) : -1;
}
