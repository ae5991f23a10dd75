/* holds.c - see holds.h. Builds of users without limits have no mark, so they cost nothing here. */
#include "coordinator/holds.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "common/reference.h"
#include "coordinator/principals.h"
#include "coordinator/queue.h"

enum { PATTERN_MAX = 256 };

/* -- repositories ------------------------------------------------------------------------------------------------ */

int repository_check_pattern (const char *pattern, err_t *err)
{
    static const char letters [] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:*";
    size_t size = strlen (pattern);
    if (size > 0 && size <= PATTERN_MAX && strspn (pattern, letters) == size && pattern [0] != '/' && pattern [size - 1] != '/')
        return 0;
    return err_set (err, ERR_USAGE, "\"%s\" is no pattern of repositories: team/*, or with a host registry.lan/team/*", pattern);
}

/* As in a reference (common/reference.c): the first part is a host when it has a dot or a port, or is localhost. */
static bool has_host (const char *pattern)
{
    size_t size = strcspn (pattern, "/");
    return pattern [size] && (memchr (pattern, '.', size) || memchr (pattern, ':', size) || (size == 9 && strncmp (pattern, "localhost", 9) == 0));
}

bool repository_matches (const char *pattern, const char *repository)
{
    const char *slash = strchr (repository, '/');
    return fnmatch (pattern, has_host (pattern) || !slash ? repository : slash + 1, FNM_NOESCAPE) == 0;
}

static bool is_any (const json_t *patterns, const char *repository)
{
    size_t i;
    json_t *pattern;
    json_array_foreach ((json_t *) patterns, i, pattern)
        if (repository_matches (json_string_value (pattern), repository))
            return true;
    return json_array_size (patterns) == 0;
}

/* Each tag's own: those of one build may differ in the path. */
static int check_tags (const json_t *patterns, const json_t *spec, err_t *err)
{
    size_t i;
    json_t *tag;
    json_array_foreach (json_object_get (spec, "tags"), i, tag) {
        reference_t reference;
        char repository [REFERENCE_MAX];
        if (reference_parse (&reference, json_string_value (tag), err) < 0)
            return -1;
        snprintf (repository, sizeof repository, "%.255s/%.255s", reference.host, reference.path);
        if (!is_any (patterns, repository)) {
            AUTO_FREE char *allowed = json_dumps (patterns, JSON_COMPACT);
            return err_set (err, ERR_DENIED, "you may not publish to %s, only to %s: use another tag, or ask an admin of the farm (farmctl user limit)",
                            repository, allowed);
        }
    }
    return 0;
}

/* -- numbers ----------------------------------------------------------------------------------------------------- */

static int count (engine_t *self, int64_t principal, int held, int64_t *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT count (*) FROM builds WHERE principal = :principal AND held = :held AND held IS NOT NULL "
                              "AND ended_ms IS NULL");
    query_int (&query, ":principal", principal);
    query_int (&query, ":held", held);
    *out = query_step (&query) ? query_get_int (&query, 0) : 0;
    return query_end (&query, err);
}

/* Those that no worker has begun with. */
static int count_queued (engine_t *self, int64_t principal, int64_t *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT count (*) FROM builds WHERE principal = :principal AND held IS NOT NULL AND ended_ms IS NULL "
                              "AND state = 'queued'");
    query_int (&query, ":principal", principal);
    *out = query_step (&query) ? query_get_int (&query, 0) : 0;
    return query_end (&query, err);
}

int holds_check (engine_t *self, int64_t principal, const json_t *spec, err_t *err)
{
    principal_t who;
    int64_t queued = 0;
    AUTO_JSON json_t *limits = principal_limits (self, principal, err);
    if (!limits || principal_load (self, principal, &who, err) < 0 || check_tags (json_object_get (limits, "repositories"), spec, err) < 0)
        return -1;
    if (who.max_queued > 0 && count_queued (self, principal, &queued, err) < 0)
        return -1;
    if (who.max_queued == 0 || queued < who.max_queued)
        return 0;
    return err_set (err, ERR_FULL, "%lld of your builds are queued, and you may have %lld: wait until some have begun, cancel some, or ask an admin of the farm (farmctl user limit)",
                    (long long) queued, (long long) who.max_queued);
}

bool holds_are_full (engine_t *self, int64_t principal)
{
    principal_t who;
    int64_t queued;
    return principal_load (self, principal, &who, NULL) == 0 && who.max_queued > 0 && count_queued (self, principal, &queued, NULL) == 0
           && queued >= who.max_queued;
}

/* -- held and let go ---------------------------------------------------------------------------------------------- */

static int mark (engine_t *self, int64_t build, int held, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE builds SET held = :held WHERE id = :build");
    query_int (&query, ":held", held);
    query_int (&query, ":build", build);
    return query_run (&query, err) < 0 ? -1 : 0;
}

static int rest (engine_t *self, int64_t build, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE jobs SET is_resting = 1 WHERE build = :build AND state = 'queued'");
    query_int (&query, ":build", build);
    return query_run (&query, err) < 0 ? -1 : 0;
}

int holds_add (engine_t *self, int64_t build, int64_t principal, err_t *err)
{
    principal_t who;
    int64_t running = 0;
    if (principal_load (self, principal, &who, err) < 0)
        return -1;
    if (who.max_queued == 0 && who.max_running == 0)
        return 0;
    if (count (self, principal, 0, &running, err) < 0)
        return -1;
    bool is_held = who.max_running > 0 && running >= who.max_running;
    return mark (self, build, is_held, err) < 0 ? -1 : is_held ? rest (self, build, err) : 0;
}

/* Its time in the queue begins now. */
static int wake_job (engine_t *self, int64_t id, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE jobs SET is_resting = 0, queued_ms = :now WHERE id = :id");
    query_int (&query, ":id", id);
    query_int (&query, ":now", self->wall_ms);
    return query_run (&query, err) < 0 ? -1 : queue_enter (self, id, err);
}

static int wake_jobs (engine_t *self, int64_t build, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id FROM jobs WHERE build = :build AND state = 'queued' AND is_resting AND NOT " UNREADY_JOBS);
    query_int (&query, ":build", build);
    return engine_each_id (self, query, wake_job, err);
}

int holds_wake (engine_t *self, int64_t build, err_t *err)
{
    query_t query = db_query (self->db, "SELECT 1 FROM builds WHERE id = :build AND held = 1");
    query_int (&query, ":build", build);
    bool is_held = query_step (&query);
    return query_end (&query, err) < 0 ? -1 : is_held ? 0 : wake_jobs (self, build, err);
}

static int oldest_held (engine_t *self, int64_t principal, int64_t *build, err_t *err)
{
    query_t query = db_query (self->db, "SELECT id FROM builds WHERE principal = :principal AND held = 1 AND held IS NOT NULL "
                              "AND ended_ms IS NULL ORDER BY id LIMIT 1");
    query_int (&query, ":principal", principal);
    *build = query_step (&query) ? query_get_int (&query, 0) : 0;
    return query_end (&query, err);
}

/* As many as may be at work, the oldest first. */
static int let_go (engine_t *self, int64_t principal, err_t *err)
{
    principal_t who;
    int64_t running, build;
    if (principal_load (self, principal, &who, err) < 0)
        return err->code == ERR_DENIED ? 0 : -1;            /* whose right was taken back has none left */
    if (count (self, principal, 0, &running, err) < 0)
        return -1;
    for (; who.max_running == 0 || running < who.max_running; running++) {
        if (oldest_held (self, principal, &build, err) < 0)
            return -1;
        if (build == 0)
            return 0;
        if (mark (self, build, 0, err) < 0 || wake_jobs (self, build, err) < 0)
            return -1;
        engine_note_change (self, build);
    }
    return 0;
}

int holds_end (engine_t *self, int64_t build, err_t *err)
{
    int64_t principal = 0;
    query_t query = db_query (self->db, "SELECT principal FROM builds WHERE id = :build AND held IS NOT NULL");
    query_int (&query, ":build", build);
    if (query_step (&query))
        principal = query_get_int (&query, 0);
    if (query_end (&query, err) < 0)
        return -1;
    return principal ? let_go (self, principal, err) : 0;
}

int holds_settle (engine_t *self, int64_t principal, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE builds SET held = 0 WHERE principal = :principal AND ended_ms IS NULL AND held IS NULL");
    query_int (&query, ":principal", principal);
    return query_run (&query, err) < 0 ? -1 : let_go (self, principal, err);
}

char *holds_explain (engine_t *self, int64_t build)
{
    char *text = NULL;
    query_t query = db_query (self->db, "SELECT principals.name, max_running FROM builds JOIN principals ON principals.id = builds.principal "
                              "WHERE builds.id = :build AND held = 1 AND ended_ms IS NULL");
    query_int (&query, ":build", build);
    if (query_step (&query))
        text = mem_printf ("%s may have %lld builds at work: it waits for one of them to end", query_get_text (&query, 0),
                           (long long) query_get_int (&query, 1));
    query_end (&query, NULL);
    return text;
}
