/* join.c - farmctl join STRING: makes a key, enrols it with the invitation that the string carries, and writes the
 * settings. The settings file is written last, so a join that failed can be repeated: it is the same join. */
#include <czmq.h>
#include <sys/stat.h>

#include "common/file.h"
#include "farmctl/client.h"
#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/verbs.h"

enum { NAME_MAX_BYTES = 63, SETTINGS_MAX = 1024 * 1024 };

/* As schema/messages.json has names: a letter or digit, then letters, digits, '.', '_', '-'. */
static bool is_name (const char *text)
{
    static const char letters [] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    return *text && strchr (letters, *text) && strlen (text) <= NAME_MAX_BYTES
        && strspn (text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == strlen (text);
}

/* user-host, with what a name cannot have made '-'. */
static char *default_name (void)
{
    char host [256] = "host";
    const char *user = getenv ("USER");
    gethostname (host, sizeof host - 1);
    AUTO_FREE char *text = mem_printf ("%s-%s", user && *user ? user : geteuid () ? "user" : "root", host);
    for (char *c = text; *c; c++) {
        char one [2] = { *c, 0 };
        if (*c == '-' || *c == '.' || *c == '_')
            continue;
        *c = is_name (one) ? *c : '-';
    }
    const char *start = text + strspn (text, "-._");
    return mem_strndup (*start ? start : "user", NAME_MAX_BYTES);
}

/* -- settings ---------------------------------------------------------------------------------------------------------- */

/* The file as it is, or an empty one. What it says beside the coordinator (registry/plain-http …) is kept. */
static zconfig_t *open_settings (const char *path)
{
    zconfig_t *root = file_exists (path) ? zconfig_load (path) : NULL;
    return root ? root : zconfig_new ("root", NULL);
}

static int write_settings (const char *path, const invitation_t *to, const char *key_path, err_t *err)
{
    char hex [KEY_HEX_SIZE + 1];
    key_to_hex (to->server_key, hex);
    zconfig_t *root = open_settings (path);
    zconfig_put (root, "coordinator/control", to->control);
    zconfig_put (root, "coordinator/objects", to->objects);
    zconfig_put (root, "coordinator/key", hex);
    zconfig_put (root, "identity/key", key_path);
    char *text = zconfig_str_save (root);
    zconfig_destroy (&root);
    int rc = file_write (path, text, strlen (text), 0600, err);
    zstr_free (&text);
    return rc < 0 ? err_wrap (err, "write the settings %s", path) : 0;
}

static char *folder_of (const char *path)
{
    const char *slash = strrchr (path, '/');
    if (slash == path)
        return mem_strdup ("/");
    return slash ? mem_strndup (path, (size_t) (slash - path)) : mem_strdup (".");
}

/* Beside the settings file, as an absolute path. */
static char *key_file (err_t *err)
{
    AUTO_FREE char *folder = folder_of (options_file (NULL));
    if (file_make_folders (folder, 0700, err) < 0)
        return NULL;
    AUTO_FREE char *real = realpath (folder, NULL);
    if (!real) {
        err_sys (err, errno, "find the folder %s", folder);
        return NULL;
    }
    return file_join (real, "farmctl.key");
}

/* -- enrolling --------------------------------------------------------------------------------------------------------- */

static int enrol (const invitation_t *to, const keypair_t *own, const char *name, err_t *err)
{
    keypair_t invited;
    char hex [KEY_HEX_SIZE + 1];
    keypair_from_secret (&invited, to->invitation);
    key_to_hex (own->public_key, hex);
    AUTO (client) client_t *client = client_new_to (to->control, to->objects, to->server_key, &invited);
    AUTO (msg) msg_t *answer = client_ask (client, "join", json_pack ("{s:s, s:s, s:s}", "kind", "submitter", "name", name,
                                                                      "public_key", hex), "joined", 0, err);
    if (!answer && err->code == ERR_NETWORK)
        return err_set (err, ERR_NETWORK, "coordinator %s does not answer: is it running, can this machine reach it, and is the "
                        "join string the current one?", to->control);
    return answer ? 0 : err_wrap (err, "join as %s", name);
}

static int join (const invitation_t *to, const char *name, err_t *err)
{
    keypair_t own;
    AUTO_FREE char *path = key_file (err);
    if (!path)
        return -1;
    if (keypair_load_or_make (&own, path, NULL, err) < 0)
        return err_wrap (err, "make this user's key %s", path);
    if (enrol (to, &own, name, err) < 0)
        return -1;
    return write_settings (options_file (NULL), to, path, err);
}

int verb_join (int argc, char **argv, err_t *err)
{
    const char *wished = NULL;
    invitation_t to;
    const option_t options [] = { { "name", 0, OPTION_TEXT, &wished }, { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (options, &argc, argv, err) < 0
        || options_words (argc, argv, 1, 1, "join STRING; the string lies in the file `join` of the coordinator's state folder",
                          err) < 0)
        return -1;
    AUTO_FREE char *name = wished ? mem_strdup (wished) : default_name ();
    if (!is_name (name))
        return err_set (err, ERR_USAGE, "--name \"%s\": a name begins with a letter or digit, and has letters, digits, '.', '_' "
                        "and '-', %d at most", name, NAME_MAX_BYTES);
    if (invitation_decode (&to, argv [1], err) < 0 || join (&to, name, err) < 0)
        return -1;
    output_note ("joined the farm at %s as %s; settings are in %s", to.control, name, options_file (NULL));
    if (!output_is_json ())
        return 0;
    return output_json (json_pack ("{s:s, s:s, s:s}", "name", name, "coordinator", to.control, "settings",
                                   options_file (NULL)), err);
}
