/* troubles.c - see troubles.h. */
#include "coordinator/troubles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/news.h"
#include "coordinator/news_words.h"

static const int64_t keep_ms = 90ll * 86400000;

void told_free (told_t *self)
{
    free (self->items);
    *self = (told_t) { 0 };
}

int told_read (told_t *self, query_t query, err_t *err)
{
    told_free (self);
    while (query_step (&query)) {
        self->items = mem_resize (self->items, (self->count + 1) * sizeof *self->items);
        self->items [self->count++] = query_get_int (&query, 0);
    }
    return query_end (&query, err);
}

/* -- rows ------------------------------------------------------------------------------------------------------- */

/* Of any cause: a subject has one thread. "": none. */
static int find_thread (engine_t *self, int64_t subscriber, const char *subject, char thread [NEWS_UID_SIZE], err_t *err)
{
    *thread = 0;
    query_t query = db_query (self->db, "SELECT thread FROM troubles WHERE subscriber = :subscriber AND subject = :subject LIMIT 1");
    query_int (&query, ":subscriber", subscriber);
    query_text (&query, ":subject", subject);
    if (query_step (&query))
        snprintf (thread, NEWS_UID_SIZE, "%s", query_get_text (&query, 0));
    return query_end (&query, err);
}

static int count_again (engine_t *self, int64_t subscriber, const char *subject, const char *cause, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE troubles SET times = times + 1 WHERE subscriber = :subscriber AND subject = :subject AND cause = :cause");
    query_int (&query, ":subscriber", subscriber);
    query_text (&query, ":subject", subject);
    query_text (&query, ":cause", cause);
    return query_run (&query, err);
}

int trouble_is_known (engine_t *self, int64_t subscriber, const char *subject, const char *cause, err_t *err)
{
    int changed = count_again (self, subscriber, subject, cause, err);
    return changed < 0 ? -1 : changed > 0;
}

/* 1: it was told lately. */
static int was_told (engine_t *self, int64_t subscriber, const trouble_t *trouble, err_t *err)
{
    query_t query = db_query (self->db, "SELECT :remind = 0 OR told_ms + :remind > :now FROM troubles WHERE subscriber = :subscriber AND subject = :subject "
                              "AND cause = :cause");
    query_int (&query, ":remind", self->settings.news_remind_ms);
    query_int (&query, ":now", self->wall_ms);
    query_int (&query, ":subscriber", subscriber);
    query_text (&query, ":subject", trouble->subject);
    query_text (&query, ":cause", trouble->cause);
    int is_told = query_step (&query) && query_get_int (&query, 0);
    return query_end (&query, err) < 0 ? -1 : is_told;
}

static int note_told (engine_t *self, int64_t subscriber, const trouble_t *trouble, const char *thread, err_t *err)
{
    query_t query = db_query (self->db, "INSERT INTO troubles (subscriber, subject, cause, thread, since_ms, told_ms) VALUES (:subscriber, :subject, :cause, "
                              ":thread, :now, :now) ON CONFLICT DO UPDATE SET told_ms = :now, times = times + 1");
    query_int (&query, ":subscriber", subscriber);
    query_text (&query, ":subject", trouble->subject);
    query_text (&query, ":cause", trouble->cause);
    query_text (&query, ":thread", thread);
    query_int (&query, ":now", self->wall_ms);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* -- told ------------------------------------------------------------------------------------------------------- */

int trouble_tell (engine_t *self, const subscriber_t *to, const trouble_t *trouble, const json_t *also, err_t *err)
{
    char thread [NEWS_UID_SIZE], uid [NEWS_UID_SIZE];
    news_t news = { .event = trouble->event, .subject = trouble->subject, .cause = trouble->cause, .facts = trouble->facts,
                    .delay_ms = self->settings.news_gather_ms };
    int is_told = was_told (self, to->id, trouble, err);
    if (is_told < 0)
        return -1;
    if (is_told && count_again (self, to->id, trouble->subject, trouble->cause, err) < 0)
        return -1;
    if (is_told)
        return also && news_outbox_join (self, to->id, &news, also, true, err) < 0 ? -1 : 0;
    if (find_thread (self, to->id, trouble->subject, thread, err) < 0)
        return -1;
    news.thread = *thread ? thread : NULL;
    if (news_outbox_add (self, to, &news, uid, err) < 0)
        return -1;
    return note_told (self, to->id, trouble, *thread ? thread : uid, err);
}

int trouble_tell_all (engine_t *self, int64_t principal, int64_t schedule, const trouble_t *trouble, const json_t *also, err_t *err)
{
    AUTO_SUBSCRIBERS subscribers_t all = { 0 };
    if (subscribers_match (self, trouble->event, principal, schedule, &all, err) < 0)
        return -1;
    for (size_t i = 0; i < all.count; i++)
        if (trouble_tell (self, &all.items [i], trouble, also, err) < 0)
            return -1;
    return 0;
}

/* -- over ------------------------------------------------------------------------------------------------------- */

int trouble_end (engine_t *self, int64_t subscriber, const char *subject, const char *cause, ended_t *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT thread, since_ms, times FROM troubles WHERE subscriber = :subscriber AND subject = :subject "
                              "AND cause = coalesce (:cause, cause) ORDER BY since_ms");
    query_int (&query, ":subscriber", subscriber);
    query_text (&query, ":subject", subject);
    query_text (&query, ":cause", cause);
    while (query_step (&query)) {
        if (!*out->thread || query_get_int (&query, 1) < out->since_ms) {
            snprintf (out->thread, sizeof out->thread, "%s", query_get_text (&query, 0));
            out->since_ms = query_get_int (&query, 1);
        }
        out->times += query_get_int (&query, 2);
    }
    if (query_end (&query, err) < 0)
        return -1;
    query_t drop = db_query (self->db, "DELETE FROM troubles WHERE subscriber = :subscriber AND subject = :subject AND cause = coalesce (:cause, cause)");
    query_int (&drop, ":subscriber", subscriber);
    query_text (&drop, ":subject", subject);
    query_text (&drop, ":cause", cause);
    return query_run (&drop, err) < 0 ? -1 : 0;
}

int trouble_tell_fixed (engine_t *self, int64_t subscriber, const ended_t *ended, const char *subject, json_t *facts, err_t *err)
{
    subscriber_t to;
    char uid [NEWS_UID_SIZE];
    int found = *ended->thread ? subscriber_load (self, subscriber, &to, err) : 0;
    if (found <= 0 || !subscriber_takes (&to, NEWS_FIXED))
        return found < 0 ? -1 : 0;
    json_object_set_new (facts, "since_ms", json_integer (ended->since_ms));
    json_object_set_new (facts, "times", json_integer (ended->times));
    news_words_title (NEWS_FIXED, facts);
    const news_t news = { .event = NEWS_FIXED, .subject = subject, .cause = "", .thread = ended->thread, .facts = facts };
    return news_outbox_add (self, &to, &news, uid, err);
}

int troubles_told_of (engine_t *self, const char *subject, const char *cause, told_t *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT DISTINCT subscriber FROM troubles WHERE subject = :subject AND cause = coalesce (:cause, cause) ORDER BY subscriber");
    query_text (&query, ":subject", subject);
    query_text (&query, ":cause", cause);
    return told_read (out, query, err);
}

int troubles_forget_old (engine_t *self, err_t *err)
{
    query_t query = db_query (self->db, "DELETE FROM troubles WHERE told_ms < :before");
    query_int (&query, ":before", self->wall_ms - keep_ms);
    return query_run (&query, err) < 0 ? -1 : 0;
}
