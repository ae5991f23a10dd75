/* news_words.h - what news say, from their facts: the line that stands above them, and the text of a mail. Facts are JSON as docs/news.md has
 * them; what they hold of builders' and users' words is made fit for one line here. */
#ifndef FARM_NEWS_WORDS_H
#define FARM_NEWS_WORDS_H

#include <jansson.h>
#include <stddef.h>

#include "common/mem.h"

/* Set facts' `title`: "nightly failed: linux/arm64, RUN make test: make: *** Error 1". */
void news_words_title (const char *event, json_t *facts);

/* The text of a mail: lines end with LF. log: the end of the builder's log, lines of text; "" none. */
void news_words_body (const char *event, const json_t *facts, const char *log, const char *name, const char *farm, buffer_t *out);

/* Text that was not ours on one line of at most max bytes: control characters, what turns text round, and broken UTF-8 are gone. The caller frees. */
char *news_words_line (const char *text, size_t max);
/* The same, with the blanks that set it in. */
char *news_words_log_line (const char *text, size_t max);

#endif
