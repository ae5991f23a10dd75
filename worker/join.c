/* join.c - see join.h. The settings file is written last, so a join that failed can be repeated: it is the same join. */
#include "worker/join.h"

#include <stdio.h>
#include <string.h>

#include "common/enrol.h"
#include "common/file.h"
#include "worker/host.h"

enum { PATIENCE_MS = 10000 };

char *join_key_file (const settings_t *settings)
{
    return file_join (settings_text (settings, "state"), "worker.key");
}

int join_name (const settings_t *settings, char name [JOIN_NAME_SIZE], err_t *err)
{
    const char *wished = settings_text (settings, "name");
    if (!wished || !*wished) {
        host_read_name (name);
        return 0;
    }
    if (enrol_check_name (wished, err) < 0)
        return -1;
    strcpy (name, wished);
    return 0;
}

static int write_settings (const options_t *options, const invitation_t *to, const char *given, err_t *err)
{
    zconfig_t *file = enrol_open_settings (options->file);
    options_keep (options, file);
    enrol_put_coordinator (file, to);
    if (given)
        enrol_put (file, "name", given);
    return enrol_save_settings (&file, options->file, err);
}

static int enrol (const options_t *options, const invitation_t *to, char name [JOIN_NAME_SIZE], err_t *err)
{
    keypair_t own;
    const char *state = settings_text (options->settings, "state");
    AUTO_FREE char *path = join_key_file (options->settings);
    if (file_make_folders (state, 0700, err) < 0)
        return err_wrap (err, "state folder");
    if (keypair_load_or_make (&own, path, NULL, err) < 0)
        return err_wrap (err, "this worker's key");
    char wished [JOIN_NAME_SIZE];
    strcpy (wished, name);
    if (enrol_ask (to, "worker", name, own.public_key, PATIENCE_MS, err) < 0)
        return -1;
    return write_settings (options, to, strcmp (wished, name) != 0 ? name : NULL, err);
}

int join_run (const options_t *options, err_t *err)
{
    invitation_t to;
    char name [JOIN_NAME_SIZE];
    if (join_name (options->settings, name, err) < 0 || invitation_decode (&to, options->join, err) < 0
        || enrol (options, &to, name, err) < 0)
        return -1;
    printf ("joined the farm at %s as %s; settings are in %s\n"
            "Start the worker: farm-worker -c %s\n", to.control, name, options->file, options->file);
    return 0;
}
