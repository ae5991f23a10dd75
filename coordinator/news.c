/* news.c - see news.h: builds. Schedules: news_schedules.c; workers: news_workers.c. */
#include "coordinator/news.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "common/reference.h"
#include "common/source.h"
#include "coordinator/boards.h"
#include "coordinator/cells.h"
#include "coordinator/news_words.h"
#include "coordinator/troubles.h"

enum { STEP_MAX = 200 };

/* -- a build ---------------------------------------------------------------------------------------------------- */

/* What is known of one that has ended. */
typedef struct {
    int64_t id, principal, schedule;        /* schedule 0: nobody's */
    err_code code;
    char series [NEWS_SUBJECT_MAX];              /* what comes again and again: the schedule's builds, or one user's of one repository */
    char registry [NEWS_SUBJECT_MAX];
    char source [NEWS_SUBJECT_MAX];              /* the host that its context comes from; "": it was sent */
    bool is_unfetched;                      /* and it has not come */
    char platform [PLATFORM_MAX];           /* of the job that speaks for it; "": none failed */
    char cause [NEWS_SUBJECT_MAX];
    json_t *facts;                          /* owned */
} ended_build_t;

static void ended_build_free (ended_build_t *self)
{
    json_decref (self->facts);
}
#define AUTO_ENDED_BUILD __attribute__ ((cleanup (ended_build_free)))

static json_t *tags_of (engine_t *self, int64_t build, err_t *err)
{
    AUTO_JSON json_t *tags = json_array ();
    query_t query = db_query (self->db, "SELECT reference FROM build_tags WHERE build = :build ORDER BY position LIMIT 20");
    query_int (&query, ":build", build);
    while (query_step (&query))
        json_array_append_new (tags, cell_text (&query, 0, 512));
    return query_end (&query, err) < 0 ? NULL : take (&tags);
}

static void name_series (ended_build_t *self, const char *repository)
{
    if (self->schedule)
        snprintf (self->series, sizeof self->series, "schedule/%lld", (long long) self->schedule);
    else
        snprintf (self->series, sizeof self->series, "build/%lld/%.512s", (long long) self->principal, repository);
    snprintf (self->registry, sizeof self->registry, "registry/%.*s", (int) strcspn (repository, "/"), repository);
}

void news_name_source (const json_t *spec, char out [NEWS_SUBJECT_MAX])
{
    source_t source;
    const json_t *given = json_object_get (spec, "source");
    *out = 0;
    if (given && source_read (&source, given, NULL) == 0)
        snprintf (out, NEWS_SUBJECT_MAX, "source/%s", source.host);
}

static void read_source (ended_build_t *self, const char *text)
{
    AUTO_JSON json_t *spec = json_loads (text, 0, NULL);
    news_name_source (spec, self->source);
    self->is_unfetched = *self->source && !json_object_get (spec, "context");
}

static int read_build (engine_t *self, ended_build_t *out, err_t *err)
{
    AUTO_JSON json_t *tags = tags_of (self, out->id, err);
    if (!tags)
        return -1;
    query_t query = db_query (self->db, "SELECT builds.principal, principals.name, builds.repository, builds.state, builds.code, builds.reason, builds.note, "
                              "builds.digest, schedules.id, schedules.name, firings.scheduled_ms, builds.spec FROM builds JOIN principals ON principals.id = builds.principal "
                              "LEFT JOIN firings ON firings.build = builds.id AND (firings.outcome = 'running' OR firings.outcome = 'built') "
                              "LEFT JOIN schedules ON schedules.id = firings.schedule WHERE builds.id = :id");
    query_int (&query, ":id", out->id);
    if (query_step (&query)) {
        out->principal = query_get_int (&query, 0);
        out->schedule = query_get_int (&query, 8);
        out->code = query_is_null (&query, 4) ? ERR_NONE : err_from_name (query_get_text (&query, 4));
        name_series (out, query_get_text (&query, 2));
        read_source (out, query_get_text (&query, 11));
        json_t *build = json_pack ("{s:I, s:o, s:O, s:o, s:o, s:o, s:o}", "id", (json_int_t) out->id, "user", cell_text (&query, 1, 64), "tags", tags, "state",
                                   cell_text (&query, 3, 16), "note", cell_text (&query, 6, 512), "digest", cell_text (&query, 7, 80), "code",
                                   cell_text (&query, 4, 32));
        out->facts = json_pack ("{s:o, s:I, s:o, s:o, s:o, s:i}", "build", build, "at_ms", (json_int_t) self->wall_ms, "schedule", cell_text (&query, 9, 64),
                                "scheduled_ms", cell_int (&query, 10), "text", cell_text (&query, 5, 2048), "times", 1);
    }
    return query_end (&query, err);
}

/* The job that speaks for the build, as outcome.c chooses it: its platform, step and words, and which log has them. */
static int read_job (engine_t *self, ended_build_t *out, err_t *err)
{
    char step [STEP_MAX] = "";
    query_t query = db_query (self->db, "SELECT jobs.platform, jobs.code, jobs.reason, jobs.step, jobs.exit_status, jobs.id, jobs.attempt, workers.name "
                              "FROM jobs LEFT JOIN attempts ON attempts.job = jobs.id AND attempts.number = jobs.attempt LEFT JOIN workers "
                              "ON workers.id = attempts.worker WHERE jobs.build = :build AND jobs.state = 'failed' ORDER BY jobs.is_required DESC, jobs.position LIMIT 1");
    query_int (&query, ":build", out->id);
    if (query_step (&query)) {
        snprintf (out->platform, sizeof out->platform, "%s", query_get_text (&query, 0));
        out->code = query_is_null (&query, 1) ? out->code : err_from_name (query_get_text (&query, 1));
        snprintf (step, sizeof step, "%s", query_is_null (&query, 3) ? "" : query_get_text (&query, 3));
        AUTO_JSON json_t *more = json_pack ("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "platform", cell_text (&query, 0, 98), "text", cell_text (&query, 2, 2048), "step",
                                            cell_text (&query, 3, 512), "exit_status", cell_int (&query, 4), "job", cell_int (&query, 5), "attempt",
                                            cell_int (&query, 6), "worker", cell_text (&query, 7, 64));
        json_object_update (out->facts, more);
    }
    snprintf (out->cause, sizeof out->cause, "%s %s %s", err_name (out->code), out->platform, step);
    return query_end (&query, err);
}

static bool is_farms (err_code code)
{
    return code == ERR_NO_WORKER || code == ERR_NETWORK || code == ERR_FARM || code == ERR_FULL || code == ERR_INTERRUPTED;
}

/* The farm's faults have one subject for all builds: a board, a registry or a host of repositories that is down is one news. */
static void name_subject (const ended_build_t *self, char subject [NEWS_SUBJECT_MAX])
{
    if (self->is_unfetched && self->code == ERR_NETWORK)
        snprintf (subject, NEWS_SUBJECT_MAX, "%s", self->source);
    else if (self->code == ERR_REGISTRY)
        snprintf (subject, NEWS_SUBJECT_MAX, "%s", self->registry);
    else if (is_farms (self->code) && *self->platform && !self->is_unfetched)
        snprintf (subject, NEWS_SUBJECT_MAX, "platform/%s", self->platform);
    else
        snprintf (subject, NEWS_SUBJECT_MAX, "%s", is_farms (self->code) ? "farm" : self->series);
}

/* Was it told that a worker is lost that could have built it? Then this comes of that. */
static int comes_of_lost (engine_t *self, const ended_build_t *build, int64_t subscriber, err_t *err)
{
    int known = 0;
    if (build->is_unfetched || (build->code != ERR_NO_WORKER && build->code != ERR_NETWORK))
        return 0;
    for (size_t i = 0; i < self->board_count && known == 0; i++) {
        char subject [32];
        if (board_platform (&self->boards [i], build->platform) < 0)
            continue;
        snprintf (subject, sizeof subject, "worker/%lld", (long long) self->boards [i].id);
        known = trouble_is_known (self, subscriber, subject, NEWS_LOST, err);
    }
    return known;
}

static int tell_failed (engine_t *self, const ended_build_t *build, err_t *err)
{
    AUTO_SUBSCRIBERS subscribers_t all = { 0 };
    char subject [NEWS_SUBJECT_MAX];
    name_subject (build, subject);
    bool is_series = strcmp (subject, build->series) == 0;
    news_words_title (NEWS_FAILED, build->facts);
    const trouble_t trouble = { .event = NEWS_FAILED, .subject = subject, .cause = is_series ? build->cause : err_name (build->code), .facts = build->facts };
    if (subscribers_match (self, NEWS_FAILED, build->principal, build->schedule, &all, err) < 0)
        return -1;
    for (size_t i = 0; i < all.count; i++) {
        int is_known = comes_of_lost (self, build, all.items [i].id, err);
        if (is_known < 0 || (!is_known && trouble_tell (self, &all.items [i], &trouble, is_series ? NULL : build->facts, err) < 0))
            return -1;
    }
    return 0;
}

/* -- published -------------------------------------------------------------------------------------------------- */

/* Whom it shows that something is over: those who were told of it, and may hear of this build. */
static int find_told (engine_t *self, const ended_build_t *build, told_t *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT DISTINCT subscriber FROM troubles JOIN subscribers ON subscribers.id = subscriber WHERE (scope = 'farm' OR (scope = 'user' "
                              "AND principal = :principal) OR schedule = :schedule) AND (subject = :series OR subject = :registry OR subject = :source OR subject = 'farm' OR subject IN "
                              "(SELECT 'platform/' || platform FROM jobs WHERE build = :build AND state = 'done' AND from_build IS NULL)) ORDER BY subscriber");
    query_int (&query, ":principal", build->principal);
    query_int (&query, ":schedule", build->schedule);
    query_text (&query, ":series", build->series);
    query_text (&query, ":registry", build->registry);
    query_text (&query, ":source", build->source);
    query_int (&query, ":build", build->id);
    return told_read (out, query, err);
}

static int end_platforms (engine_t *self, const ended_build_t *build, int64_t subscriber, ended_t *ended, err_t *err)
{
    char platforms [32] [PLATFORM_MAX + 16];
    int count = 0;
    query_t query = db_query (self->db, "SELECT platform FROM jobs WHERE build = :build AND state = 'done' AND from_build IS NULL");
    query_int (&query, ":build", build->id);
    while (count < 32 && query_step (&query))
        snprintf (platforms [count++], sizeof platforms [0], "platform/%s", query_get_text (&query, 0));
    if (query_end (&query, err) < 0)
        return -1;
    for (int i = 0; i < count; i++)
        if (trouble_end (self, subscriber, platforms [i], NULL, ended, err) < 0)
            return -1;
    return 0;
}

/* One news, however much is over with it. */
static int tell_fixed (engine_t *self, const ended_build_t *build, int64_t id, err_t *err)
{
    ended_t ended = { .times = 0 };
    if (trouble_end (self, id, build->series, NULL, &ended, err) < 0 || trouble_end (self, id, build->registry, NULL, &ended, err) < 0
        || trouble_end (self, id, build->source, NULL, &ended, err) < 0 || trouble_end (self, id, "farm", NULL, &ended, err) < 0
        || end_platforms (self, build, id, &ended, err) < 0)
        return -1;
    AUTO_JSON json_t *facts = json_deep_copy (build->facts);
    AUTO_FREE char *text = mem_printf ("build %lld published, after %lld that failed", (long long) build->id, (long long) ended.times);
    json_object_set_new (facts, "text", json_string (text));
    return trouble_tell_fixed (self, id, &ended, build->series, facts, err);
}

static bool is_among (const told_t *told, int64_t id)
{
    for (size_t i = 0; i < told->count; i++)
        if (told->items [i] == id)
            return true;
    return false;
}

static int tell_succeeded (engine_t *self, const ended_build_t *build, const told_t *fixed, err_t *err)
{
    AUTO_SUBSCRIBERS subscribers_t all = { 0 };
    char uid [NEWS_UID_SIZE];
    if (subscribers_match (self, NEWS_SUCCEEDED, build->principal, build->schedule, &all, err) < 0)
        return -1;
    AUTO_FREE char *text = mem_printf ("build %lld published", (long long) build->id);
    json_object_set_new (build->facts, "text", json_string (text));
    news_words_title (NEWS_SUCCEEDED, build->facts);
    const news_t news = { .event = NEWS_SUCCEEDED, .subject = build->series, .cause = "", .facts = build->facts };
    for (size_t i = 0; i < all.count; i++)
        if (!(is_among (fixed, all.items [i].id) && subscriber_takes (&all.items [i], NEWS_FIXED)) && news_outbox_add (self, &all.items [i], &news, uid, err) < 0)
            return -1;
    return 0;
}

static int tell_published (engine_t *self, const ended_build_t *build, err_t *err)
{
    AUTO_TOLD told_t told = { 0 };
    if (find_told (self, build, &told, err) < 0)
        return -1;
    for (size_t i = 0; i < told.count; i++)
        if (tell_fixed (self, build, told.items [i], err) < 0)
            return -1;
    return tell_succeeded (self, build, &told, err);
}

int news_on_build (engine_t *self, int64_t build, build_state state, err_t *err)
{
    AUTO_ENDED_BUILD ended_build_t ended = { .id = build };
    if (!self->has_subscribers || state == BUILD_CANCELLED)
        return 0;
    if (read_build (self, &ended, err) < 0 || !ended.facts)
        return ended.facts ? -1 : 0;
    if (state == BUILD_PUBLISHED)
        return tell_published (self, &ended, err);
    return read_job (self, &ended, err) < 0 ? -1 : tell_failed (self, &ended, err);
}

/* -- a test ----------------------------------------------------------------------------------------------------- */

int news_test (engine_t *self, const event_t *event, int64_t subscriber, err_t *err)
{
    subscriber_t to;
    char uid [NEWS_UID_SIZE];
    int found = subscriber_load (self, subscriber, &to, err);
    if (found <= 0)
        return found < 0 ? -1 : err_set (err, ERR_DENIED, "news %s are silent: whoever has added them may not see any more what they tell", event_text (event, "name"));
    AUTO_JSON json_t *facts = json_pack ("{s:I, s:s}", "at_ms", (json_int_t) self->wall_ms, "text", "this is a test, and nothing has happened");
    news_words_title (NEWS_TEST, facts);
    const news_t news = { .event = NEWS_TEST, .subject = "test", .cause = "", .facts = facts };
    if (news_outbox_add (self, &to, &news, uid, err) < 0)
        return -1;
    news_outbox_await (self, event, uid);
    return 0;
}
