/* options.h - farmctl's settings, and the options of its verbs. */
#ifndef FARM_OPTIONS_H
#define FARM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/settings.h"

/* -- settings: $FARM_CONFIG, else ~/.config/archfarm/farmctl.conf, else SYSCONFDIR/archfarm/farmctl.conf ----------- */

/* Reads the settings file and takes the settings off the command line (--coordinator-control=…). No file is no error:
 * most verbs say then that farmctl has not joined; `join` and `version` do without. For main. */
int options_init (int *argc, char **argv, err_t *err);
void options_end (void);

/* Keep the command line as it was given, which is later changed in its place: options_given () is it (borrowed), NULL-terminated. */
void options_keep_given (int argc, char **argv);
char **options_given (void);

/* The settings (borrowed): coordinator/control, coordinator/objects, coordinator/key, identity/key,
 * registry/plain-http (LIST), registry/inside (LIST), registry/auth-file, registry/certs, cache/stat (BOOL), cache/folder, context/prune (BOOL), log/level. */
settings_t *options_settings (void);
/* The table of the settings, for --help. */
const setting_def_t *options_table (void);
/* The file that was read, or the one that `join` is to write (borrowed); is_there: it was found. */
const char *options_file (bool *is_there);
/* The folder of the stat cache; NULL when it is turned off. The caller frees. */
char *options_cache_folder (void);

/* -- options of a verb --------------------------------------------------------------------------------------------- */

/* Values of an option that may be given several times, borrowed from argv. {0} is none. */
typedef struct {
    const char **items;
    size_t count;
} option_list_t;
void option_list_free (option_list_t *self);
#define AUTO_OPTION_LIST __attribute__ ((cleanup (option_list_free)))

typedef enum {
    OPTION_FLAG,            /* bool *; --name, --name=yes|no|true|false|1|0 */
    OPTION_TEXT,            /* const char **; the last one wins */
    OPTION_NUMBER,          /* int64_t *; 0 to 10^12 */
    OPTION_DURATION,        /* int64_t *, in milliseconds; "90" (seconds), "30m", "1h30m"; a year at most */
    OPTION_LIST,            /* option_list_t * */
    OPTION_REFUSED          /* const char *, why: another tool has it, and people type it here */
} option_type;

typedef struct {
    const char *name;       /* without "--"; NULL ends the table */
    char letter;            /* of the short form; 0: none */
    option_type type;
    void *value;
} option_t;

/* Read the options of argv [1 …]: "--name=V", "--name V", "-nV", "-n V", "-qtV"; "--" ends them, "-" is a word. The
 * words are moved to argv [1 …] and *argc lowered. ERR_USAGE for an unknown option, with the nearest one. */
int options_parse (const option_t *table, int *argc, char **argv, err_t *err);

/* Are there min to max words behind the verb? ERR_USAGE with the form: "farmctl inspect ID". */
int options_words (int argc, char **argv, int min, int max, const char *form, err_t *err);

/* The number of a build, "42". */
int options_build_id (const char *text, int64_t *id, err_t *err);

/* The one of names (NULL behind the last) that is most like word; NULL when none is near. */
const char *options_nearest (const char *word, const char *const *names);

#endif
