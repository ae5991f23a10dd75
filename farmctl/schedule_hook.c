/* schedule_hook.c - farmctl schedule hook: have a schedule started over HTTP too, by whoever signs with a secret that is made here. */
#include <czmq.h>
#include <sodium.h>

#include "common/file.h"
#include "common/mem.h"
#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/schedule.h"
#include "farmctl/track.h"

enum { KEY_BYTES = 32, SECRET_FILE_MAX = 4096 };

typedef struct {
    const char *name, *branch, *file;
    bool removes;
} wish_t;

static int read_wish (int argc, char **argv, wish_t *out, err_t *err)
{
    const option_t options [] = {
        { "branch", 0, OPTION_TEXT, &out->branch }, { "secret-file", 0, OPTION_TEXT, &out->file }, { "remove", 0, OPTION_FLAG, &out->removes },
        { NULL, 0, OPTION_FLAG, NULL },
    };
    if (options_parse (options, &argc, argv, err) < 0 || options_words (argc, argv, 1, 1, "schedule hook NAME", err) < 0
        || schedule_check_name (argv [1], err) < 0)
        return -1;
    out->name = argv [1];
    if (out->removes && (out->branch || out->file))
        return err_set (err, ERR_USAGE, "--remove takes the hook away: neither --branch nor --secret-file goes with it");
    if (out->branch && (!*out->branch || strlen (out->branch) > 255))
        return err_set (err, ERR_USAGE, "--branch is the name of a branch, such as main");
    return 0;
}

/* As GitLab wants its signing tokens; GitHub, Gitea and Forgejo take any text. */
static void make_secret (buffer_t *out)
{
    uint8_t key [KEY_BYTES];
    char text [sodium_base64_ENCODED_LEN (KEY_BYTES, sodium_base64_VARIANT_ORIGINAL)];
    randombytes_buf (key, sizeof key);
    sodium_bin2base64 (text, sizeof text, key, sizeof key, sodium_base64_VARIANT_ORIGINAL);
    buffer_printf (out, "whsec_%s", text);
    sodium_memzero (key, sizeof key);
    sodium_memzero (text, sizeof text);
}

static int read_secret (const char *file, buffer_t *out, err_t *err)
{
    if (!file) {
        make_secret (out);
        return 0;
    }
    if (file_read (file, SECRET_FILE_MAX, out, err) < 0)
        return err_wrap (err, "--secret-file %s", file);
    while (out->size > 0 && strchr ("\r\n", out->data [out->size - 1]))
        out->size--;
    buffer_append (out, "", 1);
    out->size--;
    return 0;
}

static msg_t *ask (const wish_t *wish, const buffer_t *secret, err_t *err)
{
    buffer_t body = { 0 };
    json_t *question = json_pack ("{s:s, s:s}", "name", wish->name, "order", wish->removes ? "unhook" : "hook");
    if (wish->branch)
        json_object_set_new (question, "branch", json_string (wish->branch));
    AUTO (client) client_t *client = client_new (err);
    if (!client) {
        json_decref (question);
        return NULL;
    }
    buffer_append (&body, secret->data, secret->size);
    msg_t *answer = client_ask_with (client, "order-schedule", question, &body, "schedule-state", 0, err);
    if (!answer)
        err_wrap (err, "schedule %s", wish->name);
    return answer;
}

/* What was read from a file is not shown again. */
static int report (const wish_t *wish, const json_t *schedule, const char *secret, err_t *err)
{
    if (wish->removes)
        output_note ("schedule %s has no hook any more", wish->name);
    else {
        output_note ("schedule %s: POST to /hooks/%s of the coordinator's HTTP service builds it%s%s", wish->name, wish->name,
                     wish->branch ? ", after pushes to " : "", wish->branch ? wish->branch : "");
        if (!wish->file) {
            output_note ("the forge signs with this secret, which is not shown again:");
            output_line ("%s", secret);
        }
    }
    if (!output_is_json ())
        return 0;
    json_t *told = json_pack ("{s:O}", "schedule", schedule);
    if (!wish->removes && !wish->file)
        json_object_set_new (told, "secret", json_string (secret));
    return output_json (told, err);
}

int schedule_hook (int argc, char **argv, err_t *err)
{
    wish_t wish = { .name = NULL };
    AUTO_BUFFER buffer_t secret = { 0 };
    if (read_wish (argc, argv, &wish, err) < 0 || (!wish.removes && read_secret (wish.file, &secret, err) < 0))
        return -1;
    AUTO (msg) msg_t *answer = ask (&wish, &secret, err);
    int rc = answer ? report (&wish, json_object_get (msg_header (answer), "schedule"), (const char *) secret.data, err) : -1;
    if (secret.data)
        sodium_memzero (secret.data, secret.capacity);
    return rc;
}
