/* output.h - what farmctl prints: results on standard output, everything else on standard error. */
#ifndef FARM_OUTPUT_H
#define FARM_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

/* --json was given: one JSON document on standard output, errors too. */
void output_set_json (bool is_json);
bool output_is_json (void);

/* Print the document on standard output. Takes it. */
int output_json (json_t *document, err_t *err);

/* A line of text on standard output; with --json nothing (the document has it). */
void output_line (const char *format, ...) __attribute__ ((format (printf, 1, 2)));

/* A line about how it goes on, on standard error; nothing after output_set_quiet. */
void output_set_quiet (bool is_quiet);
void output_note (const char *format, ...) __attribute__ ((format (printf, 1, 2)));

/* With --json: something more in the document that is printed in the end, or beside "error". Takes the value. */
void output_detail (const char *name, json_t *value);
/* For main: "farmctl: TEXT" on standard error; with --json also {"error": {"code", "text"}, details} on standard output. */
void output_error (const err_t *err);

/* Flush standard output: ERR_FARM or ERR_FULL when what was printed did not arrive. For main, last. */
int output_flush (err_t *err);
/* Could something not be written because nobody reads standard output any more (`farmctl logs 5 | head`)? */
bool output_is_unread (void);

/* A table on standard output: columns as wide as their widest cell. */
typedef struct output_table output_table_t;
output_table_t *output_table_new (size_t columns);
void output_table_add (output_table_t *self, const char *const *cells);       /* copies; NULL is "" */
void output_table_print (output_table_t *self);
void output_table_destroy (output_table_t **self);
/* The whole of one: heads, and what `add` makes of each row of a list. */
void output_table_of (const char *const *heads, size_t columns, const json_t *rows, void (*add) (output_table_t *table, const json_t *row));

/* Text from elsewhere, fit for a terminal: control characters and broken UTF-8 become '?'. In place, returned. */
char *output_clean (char *text);

/* "1.2 kB", "200 MB"; "0.1 s", "2 min 5 s"; "20,000"; "3 min ago". In one of a few static buffers. */
const char *output_bytes (uint64_t bytes);
const char *output_duration (int64_t ms);
const char *output_count (uint64_t count);
const char *output_ago (int64_t when_ms);

#endif
