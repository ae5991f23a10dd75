/* news_schedules.c - see news.h: schedules that did not run, or had nothing to do. */
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

/* subject NULL: the schedule itself; another one has what comes of it put together. */
static int tell_missed (engine_t *self, int64_t schedule, const char *subject, const char *cause, const char *why, err_t *err)
{
    AUTO_JSON json_t *facts = NULL;
    int64_t principal = 0;
    int found = self->has_subscribers ? read_schedule (self, schedule, &principal, &facts, err) : 0;
    if (found <= 0)
        return found;
    AUTO_FREE char *own = mem_printf ("schedule/%lld", (long long) schedule), *text = news_words_line (why, 1000);
    json_object_set_new (facts, "text", json_string (text));
    news_words_title (NEWS_MISSED, facts);
    const trouble_t trouble = { .event = NEWS_MISSED, .subject = subject ? subject : own, .cause = cause, .facts = facts };
    return trouble_tell_all (self, principal, schedule, &trouble, subject ? facts : NULL, err);
}

int news_on_missed (engine_t *self, int64_t schedule, const char *cause, const char *why, err_t *err)
{
    return tell_missed (self, schedule, NULL, cause, why, err);
}

int news_on_unfetched (engine_t *self, const schedule_t *schedule, const fault_t *fault, err_t *err)
{
    char subject [NEWS_SUBJECT_MAX];
    news_name_source (schedule->spec, subject);
    return tell_missed (self, schedule->id, fault->code == ERR_NETWORK ? subject : NULL, err_name (fault->code), fault->reason, err);
}

static int find_told_of_schedule (engine_t *self, int64_t principal, int64_t schedule, const char *series, const char *source, told_t *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT DISTINCT subscriber FROM troubles JOIN subscribers ON subscribers.id = subscriber WHERE (scope = 'farm' OR (scope = 'user' "
                              "AND principal = :principal) OR schedule = :schedule) AND (subject = :series OR subject = :source) ORDER BY subscriber");
    query_int (&query, ":principal", principal);
    query_int (&query, ":schedule", schedule);
    query_text (&query, ":series", series);
    query_text (&query, ":source", source);
    return told_read (out, query, err);
}

static int tell_unchanged (engine_t *self, int64_t subscriber, const char *series, const char *source, const json_t *facts, err_t *err)
{
    ended_t ended = { .times = 0 };
    AUTO_JSON json_t *own = json_deep_copy (facts);
    if (trouble_end (self, subscriber, series, NULL, &ended, err) < 0 || trouble_end (self, subscriber, source, NULL, &ended, err) < 0)
        return -1;
    return trouble_tell_fixed (self, subscriber, &ended, series, own, err);
}

int news_on_unchanged (engine_t *self, const schedule_t *schedule, err_t *err)
{
    AUTO_TOLD told_t told = { 0 };
    AUTO_JSON json_t *facts = NULL;
    int64_t principal = 0;
    char source [NEWS_SUBJECT_MAX];
    int found = self->has_subscribers ? read_schedule (self, schedule->id, &principal, &facts, err) : 0;
    if (found <= 0)
        return found;
    AUTO_FREE char *series = mem_printf ("schedule/%lld", (long long) schedule->id);
    AUTO_FREE char *text = mem_printf ("nothing has changed since build %lld, which was published", (long long) schedule->success_build);
    news_name_source (schedule->spec, source);
    json_object_set_new (facts, "text", json_string (text));
    if (find_told_of_schedule (self, principal, schedule->id, series, source, &told, err) < 0)
        return -1;
    for (size_t i = 0; i < told.count; i++)
        if (tell_unchanged (self, told.items [i], series, source, facts, err) < 0)
            return -1;
    return 0;
}
