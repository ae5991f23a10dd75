/* user.c - farmctl user add|ls|rm|role|limit: who may use the farm, for what, and how much. */
#include <czmq.h>

#include "common/enrol.h"
#include "farmctl/client.h"
#include "farmctl/invite.h"
#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/pages.h"
#include "farmctl/subverb.h"
#include "farmctl/track.h"
#include "farmctl/verbs.h"

static const char *const roles [] = { "admin", "submitter", "viewer", NULL };

static int check_role (const char *role, err_t *err)
{
    for (size_t i = 0; roles [i]; i++)
        if (streq (roles [i], role))
            return 0;
    return err_set (err, ERR_USAGE, "%s is no role: admin, submitter (own builds) or viewer (sees all, changes nothing)", role);
}

/* -- limits ------------------------------------------------------------------------------------------------------ */

typedef struct {
    option_list_t repositories;
    const char *max_queued, *max_running;
} limits_t;

/* "none" is 0: as many as they like. */
static int read_number (const char *text, json_t *limits, const char *field, const char *option, err_t *err)
{
    char *end = NULL;
    long long number = 0;
    if (!text)
        return 0;
    if (!streq (text, "none")) {
        number = strtoll (text, &end, 10);
        if (end == text || *end || number < 1 || number > 1000000)
            return err_set (err, ERR_USAGE, "%s %s: it is a number of builds, 1 to 1000000, or none", option, text);
    }
    json_object_set_new (limits, field, json_integer (number));
    return 0;
}

/* NULL with err; an empty object where none were given. */
static json_t *limits_json (const limits_t *given, err_t *err)
{
    AUTO_JSON json_t *limits = json_object ();
    json_t *patterns = json_array ();
    for (size_t i = 0; i < given->repositories.count; i++)
        if (!streq (given->repositories.items [i], "all"))
            json_array_append_new (patterns, json_string (given->repositories.items [i]));
    if (given->repositories.count)
        json_object_set (limits, "repositories", patterns);
    json_decref (patterns);
    if (read_number (given->max_queued, limits, "max_queued", "--max-queued", err) < 0
        || read_number (given->max_running, limits, "max_running", "--max-running", err) < 0)
        return NULL;
    return take (&limits);
}

static char *describe_limits (const json_t *limits)
{
    AUTO_BUFFER buffer_t text = { 0 };
    size_t i;
    json_t *pattern;
    json_array_foreach (json_object_get (limits, "repositories"), i, pattern)
        buffer_printf (&text, "%s%s", i ? ", " : "", json_string_value (pattern));
    if (track_int (limits, "max_queued"))
        buffer_printf (&text, "%s%lld queued", text.size ? "; " : "", (long long) track_int (limits, "max_queued"));
    if (track_int (limits, "max_running"))
        buffer_printf (&text, "%s%lld running", text.size ? "; " : "", (long long) track_int (limits, "max_running"));
    return mem_strdup (text.size ? (const char *) text.data : "");
}

/* -- the verbs --------------------------------------------------------------------------------------------------- */

static int user_add (int argc, char **argv, err_t *err)
{
    const char *role = "submitter";
    int64_t expire_ms = INVITE_EXPIRE_MS;
    limits_t given = { .max_queued = NULL };
    const option_t options [] = {
        { "role", 0, OPTION_TEXT, &role }, { "expire", 0, OPTION_DURATION, &expire_ms }, { "repository", 0, OPTION_LIST, &given.repositories },
        { "max-queued", 0, OPTION_TEXT, &given.max_queued }, { "max-running", 0, OPTION_TEXT, &given.max_running }, { NULL, 0, OPTION_FLAG, NULL }
    };
    AUTO_JSON json_t *limits = NULL;
    if (options_parse (options, &argc, argv, err) == 0 && options_words (argc, argv, 1, 1, "user add NAME [--role ROLE]", err) == 0
        && check_role (role, err) == 0 && enrol_check_name (argv [1], err) == 0)
        limits = limits_json (&given, err);
    option_list_free (&given.repositories);
    return limits ? invite (role, argv [1], expire_ms, json_incref (limits), err) : -1;
}

static void add_row (output_table_t *table, const json_t *user)
{
    AUTO_FREE char *limits = describe_limits (json_object_get (user, "limits"));
    const char *cells [] = { track_text (user, "name"), track_text (user, "role"), track_text (user, "state"),
                             output_ago (track_int (user, "created_ms")), limits };
    output_table_add (table, cells);
}

static int print_users (const json_t *users, err_t *err)
{
    static const char *const heads [] = { "NAME", "ROLE", "STATE", "SINCE", "LIMITS" };
    if (output_is_json ())
        return output_json (json_pack ("{s:O}", "users", users), err);
    output_table_of (heads, 5, users, add_row);
    return 0;
}

static int user_ls (int argc, char **argv, err_t *err)
{
    const option_t none [] = { { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (none, &argc, argv, err) < 0 || options_words (argc, argv, 0, 0, "user ls", err) < 0)
        return -1;
    static const pages_t pages = { "users", "user-list", "users", "id" };
    AUTO (client) client_t *client = client_new (err);
    AUTO_JSON json_t *all = client ? pages_read (client, &pages, NULL, err) : NULL;
    return all ? print_users (all, err) : -1;
}

static int user_rm (int argc, char **argv, err_t *err)
{
    const option_t none [] = { { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (none, &argc, argv, err) < 0 || options_words (argc, argv, 1, 1, "user rm NAME", err) < 0)
        return -1;
    return enrol_check_name (argv [1], err) < 0 ? -1 : invite_revoke ("user", argv [1], err);
}

/* Takes question. */
static int grant (const char *name, json_t *question, err_t *err)
{
    json_object_set_new (question, "name", json_string (name));
    AUTO (client) client_t *client = client_new (err);
    AUTO (msg) msg_t *answer = client ? client_ask (client, "grant", json_incref (question), "user-state", 0, err) : NULL;
    json_decref (question);
    if (!answer)
        return err_wrap (err, "user %s", name);
    const json_t *user = json_object_get (msg_header (answer), "user");
    AUTO_FREE char *limits = describe_limits (json_object_get (user, "limits"));
    output_note ("user %s is %s%s%s", name, track_text (user, "role"), *limits ? ", limited to " : ", without limits", limits);
    return output_is_json () ? output_json (json_deep_copy (user), err) : 0;
}

static int user_role (int argc, char **argv, err_t *err)
{
    const option_t none [] = { { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (none, &argc, argv, err) < 0 || options_words (argc, argv, 2, 2, "user role NAME admin|submitter|viewer", err) < 0
        || enrol_check_name (argv [1], err) < 0 || check_role (argv [2], err) < 0)
        return -1;
    return grant (argv [1], json_pack ("{s:s}", "role", argv [2]), err);
}

static int user_limit (int argc, char **argv, err_t *err)
{
    limits_t given = { .max_queued = NULL };
    const option_t options [] = {
        { "repository", 0, OPTION_LIST, &given.repositories }, { "max-queued", 0, OPTION_TEXT, &given.max_queued },
        { "max-running", 0, OPTION_TEXT, &given.max_running }, { NULL, 0, OPTION_FLAG, NULL }
    };
    AUTO_JSON json_t *limits = NULL;
    if (options_parse (options, &argc, argv, err) == 0
        && options_words (argc, argv, 1, 1, "user limit NAME [--repository PATTERN…|all] [--max-queued N|none] [--max-running N|none]", err) == 0
        && enrol_check_name (argv [1], err) == 0)
        limits = limits_json (&given, err);
    option_list_free (&given.repositories);
    return limits ? grant (argv [1], json_pack ("{s:O}", "limits", limits), err) : -1;
}

static const subverb_t verbs [] = {
    { "add", user_add }, { "ls", user_ls }, { "rm", user_rm }, { "role", user_role }, { "limit", user_limit },
};
static const subverbs_t all = { "user", verbs, sizeof verbs / sizeof *verbs, "add NAME, ls, rm NAME, role NAME ROLE, limit NAME" };

int verb_user (int argc, char **argv, err_t *err)
{
    return subverb_run (&all, argc, argv, err);
}
