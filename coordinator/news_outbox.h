/* news_outbox.h - news on their way: written down in the transaction of what they tell, handed to the courier when they are due, and tried
 * again until they have arrived or their time is over.
 *
 *     waiting --> sent              at least once: what was sent and not yet taken down when the coordinator ended is sent again,
 *        |  ^                       under the same uid
 *        |  | retry
 *        V  |
 *     given-up                      after news/give-up-ms, or at once where the other end has said no for good
 *
 * A subscriber gets one at a time, and nothing overtakes what is before it in its thread. */
#ifndef FARM_NEWS_OUTBOX_H
#define FARM_NEWS_OUTBOX_H

#include "coordinator/subscribers.h"

enum { NEWS_UID_SIZE = 33 };

typedef struct {
    const char *event, *subject, *cause;
    const char *thread;             /* NULL: it begins one */
    const json_t *facts;            /* borrowed */
    int64_t delay_ms;               /* what comes of the same cause meanwhile is put into it */
} news_t;

/* uid: of the news, and of its thread. */
int news_outbox_add (engine_t *self, const subscriber_t *to, const news_t *news, char uid [NEWS_UID_SIZE], err_t *err);

/* What comes of the same cause is put into the news of it that waits and that nobody has: also, into its list `also`; counts: it is once more, too. 1; 0: none
 * waits; -1. */
int news_outbox_join (engine_t *self, int64_t subscriber, const news_t *news, const json_t *also, bool counts, err_t *err);

/* What waits for a subscriber is not sent. */
int news_outbox_drop (engine_t *self, int64_t subscriber, err_t *err);

/* An ACTION_NEWS that will not be done: its batch was lost. */
void news_outbox_take_back (engine_t *self, int64_t id);

/* Whoever asks for a test hears what comes of it. */
void news_outbox_await (engine_t *self, const event_t *event, const char *uid);

handler_fn news_outbox_on_delivered;        /* the courier's word: {id, ok, final, text, retry_after_s} */
handler_fn news_outbox_on_list;
handler_fn news_outbox_on_retry;

/* Hand out what is due, forget what is old; sets engine->news_at. */
int news_outbox_tick (engine_t *self, err_t *err);

#endif
