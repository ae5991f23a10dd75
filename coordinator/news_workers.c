/* news_workers.c - see news.h: workers that are lost or quarantined, and back; and the clock of it all. */
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/boards.h"
#include "coordinator/news.h"
#include "coordinator/news_words.h"
#include "coordinator/troubles.h"

static json_t *facts_of (const engine_t *self, const board_t *board, const char *text)
{
    json_t *platforms = json_array ();
    for (size_t i = 0; i < board->platform_count; i++)
        json_array_append_new (platforms, json_string (board->platforms [i].name));
    return json_pack ("{s:s, s:o, s:I, s:s, s:i}", "worker", board->name, "platforms", platforms, "at_ms", (json_int_t) self->wall_ms, "text", text, "times", 1);
}

static void name_subject (const board_t *board, char subject [32])
{
    snprintf (subject, 32, "worker/%lld", (long long) board->id);
}

static int tell (engine_t *self, const board_t *board, const char *event, const char *text, err_t *err)
{
    char subject [32];
    name_subject (board, subject);
    AUTO_JSON json_t *facts = facts_of (self, board, text);
    news_words_title (event, facts);
    const trouble_t trouble = { .event = event, .subject = subject, .cause = event, .facts = facts };
    return trouble_tell_all (self, 0, 0, &trouble, NULL, err);
}

static int end_for (engine_t *self, const board_t *board, int64_t subscriber, const char *cause, const char *what, err_t *err)
{
    ended_t ended = { .times = 0 };
    char subject [32];
    name_subject (board, subject);
    if (trouble_end (self, subscriber, subject, cause, &ended, err) < 0)
        return -1;
    AUTO_JSON json_t *facts = what ? facts_of (self, board, what) : NULL;
    return what ? trouble_tell_fixed (self, subscriber, &ended, subject, facts, err) : 0;
}

/* what NULL: in silence. */
static int end (engine_t *self, const board_t *board, const char *cause, const char *what, err_t *err)
{
    AUTO_TOLD told_t told = { 0 };
    char subject [32];
    name_subject (board, subject);
    if (troubles_told_of (self, subject, cause, &told, err) < 0)
        return -1;
    for (size_t i = 0; i < told.count; i++)
        if (end_for (self, board, told.items [i], cause, what, err) < 0)
            return -1;
    return 0;
}

int news_on_quarantine (engine_t *self, const board_t *board, int64_t ms, err_t *err)
{
    AUTO_FREE char *text = mem_printf ("its last %d attempts failed through the farm's fault; it gets no jobs for %lld s", board->faults + 1, (long long) ms / 1000);
    return self->has_subscribers ? tell (self, board, NEWS_QUARANTINED, text, err) : 0;
}

int news_on_work (engine_t *self, const board_t *board, err_t *err)
{
    return self->has_subscribers ? end (self, board, NEWS_QUARANTINED, "it is at work again", err) : 0;
}

int news_on_forgotten (engine_t *self, const board_t *board, err_t *err)
{
    return self->has_subscribers ? end (self, board, NULL, NULL, err) : 0;
}

/* -- lost ------------------------------------------------------------------------------------------------------- */

static bool is_away (const board_t *board)
{
    return !board->is_online || !board->peer;
}

static int64_t told_at (const engine_t *self, const board_t *board)
{
    return board->away_at + self->settings.news_lost_ms;
}

static int see_away (engine_t *self, board_t *board, err_t *err)
{
    if (!board->away_at)
        board->away_at = self->boot_ms;
    if (board->mode != MODE_ACTIVE || board->is_lost_told || self->boot_ms < told_at (self, board))
        return 0;
    board->is_lost_told = true;
    AUTO_FREE char *text = mem_printf ("nothing was heard of it for %lld s", (long long) (self->boot_ms - board->away_at) / 1000);
    return tell (self, board, NEWS_LOST, text, err);
}

/* An admin who has paused or drained it knows, and needs no news of that. */
static int see_boards (engine_t *self, err_t *err)
{
    for (size_t i = 0; i < self->board_count; i++) {
        board_t *board = &self->boards [i];
        if (is_away (board)) {
            if (see_away (self, board, err) < 0)
                return -1;
            continue;
        }
        if (board->away_at && end (self, board, NEWS_LOST, "it is back", err) < 0)
            return -1;
        board->away_at = 0;
        board->is_lost_told = false;
    }
    return 0;
}

int64_t news_next_tick (const engine_t *self)
{
    int64_t next = self->news_at;
    if (!self->has_subscribers || self->winds_down)
        return INT64_MAX;
    for (size_t i = 0; i < self->board_count; i++) {
        const board_t *board = &self->boards [i];
        bool is_to_be_seen = is_away (board) ? !board->away_at : board->away_at > 0;
        bool is_to_be_told = is_away (board) && board->away_at && board->mode == MODE_ACTIVE && !board->is_lost_told;
        int64_t due = is_to_be_seen ? self->boot_ms : is_to_be_told ? told_at (self, board) : INT64_MAX;
        next = due < next ? due : next;
    }
    return next;
}

int news_tick (engine_t *self, err_t *err)
{
    if (!self->has_subscribers)
        return 0;
    if (self->boot_ms >= self->news_tidy_at && troubles_forget_old (self, err) < 0)
        return -1;
    return see_boards (self, err) < 0 ? -1 : news_outbox_tick (self, err);
}
