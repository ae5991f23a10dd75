/* audit_denials.c - see audit.h: what was denied, in few rows, whose `times` come to all of it.
 *
 * The first of a key, a verb and a reason is a row at once. Those that follow are counted, and are a row a minute after that, two, four, and
 * so on: seven an hour, then it begins anew. A key has places for 16 verbs and reasons an hour, what goes beyond is `others` of that key.
 * Strangers, who have as many keys as they like, have 28 places among them, which is 196 rows an hour; what goes beyond is `others` of no key.
 *
 * Rows are written at a batch's end. A copy of the counts is kept until it is committed: they are what was heard and is no row yet. */
#include "coordinator/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

enum { SECOND_MS = 1000, MINUTE_MS = 60000, HOUR_MS = 3600000, OF_KEY_MAX = 16, KNOWN_MAX = 4096, STRANGERS_MAX = 28 };

/* -- places ------------------------------------------------------------------------------------------------------- */

static void keep_copy (audit_t *audit)
{
    if (audit->has_before)
        return;
    audit->has_before = true;
    audit->before = audit->denials;
    audit->before.items = mem_alloc (audit->denials.count * sizeof *audit->denials.items);
    for (size_t i = 0; i < audit->denials.count; i++)
        audit->before.items [i] = audit->denials.items [i];
}

/* An empty name: of nobody who is known here. */
static int find_name (engine_t *self, const char *key, char name [64], err_t *err)
{
    query_t query = db_query (self->db, "SELECT name FROM principals WHERE key = :key");
    query_text (&query, ":key", key);
    snprintf (name, 64, "%s", query_step (&query) ? query_get_text (&query, 0) : "");
    return query_end (&query, err);
}

static denial_t *find (const denial_list_t *list, const denial_t *wanted)
{
    for (size_t i = 0; i < list->count; i++) {
        denial_t *denial = &list->items [i];
        if (strcmp (denial->key, wanted->key) == 0 && strcmp (denial->act, wanted->act) == 0 && strcmp (denial->detail, wanted->detail) == 0)
            return denial;
    }
    return NULL;
}

static void forget_quiet (engine_t *self, denial_list_t *list)
{
    for (size_t i = 0; i < list->count; )
        if (list->items [i].times == 0 && self->boot_ms - list->items [i].since_ms >= HOUR_MS)
            list->items [i] = list->items [--list->count];
        else
            i++;
}

static bool has_place (const denial_list_t *list, const denial_t *wanted)
{
    size_t strangers = 0, of_key = 0;
    for (size_t i = 0; i < list->count; i++) {
        strangers += list->items [i].is_stranger;
        of_key += strcmp (list->items [i].key, wanted->key) == 0;
    }
    return wanted->is_stranger ? strangers < STRANGERS_MAX : of_key < OF_KEY_MAX && list->count - strangers < KNOWN_MAX;
}

/* Where there is no place it is counted with others: of its key, where that is a known one that has places. */
static void make_others (const denial_list_t *list, denial_t *wanted)
{
    bool has_places = false;
    for (size_t i = 0; i < list->count && !wanted->is_stranger; i++)
        has_places |= strcmp (list->items [i].key, wanted->key) == 0;
    if (!has_places)
        *wanted->key = 0;
    wanted->is_stranger = false;
    snprintf (wanted->act, sizeof wanted->act, "others");
    snprintf (wanted->detail, sizeof wanted->detail, "more was denied, too much to name each");
}

static denial_t *find_or_add (engine_t *self, denial_t *wanted, err_t *err)
{
    char name [64];
    denial_list_t *list = &self->audit.denials;
    denial_t *denial = find (list, wanted);
    if (denial)
        return denial;
    if (find_name (self, wanted->key, name, err) < 0)
        return NULL;
    wanted->is_stranger = *wanted->key && !*name;
    forget_quiet (self, list);
    if (!has_place (list, wanted)) {
        make_others (list, wanted);
        denial = find (list, wanted);
    }
    if (denial)
        return denial;
    list->items = mem_resize (list->items, (list->count + 1) * sizeof *list->items);
    denial = &list->items [list->count++];
    *denial = *wanted;
    denial->since_ms = denial->due_ms = self->boot_ms;
    return denial;
}

/* -- denials ------------------------------------------------------------------------------------------------------ */

static int deny (engine_t *self, const char *key, const char *act, const char *detail, int64_t times, err_t *err)
{
    audit_t *audit = &self->audit;
    denial_t wanted = { .times = 0 };
    snprintf (wanted.key, sizeof wanted.key, "%s", key);
    snprintf (wanted.act, sizeof wanted.act, "%s", act);
    snprintf (wanted.detail, sizeof wanted.detail, "%s", detail);
    keep_copy (audit);
    denial_t *denial = find_or_add (self, &wanted, err);
    if (!denial)
        return -1;
    denial->times += times;
    if (denial->due_ms < audit->denials.next_ms)
        audit->denials.next_ms = denial->due_ms;
    return 0;
}

int audit_denied_later (engine_t *self, int64_t principal, const char *act, const char *why, err_t *err)
{
    speaker_t by;
    return audit_find_speaker (self, principal, &by, err) < 0 ? -1 : deny (self, by.key, act, why, 1, err);
}

int audit_denied_event (engine_t *self, const event_t *event, const err_t *why, err_t *err)
{
    return audit_denied_later (self, event->principal, event->verb, why->text, err);
}

int audit_on_denied (engine_t *self, const event_t *event, err_t *err)
{
    return deny (self, event_text (event, "key"), event_text (event, "act"), event_text (event, "detail"), event_int (event, "times"), err);
}

/* -- rows --------------------------------------------------------------------------------------------------------- */

static int64_t next_due (const engine_t *self, denial_t *denial)
{
    if (self->boot_ms - denial->since_ms >= HOUR_MS)
        denial->since_ms = self->boot_ms;
    int64_t apart_ms = 2 * (self->boot_ms - denial->since_ms);
    return self->winds_down ? self->boot_ms + SECOND_MS : denial->since_ms + (apart_ms < MINUTE_MS ? MINUTE_MS : apart_ms > HOUR_MS ? HOUR_MS : apart_ms);
}

static int write (engine_t *self, denial_t *denial, err_t *err)
{
    char name [64];
    if (find_name (self, denial->key, name, err) < 0)
        return -1;
    const audit_entry_t entry = { name, denial->key, denial->act, "", "denied", denial->detail, denial->times };
    if (audit_append (self, &entry, err) < 0)
        return -1;
    denial->times = 0;
    denial->due_ms = next_due (self, denial);
    return 0;
}

static void note_next (denial_list_t *list)
{
    list->next_ms = INT64_MAX;
    for (size_t i = 0; i < list->count; i++)
        if (list->items [i].times > 0 && list->items [i].due_ms < list->next_ms)
            list->next_ms = list->items [i].due_ms;
}

/* After a batch was lost they wait for a moment as all does that is due: whoever is denied shall hear that, and not of the disk. */
int audit_conclude (engine_t *self, err_t *err)
{
    denial_list_t *list = &self->audit.denials;
    if (self->boot_ms < list->next_ms || self->boot_ms < self->again_at)
        return 0;
    keep_copy (&self->audit);
    for (size_t i = 0; i < list->count; i++)
        if (list->items [i].times > 0 && list->items [i].due_ms <= self->boot_ms && write (self, &list->items [i], err) < 0)
            return -1;
    note_next (list);
    return 0;
}

int64_t audit_next_tick (const engine_t *self)
{
    return self->audit.denials.next_ms;
}

void audit_settle (engine_t *self)
{
    if (self->audit.has_before)
        free (self->audit.before.items);
    self->audit.has_before = false;
}

void audit_undo (engine_t *self)
{
    if (!self->audit.has_before)
        return;
    free (self->audit.denials.items);
    self->audit.denials = self->audit.before;
    self->audit.has_before = false;
}

void audit_wind_down (engine_t *self)
{
    denial_list_t *list = &self->audit.denials;
    for (size_t i = 0; i < list->count; i++)
        list->items [i].due_ms = self->boot_ms;
    note_next (list);
}

void audit_close (engine_t *self)
{
    audit_settle (self);
    free (self->audit.denials.items);
}
