/* news.h - what `farmctl news` and `farmctl schedule add` share: subscribers of news. */
#ifndef FARM_NEWS_VERB_H
#define FARM_NEWS_VERB_H

#include "farmctl/client.h"
#include "farmctl/options.h"

typedef struct {
    const char *name, *kind, *address;
    const char *schedule;               /* NULL: of no one in particular */
    const json_t *events;               /* borrowed; NULL: as the farm has it */
    bool is_farm, replaces;
} news_wish_t;

/* Ask for it; asks: only whether it would be taken, answered NULL without an error. The subscriber, with the `secret` of a hook; to the caller. *failed
 * tells which NULL it is. */
json_t *news_add (client_t *client, const news_wish_t *wish, bool asks, int *failed, err_t *err);

/* Those of a schedule that is being added: a subscriber for each address, NAME-mail, NAME-hook, NAME-mail-2, …; what was added is told. asks: only whether
 * they would be taken. */
int news_add_of_schedule (client_t *client, const char *schedule, const option_list_t *mails, const option_list_t *hooks, bool replaces, bool asks, err_t *err);

#endif
