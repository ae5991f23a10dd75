/* retention.c - see retention.h. */
#include "coordinator/retention.h"

#include "coordinator/lanes.h"
#include "coordinator/queue.h"

enum { FORGET_BATCH = 100, LOOK_MS = 3600000, MORE_MS = 1000 };

static int find_old (engine_t *self, int64_t builds [FORGET_BATCH], err_t *err)
{
    int count = 0;
    query_t query = db_query (self->db, "SELECT id FROM builds WHERE ended_ms <= :before AND NOT EXISTS (SELECT 1 FROM tags "
                              "WHERE tags.build = builds.id) ORDER BY ended_ms LIMIT :limit");
    query_int (&query, ":before", self->wall_ms - self->settings.build_keep_ms);
    query_int (&query, ":limit", FORGET_BATCH);
    while (count < FORGET_BATCH && query_step (&query))
        builds [count++] = query_get_int (&query, 0);
    return query_end (&query, err) < 0 ? -1 : count;
}

static int run (query_t query, int64_t build, err_t *err)
{
    query_int (&query, ":build", build);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* What refers to a row goes before it. */
static int forget (engine_t *self, int64_t build, err_t *err)
{
    if (run (db_query (self->db, "DELETE FROM events WHERE build = :build"), build, err) < 0
        || run (db_query (self->db, "DELETE FROM attempts WHERE job IN (SELECT id FROM jobs WHERE build = :build)"), build, err) < 0
        || run (db_query (self->db, "DELETE FROM jobs WHERE build = :build"), build, err) < 0
        || run (db_query (self->db, "DELETE FROM build_tags WHERE build = :build"), build, err) < 0)
        return -1;
    return run (db_query (self->db, "DELETE FROM builds WHERE id = :build"), build, err);
}

int retention_forget (engine_t *self, err_t *err)
{
    int64_t builds [FORGET_BATCH];
    if (self->boot_ms < self->forget_at)
        return 0;
    int count = self->settings.build_keep_ms > 0 ? find_old (self, builds, err) : 0;
    for (int i = 0; i < count; i++)
        if (forget (self, builds [i], err) < 0)
            return -1;
    if (count > 0)
        engine_tell (self, "forgot %d builds that ended long ago", count);
    if (count >= 0 && count < FORGET_BATCH && (lanes_tidy (self, err) < 0 || queue_load (self, err) < 0))
        return -1;
    self->forget_at = self->boot_ms + (count == FORGET_BATCH ? MORE_MS : LOOK_MS);
    return count < 0 ? -1 : 0;
}
