/* news_schedules.c - see news.h: schedules that did not run. */
#include "common/mem.h"
#include "coordinator/cells.h"
#include "coordinator/news.h"
#include "coordinator/news_words.h"
#include "coordinator/troubles.h"

/* 0: it is not there. */
static int read_schedule (engine_t *self, int64_t id, int64_t *principal, json_t **facts, err_t *err)
{
    *facts = NULL;
    query_t query = db_query (self->db, "SELECT schedules.principal, schedules.name, principals.name FROM schedules JOIN principals ON principals.id = "
                              "schedules.principal WHERE schedules.id = :id");
    query_int (&query, ":id", id);
    if (query_step (&query)) {
        *principal = query_get_int (&query, 0);
        *facts = json_pack ("{s:o, s:o, s:I, s:i}", "schedule", cell_text (&query, 1, 64), "user", cell_text (&query, 2, 64), "at_ms",
                            (json_int_t) self->wall_ms, "times", 1);
    }
    return query_end (&query, err) < 0 ? -1 : *facts != NULL;
}

/* Outages are no trouble that ends: the next one is another cause. */
static int tell_outage (engine_t *self, const subscriber_t *to, json_t *facts, err_t *err)
{
    char uid [NEWS_UID_SIZE];
    const news_t news = { .event = NEWS_MISSED, .subject = "outage", .cause = "", .facts = facts, .delay_ms = self->settings.news_gather_ms };
    int joined = news_outbox_join (self, to->id, &news, facts, false, err);
    return joined ? (joined < 0 ? -1 : 0) : news_outbox_add (self, to, &news, uid, err);
}

int news_on_outage (engine_t *self, int64_t schedule, int64_t scheduled_ms, int64_t times, err_t *err)
{
    AUTO_SUBSCRIBERS subscribers_t all = { 0 };
    AUTO_JSON json_t *facts = NULL;
    int64_t principal = 0;
    int found = self->has_subscribers ? read_schedule (self, schedule, &principal, &facts, err) : 0;
    if (found <= 0)
        return found;
    json_object_set_new (facts, "scheduled_ms", json_integer (scheduled_ms));
    json_object_set_new (facts, "missed", json_integer (times));
    AUTO_FREE char *text = mem_printf ("the coordinator did not run then (%lld time%s)", (long long) times, times == 1 ? "" : "s");
    json_object_set_new (facts, "text", json_string (text));
    news_words_title (NEWS_MISSED, facts);
    if (subscribers_match (self, NEWS_MISSED, principal, schedule, &all, err) < 0)
        return -1;
    for (size_t i = 0; i < all.count; i++)
        if (tell_outage (self, &all.items [i], facts, err) < 0)
            return -1;
    return 0;
}

int news_on_missed (engine_t *self, int64_t schedule, const char *cause, const char *why, err_t *err)
{
    AUTO_JSON json_t *facts = NULL;
    int64_t principal = 0;
    int found = self->has_subscribers ? read_schedule (self, schedule, &principal, &facts, err) : 0;
    if (found <= 0)
        return found;
    AUTO_FREE char *subject = mem_printf ("schedule/%lld", (long long) schedule), *text = news_words_line (why, 1000);
    json_object_set_new (facts, "text", json_string (text));
    news_words_title (NEWS_MISSED, facts);
    const trouble_t trouble = { .event = NEWS_MISSED, .subject = subject, .cause = cause, .facts = facts };
    return trouble_tell_all (self, principal, schedule, &trouble, err);
}
