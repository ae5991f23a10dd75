/* cells.h - cells of rows as JSON that is shown to people, short enough for a message. */
#ifndef FARM_CELLS_H
#define FARM_CELLS_H

#include <jansson.h>

#include "coordinator/db.h"

enum { LIST_MAX = 48 * 1024 };          /* bytes of a list in one message; whoever asks goes on behind it */

/* Text without control characters, cut to max bytes between characters; null for NULL. */
json_t *cell_text (const query_t *query, int column, size_t max);
json_t *cell_int (const query_t *query, int column);

/* What a job waits for, from a row of tries and the last one's words: "what" or "what, try 2: words"; to the caller. NULL: there is no row. */
char *cells_tries (query_t query, const char *what);

/* Bytes as compact JSON. */
int cell_size (const json_t *value);

/* Rows as `view` shows them, appended to out: at most max, and no more than fit a message. *has_more: there may be others behind them. */
int cells_page (query_t query, json_t *(*view) (const query_t *row), size_t max, json_t *out, bool *has_more, err_t *err);

#endif
