/* view_events.c - see view.h: each change of state of a build and its jobs, in order. */
#include "coordinator/view.h"

#include "common/mem.h"
#include "coordinator/builds.h"
#include "coordinator/cells.h"

enum { CAUSE_MAX = 1024 };

static json_t *event_of (const query_t *query)
{
    return json_pack ("{s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "id", (json_int_t) query_get_int (query, 0), "at_ms",
                      (json_int_t) query_get_int (query, 1), "platform", cell_text (query, 2, PLATFORM_MAX), "attempt",
                      cell_int (query, 3), "from", cell_text (query, 4, 32), "to", cell_text (query, 5, 32), "cause",
                      cell_text (query, 6, CAUSE_MAX));
}

/* As many as fit: whoever asks goes on behind the last one. */
int view_on_events (engine_t *self, const event_t *event, err_t *err)
{
    AUTO_JSON json_t *all = json_array ();
    int64_t build = event_int (event, "build");
    int size = 0;
    bool has_more;
    if (build_check_reader (self, event, build, err) < 0)
        return -1;
    query_t query = db_query (self->db, "SELECT events.id, at_ms, jobs.platform, events.attempt, from_state, to_state, cause FROM events "
                              "LEFT JOIN jobs ON jobs.id = events.job WHERE events.build = :build AND events.id > :after ORDER BY events.id");
    query_int (&query, ":build", build);
    query_int (&query, ":after", event_int (event, "after"));
    while ((has_more = query_step (&query)) && size < LIST_MAX) {
        json_t *one = event_of (&query);
        size += cell_size (one);
        json_array_append_new (all, one);
    }
    if (query_end (&query, err) < 0)
        return -1;
    engine_answer (self, event, "event-list", json_pack ("{s:O, s:b}", "events", all, "has_more", has_more));
    return 0;
}
