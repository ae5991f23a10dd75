/* conduct.c - see conduct.h. A small record of each key that had a message refused: only known keys come so far. */
#include "coordinator/conduct.h"

#include <czmq.h>

#include "common/backlog.h"
#include "common/log.h"
#include "common/log_limit.h"
#include "common/mem.h"

enum { TELL_MS = 1000 };

typedef struct {
    log_limit_t lines;
    int64_t since_ms;               /* boot clock: what has come back of `left` is counted from here */
    int64_t left;                   /* refused messages that it may have yet */
} record_t;

struct conduct {
    const char *area;
    size_t connections_max;
    zhashx_t *records;              /* key hex -> record_t */
    int64_t tell_at_ms;
};

static void free_record (void **item)
{
    auto_free (item);
}

conduct_t *conduct_new (const char *area, size_t connections_max)
{
    conduct_t *self = mem_alloc (sizeof *self);
    self->area = area;
    self->connections_max = connections_max ? connections_max : SIZE_MAX;
    self->records = zhashx_new ();
    zhashx_set_destructor (self->records, free_record);
    return self;
}

void conduct_destroy (conduct_t **self_p)
{
    conduct_t *self = *self_p;
    if (!self)
        return;
    zhashx_destroy (&self->records);
    free (self);
    *self_p = NULL;
}

int conduct_admit (const conduct_t *self, int fd, err_t *err)
{
    if (backlog_admit (fd, self->connections_max))
        return 0;
    return err_set (err, ERR_FULL, "this key has %zu connections already: end some, or have the farm's admin raise connections/per-key",
                    self->connections_max);
}

static record_t *record_of (conduct_t *self, const char *key_hex, int64_t now_ms)
{
    record_t *record = zhashx_lookup (self->records, key_hex);
    if (!record) {
        record = mem_alloc (sizeof *record);
        *record = (record_t) { .since_ms = now_ms, .left = CONDUCT_REFUSED_MAX };
        zhashx_insert (self->records, key_hex, record);
    }
    return record;
}

/* False when there have been too many. */
static bool count_refused (record_t *record, int64_t now_ms)
{
    int64_t seconds = (now_ms - record->since_ms) / 1000;
    int64_t back = seconds < CONDUCT_REFUSED_MAX ? seconds * CONDUCT_REFUSED_PER_S : CONDUCT_REFUSED_MAX;
    record->since_ms += seconds * 1000;
    record->left = record->left + back < CONDUCT_REFUSED_MAX ? record->left + back : CONDUCT_REFUSED_MAX;
    if (record->left == 0)
        return false;
    record->left--;
    return true;
}

static void tell_left_out (const conduct_t *self, record_t *record, const char *key_hex, int64_t now_ms)
{
    size_t left_out = log_limit_take (&record->lines, now_ms);
    if (left_out > 0)
        log_warn (self->area, "refused messages of %.16s: %zu more lines were left out", key_hex, left_out);
}

bool conduct_refuse (conduct_t *self, const char *key_hex, int fd, const err_t *why, int64_t now_ms)
{
    record_t *record = record_of (self, key_hex, now_ms);
    tell_left_out (self, record, key_hex, now_ms);
    bool shall_end = !count_refused (record, now_ms);
    bool has_ended = shall_end && backlog_end_of (fd, key_hex);
    if (log_limit_may (&record->lines, now_ms))
        log_warn (self->area, "refused a message of %.16s%s: %s", key_hex, has_ended ? ", and ended its connection after too many" : "", why->text);
    return shall_end;
}

void conduct_tell (conduct_t *self, int64_t now_ms)
{
    if (now_ms < self->tell_at_ms)
        return;
    self->tell_at_ms = now_ms + TELL_MS;
    for (record_t *record = zhashx_first (self->records); record; record = zhashx_next (self->records))
        tell_left_out (self, record, zhashx_cursor (self->records), now_ms);
}
