/* attempt.c - see attempt.h. */
#include "worker/attempt.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/msg.h"
#include "worker/checkout.h"

static const char *text_of (const json_t *object, const char *field)
{
    return json_string_value (json_object_get (object, field));
}

void attempt_init (attempt_t *self, const attempt_parts_t *parts, json_t **assign, atomic_int *is_stopped)
{
    memset (self, 0, sizeof *self);
    self->borrowed.before_fd = -1;
    self->parts = parts;
    self->assign = take (assign);
    self->job = json_integer_value (json_object_get (self->assign, "job"));
    self->number = (int) json_integer_value (json_object_get (self->assign, "attempt"));
    self->deadline_ms = clock_boot_ms () + json_integer_value (json_object_get (self->assign, "timeout_ms"));
    self->is_stopped = is_stopped;
}

/* -- prepare ---------------------------------------------------------------------------------------------------- */

static int make_folders (attempt_t *self, err_t *err)
{
    self->folder = mem_printf ("%s/%lld-%d", self->parts->folder, (long long) self->job, self->number);
    self->context = file_join (self->folder, "context");
    self->dockerfile = file_join (self->folder, "Dockerfile");
    self->scratch = file_join (self->folder, "scratch");
    if (file_remove_tree (self->folder, err) < 0)       /* of a former life with the same number */
        return -1;
    return file_make_folders (self->scratch, 0700, err);
}

static int open_log (attempt_t *self, err_t *err)
{
    AUTO_FREE char *file = file_join (self->folder, "log");
    joblog_settings_t settings = {
        .endpoint = self->parts->objects, .own = self->parts->own, .server_key = self->parts->server_key,
        .job = self->job, .attempt = self->number, .file = file,
    };
    return joblog_new (&self->log, &settings, err);
}

static void on_line (void *argument, char stream, const char *line, size_t size)
{
    joblog_line (argument, stream, line, size);
}

static int make_task (attempt_t *self, err_t *err)
{
    self->task = (builder_task_t) {
        .job = self->job, .attempt = self->number, .context_folder = self->context, .dockerfile = self->dockerfile,
        .spec = json_object_get (self->assign, "spec"), .door = self->parts->door, .password = self->password,
        .scratch_folder = self->scratch, .deadline_ms = self->deadline_ms, .is_cancelled = self->is_stopped,
        .on_line = on_line, .argument = self->log,
    };
    if (platform_parse (&self->task.platform, text_of (self->assign, "platform"), err) < 0)
        return -1;
    return reference_parse (&self->task.repository, text_of (self->assign, "repository"), err);
}

static void open_pass (attempt_t *self)
{
    json_t *authorization = json_object_get (self->assign, "authorization");
    door_pass_t pass = {
        .job = self->job, .attempt = self->number, .repository = self->task.repository,
        .credential_host = authorization ? self->task.repository.host : NULL,
        .authorization = json_string_value (authorization),
    };
    door_open_pass (self->parts->door, &pass, self->password);
    if (authorization)
        sodium_memzero ((char *) json_string_value (authorization), json_string_length (authorization));
    json_object_del (self->assign, "authorization");
}

int attempt_prepare (attempt_t *self, err_t *err)
{
    if (make_folders (self, err) < 0)
        return err_wrap (err, "the attempt's folder");
    if (open_log (self, err) < 0 || make_task (self, err) < 0)
        return -1;
    open_pass (self);
    joblog_say (self->log, "%s builds %s%s with %s, isolation %s (%s)", self->parts->worker_name,
                text_of (self->assign, "platform"), json_is_true (json_object_get (self->assign, "emulated")) ? " (emulated)" : "",
                builder_version (self->parts->builder), builder_isolation (self->parts->builder),
                builder_isolation_reason (self->parts->builder));
    return 0;
}

/* -- fetch ------------------------------------------------------------------------------------------------------ */

/* A connection of its own, and only where something is missing. */
static int fetch_missing (attempt_t *self, depot_t *depot, const digest_t *root, const digest_t *dockerfile, err_t *err)
{
    if (depot_has (depot, dockerfile) && depot_has (depot, root))
        return 0;
    AUTO (zsock) zsock_t *objects = msg_connect (self->parts->objects, self->parts->own, self->parts->server_key, err);
    if (!objects)
        return -1;
    zsock_set_linger (objects, 0);
    if (fetch_content (objects, depot, dockerfile, self->is_stopped, &self->fetched, err) < 0)
        return -1;
    return fetch_context (objects, depot, root, self->is_stopped, &self->fetched, err);
}

static int write_dockerfile (attempt_t *self, depot_t *depot, const digest_t *digest, err_t *err)
{
    AUTO_BUFFER buffer_t text = { 0 };
    if (depot_get (depot, digest, &text, NULL, err) < 0)
        return -1;
    return file_write_scratch (self->dockerfile, text.data ? (const char *) text.data : "", text.size, 0600, err);
}

/* A checkout of the repository that was kept is changed, and where that fails, whatever it is that a build did to it, made
 * anew; so also once a full disk had kept ones to give. */
static int check_out (attempt_t *self, depot_t *depot, const digest_t *root, err_t *err)
{
    AUTO (supply) supply_t *supply = supply_new (depot);
    char repository [REFERENCE_HOST_MAX + REFERENCE_PATH_MAX];
    snprintf (repository, sizeof repository, "%s/%s", self->task.repository.host, self->task.repository.path);
    if (shelf_take (self->parts->shelf, repository, self->context, &self->borrowed, err) < 0)
        return -1;
    checkout_settings_t settings = {
        .supply = supply, .root = root, .folder = self->context, .before = self->borrowed.before,
        .before_fd = self->borrowed.before_fd, .record = self->borrowed.record, .repository = repository,
        .is_cancelled = self->is_stopped
    };
    err_t why;
    int rc = checkout_run (&settings, &self->checked_out, &why);
    if (rc < 0 && why.code != ERR_CANCELLED && (settings.before || (why.code == ERR_FULL && shelf_clear (self->parts->shelf)))) {
        joblog_say (self->log, "%s; it is written once more, from the beginning", why.text);
        settings.before = NULL;
        if (file_remove_tree (self->context, err) < 0)
            return -1;
        rc = checkout_run (&settings, &self->checked_out, &why);
    }
    if (rc == 0)
        shelf_note (self->parts->shelf, &self->borrowed, &self->checked_out);
    else
        *err = why;
    return rc;
}

static int bring (attempt_t *self, depot_t *depot, err_t *err)
{
    const json_t *spec = self->task.spec;
    digest_t root, dockerfile;
    if (digest_from_hex (&root, text_of (spec, "context"), err) < 0
        || digest_from_hex (&dockerfile, text_of (json_object_get (spec, "dockerfile"), "digest"), err) < 0)
        return -1;
    if (fetch_missing (self, depot, &root, &dockerfile, err) < 0)
        return err_wrap (err, "fetch the context");
    return write_dockerfile (self, depot, &dockerfile, err) < 0 ? -1 : check_out (self, depot, &root, err);
}

static void say_fetched (attempt_t *self)
{
    const fetch_stats_t *fetched = &self->fetched;
    if (fetched->objects == 0)
        joblog_say (self->log, "the context was here already");
    else
        joblog_say (self->log, "fetched %llu objects of the context, %llu bytes (%llu on the wire)",
                    (unsigned long long) fetched->objects, (unsigned long long) fetched->bytes,
                    (unsigned long long) fetched->wire_bytes);
    const checkout_stats_t *out = &self->checked_out;
    joblog_say (self->log, "checked out %llu files, of which %llu were written%s", (unsigned long long) out->files,
                (unsigned long long) out->written, out->written < out->files ? ": the others were there from an earlier build" : "");
}

/* What the coordinator lacks or denies us is no fault of the user's: another attempt may have more luck. */
int attempt_fetch (attempt_t *self, err_t *err)
{
    int rc = bring (self, cache_enter (self->parts->cache), err);
    cache_leave (self->parts->cache);
    if (rc == 0)
        say_fetched (self);
    else if (err->code != ERR_CANCELLED && !err_is_farm_fault (err->code))
        err->code = ERR_FARM;
    return rc;
}

/* -- build and push --------------------------------------------------------------------------------------------- */

int attempt_build (attempt_t *self, err_t *err)
{
    int64_t start = clock_boot_ms ();
    self->has_begun_build = true;
    int rc = builder_build (self->parts->builder, &self->task, &self->outcome, err);
    self->builder_ms += clock_boot_ms () - start;
    return rc;
}

int attempt_push (attempt_t *self, err_t *err)
{
    char media_type [128];
    int64_t size_bytes, start = clock_boot_ms ();
    int rc = builder_push (self->parts->builder, &self->task, err);
    self->builder_ms += clock_boot_ms () - start;
    if (rc < 0)
        return -1;
    if (door_pushed (self->parts->door, self->job, self->number, self->digest, media_type, &size_bytes, err) < 0) {
        err->code = ERR_FARM;
        return err_wrap (err, "push %s/%s", self->task.repository.host, self->task.repository.path);
    }
    if (self->outcome.is_repeatable && !self->bases)
        self->bases = door_bases (self->parts->door, self->job, self->number);
    return 0;
}

/* -- clean ------------------------------------------------------------------------------------------------------ */

void attempt_clean (attempt_t *self)
{
    err_t err;
    door_close_pass (self->parts->door, self->job, self->number);
    if (self->has_begun_build)
        builder_clean (self->parts->builder, &self->task);
    joblog_destroy (&self->log);
    shelf_give_back (self->parts->shelf, &self->borrowed);
    if (self->folder && file_remove_tree (self->folder, &err) < 0)
        log_warn ("slot", "remove %s: %s", self->folder, err.text);
    cache_trim (self->parts->cache);
    sodium_memzero (self->password, sizeof self->password);
    char *const texts [] = { self->folder, self->context, self->dockerfile, self->scratch };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free (texts [i]);
    json_decref (self->bases);
    json_decref (self->assign);
}
