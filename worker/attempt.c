/* attempt.c - see attempt.h. */
#include "worker/attempt.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"

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
        .scratch_folder = self->scratch, .rules = box_rules (self->box), .run_group = box_run_group (self->box),
        .deadline_ms = self->deadline_ms, .is_cancelled = self->is_stopped,
        .on_line = on_line, .argument = self->log,
    };
    if (platform_parse (&self->task.platform, text_of (self->assign, "platform"), err) < 0)
        return -1;
    return reference_parse (&self->task.repository, text_of (self->assign, "repository"), err);
}

aside_t *attempt_aside (const attempt_t *self, const atomic_int *is_stopped)
{
    return aside_new (self->parts->control, self->parts->own, self->parts->server_key, is_stopped, self->deadline_ms);
}

static void open_pass (attempt_t *self)
{
    self->grants = attempt_aside (self, &self->asks_no_more);
    door_pass_t pass = { .job = self->job, .attempt = self->number, .repository = self->task.repository, .bases = json_object_get (self->assign, "bases"),
                         .pin = attempt_pin, .grant = attempt_grant, .argument = self };
    door_open_pass (self->parts->door, &pass, self->password);
}

int attempt_prepare (attempt_t *self, err_t *err)
{
    if (make_folders (self, err) < 0)
        return err_wrap (err, "the attempt's folder");
    if (open_log (self, err) < 0 || box_open (&self->box, self->parts->allowance, self->assign, err) < 0 || make_task (self, err) < 0)
        return -1;
    AUTO_FREE char *limits = box_describe (self->box);
    open_pass (self);
    joblog_say (self->log, "%s builds %s%s with %s, isolation %s (%s)", self->parts->worker_name,
                text_of (self->assign, "platform"), json_is_true (json_object_get (self->assign, "emulated")) ? " (emulated)" : "",
                builder_version (self->parts->builder), builder_isolation (self->parts->builder),
                builder_isolation_reason (self->parts->builder));
    joblog_say (self->log, "it may have %s: %s", limits,
                builder_enforces (self->parts->builder, allowance_enforced (self->parts->allowance)));
    return 0;
}

/* -- build and push --------------------------------------------------------------------------------------------- */

/* Nothing after the build needs them. */
static void drop_secrets (attempt_t *self)
{
    err_t err;
    self->task.secrets = NULL;
    self->task.vault = NULL;
    secrets_free (&self->secrets);
    if (self->vault && file_remove_tree (self->vault, &err) < 0)
        log_warn ("slot", "remove %s: %s", self->vault, err.text);
}

int attempt_build (attempt_t *self, err_t *err)
{
    int64_t start = clock_boot_ms ();
    self->has_begun_build = true;
    int rc = builder_build (self->parts->builder, &self->task, &self->outcome, err);
    self->builder_ms += clock_boot_ms () - start;
    attempt_close_agents (self);
    drop_secrets (self);
    return rc < 0 ? box_judge (self->box, err) : door_check_bases (self->parts->door, self->job, self->number, err);
}

int attempt_push (attempt_t *self, err_t *err)
{
    char media_type [128];
    int64_t size_bytes, start = clock_boot_ms ();
    int rc = builder_push (self->parts->builder, &self->task, err);
    self->builder_ms += clock_boot_ms () - start;
    if (rc < 0)
        return box_judge (self->box, err);
    if (door_pushed (self->parts->door, self->job, self->number, self->digest, media_type, &size_bytes, err) < 0) {
        err->code = ERR_FARM;
        return err_wrap (err, "push %s/%s", self->task.repository.host, self->task.repository.path);
    }
    if (self->outcome.is_repeatable && !self->bases)
        self->bases = door_bases (self->parts->door, self->job, self->number);
    return 0;
}

/* -- clean ------------------------------------------------------------------------------------------------------ */

void attempt_give_back (attempt_t *self)
{
    shelf_give_back (self->parts->shelf, &self->borrowed);
}

void attempt_clean (attempt_t *self)
{
    err_t err;
    atomic_store (&self->asks_no_more, 1);
    door_close_pass (self->parts->door, self->job, self->number);
    if (self->has_begun_build)
        builder_clean (self->parts->builder, &self->task);
    attempt_close_agents (self);
    aside_destroy (&self->grants);
    drop_secrets (self);
    box_close (&self->box);
    joblog_destroy (&self->log);
    if (self->folder && file_remove_tree (self->folder, &err) < 0)
        log_warn ("slot", "remove %s: %s", self->folder, err.text);
    shelf_trim (self->parts->shelf);
    cache_trim (self->parts->cache);
    sodium_memzero (self->password, sizeof self->password);
    char *const texts [] = { self->folder, self->context, self->dockerfile, self->scratch, self->vault };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free (texts [i]);
    json_decref (self->bases);
    json_decref (take (&self->assign));
}
