/* settings.c - see settings.h. czmq's zconfig reads the ZPL. */
#include "common/settings.h"

#include <assert.h>
#include <ctype.h>
#include <czmq.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/mem.h"
#include "common/quantity.h"

enum { FILE_MAX = 1024 * 1024, LIST_MAX = 1024 };

typedef struct {
    char *text;                 /* as written; NULL: unset */
    char **list;                /* of a LIST; NULL behind the last */
    int64_t number;
    bool is_from_command_line;
} value_t;

struct settings {
    const setting_def_t *table;
    size_t count;
    value_t *values;
};

/* -- values ----------------------------------------------------------------------------------------------------- */

static void free_list (char **list)
{
    for (size_t i = 0; list && list [i]; i++)
        free (list [i]);
    free (list);
}

/* Moves to the next item; its length, 0 when there is none. */
static size_t next_item (const char **at)
{
    *at += strspn (*at, ", \t");
    return strcspn (*at, ", \t");
}

static char **split (const char *text)
{
    char **list = mem_alloc ((LIST_MAX + 1) * sizeof *list);
    size_t count = 0;
    const char *at = text;
    for (size_t size; (size = next_item (&at)) > 0 && count < LIST_MAX; at += size)
        list [count++] = mem_strndup (at, size);
    return list;
}

static size_t count_items (const char *text)
{
    size_t count = 0;
    for (size_t size; (size = next_item (&text)) > 0; text += size)
        count++;
    return count;
}

static int read_number (const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long number = strtoll (text, &end, 10);
    *out = number;
    return errno || *end || !isdigit ((unsigned char) text [0]) ? -1 : 0;
}

static int read_bool (const char *text, int64_t *out)
{
    static const char *const yes [] = { "yes", "true", "1" }, *const no [] = { "no", "false", "0" };
    for (int i = 0; i < 3; i++)
        if (strcmp (text, yes [i]) == 0 || strcmp (text, no [i]) == 0) {
            *out = strcmp (text, yes [i]) == 0;
            return 0;
        }
    return -1;
}

static int interpret (const setting_def_t *def, const char *text, int64_t *number, err_t *err)
{
    switch (def->type) {
        case SETTING_NUMBER:
            if (read_number (text, number) < 0)
                return err_set (err, ERR_USAGE, "setting %s is \"%s\": it has to be a whole number", def->path, text);
            return 0;
        case SETTING_BYTES:
            if (quantity_read_bytes (text, number) < 0)
                return err_set (err, ERR_USAGE, "setting %s is \"%s\": it has to be a size such as 64K, 10M or 2G",
                                def->path, text);
            return 0;
        case SETTING_BOOL:
            if (read_bool (text, number) < 0)
                return err_set (err, ERR_USAGE, "setting %s is \"%s\": it has to be yes or no", def->path, text);
            return 0;
        case SETTING_LIST:
            if (count_items (text) > LIST_MAX)
                return err_set (err, ERR_USAGE, "setting %s has %zu items: %d at most", def->path, count_items (text), LIST_MAX);
            return 0;
        default:
            return 0;
    }
}

static void value_clear (value_t *value)
{
    free (value->text);
    free_list (value->list);
    *value = (value_t) { 0 };
}

/* from_command_line: a LIST given again there is appended to, and replaces what the file said. */
static int set_value (settings_t *self, size_t index, const char *text, bool from_command_line, err_t *err)
{
    const setting_def_t *def = &self->table [index];
    value_t *value = &self->values [index];
    int64_t number = 0;
    bool appends = def->type == SETTING_LIST && from_command_line && value->is_from_command_line;
    AUTO_FREE char *whole = appends ? mem_printf ("%s,%s", value->text, text) : mem_strdup (text);
    if (interpret (def, whole, &number, err) < 0)
        return -1;
    value_clear (value);
    value->list = def->type == SETTING_LIST ? split (whole) : NULL;
    value->text = take (&whole);
    value->number = number;
    value->is_from_command_line = from_command_line;
    return 0;
}

/* -- the table -------------------------------------------------------------------------------------------------- */

settings_t *settings_new (const setting_def_t *table)
{
    settings_t *self = mem_alloc (sizeof *self);
    self->table = table;
    while (table [self->count].path)
        self->count++;
    self->values = mem_alloc (self->count * sizeof *self->values);
    for (size_t i = 0; i < self->count; i++)
        if (table [i].fallback) {
            int rc = set_value (self, i, table [i].fallback, false, NULL);
            assert (rc == 0);       /* a default of ours that cannot be read */
        }
    return self;
}

void settings_destroy (settings_t **self_p)
{
    settings_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        value_clear (&self->values [i]);
    free (self->values);
    free (self);
    *self_p = NULL;
}

static ssize_t find (const settings_t *self, const char *path)
{
    for (size_t i = 0; i < self->count; i++)
        if (strcmp (self->table [i].path, path) == 0)
            return (ssize_t) i;
    return -1;
}

static const value_t *get (const settings_t *self, const char *path)
{
    ssize_t index = find (self, path);
    assert (index >= 0);
    return &self->values [index];
}

const char *settings_text (const settings_t *self, const char *path)
{
    return get (self, path)->text;
}

int64_t settings_number (const settings_t *self, const char *path)
{
    return get (self, path)->number;
}

bool settings_bool (const settings_t *self, const char *path)
{
    return get (self, path)->number != 0;
}

const char *const *settings_list (const settings_t *self, const char *path)
{
    static const char *const none [] = { NULL };
    char **list = get (self, path)->list;
    return list ? (const char *const *) list : none;
}

int settings_set (settings_t *self, const char *path, const char *value, err_t *err)
{
    ssize_t index = find (self, path);
    if (index < 0)
        return err_set (err, ERR_USAGE, "there is no setting \"%s\"", path);
    return set_value (self, (size_t) index, value, false, err);
}

/* -- the file --------------------------------------------------------------------------------------------------- */

static int load_node (settings_t *self, zconfig_t *node, const char *prefix, err_t *err);

static int load_children (settings_t *self, zconfig_t *node, const char *prefix, err_t *err)
{
    for (zconfig_t *child = zconfig_child (node); child; child = zconfig_next (child))
        if (load_node (self, child, prefix, err) < 0)
            return -1;
    return 0;
}

/* Children of a LIST are its items: by value, or by name where they have none. */
static int load_list (settings_t *self, size_t index, zconfig_t *node, err_t *err)
{
    AUTO_BUFFER buffer_t text = { 0 };
    buffer_text (&text, zconfig_value (node));
    for (zconfig_t *child = zconfig_child (node); child; child = zconfig_next (child)) {
        const char *value = zconfig_value (child);
        buffer_printf (&text, ",%s", *value ? value : zconfig_name (child));
    }
    return set_value (self, index, (const char *) text.data, false, err);
}

/* It has settings below it; a section of which all lines are commented out is fine. */
static bool is_section (const settings_t *self, const char *path)
{
    size_t size = strlen (path);
    for (size_t i = 0; i < self->count; i++)
        if (strncmp (self->table [i].path, path, size) == 0 && self->table [i].path [size] == '/')
            return true;
    return false;
}

static int load_node (settings_t *self, zconfig_t *node, const char *prefix, err_t *err)
{
    AUTO_FREE char *path = mem_printf ("%s%s%s", prefix, *prefix ? "/" : "", zconfig_name (node));
    ssize_t index = find (self, path);
    if (index >= 0 && self->table [index].type == SETTING_LIST)
        return load_list (self, (size_t) index, node, err);
    if (index >= 0 && set_value (self, (size_t) index, zconfig_value (node), false, err) < 0)
        return -1;
    if (index < 0 && (*zconfig_value (node) || (!zconfig_child (node) && !is_section (self, path))))
        return err_set (err, ERR_USAGE, "there is no setting \"%s\"", path);
    return load_children (self, node, path, err);
}

/* What is wrong with a file, zconfig says on standard output only: "26-11-24 08:33:47 E (zconfig): (2) invalid syntax". There it
 * would stand among a program's results. NULL: no ZPL, *line is the one to blame, 0 where unknown. */
static zconfig_t *parse (const char *text, int *line)
{
    FILE *own = stdout;
    size_t size = 0;
    AUTO_FREE char *complaint = NULL;
    FILE *heard = open_memstream (&complaint, &size);
    assert (heard);             /* out of memory */
    stdout = heard;             /* programs read their settings before they start a thread */
    zconfig_t *root = zconfig_str_load (text);
    stdout = own;
    fclose (heard);
    const char *at = complaint ? strstr (complaint, "(zconfig): (") : NULL;
    *line = at ? atoi (at + strlen ("(zconfig): (")) : 0;
    return root;
}

static int no_zpl (const char *file, int line, err_t *err)
{
    char where [32] = "";
    if (line > 0)
        snprintf (where, sizeof where, ", line %d", line);
    return err_set (err, ERR_USAGE, "settings file %s%s: this is not ZPL: each line is \"name = value\" or a section's name, indented "
                    "by four spaces below its section", file, where);
}

int settings_load (settings_t *self, const char *file, err_t *err)
{
    int line;
    AUTO_BUFFER buffer_t text = { 0 };
    if (file_read (file, FILE_MAX, &text, err) < 0)
        return err_wrap (err, "settings");
    if (memchr (text.data, 0, text.size))
        return err_set (err, ERR_USAGE, "settings file %s: holds a NUL character, so it is no text", file);
    zconfig_t *root = parse ((const char *) text.data, &line);
    if (!root)
        return no_zpl (file, line, err);
    int rc = load_children (self, root, "", err);
    zconfig_destroy (&root);
    return rc < 0 ? err_wrap (err, "settings file %s", file) : 0;
}

/* -- the command line ------------------------------------------------------------------------------------------- */

/* "--control-bind=x" or "--control-bind" against "control/bind": the index, and where the value starts (NULL: next word) */
static ssize_t match_option (const settings_t *self, const char *word, const char **value)
{
    for (size_t i = 0; i < self->count; i++) {
        const char *path = self->table [i].path, *at = word + 2;
        while (*path && (*at == *path || (*path == '/' && *at == '-'))) {
            path++;
            at++;
        }
        if (*path == 0 && (*at == 0 || *at == '=')) {
            *value = *at ? at + 1 : NULL;
            return (ssize_t) i;
        }
    }
    return -1;
}

int settings_take_options (settings_t *self, int *argc, char **argv, err_t *err)
{
    int kept = 1, i = 1;
    for (; i < *argc && strcmp (argv [i], "--") != 0; i++) {
        const char *value = NULL;
        ssize_t index = strncmp (argv [i], "--", 2) == 0 ? match_option (self, argv [i], &value) : -1;
        if (index < 0) {
            argv [kept++] = argv [i];
            continue;
        }
        if (!value && ++i == *argc)
            return err_set (err, ERR_USAGE, "option %s needs a value", argv [i - 1]);
        if (set_value (self, (size_t) index, value ? value : argv [i], true, err) < 0)
            return -1;
    }
    while (i < *argc)
        argv [kept++] = argv [i++];
    argv [kept] = NULL;
    *argc = kept;
    return 0;
}

char *settings_help (const setting_def_t *table)
{
    buffer_t text = { 0 };
    for (; table->path; table++) {
        char option [64];
        snprintf (option, sizeof option, "--%s", table->path);
        for (char *c = option; *c; c++)
            if (*c == '/')
                *c = '-';
        buffer_printf (&text, "  %-26s %s%s%s%s\n", option, table->help, table->fallback ? " [" : "",
                       table->fallback ? table->fallback : "", table->fallback ? "]" : "");
    }
    buffer_append (&text, "", 0);
    return (char *) text.data;
}
