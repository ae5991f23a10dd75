/* pages.h - lists of the coordinator that come page by page, for a message has a limit. */
#ifndef FARM_PAGES_H
#define FARM_PAGES_H

#include "farmctl/client.h"

typedef struct {
    const char *verb, *answer;      /* of the question and of what comes back */
    const char *list;               /* the field that has a page */
    const char *key;                /* the field of an item behind which the next page begins: `after` of the question */
} pages_t;

/* All items, in their order; to the caller. question: what each page is asked with besides; borrowed, NULL for nothing. NULL on error. */
json_t *pages_read (client_t *client, const pages_t *how, const json_t *question, err_t *err);

#endif
