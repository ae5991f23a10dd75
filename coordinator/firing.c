/* firing.c - see firing.h. */
#include "coordinator/firing.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"

static const int64_t keep_ms = 90ll * 86400000;

void firing_make_request (const schedule_t *schedule, int64_t scheduled_ms, char out [33])
{
    uint8_t bytes [16];
    AUTO_FREE char *text = mem_printf ("schedule/%lld/%lld", (long long) schedule->id, (long long) scheduled_ms);
    crypto_generichash (bytes, sizeof bytes, (const uint8_t *) text, strlen (text), NULL, 0);
    sodium_bin2hex (out, 33, bytes, sizeof bytes);
}

/* What is still to come to something is not counted yet. */
static void count_outcome (engine_t *self, const char *outcome, int64_t times)
{
    bool is_open = strcmp (outcome, "waiting") == 0 || strcmp (outcome, "looking") == 0;
    if (!is_open)
        engine_count (self, "farm_schedule_firings_total", (double) times, strcmp (outcome, "running") == 0 ? "build" : outcome, NULL, NULL);
}

int firing_insert (engine_t *self, const firing_t *firing, const char *outcome, int64_t times, const char *text, err_t *err)
{
    query_t query = db_query (self->db, "INSERT INTO firings (schedule, scheduled_ms, fired_ms, is_by_hand, outcome, times, text, request) "
                              "VALUES (:schedule, :scheduled, :now, :by_hand, :outcome, :times, :text, :request) ON CONFLICT DO NOTHING");
    query_int (&query, ":schedule", firing->schedule);
    query_int (&query, ":scheduled", firing->scheduled_ms);
    query_int (&query, ":now", self->wall_ms);
    query_int (&query, ":by_hand", firing->is_by_hand);
    query_text (&query, ":outcome", outcome);
    query_int (&query, ":times", times);
    query_text (&query, ":text", text);
    query_text (&query, ":request", firing->request);
    int inserted = query_run (&query, err);
    if (inserted > 0)
        count_outcome (self, outcome, times);
    return inserted;
}

int firing_settle (engine_t *self, const firing_t *firing, const char *outcome, int64_t build, const char *text, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE firings SET outcome = :outcome, build = nullif (:build, 0), text = coalesce (:text, text), "
                              "fired_ms = :now WHERE schedule = :schedule AND scheduled_ms = :scheduled");
    query_int (&query, ":schedule", firing->schedule);
    query_int (&query, ":scheduled", firing->scheduled_ms);
    query_text (&query, ":outcome", outcome);
    query_int (&query, ":build", build);
    query_text (&query, ":text", text);
    query_int (&query, ":now", self->wall_ms);
    count_outcome (self, outcome, 1);
    return query_run (&query, err) < 0 ? -1 : 0;
}

int firing_forget_old (engine_t *self, int64_t schedule, err_t *err)
{
    query_t query = db_query (self->db, "DELETE FROM firings WHERE schedule = :schedule AND scheduled_ms < :before AND outcome <> 'waiting' "
                              "AND outcome <> 'looking' AND outcome <> 'running'");
    query_int (&query, ":schedule", schedule);
    query_int (&query, ":before", self->wall_ms - keep_ms);
    return query_run (&query, err) < 0 ? -1 : 0;
}

int firing_find_open (engine_t *self, int64_t schedule, open_firings_t *out, err_t *err)
{
    *out = (open_firings_t) { 0 };
    query_t query = db_query (self->db, "SELECT outcome, build FROM firings WHERE schedule = :schedule "
                              "AND (outcome = 'waiting' OR outcome = 'looking' OR outcome = 'running')");
    query_int (&query, ":schedule", schedule);
    while (query_step (&query)) {
        out->count++;
        out->waiting += strcmp (query_get_text (&query, 0), "waiting") == 0;
        out->build = query_is_null (&query, 1) ? out->build : query_get_int (&query, 1);
    }
    return query_end (&query, err);
}

int firing_note_inputs (engine_t *self, const firing_t *firing, const json_t *spec, err_t *err)
{
    char inputs [OCI_DIGEST_SIZE];
    schedule_inputs (spec, inputs);
    query_t query = db_query (self->db, "UPDATE firings SET inputs = :inputs WHERE schedule = :schedule AND scheduled_ms = :scheduled");
    query_text (&query, ":inputs", inputs);
    query_int (&query, ":schedule", firing->schedule);
    query_int (&query, ":scheduled", firing->scheduled_ms);
    return query_run (&query, err) < 0 ? -1 : 0;
}

int firing_read (const query_t *row, firing_t *out)
{
    out->schedule = query_get_int (row, 0);
    out->scheduled_ms = query_get_int (row, 1);
    out->is_by_hand = query_get_int (row, 2);
    snprintf (out->request, sizeof out->request, "%s", query_get_text (row, 3));
    return 1;
}

int firing_find_looking (engine_t *self, int64_t schedule, int64_t scheduled_ms, firing_t *out, json_t **fetched, err_t *err)
{
    *fetched = NULL;
    query_t query = db_query (self->db, "SELECT schedule, scheduled_ms, is_by_hand, request, fetched FROM firings WHERE schedule = :schedule "
                              "AND scheduled_ms = :scheduled AND outcome = 'looking'");
    query_int (&query, ":schedule", schedule);
    query_int (&query, ":scheduled", scheduled_ms);
    int found = query_step (&query) ? firing_read (&query, out) : 0;
    if (found && !query_is_null (&query, 4))
        *fetched = json_loads (query_get_text (&query, 4), 0, NULL);
    return query_end (&query, err) < 0 ? -1 : found;
}

int firing_note_fetched (engine_t *self, const firing_t *firing, const json_t *fetched, err_t *err)
{
    AUTO_FREE char *text = json_dumps (fetched, JSON_COMPACT);
    query_t query = db_query (self->db, "UPDATE firings SET fetched = :fetched WHERE schedule = :schedule AND scheduled_ms = :scheduled");
    query_text (&query, ":fetched", text);
    query_int (&query, ":schedule", firing->schedule);
    query_int (&query, ":scheduled", firing->scheduled_ms);
    return query_run (&query, err) < 0 ? -1 : 0;
}

int firing_drop_waiting (engine_t *self, int64_t schedule, const char *why, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE firings SET outcome = 'skipped', text = :why WHERE schedule = :schedule "
                              "AND (outcome = 'waiting' OR outcome = 'looking')");
    query_int (&query, ":schedule", schedule);
    query_text (&query, ":why", why);
    int dropped = query_run (&query, err);
    if (dropped > 0)
        count_outcome (self, "skipped", dropped);
    return dropped < 0 ? -1 : 0;
}
