/* settings.h - settings of a program: defaults, then a ZPL file (https://rfc.zeromq.org/spec/4/), then the command line.
 *
 * Each program has one table of its settings. "control/bind" stands in the file as
 *     control
 *         bind = tcp://0.0.0.0:5570
 * and on the command line as --control-bind=tcp://… or --control-bind tcp://…. A name that is not in the table is an
 * error in both places: a misspelt setting must not be silently without effect. */
#ifndef FARM_SETTINGS_H
#define FARM_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

typedef enum { SETTING_TEXT, SETTING_NUMBER, SETTING_BYTES, SETTING_BOOL, SETTING_LIST } setting_type;

/* BYTES takes 64K, 10M, 2G (powers of 1024). BOOL takes yes/no/true/false/1/0. LIST is comma-separated, at most 1,024
 * items; given again on the command line it is appended, and in the file either "a = x,y" or children of "a". */
typedef struct {
    const char *path;           /* "control/bind"; NULL ends the table */
    setting_type type;
    const char *fallback;       /* the default, as it would be written; NULL: none */
    const char *help;           /* one line, for --help */
} setting_def_t;

typedef struct settings settings_t;

/* All defaults. table is borrowed and must outlive the settings. */
settings_t *settings_new (const setting_def_t *table);
void settings_destroy (settings_t **self);

/* Read a file. Missing: ERR_NOT_FOUND; what cannot be opened or read: ERR_FARM; else ERR_USAGE naming file and setting.
 * Files above 1 MiB are refused. What stood before a bad line is set. */
int settings_load (settings_t *self, const char *file, err_t *err);

/* Take the settings off a command line; what is left (argv [0], other options and words, in order) is moved to the
 * front and *argc lowered. "--" ends it. Options not in the table are left. */
int settings_take_options (settings_t *self, int *argc, char **argv, err_t *err);

/* Set one from text. */
int settings_set (settings_t *self, const char *path, const char *value, err_t *err);

/* A path that is not in the table is a bug in the caller, and asserted on. Texts are borrowed; NULL when unset. */
const char *settings_text (const settings_t *self, const char *path);
int64_t settings_number (const settings_t *self, const char *path);
bool settings_bool (const settings_t *self, const char *path);
/* Items of a LIST: NULL behind the last. Borrowed. */
const char *const *settings_list (const settings_t *self, const char *path);

/* The table as --help prints it, one line each. The caller frees. */
char *settings_help (const setting_def_t *table);

#endif
