/* fuzz_settings.c - settings files, in ZPL.
 *
 * covers: common/settings.c common/enrol.c */
#include <stdlib.h>
#include <string.h>

#include "common/enrol.h"
#include "common/file.h"
#include "common/settings.h"
#include "fuzz.h"

static const setting_def_t table [] = {
    { "name", SETTING_TEXT, NULL, "" },
    { "coordinator/control", SETTING_TEXT, "tcp://127.0.0.1:5570", "" },
    { "coordinator/objects", SETTING_TEXT, NULL, "" },
    { "coordinator/key", SETTING_TEXT, NULL, "" },
    { "registry/plain-http", SETTING_LIST, NULL, "" },
    { "registry/auth-file", SETTING_TEXT, NULL, "" },
    { "slots", SETTING_NUMBER, "1", "" },
    { "cache/limit", SETTING_BYTES, "10G", "" },
    { "is-open", SETTING_BOOL, "no", "" },
    { NULL, SETTING_TEXT, NULL, NULL }
};

static bool is_same (const settings_t *a, const settings_t *b, const char *path)
{
    const char *one = settings_text (a, path), *other = settings_text (b, path);
    return one && other ? strcmp (one, other) == 0 : one == other;
}

static void check_list (const settings_t *settings)
{
    size_t count = 0;
    for (const char *const *item = settings_list (settings, "registry/plain-http"); *item; item++, count++)
        MUST (**item && !strpbrk (*item, ", \t"));
    MUST (count <= 1024);
}

/* Each value can be given again as it was read. */
static void check_values (settings_t *settings)
{
    err_t err = { 0 };
    AUTO (settings) settings_t *again = settings_new (table);
    for (const setting_def_t *def = table; def->path; def++) {
        const char *text = settings_text (settings, def->path);
        MUST (!text || settings_set (again, def->path, text, &err) == 0);
        MUST (settings_number (settings, def->path) == settings_number (again, def->path));
    }
    MUST (settings_number (settings, "cache/limit") >= 0);
    check_list (settings);
}

/* Joining puts the coordinator into the file, and leaves everything else as it was. */
static void check_join (const settings_t *before, const void *data, size_t size)
{
    err_t err = { 0 };
    invitation_t to = { .control = "tcp://farm.lan:5570", .objects = "tcp://farm.lan:5571" };
    AUTO_FREE char *path = file_join (fuzz_folder (), "joined.conf");
    AUTO (settings) settings_t *after = settings_new (table);
    zconfig_t *file = enrol_open_settings (fuzz_file (data, size));
    enrol_put_coordinator (file, &to);
    MUST (enrol_save_settings (&file, path, &err) == 0);
    MUST (settings_load (after, path, &err) == 0);
    MUST (strcmp (settings_text (after, "coordinator/control"), to.control) == 0);
    for (const setting_def_t *def = table; def->path; def++)
        MUST (strncmp (def->path, "coordinator/", 12) == 0 || def->type == SETTING_LIST || is_same (before, after, def->path));
    const char *const *one = settings_list (before, "registry/plain-http"), *const *other = settings_list (after, "registry/plain-http");
    for (; *one && *other && strcmp (*one, *other) == 0; one++)
        other++;
    MUST (!*one && !*other);
}

FUZZ_TARGET (settings)
{
    err_t err = { 0 };
    AUTO (settings) settings_t *settings = settings_new (table);
    if (settings_load (settings, fuzz_file (data, size), &err) < 0) {
        MUST (err.code == ERR_USAGE);
        return;
    }
    check_values (settings);
    check_join (settings, data, size);
}
