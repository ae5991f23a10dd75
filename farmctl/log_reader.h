/* log_reader.h - reads the log of one attempt from the coordinator, by offset, and cuts it into lines. */
#ifndef FARM_LOG_READER_H
#define FARM_LOG_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "farmctl/client.h"

/* One line: when, 'o' the builder's or 'w' the worker's, and the text without its line feed, fit for a terminal. */
typedef struct {
    int64_t time_ms;
    char stream;
    char *text;
} log_line_t;

typedef struct {
    int64_t job, attempt;
    int64_t offset;             /* what has been read */
    int64_t asked_seq;          /* question on the way; 0 for none */
    int64_t ask_at_ms;          /* boot clock: not before; of a question on the way: when it counts as lost */
    bool is_ended;              /* all is read, no more will come */
    buffer_t part;              /* a line that has not ended yet */
} log_reader_t;

typedef void (log_line_fn) (void *argument, const log_reader_t *reader, const log_line_t *line);

/* Ask for more when it is time to; the coordinator answers when there is some, after wait_ms at the latest. */
int log_reader_ask (log_reader_t *self, client_t *client, int64_t now_ms, int wait_ms, err_t *err);

/* The answer to what was asked will not come: it may be asked again at once. */
void log_reader_forget (log_reader_t *self);

/* Take an answer: 1 when it was one to this reader's question (on_line was called for each whole line), else 0. */
int log_reader_take (log_reader_t *self, const msg_t *answer, int64_t now_ms, log_line_fn *on_line, void *argument);

void log_reader_free (log_reader_t *self);

#endif
