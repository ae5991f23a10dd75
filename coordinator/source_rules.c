/* source_rules.c - see source_rules.h. "HOST=VALUE", "HOST/PATH=VALUE"; a HOST is a name, "*.lan" for all names below one, or "*". */
#include "coordinator/source_rules.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"

/* -- which one counts ------------------------------------------------------------------------------------------- */

static bool is_of (const char *item, const char *user)
{
    const char *equals = strchr (item, '=');
    return !equals || !user || strcmp (equals + 1, user) == 0;
}

json_t *source_rules_for (const json_t *self, const char *user)
{
    json_t *rules = json_deep_copy (self), *hosts = json_array (), *item;
    size_t i;
    json_array_foreach (json_object_get (self, "hosts"), i, item)
        if (is_of (json_string_value (item), user)) {
            const char *text = json_string_value (item);
            json_array_append_new (hosts, json_stringn (text, strcspn (text, "=")));
        }
    json_object_set_new (rules, "hosts", hosts);
    return rules;
}

/* Of a path: does the part before it end here? ".git" may follow, and nothing else with a dot. */
static bool ends_part (const char *rest)
{
    if (strncmp (rest, ".git", 4) == 0)
        rest += 4;
    return *rest == 0 || *rest == '/';
}

/* "git.lan/team" is the place of git.lan/team/app.git and git.lan/team.git, and not of git.lan/teams or git.lan/team.private. How long what matches is; 0: it
 * does not. */
static size_t matches (const char *item, const source_t *source)
{
    AUTO_FREE char *pattern = mem_strndup (item, strcspn (item, "="));
    char *slash = strchr (pattern, '/');
    const char *path = *source->path == '/' ? source->path + 1 : source->path;
    size_t size = strlen (pattern), rest = slash ? strlen (slash + 1) : 0;
    if (slash)
        *slash = 0;
    bool is_address = strchr (pattern, ':');       /* [::1], which as a pattern would be the host 1 */
    if (strcasecmp (pattern, source->host) != 0 && (is_address || fnmatch (pattern, source->host, FNM_CASEFOLD) != 0))
        return 0;
    bool is_below = rest == 0 || (strncmp (path, slash + 1, rest) == 0 && (ends_part (path + rest) || slash [rest] == '/'));
    return is_below ? size : 0;
}

static const char *value_of (const json_t *list, const source_t *source)
{
    const char *best = NULL;
    size_t i, length = 0;
    json_t *item;
    json_array_foreach ((json_t *) list, i, item) {
        size_t size = matches (json_string_value (item), source);
        if (size <= length)
            continue;
        length = size;
        best = strchr (json_string_value (item), '=') + 1;
    }
    return best;
}

const char *source_rules_key (const json_t *self, const source_t *source)
{
    return value_of (json_object_get (self, "keys"), source);
}

const char *source_rules_helper (const json_t *self, const source_t *source)
{
    return value_of (json_object_get (self, "helpers"), source);
}

bool source_rules_may_be_inside (const json_t *self, const source_t *source)
{
    size_t i;
    json_t *item;
    json_array_foreach (json_object_get (self, "inside"), i, item)
        if (matches (json_string_value (item), source))
            return true;
    return false;
}

int source_rules_refuse_inside (const source_t *source, const char *address, err_t *err)
{
    return err_set (err, ERR_DENIED, "%s is %s, an address inside, from which the farm fetches nothing for its users: an admin allows it by git/inside of the "
                    "coordinator's settings", source->host, address);
}

/* -- may it be fetched? ----------------------------------------------------------------------------------------- */

static bool lists_transport (const json_t *self, const char *transport)
{
    size_t i;
    json_t *item;
    json_array_foreach (json_object_get (self, "transports"), i, item)
        if (strcmp (json_string_value (item), transport) == 0)
            return true;
    return false;
}

static int check_folder (const json_t *self, const source_t *source, err_t *err)
{
    size_t i;
    json_t *item;
    json_array_foreach (json_object_get (self, "folders"), i, item) {
        const char *folder = json_string_value (item);
        size_t size = strlen (folder);
        if (strncmp (source->path, folder, size) == 0 && (source->path [size] == '/' || folder [size - 1] == '/'))
            return 0;
    }
    return err_set (err, ERR_DENIED, "%s: this farm takes repositories of the coordinator's own disk from the folders that git/folders of its settings names, "
                    "and this is below none of them", source->url);
}

static int check_host (const json_t *self, const char *user, const source_t *source, err_t *err)
{
    size_t i;
    json_t *item;
    json_array_foreach (json_object_get (self, "hosts"), i, item)
        if (is_of (json_string_value (item), user) && matches (json_string_value (item), source))
            return 0;
    return err_set (err, ERR_DENIED, "you may not have the farm fetch from %s: an admin allows it by git/hosts of the coordinator's settings", source->host);
}

int source_rules_check (const json_t *self, const char *user, const source_t *source, err_t *err)
{
    if (!self || !lists_transport (self, source->transport))
        return err_set (err, ERR_DENIED, "this farm does not fetch over %s: an admin allows it by git/transports of the coordinator's settings", source->transport);
    return strcmp (source->transport, "file") == 0 ? check_folder (self, source, err) : check_host (self, user, source, err);
}
