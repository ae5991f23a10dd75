/* buildah_words.c - reads buildah's output: which step failed, in which words, and whose fault it is.
 *
 * What a RUN step prints stands among it, so nothing here is more than a hint: a user who forges a line deceives himself only.
 *
 *     [2/2] STEP 2/3: COPY nofile /
 *     Error: building at STEP "COPY nofile /": checking on sources …: no such file or directory */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "worker/buildah_private.h"
#include "worker/builder_judge.h"
#include "worker/builder_spec.h"

/* buildah 1.28 gives these to each Dockerfile, and then wonders that it does not use them. */
static const char *const own_warnings [] = {
    "[Warning] one or more build args were not consumed: [TARGETARCH TARGETOS TARGETPLATFORM]",
    "[Warning] one or more build args were not consumed: [TARGETARCH TARGETOS TARGETPLATFORM TARGETVARIANT]",
};

/* "STEP 1/2: …" or "[1/2] STEP 1/2: …": where the instruction begins; 0 for other lines. */
static size_t read_step (const char *text, buildah_step_t *step)
{
    int at = 0;
    *step = (buildah_step_t) { .stage = 1 };
    if (sscanf (text, "[%5d/%*5d] STEP %5d/%5d: %n", &step->stage, &step->number, &step->total, &at) < 3)
        sscanf (text, "STEP %5d/%5d: %n", &step->number, &step->total, &at);
    return (size_t) at;
}

/* What a RUN step prints may look like one, but seldom goes on where the builder is. A FROM does not count the triggers yet. */
static bool is_next (const buildah_step_t *step, const buildah_step_t *last)
{
    if (step->number == 1)
        return step->stage > last->stage;
    return step->stage == last->stage && step->number == last->number + 1 && (step->total == last->total || last->number == 1);
}

/* Steps that the Dockerfile does not have are triggers of a base image. */
static void on_step (buildah_words_t *self, const char *line, const buildah_step_t *step, const char *instruction)
{
    builder_keep (self->step, sizeof self->step, line, strlen (line));
    self->words [0] = 0;
    if (!is_next (step, &self->last))
        return;
    self->last = *step;
    if (!self->reach || self->reads_more || reach_covers (self->reach, instruction))
        return;
    self->reads_more = true;
    builder_keep (self->trigger, sizeof self->trigger, instruction, strlen (instruction));
}

static bool is_of_run (const char *error, size_t size)
{
    return builder_line_starts (error, size, "building at STEP \"RUN");
}

static bool is_noise (const char *line, size_t size)
{
    return size == 0 || builder_line_starts (line, size, "subprocess exited with status") || builder_line_starts (line, size, "-->")
           || builder_line_starts (line, size, "time=\"") || builder_line_starts (line, size, "[Warning]");
}

/* "building at STEP "RUN exit 7": while running runtime: exit status 7". Of other steps buildah's own status is left, which is
 * 125 always. */
static int run_status (const char *error, size_t size)
{
    static const char words [] = "exit status ";
    size_t digits = 0;
    while (digits < size && isdigit ((unsigned char) error [size - digits - 1]))
        digits++;
    size_t head = size - digits, length = sizeof words - 1;
    if (digits < 1 || digits > 3 || head < length || memcmp (error + head - length, words, length) != 0 || !is_of_run (error, size))
        return 0;
    int status = 0;
    for (size_t i = head; i < size; i++)
        status = 10 * status + error [i] - '0';
    return status < 256 ? status : 0;
}

/* Kept, and handed on as it is kept: where the worker has its folders says nothing to a user. */
static void on_error (buildah_words_t *self, char stream, const char *line, size_t size)
{
    AUTO_FREE char *text = mem_strndup (line, size);
    builder_cut_folder (text, self->task->context_folder);
    builder_keep (self->error, sizeof self->error, text + 7, strlen (text + 7));
    self->run_status = run_status (line + 7, size - 7);
    if (self->task->on_line)
        self->task->on_line (self->task->argument, stream, text, strlen (text));
}

/* What Go's runtime ends a program with that gets no memory, in words of its own. A RUN step's Go program may say the same; its error follows. */
static bool is_out_of_memory (const char *line, size_t size)
{
    return builder_line_starts (line, size, "runtime/cgo: pthread_create failed: ") || builder_line_starts (line, size, "runtime: out of memory") ||
           builder_line_starts (line, size, "fatal error: runtime: out of memory") || builder_line_starts (line, size, "fatal error: runtime: cannot allocate memory");
}

void buildah_on_line (void *argument, char stream, const char *line, size_t size)
{
    buildah_words_t *self = argument;
    buildah_step_t step;
    for (size_t i = 0; i < sizeof own_warnings / sizeof *own_warnings; i++)
        if (size == strlen (own_warnings [i]) && builder_line_starts (line, size, own_warnings [i]))
            return;
    builder_disk_hear (&self->disk, line, size);
    self->lacks_memory = self->lacks_memory || is_out_of_memory (line, size);
    if (builder_line_starts (line, size, "Error: ")) {
        on_error (self, stream, line, size);
        return;
    }
    AUTO_FREE char *text = mem_strndup (line, size);
    size_t instruction = read_step (text, &step);
    if (instruction)
        on_step (self, text, &step, text + instruction);
    else if (!is_noise (line, size))
        builder_keep (self->words, sizeof self->words, line, size);
    if (self->task->on_line)
        self->task->on_line (self->task->argument, stream, line, size);
}

/* Does the error come from a registry, that is, from the door? A RUN step's own errors do not count. */
static bool is_about_registry (const buildah_words_t *words)
{
    const char *error = words->error;
    if (is_of_run (error, strlen (error)))
        return false;
    return strstr (error, "docker://") || strstr (error, "127.0.0.1:") || strstr (error, "registry")
           || strstr (error, "manifest") || strstr (error, "blob");
}

/* With chroot a RUN step can kill its builder. What the kernel kills for want of memory it counts. */
static bool may_kill_builder (const buildah_t *self, const buildah_words_t *words)
{
    return !self->runtime && words->oom_kills >= 0 && words->oom_kills == builder_oom_kills ();
}

int buildah_judge_build (const buildah_t *self, const buildah_words_t *words, int status, builder_outcome_t *outcome, err_t *err)
{
    char text [sizeof words->error];
    if (words->reads_more)
        return builder_refuse_trigger (words->step, words->trigger, outcome, err);
    outcome->exit_status = words->run_status;
    strcpy (text, words->error);
    door_unmask (text, door_port (words->task->door));
    if (builder_disk_full (&words->disk))
        return err_set (err, ERR_FULL, "the worker's disk is full below %s: %s", builder_disk_full (&words->disk), text);
    if (!text [0] && status >= 128 && may_kill_builder (self, words)) {
        strcpy (outcome->failed_step, words->step);
        return err_set (err, ERR_BUILD, "%s was killed by signal %d, and not for want of memory: a RUN step can do that where the isolation is chroot", self->program,
                        status - 128);
    }
    if (!text [0] && status >= 128)
        return err_set (err, ERR_FARM, "%s was killed by signal %d; see the kernel's log of the worker for "
                        "\"out of memory\"", self->program, status - 128);
    if (is_about_registry (words) && builder_judge_registry (words->task, text, err) < 0) {
        if (err && err->code == ERR_BUILD)
            strcpy (outcome->failed_step, words->step);
        return -1;
    }
    strcpy (outcome->failed_step, words->step);
    if (strstr (text, "is rejected by policy"))
        return err_set (err, ERR_BUILD, "%s A base image comes from a registry that the Dockerfile names: push it to one, and name it there; or have its registry added to "
                        "registry/bases of this worker", text);
    if (strstr (text, "no stage or image found with that name"))
        return err_set (err, ERR_BUILD, "%s; it is no stage, and images of registries that the Dockerfile does not name come in only where registry/bases of the worker lists them",
                        text);
    if (!text [0] && words->lacks_memory)
        return err_set (err, ERR_BUILD, "%s itself does not get by with the memory that the job may have: raise --memory, or limit/memory of the worker", self->program);
    if (!text [0])
        snprintf (text, sizeof text, "%s ended with exit status %d", self->program, status);
    if (words->words [0])
        return err_set (err, ERR_BUILD, "%s; before that: %s", text, words->words);
    return err_set (err, ERR_BUILD, "%s", text);
}
