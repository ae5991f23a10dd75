/* boards.c - see boards.h. */
#include "coordinator/boards.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/principals.h"

enum { NOTE_MS = 60000 };

/* -- in memory -------------------------------------------------------------------------------------------------- */

board_t *board_find (engine_t *self, int64_t worker)
{
    ptrdiff_t place = id_map_find (&self->board_places, worker);
    return place < 0 ? NULL : &self->boards [place];
}

board_t *board_of_principal (engine_t *self, int64_t principal)
{
    ptrdiff_t place = id_map_find (&self->principal_places, principal);
    return place < 0 || self->boards [place].principal != principal ? NULL : &self->boards [place];
}

board_t *board_of_peer (engine_t *self, uint64_t peer)
{
    for (size_t i = 0; peer && i < self->board_count; i++)
        if (self->boards [i].peer == peer)
            return &self->boards [i];
    return NULL;
}

board_t *board_of_name (engine_t *self, const char *name)
{
    for (size_t i = 0; i < self->board_count; i++)
        if (strcmp (self->boards [i].name, name) == 0)
            return &self->boards [i];
    return NULL;
}

static board_t *add (engine_t *self, int64_t worker, int64_t principal)
{
    self->boards = mem_resize (self->boards, (self->board_count + 1) * sizeof *self->boards);
    id_map_set (&self->board_places, worker, self->board_count);
    board_t *board = &self->boards [self->board_count++];
    memset (board, 0, sizeof *board);
    board->id = worker;
    board->principal = principal;
    return board;
}

bool board_is_quarantined (const engine_t *self, const board_t *board)
{
    return board->quarantined_until_ms > self->wall_ms;
}

bool board_is_open (const engine_t *self, const board_t *board)
{
    return board->is_online && board->peer && board->mode == MODE_ACTIVE && !board->is_stopping && !board_is_quarantined (self, board)
           && !*board->unfit;
}

int board_platform (const board_t *self, const char *platform)
{
    for (size_t i = 0; i < self->platform_count; i++)
        if (strcmp (self->platforms [i].name, platform) == 0)
            return (int) i;
    return -1;
}

/* -- words ------------------------------------------------------------------------------------------------------ */

static const char *const mode_names [MODES] = { "active", "draining", "paused", "forgotten" };

board_mode board_mode_of (const char *name)
{
    int mode = 0;
    while (mode < MODES && strcmp (mode_names [mode], name) != 0)
        mode++;
    return mode;
}

const char *board_mode_name (board_mode mode)
{
    return mode_names [mode];
}

const char *board_state (const engine_t *self, const board_t *board)
{
    if (board->mode != MODE_ACTIVE)
        return mode_names [board->mode];
    if (!board->is_online || !board->peer)
        return "lost";
    if (board->is_stopping)
        return "stopping";
    return board_is_quarantined (self, board) ? "quarantined" : *board->unfit ? "unfit" : "online";
}

/* -- rows ------------------------------------------------------------------------------------------------------- */

static int read_platforms (board_t *board, const json_t *platforms, err_t *err)
{
    size_t i;
    json_t *item;
    board->platform_count = 0;
    json_array_foreach ((json_t *) platforms, i, item) {
        platform_t platform;
        char name [PLATFORM_MAX];
        const char *text = json_string_value (json_object_get (item, "platform"));
        if (platform_parse (&platform, text ? text : "", err) < 0)
            return -1;
        platform_format (&platform, name);
        if (board->platform_count == BOARD_PLATFORMS_MAX || board_platform (board, name) >= 0)
            continue;
        board->platforms = mem_resize (board->platforms, (board->platform_count + 1) * sizeof *board->platforms);
        strcpy (board->platforms [board->platform_count].name, name);
        board->platforms [board->platform_count++].is_emulated = json_is_true (json_object_get (item, "emulated"));
    }
    return 0;
}

/* Both JSON. Its name is a label too, so that a build can ask for one worker. */
static void set_labels (board_t *board, const char *own, const char *given)
{
    AUTO_JSON json_t *over = json_loads (given, 0, NULL);
    json_t *all = json_loads (own, 0, NULL), *value;
    const char *name;
    if (!json_is_object (all)) {
        json_decref (all);
        all = json_object ();
    }
    json_object_set_new (all, "name", json_string (board->name));
    json_object_foreach (over, name, value)
        if (json_is_null (value))
            json_object_del (all, name);
        else
            json_object_set (all, name, value);
    json_decref (board->labels);
    board->labels = all;
}

#define COLUMNS "id, principal, name, instance, platforms, slots, own_labels, labels, mode, faults, quarantined_until_ms, limits, cpus"

static int read_row (engine_t *self, board_t *board, const query_t *query, err_t *err)
{
    AUTO_JSON json_t *platforms = json_loads (query_get_text (query, 4), 0, NULL), *limits = json_loads (query_get_text (query, 11), 0, NULL);
    board->principal = query_get_int (query, 1);
    id_map_set (&self->principal_places, board->principal, (size_t) (board - self->boards));
    snprintf (board->name, sizeof board->name, "%s", query_get_text (query, 2));
    snprintf (board->instance, sizeof board->instance, "%s", query_get_text (query, 3));
    board->slots = (int) query_get_int (query, 5);
    set_labels (board, query_get_text (query, 6), query_get_text (query, 7));
    board->mode = board_mode_of (query_get_text (query, 8));
    board->faults = (int) query_get_int (query, 9);
    board->quarantined_until_ms = query_get_int (query, 10);
    board->memory_bytes = json_integer_value (json_object_get (limits, "memory_bytes"));
    board->cpu_percent = json_integer_value (json_object_get (limits, "cpu_percent"));
    board->cpus = (int) query_get_int (query, 12);
    return read_platforms (board, platforms, err);
}

int board_read_again (engine_t *self, board_t *board, err_t *err)
{
    int rc = 0;
    query_t query = db_query (self->db, "SELECT " COLUMNS " FROM workers WHERE id = :id");
    query_int (&query, ":id", board->id);
    if (query_step (&query))
        rc = read_row (self, board, &query, err);
    self->must_match = self->must_look = true;
    return query_end (&query, rc == 0 ? err : NULL) < 0 ? -1 : rc;
}

static int read_all (engine_t *self, err_t *err)
{
    int rc = 0;
    query_t query = db_query (self->db, "SELECT " COLUMNS " FROM workers ORDER BY id");
    while (rc == 0 && query_step (&query))
        rc = read_row (self, add (self, query_get_int (&query, 0), query_get_int (&query, 1)), &query, err);
    return query_end (&query, rc == 0 ? err : NULL) < 0 ? -1 : rc;
}

/* What only the memory knew of a board before. */
static void keep (engine_t *self, const board_t *old)
{
    board_t *board = board_find (self, old->id);
    json_decref (old->labels);
    free (old->platforms);
    if (!board || board->principal != old->principal) {
        json_decref (old->health);
        free (old->turns);
        return;
    }
    board->health = old->health;
    board->strain = old->strain;
    strcpy (board->unfit, old->unfit);
    board->peer = old->peer;
    board->seen_at = old->seen_at;
    board->noted_at = old->noted_at;
    board->back_until = old->back_until;
    board->away_at = old->away_at;
    board->is_online = old->is_online;
    board->is_stopping = old->is_stopping;
    board->turns = old->turns;
    board->turn_count = old->turn_count;
}

int boards_load (engine_t *self, err_t *err)
{
    AUTO_FREE board_t *old = take (&self->boards);
    size_t count = self->board_count;
    self->board_count = 0;
    id_map_clear (&self->board_places);
    id_map_clear (&self->principal_places);
    int rc = read_all (self, err);
    for (size_t i = 0; i < count; i++)
        keep (self, &old [i]);
    return rc;
}

void boards_clear (engine_t *self)
{
    for (size_t i = 0; i < self->board_count; i++) {
        json_decref (self->boards [i].labels);
        json_decref (self->boards [i].health);
        free (self->boards [i].turns);
        free (self->boards [i].platforms);
    }
    id_map_clear (&self->board_places);
    id_map_clear (&self->principal_places);
    free (self->boards);
    self->boards = NULL;
    self->board_count = 0;
}

/* -- hello ------------------------------------------------------------------------------------------------------ */

static void bind_description (query_t *query, const event_t *event, const json_t *worker)
{
    const char *reason = json_string_value (json_object_get (worker, "isolation_reason"));
    query_text (query, ":name", json_string_value (json_object_get (worker, "name")));
    query_text (query, ":instance", event_text (event, "instance"));
    query_int (query, ":slots", json_integer_value (json_object_get (worker, "slots")));
    query_int (query, ":cpus", json_integer_value (json_object_get (worker, "cpus")));
    query_int (query, ":memory", json_integer_value (json_object_get (worker, "memory_bytes")));
    query_text (query, ":builder", json_string_value (json_object_get (worker, "builder")));
    query_text (query, ":isolation", json_string_value (json_object_get (worker, "isolation")));
    query_text (query, ":reason", reason ? reason : "");
    query_text (query, ":version", event_text (event, "version"));
}

/* id 0: a new one. */
static int write_row (engine_t *self, int64_t id, const event_t *event, const json_t *worker, err_t *err)
{
    const json_t *labels = json_object_get (worker, "labels"), *given = json_object_get (worker, "limits");
    AUTO_FREE char *platforms = json_dumps (json_object_get (worker, "platforms"), JSON_COMPACT);
    AUTO_FREE char *own_labels = labels ? json_dumps (labels, JSON_COMPACT) : mem_strdup ("{}");
    AUTO_FREE char *limits = given ? json_dumps (given, JSON_COMPACT) : mem_strdup ("{}");
    query_t query = id
        ? db_query (self->db, "UPDATE workers SET principal = :principal, name = :name, instance = :instance, "
                    "platforms = :platforms, slots = :slots, cpus = :cpus, memory_bytes = :memory, builder = :builder, "
                    "isolation = :isolation, isolation_reason = :reason, version = :version, own_labels = :labels, limits = :limits, "
                    "labels = iif (mode = 'forgotten', '{}', labels), comment = iif (mode = 'forgotten', '', comment), "
                    "mode = iif (mode = 'forgotten', 'active', mode), seen_ms = :now WHERE id = :id")
        : db_query (self->db, "INSERT INTO workers (principal, name, instance, platforms, slots, cpus, memory_bytes, builder, "
                    "isolation, isolation_reason, version, own_labels, limits, seen_ms) VALUES (:principal, :name, :instance, "
                    ":platforms, :slots, :cpus, :memory, :builder, :isolation, :reason, :version, :labels, :limits, :now)");
    bind_description (&query, event, worker);
    query_int (&query, ":principal", event->principal);
    query_text (&query, ":platforms", platforms);
    query_text (&query, ":labels", own_labels);
    query_text (&query, ":limits", limits);
    query_int (&query, ":now", self->wall_ms);
    if (id)
        query_int (&query, ":id", id);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* A key that came by a join string of its own shows itself under the name in that, and nobody else does as long as it may connect. */
static int check_given (engine_t *self, const event_t *event, const char *name, const board_t *of_name, err_t *err)
{
    principal_t own, other;
    if (principal_load (self, event->principal, &own, err) < 0)
        return -1;
    if (own.is_named && strcmp (own.name, name) != 0)
        return err_set (err, ERR_DENIED, "this worker was invited as %s, and says that it is %s: set its name, or join under another one "
                        "(farmctl worker invite %s)", own.name, name, name);
    if (of_name && of_name->principal != own.id && principal_load (self, of_name->principal, &other, NULL) == 0 && other.is_named)
        return err_set (err, ERR_DENIED, "the name %s was given to another worker: give this one another name (--name)", name);
    return 0;
}

/* NULL in *out: nobody has said hello under this key or name before. */
static int find (engine_t *self, const event_t *event, const char *name, board_t **out, err_t *err)
{
    board_t *of_name = board_of_name (self, name);
    *out = board_of_principal (self, event->principal);
    if (of_name && of_name != *out && of_name->is_online)
        return err_set (err, ERR_DENIED, "a worker named %s is online under another key: give this one another name (--name)", name);
    if (of_name && *out && of_name != *out)
        return err_set (err, ERR_DENIED, "the name %s belongs to another worker: give this one another name (--name)", name);
    if (!*out)
        *out = of_name;
    return 0;
}

/* What the row cannot hold is refused before it is written. */
static int check_platforms (const json_t *worker, err_t *err)
{
    board_t scratch = { .id = 0 };
    int rc = read_platforms (&scratch, json_object_get (worker, "platforms"), err);
    free (scratch.platforms);
    return rc;
}

int board_register (engine_t *self, const event_t *event, board_t **out, bool *is_same, err_t *err)
{
    const json_t *worker = json_object_get (event->header, "worker");
    const char *name = json_string_value (json_object_get (worker, "name"));
    if (check_platforms (worker, err) < 0 || check_given (self, event, name, board_of_name (self, name), err) < 0
        || find (self, event, name, out, err) < 0)
        return -1;
    *is_same = *out && strcmp ((*out)->instance, event_text (event, "instance")) == 0;
    if (write_row (self, *out ? (*out)->id : 0, event, worker, err) < 0)
        return -1;
    if (!*out)
        *out = add (self, db_last_id (self->db), event->principal);
    if (!*is_same)
        board_forget_health (*out);
    return board_read_again (self, *out, err);
}

int64_t board_seen_ms (const engine_t *self, const board_t *board, int64_t row_ms)
{
    return board && board->seen_at ? self->wall_ms - (self->boot_ms - board->seen_at) : row_ms;
}

/* Its row is written once a minute: a heartbeat that changes nothing else costs no commit. */
int board_see (engine_t *self, board_t *board, err_t *err)
{
    board->seen_at = self->boot_ms;
    board->back_until = 0;
    board->is_online = true;
    if (board->noted_at && self->boot_ms - board->noted_at < NOTE_MS)
        return 0;
    board->noted_at = self->boot_ms;
    query_t query = db_query (self->db, "UPDATE workers SET seen_ms = :now WHERE id = :id");
    query_int (&query, ":now", self->wall_ms);
    query_int (&query, ":id", board->id);
    return query_run (&query, err) < 0 ? -1 : 0;
}
