/* enrol.c - see enrol.h. */
#include "common/enrol.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/msg.h"

/* -- names ------------------------------------------------------------------------------------------------------ */

bool enrol_is_name (const char *text)
{
    static const char letters [] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    return *text && !strchr ("._-", *text) && strlen (text) <= ENROL_NAME_MAX && strspn (text, letters) == strlen (text);
}

int enrol_check_name (const char *text, err_t *err)
{
    if (enrol_is_name (text))
        return 0;
    return err_set (err, ERR_USAGE, "--name \"%s\": a name begins with a letter or digit, and has letters, digits, '.', '_' "
                    "and '-', %d at most", text, ENROL_NAME_MAX);
}

/* -- asking ----------------------------------------------------------------------------------------------------- */

static int say_join (zsock_t *socket, const char *kind, const char *name, const uint8_t public_key [KEY_SIZE], err_t *err)
{
    char hex [KEY_HEX_SIZE + 1];
    key_to_hex (public_key, hex);
    msg_t *message = msg_new ("join", json_pack ("{s:i, s:s, s:s, s:s}", "seq", 1, "kind", kind, "name", name, "public_key", hex),
                              NULL, 0);
    return msg_send (&message, socket, NULL, err);
}

/* The answer to our one question: joined or error. */
static int judge (const msg_t *answer, char name [ENROL_NAME_MAX + 1], err_t *err)
{
    if (msg_is (answer, "joined")) {
        snprintf (name, ENROL_NAME_MAX + 1, "%s", msg_text (answer, "name"));
        return 0;
    }
    if (msg_is (answer, "error"))
        return err_set (err, err_from_name (msg_text (answer, "code")), "%s", msg_text (answer, "text"));
    return err_set (err, ERR_PROTOCOL, "the coordinator answers \"%s\" where \"joined\" was expected", msg_verb (answer));
}

int enrol_ask (const invitation_t *to, const char *kind, char name [ENROL_NAME_MAX + 1], const uint8_t public_key [KEY_SIZE], int timeout_ms,
               err_t *err)
{
    keypair_t invited;
    err_t why = { 0 };
    keypair_from_secret (&invited, to->invitation);
    AUTO (zsock) zsock_t *socket = msg_connect (to->control, &invited, to->server_key, err);
    if (!socket)
        return -1;
    zsock_set_linger (socket, 0);
    zsock_set_rcvtimeo (socket, timeout_ms);
    if (say_join (socket, kind, name, public_key, err) < 0)
        return err_wrap (err, "join as %s", name);
    AUTO (msg) msg_t *answer = msg_recv (socket, NULL, NULL, NULL, &why);
    if (answer)
        return judge (answer, name, err) < 0 ? err_wrap (err, "join as %s", name) : 0;
    if (why.code == ERR_NETWORK)
        return err_set (err, ERR_NETWORK, "coordinator %s does not answer: is it running, can this machine reach it, and is the "
                        "join string the current one?", to->control);
    return err_set (err, why.code, "join as %s: %s", name, why.text);
}

/* -- settings --------------------------------------------------------------------------------------------------- */

zconfig_t *enrol_open_settings (const char *path)
{
    zconfig_t *settings = file_exists (path) ? zconfig_load (path) : NULL;
    return settings ? settings : zconfig_new ("root", NULL);
}

/* Wherever the setting stands: of several the last counts, and zconfig_put changes the first. False where it does not stand. */
static bool replace (zconfig_t *section, const char *path, const char *value)
{
    bool is_there = false;
    for (zconfig_t *child = zconfig_child (section); child; child = zconfig_next (child)) {
        size_t size = strlen (zconfig_name (child));
        if (strncmp (path, zconfig_name (child), size) != 0)
            continue;
        if (path [size] == '/')
            is_there |= replace (child, path + size + 1, value);
        else if (!path [size]) {
            zconfig_set_value (child, "%s", value);
            is_there = true;
        }
    }
    return is_there;
}

void enrol_put (zconfig_t *settings, const char *path, const char *value)
{
    if (!replace (settings, path, value))
        zconfig_put (settings, path, value);
}

void enrol_put_coordinator (zconfig_t *settings, const invitation_t *to)
{
    char hex [KEY_HEX_SIZE + 1];
    key_to_hex (to->server_key, hex);
    enrol_put (settings, "coordinator/control", to->control);
    enrol_put (settings, "coordinator/objects", to->objects);
    enrol_put (settings, "coordinator/key", hex);
}

char *enrol_folder_of (const char *path)
{
    const char *slash = strrchr (path, '/');
    if (slash == path)
        return mem_strdup ("/");
    return slash ? mem_strndup (path, (size_t) (slash - path)) : mem_strdup (".");
}

/* zconfig writes each value between double quotes, also one that has some: then it could not be read any more. In which there are
 * both kinds, that was read without. */
static void write_value (buffer_t *out, const char *value)
{
    const char *quote = !strchr (value, '"') ? "\"" : !strchr (value, '\'') ? "'" : "";
    buffer_printf (out, " = %s%s%s", quote, value, quote);
}

/* The settings below a section; a section that was read has the value "". */
static void write_settings (buffer_t *out, zconfig_t *section, int depth)
{
    for (zconfig_t *child = zconfig_child (section); child; child = zconfig_next (child)) {
        const char *value = zconfig_value (child);
        buffer_printf (out, "%*s%s", 4 * depth, "", zconfig_name (child));
        if (value && *value)
            write_value (out, value);
        buffer_text (out, "\n");
        write_settings (out, child, depth + 1);
    }
}

int enrol_save_settings (zconfig_t **settings, const char *path, err_t *err)
{
    AUTO_FREE char *folder = enrol_folder_of (path);
    AUTO_BUFFER buffer_t text = { 0 };
    write_settings (&text, *settings, 0);
    zconfig_destroy (settings);
    int rc = file_make_folders (folder, 0755, err);
    if (rc == 0)
        rc = file_write (path, text.data, text.size, 0600, err);
    return rc < 0 ? err_wrap (err, "write the settings %s", path) : 0;
}
