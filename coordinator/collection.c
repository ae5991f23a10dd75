/* collection.c - takes out of logs and depot what no build needs any more, a part at a time, between the messages.
 *
 * The gateway names the roots. Not in danger is, besides, whatever was used within the last grace_ms: a context that is just being
 * sent, and belongs to no build yet. The depot knows an order of use, not times, so marks are set in it as time goes by: the latest that
 * was set at least grace_ms ago is the limit. After a start nothing is collected for that long.
 *
 * Of a root that was damaged the rest is named by nothing, and a worker brings back only what was lost. So for grace_ms from the loss
 * nothing is collected, unless it is back before. */
#include "common/clock.h"
#include "common/log.h"
#include "coordinator/depot_answers.h"
#include "coordinator/log_retention.h"

#include <string.h>

enum { LOGS_AT_ONCE = 1000 };

/* -- time ---------------------------------------------------------------------------------------------------------- */

/* So often is a mark set: what was used just behind one waits so much longer than it has to. */
static int64_t step_ms (const collection_t *self)
{
    return self->grace_ms / (MARKS - 1) + 1;
}

void collection_tick (depot_service_t *self)
{
    collection_t *collection = &self->collection;
    int64_t now = clock_boot_ms ();
    collection_mark_t *last = &collection->marks [MARKS - 1];
    if (last->mark && now - last->set_ms < step_ms (collection))
        return;
    memmove (collection->marks, collection->marks + 1, (MARKS - 1) * sizeof *last);
    *last = (collection_mark_t) { now, depot_mark (self->depot) };
}

/* The latest mark that is old enough; 0 when there is none: nothing was used before that. */
static int64_t limit (const collection_t *self)
{
    int64_t before = 0;
    for (int i = 0; i < MARKS; i++)
        if (self->marks [i].mark && clock_boot_ms () - self->marks [i].set_ms >= self->grace_ms)
            before = self->marks [i].mark;
    return before;
}

/* -- logs ---------------------------------------------------------------------------------------------------------- */

static void tell_gone_logs (zsock_t *pipe, const log_name_t *gone, size_t count)
{
    AUTO_JSON json_t *names = json_array ();
    for (size_t i = 0; i < count; i++)
        json_array_append_new (names, json_pack ("[I, I]", (json_int_t) gone [i].job, (json_int_t) gone [i].attempt));
    AUTO_FREE char *text = json_dumps (names, JSON_COMPACT);
    zstr_sendx (pipe, "LOGS-GONE", text, NULL);
}

static void apply_to_logs (depot_service_t *self, const buffer_t *doomed, bool is_dry, zsock_t *pipe)
{
    err_t err = { 0 };
    AUTO_BUFFER buffer_t gone = { 0 };
    uint64_t bytes = 0;
    log_limits_t limits = { .doomed = (const log_name_t *) doomed->data, .doomed_count = doomed->size / sizeof (log_name_t),
                            .before_ms = self->log_keep_ms > 0 ? clock_wall_ms () - self->log_keep_ms : 0,
                            .total_bytes = self->log_total_bytes, .is_dry = is_dry };
    if (log_retention_apply (self->logs, &limits, &gone, &bytes, &err) < 0)
        log_warn ("depot", "%s", err.text);
    size_t count = gone.size / sizeof (log_name_t);
    self->collection.logs += count;
    self->collection.log_bytes += bytes;
    if (count > 0 && !is_dry)
        log_info ("depot", "took away %zu old logs, %llu bytes", count, (unsigned long long) bytes);
    for (size_t i = 0; i < count && !is_dry; i += LOGS_AT_ONCE)
        tell_gone_logs (pipe, (const log_name_t *) gone.data + i, count - i < LOGS_AT_ONCE ? count - i : LOGS_AT_ONCE);
}

void collection_drop_log (depot_service_t *self, int64_t job, int64_t attempt)
{
    int64_t bytes = build_logs_remove (self->logs, job, attempt);
    if (bytes < 0)
        return;
    self->collection.dropped_logs++;
    self->collection.dropped_bytes += (uint64_t) bytes;
}

void collection_announce (depot_service_t *self)
{
    self->collection.dropped_logs = self->collection.dropped_bytes = 0;
}

/* -- the depot ----------------------------------------------------------------------------------------------------- */

static void tell (depot_service_t *self, zsock_t *pipe, const char *error)
{
    collection_t *collection = &self->collection;
    const depot_gone_t *gone = &collection->gone;
    if (!collection->is_dry) {
        collection->logs += collection->dropped_logs;
        collection->log_bytes += collection->dropped_bytes;
    }
    AUTO_JSON json_t *told = json_pack ("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "logs", (json_int_t) collection->logs, "log_bytes",
        (json_int_t) collection->log_bytes, "contexts", (json_int_t) gone->contexts, "objects", (json_int_t) gone->objects, "bytes",
        (json_int_t) gone->bytes, "young_objects", (json_int_t) gone->young_objects, "young_bytes", (json_int_t) gone->young_bytes);
    if (gone->young_objects > 0)
        json_object_set_new (told, "young_until_ms", json_integer (clock_wall_ms () + collection->grace_ms + step_ms (collection)));
    AUTO_FREE char *text = json_dumps (told, JSON_COMPACT);
    zstr_sendx (pipe, "COLLECTED", text, error, NULL);
    collection->is_running = false;
}

static void pop_array (zmsg_t *command, buffer_t *out)
{
    zframe_t *frame = zmsg_pop (command);
    if (frame)
        buffer_append (out, zframe_data (frame), zframe_size (frame));
    zframe_destroy (&frame);
}

/* Sets the error when one of them may still come back. */
static int check_roots (const depot_service_t *self, const depot_root_t *roots, size_t count, err_t *err)
{
    for (size_t i = 0; i < count; i++)
        if (lost_is_awaited (self, &roots [i].digest, self->collection.grace_ms)) {
            char hex [DIGEST_HEX_SIZE + 1];
            digest_to_hex (&roots [i].digest, hex);
            return err_set (err, ERR_FARM, "context or Dockerfile %.16s was damaged, and the workers are asked for what is lost of it;"
                            " the rest has to stay: try again when it is back, or after %lld s", hex,
                            (long long) self->collection.grace_ms / 1000);
        }
    return 0;
}

void collection_begin (depot_service_t *self, zmsg_t *command, zsock_t *pipe)
{
    err_t err = { 0 };
    AUTO_BUFFER buffer_t roots = { 0 }, logs = { 0 };
    char *dry = zmsg_popstr (command), *young = zmsg_popstr (command);
    depot_wish_t wish = { .is_dry = dry && streq (dry, "dry"), .counts_young = young && streq (young, "young"),
                          .limit_bytes = (uint64_t) self->context_total_bytes };
    zstr_free (&dry);
    zstr_free (&young);
    pop_array (command, &roots);
    pop_array (command, &logs);
    collection_tick (self);
    wish.before = limit (&self->collection);
    self->collection.is_dry = wish.is_dry;
    self->collection.gone = (depot_gone_t) { 0 };
    self->collection.logs = self->collection.log_bytes = 0;
    apply_to_logs (self, &logs, wish.is_dry, pipe);
    size_t count = roots.size / sizeof (depot_root_t);
    if (check_roots (self, (const depot_root_t *) roots.data, count, &err) < 0
    ||  depot_collect_begin (self->depot, (const depot_root_t *) roots.data, count, &wish, &err) < 0)
        tell (self, pipe, err.text);
    else
        self->collection.is_running = true;
}

void collection_step (depot_service_t *self, zsock_t *pipe)
{
    err_t err = { 0 };
    if (!self->collection.is_running)
        return;
    int64_t more = depot_collect_step (self->depot, &self->collection.gone, &err);
    if (more <= 0)
        tell (self, pipe, more < 0 ? err.text : "");
}
