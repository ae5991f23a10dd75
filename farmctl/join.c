/* join.c - farmctl join STRING: makes a key, enrols it with the invitation that the string carries, and writes the
 * settings. The settings file is written last, so a join that failed can be repeated: it is the same join. */
#include <czmq.h>

#include "common/enrol.h"
#include "common/file.h"
#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/verbs.h"

enum { PATIENCE_MS = 10000 };

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
        *c = enrol_is_name (one) ? *c : '-';
    }
    const char *start = text + strspn (text, "-._");
    return mem_strndup (*start ? start : "user", ENROL_NAME_MAX);
}

/* -- settings ---------------------------------------------------------------------------------------------------------- */

static int write_settings (const char *path, const invitation_t *to, const char *key_path, err_t *err)
{
    zconfig_t *settings = enrol_open_settings (path);
    enrol_put_coordinator (settings, to);
    enrol_put (settings, "identity/key", key_path);
    return enrol_save_settings (&settings, path, err);
}

/* Beside the settings file, as an absolute path. */
static char *key_file (err_t *err)
{
    AUTO_FREE char *folder = enrol_folder_of (options_file (NULL));
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

static int join (const invitation_t *to, char name [ENROL_NAME_MAX + 1], err_t *err)
{
    keypair_t own;
    AUTO_FREE char *path = key_file (err);
    if (!path)
        return -1;
    if (keypair_load_or_make (&own, path, NULL, err) < 0)
        return err_wrap (err, "make this user's key %s", path);
    if (enrol_ask (to, "submitter", name, own.public_key, PATIENCE_MS, err) < 0)
        return -1;
    return write_settings (options_file (NULL), to, path, err);
}

int verb_join (int argc, char **argv, err_t *err)
{
    const char *wished = NULL;
    invitation_t to;
    const option_t options [] = { { "name", 0, OPTION_TEXT, &wished }, { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (options, &argc, argv, err) < 0
        || options_words (argc, argv, 1, 1, "join STRING; an admin of the farm makes one with farmctl user add NAME",
                          err) < 0)
        return -1;
    char name [ENROL_NAME_MAX + 1];
    AUTO_FREE char *first = wished ? mem_strdup (wished) : default_name ();
    if (enrol_check_name (first, err) < 0)
        return -1;
    snprintf (name, sizeof name, "%s", first);
    if (invitation_decode (&to, argv [1], err) < 0 || join (&to, name, err) < 0)
        return -1;
    output_note ("joined the farm at %s as %s; settings are in %s", to.control, name, options_file (NULL));
    if (!output_is_json ())
        return 0;
    return output_json (json_pack ("{s:s, s:s, s:s}", "name", name, "coordinator", to.control, "settings",
                                   options_file (NULL)), err);
}
