/* options.c - where farmctl's settings come from, and the reader of a verb's options. */
#include "farmctl/options.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/quantity.h"

#define YEAR_MS 31536000000

static const setting_def_t table [] = {
    { "coordinator/control", SETTING_TEXT, NULL, "the coordinator's control socket, tcp://HOST:PORT" },
    { "coordinator/objects", SETTING_TEXT, NULL, "the coordinator's objects socket, tcp://HOST:PORT" },
    { "coordinator/key", SETTING_TEXT, NULL, "the coordinator's public key, 64 hex digits" },
    { "identity/key", SETTING_TEXT, NULL, "the file with this user's key pair" },
    { "registry/plain-http", SETTING_LIST, NULL, "registries to speak plain http with, HOST:PORT,…" },
    { "registry/auth-file", SETTING_TEXT, NULL, "docker's config.json with credentials; default ~/.docker/config.json" },
    { "registry/inside", SETTING_LIST, NULL, "hosts inside that registries elsewhere may send us to" },
    { "registry/certs", SETTING_TEXT, "/etc/docker/certs.d", "folder with HOST/{ca.crt,client.cert,client.key}" },
    { "cache/stat", SETTING_BOOL, "yes", "remember what files held, so that unchanged ones are not read again" },
    { "cache/folder", SETTING_TEXT, NULL, "where; default $XDG_CACHE_HOME/archfarm or ~/.cache/archfarm" },
    { "context/prune", SETTING_BOOL, "yes", "leave out of a context what its Dockerfile cannot read" },
    { "log/level", SETTING_TEXT, "warn", "error, warn, info or debug" },
    { NULL, SETTING_TEXT, NULL, NULL }
};

static settings_t *settings;
static char *settings_file;
static bool is_file_there;
static char **given;

/* Borrowed. */
static const char *home_folder (void)
{
    const char *home = getenv ("HOME");
    if (home && *home)
        return home;
    const struct passwd *user = getpwuid (getuid ());
    return user ? user->pw_dir : "/";
}

static char *home_file (void)
{
    return mem_printf ("%s/.config/archfarm/farmctl.conf", home_folder ());
}

static char *find_file (void)
{
    const char *named = getenv ("FARM_CONFIG");
    if (named && *named)
        return mem_strdup (named);
    AUTO_FREE char *own = home_file ();
    if (!file_exists (own) && file_exists (FARM_SYSCONFDIR "/farmctl.conf"))
        return mem_strdup (FARM_SYSCONFDIR "/farmctl.conf");
    return take (&own);
}

int options_init (int *argc, char **argv, err_t *err)
{
    settings = settings_new (table);
    settings_file = find_file ();
    err_t why = { 0 };
    is_file_there = settings_load (settings, settings_file, &why) == 0;
    if (!is_file_there && why.code != ERR_NOT_FOUND) {
        *err = why;
        return -1;
    }
    if (settings_take_options (settings, argc, argv, err) < 0)
        return -1;
    const char *level = settings_text (settings, "log/level");
    if (log_set_level_name (level) < 0)
        return err_set (err, ERR_USAGE, "log/level is error, warn, info or debug, not \"%s\"", level);
    return 0;
}

void options_end (void)
{
    settings_destroy (&settings);
    auto_free (&settings_file);
    auto_free (&given);
}

void options_keep_given (int argc, char **argv)
{
    given = mem_alloc (((size_t) argc + 1) * sizeof *given);
    memcpy (given, argv, (size_t) argc * sizeof *given);
}

char **options_given (void)
{
    return given;
}

settings_t *options_settings (void)
{
    return settings;
}

const setting_def_t *options_table (void)
{
    return table;
}

const char *options_file (bool *is_there)
{
    if (is_there)
        *is_there = is_file_there;
    return settings_file;
}

char *options_cache_folder (void)
{
    const char *named = settings_text (settings, "cache/folder"), *base = getenv ("XDG_CACHE_HOME");
    if (!settings_bool (settings, "cache/stat"))
        return NULL;
    if (named && *named)
        return mem_strdup (named);
    if (base && base [0] == '/')        /* the XDG standard: a relative one is ignored */
        return file_join (base, "archfarm");
    return file_join (home_folder (), ".cache/archfarm");
}

/* -- options of a verb --------------------------------------------------------------------------------------------- */

void option_list_free (option_list_t *self)
{
    free (self->items);
    *self = (option_list_t) { 0 };
}

static void list_add (option_list_t *self, const char *value)
{
    self->items = mem_resize (self->items, (self->count + 1) * sizeof *self->items);
    self->items [self->count++] = value;
}

static int store_flag (const option_t *option, const char *value, err_t *err)
{
    static const char *const words [] = { "no", "yes", "false", "true", "0", "1" };
    if (!value) {
        *(bool *) option->value = true;
        return 0;
    }
    for (int i = 0; i < 6; i++)
        if (strcmp (value, words [i]) == 0) {
            *(bool *) option->value = i & 1;
            return 0;
        }
    return err_set (err, ERR_USAGE, "--%s is yes or no, not \"%s\"", option->name, value);
}

static int store_number (const option_t *option, const char *value, err_t *err)
{
    char *end;
    errno = 0;
    long long number = strtoll (value, &end, 10);
    if (value [0] < '0' || value [0] > '9' || *end || errno || number > 1000000000000)
        return err_set (err, ERR_USAGE, "--%s takes a whole number, not \"%s\"", option->name, value);
    *(int64_t *) option->value = number;
    return 0;
}

static int store_duration (const option_t *option, const char *value, err_t *err)
{
    int64_t ms;
    if (quantity_read_duration (value, &ms) < 0 || ms > YEAR_MS)
        return err_set (err, ERR_USAGE, "--%s takes a time such as 90 (seconds), 30m or 2h, at most 365d, not \"%s\"", option->name, value);
    *(int64_t *) option->value = ms;
    return 0;
}

static int store (const option_t *option, const char *value, err_t *err)
{
    switch (option->type) {
        case OPTION_FLAG:   return store_flag (option, value, err);
        case OPTION_NUMBER: return store_number (option, value, err);
        case OPTION_DURATION: return store_duration (option, value, err);
        case OPTION_TEXT:   *(const char **) option->value = value; break;
        case OPTION_LIST:   list_add (option->value, value); break;
        case OPTION_REFUSED: break;     /* refused_option */
    }
    return 0;
}

static int unknown_option (const option_t *options, const char *name, const char *verb, err_t *err)
{
    const char *names [64];
    size_t count = 0;
    for (; options->name && count < 63; options++)
        if (options->type != OPTION_REFUSED)
            names [count++] = options->name;
    names [count] = NULL;
    const char *nearest = options_nearest (name, names);
    return err_set (err, ERR_USAGE, "%s has no option --%s%s%s%s; farmctl help %s lists them", verb, name,
                    nearest ? " (did you mean --" : "", nearest ? nearest : "", nearest ? "?)" : "", verb);
}

static int refused_option (const option_t *option, const char *verb, err_t *err)
{
    return err_set (err, ERR_USAGE, "%s has no option --%s: %s", verb, option->name, (const char *) option->value);
}

/* The argument vector while it is read: words are moved to the front as they are met. */
typedef struct {
    const option_t *options;
    int argc, at, kept;
    char **argv;
} reader_t;

/* The next word; not one that looks like an option: its value was forgotten, or can be written behind "=". "-" is a file. */
static int next_value (reader_t *self, const option_t *option, const char **value, err_t *err)
{
    const char *word = self->at < self->argc ? self->argv [self->at] : NULL;
    if (!word)
        return err_set (err, ERR_USAGE, "--%s needs a value", option->name);
    if (word [0] == '-' && word [1])
        return err_set (err, ERR_USAGE, "--%s needs a value; if \"%s\" is meant to be it: --%s=%s", option->name, word,
                        option->name, word);
    *value = word;
    self->at++;
    return 0;
}

static int read_long (reader_t *self, const char *text, err_t *err)
{
    const char *equals = strchr (text, '=');
    AUTO_FREE char *name = mem_strndup (text, equals ? (size_t) (equals - text) : strlen (text));
    const option_t *option = self->options;
    while (option->name && strcmp (option->name, name) != 0)
        option++;
    if (!option->name)
        return unknown_option (self->options, name, self->argv [0], err);
    if (option->type == OPTION_REFUSED)
        return refused_option (option, self->argv [0], err);
    const char *value = equals ? equals + 1 : NULL;
    if (option->type != OPTION_FLAG && !value && next_value (self, option, &value, err) < 0)
        return -1;
    return store (option, value, err);
}

/* "-qf-": flags, then perhaps one with a value, which is the rest or the next argument. */
static int read_short (reader_t *self, const char *letters, err_t *err)
{
    for (; *letters; letters++) {
        const option_t *option = self->options;
        while (option->name && option->letter != *letters)
            option++;
        if (!option->name)
            return err_set (err, ERR_USAGE, "%s has no option -%c; farmctl help %s lists them", self->argv [0], *letters,
                            self->argv [0]);
        if (option->type == OPTION_REFUSED)
            return refused_option (option, self->argv [0], err);
        if (option->type == OPTION_FLAG) {
            store (option, NULL, err);
            continue;
        }
        const char *value = letters [1] == '=' ? letters + 2 : letters + 1;
        if (!letters [1] && next_value (self, option, &value, err) < 0)
            return -1;
        return store (option, value, err);
    }
    return 0;
}

int options_parse (const option_t *options, int *argc, char **argv, err_t *err)
{
    reader_t reader = { .options = options, .argc = *argc, .at = 1, .kept = 1, .argv = argv };
    bool is_ended = false;
    while (reader.at < reader.argc) {
        char *word = argv [reader.at++];
        int rc = 0;
        if (is_ended || word [0] != '-' || !word [1])
            argv [reader.kept++] = word;
        else if (strcmp (word, "--") == 0)
            is_ended = true;
        else
            rc = word [1] == '-' ? read_long (&reader, word + 2, err) : read_short (&reader, word + 1, err);
        if (rc < 0)
            return -1;
    }
    *argc = reader.kept;
    return 0;
}

int options_words (int argc, char **argv, int min, int max, const char *form, err_t *err)
{
    if (argc - 1 < min)
        return err_set (err, ERR_USAGE, "something is missing: farmctl %s", form);
    if (argc - 1 > max)
        return err_set (err, ERR_USAGE, "\"%s\" is too much: farmctl %s", argv [max + 1], form);
    return 0;
}

int options_build_id (const char *text, int64_t *id, err_t *err)
{
    char *end;
    errno = 0;
    long long number = strtoll (text, &end, 10);
    if (text [0] < '1' || text [0] > '9' || *end || errno || number > 9007199254740991)
        return err_set (err, ERR_USAGE, "\"%s\" is no number of a build; farmctl ls lists builds", text);
    *id = number;
    return 0;
}

/* -- misspelt words -------------------------------------------------------------------------------------------------- */

/* Levenshtein's distance, for words of at most 31 characters. */
static size_t distance (const char *a, const char *b)
{
    size_t row [32], width = strlen (b);
    for (size_t j = 0; j <= width; j++)
        row [j] = j;
    for (size_t i = 1; a [i - 1]; i++) {
        size_t diagonal = row [0];
        row [0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t best = diagonal + (a [i - 1] != b [j - 1]);
            best = row [j] + 1 < best ? row [j] + 1 : best;
            best = row [j - 1] + 1 < best ? row [j - 1] + 1 : best;
            diagonal = row [j];
            row [j] = best;
        }
    }
    return row [width];
}

const char *options_nearest (const char *word, const char *const *names)
{
    const char *nearest = NULL;
    size_t best = strlen (word) / 3 + 1;        /* farther away is no misspelling */
    if (strlen (word) > 31)
        return NULL;
    for (; *names; names++)
        if (strlen (*names) < 32 && distance (word, *names) < best) {
            best = distance (word, *names);
            nearest = *names;
        }
    return nearest;
}
