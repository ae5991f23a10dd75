/* board_care.c - see boards.h: what a worker tells of its machine, how it has done lately, and an admin's word. */
#include "coordinator/boards.h"

#include <stdio.h>
#include <string.h>

#include "common/label.h"
#include "common/mem.h"
#include "coordinator/news.h"

enum { FAULTS_MAX = 3, QUARANTINE_MAX_MS = 86400000 };

/* Roughly: what a worker does beside its jobs tells two idle ones apart, a moment's noise does not. */
static int strain_of (const board_t *board)
{
    int64_t percent = json_integer_value (json_object_get (board->health, "load_percent"));
    return board->cpus > 0 && percent > 0 && percent < INT32_MAX / 4 ? (int) (percent * 4 / 100 / board->cpus) : 0;
}

void board_note_health (engine_t *self, board_t *board, const event_t *event)
{
    const char *unfit = event_text (event, "unfit");
    bool is_stopping = json_is_true (json_object_get (event->header, "stopping"));
    json_t *health = json_incref (json_object_get (event->header, "health"));
    json_decref (board->health);
    board->health = health;
    board->strain = strain_of (board);
    if (!!*board->unfit != (unfit != NULL)) {
        self->must_match = self->must_look = true;
        engine_tell (self, "worker %s %s%s", board->name, unfit ? "takes no jobs for now: " : "takes jobs again", unfit ? unfit : "");
    }
    snprintf (board->unfit, sizeof board->unfit, "%s", unfit ? unfit : "");
    if (board->is_stopping != is_stopping)
        self->must_match = self->must_look = true;
    board->is_stopping = is_stopping;
}

void board_forget_health (board_t *board)
{
    json_decref (board->health);
    board->health = NULL;
    board->strain = 0;
    *board->unfit = 0;
    board->is_stopping = false;
}

/* -- quarantine ------------------------------------------------------------------------------------------------- */

static int write_faults (engine_t *self, board_t *board, int faults, int64_t until_ms, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE workers SET faults = :faults, quarantined_until_ms = :until WHERE id = :id");
    query_int (&query, ":faults", faults);
    query_int (&query, ":until", until_ms);
    query_int (&query, ":id", board->id);
    return query_run (&query, err) < 0 ? -1 : board_read_again (self, board, err);
}

int board_note_fault (engine_t *self, board_t *board, err_t *err)
{
    int more = board->faults + 1 - FAULTS_MAX;              /* of those that bring quarantine */
    int64_t ms = self->settings.quarantine_ms;
    for (int i = 0; i < more && ms < QUARANTINE_MAX_MS; i++)
        ms *= 2;
    if (ms > QUARANTINE_MAX_MS)
        ms = QUARANTINE_MAX_MS;
    bool is_bad = more >= 0 && ms > 0;
    if (is_bad)
        engine_tell (self, "worker %s is quarantined for %lld s: its last %d attempts failed through the farm's fault", board->name,
                     (long long) ms / 1000, board->faults + 1);
    if (is_bad && news_on_quarantine (self, board, ms, err) < 0)
        return -1;
    return write_faults (self, board, board->faults + 1, is_bad ? self->wall_ms + ms : 0, err);
}

int board_note_work (engine_t *self, board_t *board, err_t *err)
{
    if (board->faults == 0)
        return 0;
    return news_on_work (self, board, err) < 0 ? -1 : write_faults (self, board, 0, 0, err);
}

int64_t boards_next_tick (const engine_t *self)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < self->board_count; i++) {
        int64_t left = self->boards [i].quarantined_until_ms - self->wall_ms;
        if (self->boards [i].quarantined_until_ms && self->boot_ms + left < next)
            next = self->boot_ms + left;
    }
    return next;
}

void boards_tick (engine_t *self)
{
    for (size_t i = 0; i < self->board_count; i++) {
        board_t *board = &self->boards [i];
        if (board->quarantined_until_ms == 0 || board_is_quarantined (self, board))
            continue;
        board->quarantined_until_ms = 0;
        self->must_match = self->must_look = true;
    }
}

/* -- orders ----------------------------------------------------------------------------------------------------- */

/* What was given before, and what is given now. The caller frees; NULL with err. */
static char *merge_labels (engine_t *self, const board_t *board, const json_t *labels, err_t *err)
{
    AUTO_JSON json_t *all = NULL;
    query_t query = db_query (self->db, "SELECT labels FROM workers WHERE id = :id");
    query_int (&query, ":id", board->id);
    if (query_step (&query))
        all = json_loads (query_get_text (&query, 0), 0, NULL);
    if (query_end (&query, err) < 0)
        return NULL;
    if (!json_is_object (all)) {
        json_decref (all);
        all = json_object ();
    }
    json_object_update (all, (json_t *) labels);
    if (json_object_size (all) <= LABELS_MAX)
        return json_dumps (all, JSON_COMPACT | JSON_SORT_KEYS);
    err_set (err, ERR_USAGE, "worker %s would have more than %d labels", board->name, LABELS_MAX);
    return NULL;
}

int board_order (engine_t *self, board_t *board, board_mode mode, const json_t *labels, const char *comment, err_t *err)
{
    AUTO_FREE char *all = labels ? merge_labels (self, board, labels, err) : NULL;
    if (labels && !all)
        return -1;
    if ((mode == MODE_FORGOTTEN && news_on_forgotten (self, board, err) < 0) || (mode == MODE_ACTIVE && news_on_work (self, board, err) < 0))
        return -1;
    query_t query = db_query (self->db, "UPDATE workers SET mode = coalesce (:mode, mode), labels = coalesce (:labels, labels), "
                              "comment = coalesce (:comment, comment), faults = CASE WHEN :mode = 'active' THEN 0 ELSE faults END, "
                              "quarantined_until_ms = CASE WHEN :mode = 'active' THEN 0 ELSE quarantined_until_ms END WHERE id = :id");
    query_text (&query, ":mode", mode < MODES ? board_mode_name (mode) : NULL);
    query_text (&query, ":labels", all);
    query_text (&query, ":comment", comment);
    query_int (&query, ":id", board->id);
    return query_run (&query, err) < 0 ? -1 : board_read_again (self, board, err);
}
