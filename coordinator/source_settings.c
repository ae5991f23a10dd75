/* source_settings.c - the settings git/… as rules (source_rules.h). */
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/source_rules.h"

static bool is_transport (const char *item)
{
    return source_is_transport (item, strlen (item));
}

static bool is_place (const char *item)
{
    size_t size = strcspn (item, "=");
    return size > 0 && strspn (item, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-*[]:/~+@") >= size;
}

static bool is_place_with_value (const char *item)
{
    const char *equals = strchr (item, '=');
    return is_place (item) && equals && equals [1];
}

/* It stands in a line that a shell reads (git_settings.c). */
static bool is_place_with_file (const char *item)
{
    const char *equals = strchr (item, '=');
    return is_place_with_value (item) && equals [1] == '/' && !strpbrk (equals, "'\"\\\n");
}

/* git has a shell run it. */
static bool is_place_with_helper (const char *item)
{
    const char *equals = strchr (item, '=');
    return is_place_with_value (item) && equals [1 + strspn (equals + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/@+-")] == 0 && equals [1] != '-';
}

static bool is_folder (const char *item)
{
    return *item == '/' && item [1];
}

typedef struct { const char *path, *name; bool (*is_good) (const char *item); const char *form; } list_rule_t;
static const list_rule_t lists [] = {
    { "git/hosts", "hosts", is_place, "HOST for all users, or HOST=USER" },
    { "git/transports", "transports", is_transport, "https, http, ssh, git or file" },
    { "git/inside", "inside", is_place, "HOST" },
    { "git/folders", "folders", is_folder, "the path of a folder, from / on" },
    { "git/keys", "keys", is_place_with_file, "HOST=FILE or HOST/PATH=FILE, and FILE a path from / on" },
    { "git/helpers", "helpers", is_place_with_helper, "HOST=FILE (from / on) or HOST=NAME of a git-credential-NAME, or HOST/PATH=…" },
};

static int add_list (json_t *rules, const settings_t *settings, const list_rule_t *rule, err_t *err)
{
    json_t *list = json_array ();
    json_object_set_new (rules, rule->name, list);
    for (const char *const *item = settings_list (settings, rule->path); item && *item; item++) {
        if (!rule->is_good (*item) || json_array_append_new (list, json_string (*item)) < 0)
            return err_set (err, ERR_USAGE, "%s has \"%s\": it takes %s", rule->path, *item, rule->form);
    }
    return 0;
}

static int add_text (json_t *rules, const settings_t *settings, const char *path, const char *name, err_t *err)
{
    const char *text = settings_text (settings, path);
    if (text && strpbrk (text, "'\"\\\n"))
        return err_set (err, ERR_USAGE, "%s is \"%s\": it takes no quotes and no backslashes", path, text);
    if (text)
        json_object_set_new (rules, name, json_string (text));
    return 0;
}

json_t *source_rules_new (const settings_t *settings, err_t *err)
{
    AUTO_JSON json_t *rules = json_pack ("{s:b}", "lfs", settings_bool (settings, "git/lfs"));
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (add_list (rules, settings, &lists [i], err) < 0)
            return NULL;
    if (add_text (rules, settings, "git/known-hosts", "known_hosts", err) < 0 || add_text (rules, settings, "git/ca-file", "ca_file", err) < 0
        || add_text (rules, settings, "git/proxy", "proxy", err) < 0)
        return NULL;
    return take (&rules);
}
