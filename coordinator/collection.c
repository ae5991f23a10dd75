/* collection.c - takes out of the depot what no build needs any more, a part at a time, between the messages.
 *
 * The gateway names the roots. Not in danger is, besides, whatever was used within the last grace_ms: a context that is just being
 * sent, and belongs to no build yet. The depot knows an order of use, not times, so a mark is set in it as time goes by: the one that
 * was set at least grace_ms ago is the limit. After a start nothing is collected for that long.
 *
 * Of a root that was damaged the rest is named by nothing, and a worker brings back only what was lost. So for grace_ms from the loss
 * nothing is collected, unless it is back before. */
#include "common/clock.h"
#include "common/log.h"
#include "coordinator/depot_answers.h"

void collection_tick (depot_service_t *self)
{
    collection_t *collection = &self->collection;
    int64_t now = clock_boot_ms ();
    if (collection->newer_mark && now - collection->newer_ms < collection->grace_ms)
        return;
    collection->older_ms = collection->newer_ms;
    collection->older_mark = collection->newer_mark;
    collection->newer_ms = now;
    collection->newer_mark = depot_mark (self->depot);
}

/* The latest mark that is old enough; 0 when there is none. */
static int64_t limit (const collection_t *self)
{
    if (self->newer_mark && clock_boot_ms () - self->newer_ms >= self->grace_ms)
        return self->newer_mark;
    return self->older_mark;
}

static void tell (depot_service_t *self, zsock_t *pipe, const char *text)
{
    char objects [24], bytes [24];
    snprintf (objects, sizeof objects, "%llu", (unsigned long long) self->collection.objects);
    snprintf (bytes, sizeof bytes, "%llu", (unsigned long long) self->collection.bytes);
    zstr_sendx (pipe, "COLLECTED", objects, bytes, text, NULL);
    self->collection.is_running = false;
    self->collection.objects = self->collection.bytes = 0;
}

static void read_roots (zmsg_t *command, buffer_t *out)
{
    char *hex;
    while ((hex = zmsg_popstr (command))) {
        digest_t digest;
        if (digest_from_hex (&digest, hex, NULL) == 0)
            buffer_append (out, &digest, sizeof digest);
        free (hex);
    }
}

/* Sets the error when one of them may still come back. */
static int check_roots (const depot_service_t *self, const buffer_t *roots, err_t *err)
{
    const digest_t *digests = (const digest_t *) roots->data;
    for (size_t i = 0; i < roots->size / sizeof *digests; i++)
        if (lost_is_awaited (self, &digests [i], self->collection.grace_ms)) {
            char hex [DIGEST_HEX_SIZE + 1];
            digest_to_hex (&digests [i], hex);
            return err_set (err, ERR_FARM, "context or Dockerfile %.16s was damaged, and the workers are asked for what is lost of it;"
                            " the rest has to stay: try again when it is back, or after %lld s", hex,
                            (long long) self->collection.grace_ms / 1000);
        }
    return 0;
}

static void trim_logs (depot_service_t *self)
{
    err_t err = { 0 };
    uint64_t bytes;
    int64_t before_ms = self->log_keep_ms > 0 ? clock_wall_ms () - self->log_keep_ms : 0;
    int64_t gone = build_logs_trim (self->logs, before_ms, self->log_total_bytes, &bytes, &err);
    if (gone < 0)
        log_warn ("depot", "%s", err.text);
    else if (gone > 0)
        log_info ("depot", "took away %lld old logs, %llu bytes", (long long) gone, (unsigned long long) bytes);
}

void collection_begin (depot_service_t *self, zmsg_t *command, zsock_t *pipe)
{
    err_t err = { 0 };
    AUTO_BUFFER buffer_t roots = { 0 };
    trim_logs (self);
    collection_tick (self);
    int64_t before = limit (&self->collection);
    read_roots (command, &roots);
    if (self->collection.is_running)
        return;                                 /* it tells when it is over */
    if (before == 0)
        tell (self, pipe, "");
    else if (check_roots (self, &roots, &err) < 0
         ||  depot_collect_begin (self->depot, (const digest_t *) roots.data, roots.size / sizeof (digest_t), before, &err) < 0)
        tell (self, pipe, err.text);
    else
        self->collection.is_running = true;
}

void collection_step (depot_service_t *self, zsock_t *pipe)
{
    err_t err = { 0 };
    collection_t *collection = &self->collection;
    if (!collection->is_running)
        return;
    depot_stats_t earlier, now;
    depot_stats (self->depot, &earlier);
    int64_t gone = depot_collect_step (self->depot, &collection->bytes, &err);
    depot_stats (self->depot, &now);
    collection->objects += earlier.objects - now.objects;
    if (gone <= 0)
        tell (self, pipe, gone < 0 ? err.text : "");
}
