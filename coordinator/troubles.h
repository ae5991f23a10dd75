/* troubles.h - what subscribers were told of, and what has not ended: so that the same is not told again, and its end is. */
#ifndef FARM_TROUBLES_H
#define FARM_TROUBLES_H

#include "coordinator/news_outbox.h"

/* What is in trouble, and why; all borrowed. */
typedef struct {
    const char *event, *subject, *cause;
    json_t *facts;
} trouble_t;

/* Tell a subscriber, unless it knows: then it is counted, and where the news has not left yet, `also` is added to what is in there. Beyond
 * news/remind-ms it is told again. */
int trouble_tell (engine_t *self, const subscriber_t *to, const trouble_t *trouble, const json_t *also, err_t *err);

/* Everybody who takes news of that event and may hear of that user's schedule (0, 0: of neither); also: as above. */
int trouble_tell_all (engine_t *self, int64_t principal, int64_t schedule, const trouble_t *trouble, const json_t *also, err_t *err);

/* Does it know of this? Then it is counted there: 1. 0, -1. */
int trouble_is_known (engine_t *self, int64_t subscriber, const char *subject, const char *cause, err_t *err);

/* A subject is over for a subscriber, with this cause (NULL: all of them). Added to *out, which may have others already: the thread of what it was told
 * first, "" while there was nothing; since when (wall clock), and how often. */
typedef struct {
    char thread [NEWS_UID_SIZE];
    int64_t since_ms, times;
} ended_t;
int trouble_end (engine_t *self, int64_t subscriber, const char *subject, const char *cause, ended_t *out, err_t *err);

/* Tell a subscriber that takes such news what is over, in the thread of what it was told: nothing where it was told nothing. facts get since when and how
 * often; subject: of the news. */
int trouble_tell_fixed (engine_t *self, int64_t subscriber, const ended_t *ended, const char *subject, json_t *facts, err_t *err);

/* The numbers of the subscribers that were told of a subject, with this cause (NULL: any). */
typedef struct {
    int64_t *items;                 /* owned */
    size_t count;
} told_t;
void told_free (told_t *self);
/* The first column of a query's rows. */
int told_read (told_t *self, query_t query, err_t *err);
#define AUTO_TOLD __attribute__ ((cleanup (told_free)))
int troubles_told_of (engine_t *self, const char *subject, const char *cause, told_t *out, err_t *err);

/* What nobody has heard of for long is forgotten. */
int troubles_forget_old (engine_t *self, err_t *err);

#endif
