/* buildah_words.c - reads buildah's output: which step failed, in which words, and whose fault it is.
 *
 * What a RUN step prints stands among it, so nothing here is more than a hint: a user who forges a line deceives himself only.
 *
 *     [2/2] STEP 2/3: COPY nofile /
 *     Error: building at STEP "COPY nofile /": checking on sources …: no such file or directory */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "worker/buildah_private.h"

enum { DISK_FLOOR_BYTES = 256 * 1024 * 1024 };

/* buildah 1.28 gives these to each Dockerfile, and then wonders that it does not use them. */
static const char *const own_warnings [] = {
    "[Warning] one or more build args were not consumed: [TARGETARCH TARGETOS TARGETPLATFORM]",
    "[Warning] one or more build args were not consumed: [TARGETARCH TARGETOS TARGETPLATFORM TARGETVARIANT]",
};

static void keep (char *out, size_t out_size, const char *line, size_t size)
{
    size_t length = size < out_size ? size : out_size - 1;
    while (length < size && length > 0 && ((unsigned char) line [length] & 0xc0) == 0x80)
        length--;               /* not in the middle of a character */
    memcpy (out, line, length);
    out [length] = 0;
}

static bool starts (const char *line, size_t size, const char *with)
{
    size_t length = strlen (with);
    return size >= length && memcmp (line, with, length) == 0;
}

/* "STEP 1/2: …" or "[1/2] STEP 1/2: …" */
static bool is_step (const char *line, size_t size)
{
    if (size > 0 && line [0] == '[') {
        size_t at = 1;
        while (at < size && (isdigit ((unsigned char) line [at]) || line [at] == '/'))
            at++;
        if (at + 2 > size || line [at] != ']' || line [at + 1] != ' ')
            return false;
        line += at + 2;
        size -= at + 2;
    }
    return starts (line, size, "STEP ") && size > 5 && isdigit ((unsigned char) line [5]);
}

static bool is_of_run (const char *error, size_t size)
{
    return starts (error, size, "building at STEP \"RUN");
}

static bool is_noise (const char *line, size_t size)
{
    return size == 0 || starts (line, size, "subprocess exited with status") || starts (line, size, "-->")
           || starts (line, size, "time=\"") || starts (line, size, "[Warning]");
}

void buildah_cut_folder (char *text, const char *context_folder)
{
    const char *end = context_folder ? strrchr (context_folder, '/') : NULL;
    size_t size = end ? (size_t) (end - context_folder) + 1 : 0;
    if (size < 2)
        return;
    for (char *at = text; (at = memmem (at, strlen (at), context_folder, size)); )
        memmove (at, at + size, strlen (at + size) + 1);
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
    buildah_cut_folder (text, self->task->context_folder);
    keep (self->error, sizeof self->error, text + 7, strlen (text + 7));
    self->run_status = run_status (line + 7, size - 7);
    if (self->task->on_line)
        self->task->on_line (self->task->argument, stream, text, strlen (text));
}

void buildah_on_line (void *argument, char stream, const char *line, size_t size)
{
    buildah_words_t *self = argument;
    for (size_t i = 0; i < sizeof own_warnings / sizeof *own_warnings; i++)
        if (size == strlen (own_warnings [i]) && starts (line, size, own_warnings [i]))
            return;
    if (memmem (line, size, "o space left on device", 22))
        self->is_disk_full = true;
    if (starts (line, size, "Error: ")) {
        on_error (self, stream, line, size);
        return;
    }
    if (is_step (line, size)) {
        keep (self->step, sizeof self->step, line, size);
        self->words [0] = 0;
    }
    else if (!is_noise (line, size))
        keep (self->words, sizeof self->words, line, size);
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

/* What the registry said to the door counts more than what buildah made of it. -1 with err filled, or 0: not its fault. */
static int judge_registry (const buildah_words_t *words, const char *text, err_t *err)
{
    err_t upstream;
    door_last_error (words->task->door, words->task->job, words->task->attempt, &upstream);
    if (upstream.code == ERR_NONE)
        return 0;
    if (upstream.code == ERR_NOT_FOUND)
        return err_set (err, ERR_BUILD, "%s; check the name and the tag of the image", text);
    return err_set (err, upstream.code, "%s", upstream.text);
}

int buildah_judge_build (const builder_t *self, const buildah_words_t *words, int status, builder_outcome_t *outcome, err_t *err)
{
    char text [sizeof words->error];
    outcome->exit_status = words->run_status;
    strcpy (text, words->error);
    buildah_unmask_door (text, door_port (words->task->door));
    int64_t free_bytes = file_free_bytes (self->storage_folder);
    if (strstr (text, "no space left on device")
        || (words->is_disk_full && free_bytes >= 0 && free_bytes < DISK_FLOOR_BYTES))
        return err_set (err, ERR_FULL, "the worker's disk is full below %s: %s", self->storage_folder, text);
    if (!text [0] && status >= 128)
        return err_set (err, ERR_FARM, "%s was killed by signal %d; see the kernel's log of the worker for "
                        "\"out of memory\"", self->program, status - 128);
    if (is_about_registry (words) && judge_registry (words, text, err) < 0) {
        if (err && err->code == ERR_BUILD)
            strcpy (outcome->failed_step, words->step);
        return -1;
    }
    strcpy (outcome->failed_step, words->step);
    if (strstr (text, "is rejected by policy"))
        return err_set (err, ERR_BUILD, "%s A base image comes from a registry: push it to one, and name it there", text);
    if (!text [0])
        snprintf (text, sizeof text, "%s ended with exit status %d", self->program, status);
    if (words->words [0])
        return err_set (err, ERR_BUILD, "%s; before that: %s", text, words->words);
    return err_set (err, ERR_BUILD, "%s", text);
}

int buildah_judge_push (const buildah_words_t *words, err_t *err)
{
    err_t upstream;
    char text [sizeof words->error];
    door_last_error (words->task->door, words->task->job, words->task->attempt, &upstream);
    if (upstream.code != ERR_NONE)
        return err_set (err, upstream.code, "%s", upstream.text);
    strcpy (text, words->error);
    buildah_unmask_door (text, door_port (words->task->door));
    if (strstr (text, "no space left on device"))
        return err_set (err, ERR_FULL, "the worker's disk is full: %s", text);
    return err_set (err, ERR_FARM, "%s", text [0] ? text : "the builder said nothing");
}
