/* attempt_fetch.c - the context and the Dockerfile of an attempt: one thread checks them out, while the attempt's own fetches
 * what is missing, and fetches again what the cache turns out to have lost (supply.h). */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "common/log.h"
#include "common/msg.h"
#include "worker/attempt.h"
#include "worker/checkout.h"

typedef struct {
    attempt_t *attempt;
    supply_t *supply;
    digest_t root, dockerfile;
    int rc;                         /* of the checkout, once its thread has ended */
    err_t err;
} bring_t;

/* -- check out -------------------------------------------------------------------------------------------------- */

static int write_dockerfile (bring_t *self, err_t *err)
{
    AUTO_BUFFER buffer_t text = { 0 };
    if (supply_get (self->supply, &self->dockerfile, &text, err) < 0)
        return -1;
    return file_write_scratch (self->attempt->dockerfile, text.data ? (const char *) text.data : "", text.size, 0600, err);
}

/* Once more without the kept checkout, whatever it is that a build did to it; or with the space of those that are kept. */
static bool may_help_anew (attempt_t *attempt, bool is_change, const err_t *err)
{
    bool is_room = err->code == ERR_FULL && shelf_clear (attempt->parts->shelf) > 0;
    return is_room || (is_change && (err->code == ERR_FARM || err->code == ERR_FULL));
}

static int check_out (bring_t *self, err_t *err)
{
    attempt_t *attempt = self->attempt;
    borrowed_t *borrowed = &attempt->borrowed;
    char repository [REFERENCE_HOST_MAX + REFERENCE_PATH_MAX];
    snprintf (repository, sizeof repository, "%s/%s", attempt->task.repository.host, attempt->task.repository.path);
    if (shelf_take (attempt->parts->shelf, repository, attempt->context, borrowed, err) < 0)
        return -1;
    checkout_settings_t settings = {
        .supply = self->supply, .root = &self->root, .folder = attempt->context, .before = borrowed->before,
        .before_fd = borrowed->before_fd, .record = borrowed->record, .repository = repository,
        .entries_max = attempt->parts->context_entries_max, .is_cancelled = attempt->is_stopped
    };
    int rc = checkout_run (&settings, &attempt->checked_out, err);
    if (rc < 0 && may_help_anew (attempt, settings.before && settings.before_fd < 0, err)) {
        log_info ("slot", "%s; it is written once more, from the beginning", err->text);
        settings.before = NULL;
        if (file_remove_tree (attempt->context, err) < 0)
            return -1;
        rc = checkout_run (&settings, &attempt->checked_out, err);
    }
    if (rc == 0)
        shelf_note (attempt->parts->shelf, borrowed, &attempt->checked_out);
    return rc;
}

static void *write_all (void *argument)
{
    bring_t *self = argument;
    self->rc = write_dockerfile (self, &self->err) < 0 ? -1 : check_out (self, &self->err);
    if (self->rc == 0)
        self->err = (err_t) { 0 };          /* of a try that is forgotten */
    supply_close (self->supply, &self->err);
    return NULL;
}

/* -- fetch ------------------------------------------------------------------------------------------------------ */

/* A connection of its own, and only where something is missing. */
static int fetch_missing (bring_t *self, err_t *err)
{
    attempt_t *attempt = self->attempt;
    depot_t *depot = supply_depot (self->supply);
    if (depot_has (depot, &self->dockerfile) && depot_has (depot, &self->root))
        return 0;
    AUTO (zsock) zsock_t *objects = msg_connect (attempt->parts->objects, attempt->parts->own, attempt->parts->server_key, err);
    if (!objects)
        return -1;
    zsock_set_linger (objects, 0);
    if (fetch_object (objects, self->supply, &self->dockerfile, attempt->is_stopped, &attempt->fetched, err) < 0)
        return -1;
    return fetch_tree (objects, self->supply, &self->root, attempt->is_stopped, &attempt->fetched, err);
}

/* What is lost is of no interest but for that: it is fetched again when it is wanted. */
static void tell_lost (bring_t *self)
{
    depot_lost_t lost;
    char hex [DIGEST_HEX_SIZE + 1];
    while (depot_next_lost (supply_depot (self->supply), &lost)) {
        digest_to_hex (&lost.digest, hex);
        if (lost.is_damaged)
            log_warn ("cache", "object %s was damaged (check the disk): it is fetched again when a build needs it", hex);
    }
}

static void fetch_round (bring_t *self)
{
    err_t err = { 0 };
    fetch_missing (self, &err);
    supply_end (self->supply, &err);
}

static int bring (bring_t *self, err_t *err)
{
    pthread_t thread;
    supply_begin (self->supply);
    int errnum = pthread_create (&thread, NULL, write_all, self);
    if (errnum)
        return err_sys (err, errnum, "start a thread for the context");
    fetch_round (self);
    while (supply_await (self->supply)) {
        supply_begin (self->supply);
        fetch_round (self);
    }
    pthread_join (thread, NULL);
    tell_lost (self);
    if (self->rc < 0)
        *err = self->err;
    return self->rc;
}

/* -- the step --------------------------------------------------------------------------------------------------- */

static void say_fetched (attempt_t *self)
{
    const fetch_stats_t *fetched = &self->fetched;
    const checkout_stats_t *out = &self->checked_out;
    if (fetched->objects == 0)
        joblog_say (self->log, "the context was here already");
    else
        joblog_say (self->log, "fetched %llu objects of the context, %llu bytes (%llu on the wire)",
                    (unsigned long long) fetched->objects, (unsigned long long) fetched->bytes,
                    (unsigned long long) fetched->wire_bytes);
    joblog_say (self->log, "checked out %llu files, of which %llu were written%s", (unsigned long long) out->files,
                (unsigned long long) out->written, out->written < out->files ? ": the others were there from an earlier build" : "");
}

static int bring_from (attempt_t *self, depot_t *depot, err_t *err)
{
    const json_t *spec = self->task.spec, *dockerfile = json_object_get (spec, "dockerfile");
    AUTO (supply) supply_t *supply = supply_new (depot);
    bring_t bringing = { .attempt = self, .supply = supply };
    if (digest_from_hex (&bringing.root, json_string_value (json_object_get (spec, "context")), err) < 0
    ||  digest_from_hex (&bringing.dockerfile, json_string_value (json_object_get (dockerfile, "digest")), err) < 0)
        return -1;
    return bring (&bringing, err);
}

/* What the coordinator lacks or denies us is no fault of the user's: another attempt may have more luck. A context that comes to too much is. */
int attempt_fetch (attempt_t *self, err_t *err)
{
    int rc = bring_from (self, cache_enter (self->parts->cache), err);
    cache_leave (self->parts->cache);
    if (rc == 0)
        say_fetched (self);
    else if (err->code != ERR_CANCELLED && err->code != ERR_USAGE && !err_is_farm_fault (err->code))
        err->code = ERR_FARM;
    return rc;
}
