/* docker_words.c - reads what docker build prints (--progress=plain): which step failed, in which words, and whose fault it is.
 *
 * What a RUN step prints has the number of its step and a time before it, so it is not taken for the builder's words.
 *
 *     #3 [internal] load metadata for 127.0.0.1:5001/registry.lan/base@sha256:…
 *     #6 [tools 2/3] RUN make
 *     #6 0.342 cc -o hello hello.c
 *     #6 ERROR: executor failed running [/bin/sh -c make]: exit code: 2
 *     ------
 *      > [tools 2/3] RUN make:
 *     #6 0.342 cc -o hello hello.c
 *     ------
 *     executor failed running [/bin/sh -c make]: exit code: 2                   (ERROR: failed to solve: process "/bin/sh -c make" did not … exit code: 2) */
#include "worker/docker_private.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "worker/builder_judge.h"
#include "worker/builder_spec.h"
#include "worker/door_names.h"

/* Words that stand before what has gone wrong, and tell nobody anything. */
static const char *const prefixes [] = { "ERROR: ", "failed to solve with frontend dockerfile.v0: ", "failed to solve: ", "failed to create LLB definition: ",
                                         "failed to build LLB: " };

/* -- lines ------------------------------------------------------------------------------------------------------- */

/* Behind "#6 "; NULL where a line does not begin so. */
static const char *skip_number (const char *line)
{
    size_t digits = *line == '#' ? strspn (line + 1, "0123456789") : 0;
    return digits && line [1 + digits] == ' ' ? line + digits + 2 : NULL;
}

/* Behind "0.342 ", which stands before what a RUN step prints; NULL where it does not. */
static const char *skip_time (const char *text)
{
    size_t whole = strspn (text, "0123456789"), part = whole && text [whole] == '.' ? strspn (text + whole + 1, "0123456789") : 0;
    const char *end = text + whole + 1 + part;
    return part && (*end == ' ' || !*end) ? end + (*end == ' ') : NULL;
}

/* "[tools 2/3] RUN make": the instruction; NULL for what is no step of the Dockerfile. */
static const char *skip_step (const char *text)
{
    const char *end = *text == '[' ? strstr (text, "] ") : NULL;
    const char *slash = end ? memrchr (text, '/', (size_t) (end - text)) : NULL;
    return slash && isdigit ((unsigned char) slash [-1]) && isdigit ((unsigned char) slash [1]) ? end + 2 : NULL;
}

/* An image that BuildKit looks at; NULL where the line tells of none. */
static const char *image_of (const char *text)
{
    static const char *const heads [] = { "[internal] load metadata for ", "resolve image config for " };
    for (size_t i = 0; i < 2; i++)
        if (strncmp (text, heads [i], strlen (heads [i])) == 0) {
            text += strlen (heads [i]);
            return strncmp (text, "docker-image://", 15) == 0 ? text + 15 : text;
        }
    return NULL;
}

/* -- what they tell ---------------------------------------------------------------------------------------------- */

/* All images that the Dockerfile names bear names that this worker has given them: another one stands in a trigger of a base image, or where this
 * worker reads the Dockerfile otherwise than BuildKit does. */
static void on_image (docker_words_t *self, const char *image)
{
    if (self->is_hopeless || json_object_get (self->given, image))
        return;
    builder_keep (self->strange, sizeof self->strange, image, strlen (image));
    self->is_hopeless = true;
}

/* What COPY --from= or RUN --mount=…,from= takes from: an image, as no stage's name has such letters. BuildKit reads one of a trigger as an empty folder. */
static void on_source (docker_words_t *self, const char *source)
{
    if (strpbrk (source, "/:"))
        on_image (self, source);
}

static void look_for_sources (docker_words_t *self, const char *instruction)
{
    char word [DOCKERFILE_WORD_MAX];
    if (!dockerfile_next_word (&instruction, word))
        return;
    while (dockerfile_next_word (&instruction, word) && strncmp (word, "--", 2) == 0) {
        char *rest = strncmp (word, "--mount=", 8) == 0 ? word + 8 : word + 2;
        for (char *part = strsep (&rest, ","); part; part = strsep (&rest, ","))
            if (strncmp (part, "from=", 5) == 0)
                on_source (self, part + 5);
    }
}

/* Steps that the Dockerfile does not have are triggers of a base image. */
static void on_instruction (docker_words_t *self, const char *instruction)
{
    look_for_sources (self, instruction);
    if (!self->reach || self->is_hopeless || reach_covers (self->reach, instruction))
        return;
    builder_keep (self->trigger, sizeof self->trigger, instruction, strlen (instruction));
    self->is_hopeless = true;
}

static void on_numbered (docker_words_t *self, const char *text)
{
    const char *printed = skip_time (text), *image = image_of (text), *instruction = skip_step (text);
    if (printed && *printed)
        builder_keep (self->words, sizeof self->words, printed, strlen (printed));
    else if (image)
        on_image (self, image);
    else if (instruction)
        on_instruction (self, instruction);
}

/* " > [2/2] RUN make:" */
static void on_failed (docker_words_t *self, const char *text)
{
    size_t size = strlen (text);
    builder_keep (self->step, sizeof self->step, text, size - (size > 0 && text [size - 1] == ':'));
}

static const char *skip_prefixes (const char *text)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp (text, prefixes [i], strlen (prefixes [i])) == 0)
            text += strlen (prefixes [i]);
    return text;
}

static void on_other (docker_words_t *self, const char *text)
{
    text = skip_prefixes (text);
    if (*text && text [0] != '-')
        builder_keep (self->error, sizeof self->error, text, strlen (text));
}

static bool is_of_daemon (const char *line)
{
    static const char *const heads [] = { "Cannot connect to the Docker daemon", "failed to dial gRPC: cannot connect to the Docker daemon", "error during connect",
                                          "rpc error: code = Unavailable" };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        if (strncmp (skip_prefixes (line), heads [i], strlen (heads [i])) == 0)
            return true;
    return strcmp (line, "unexpected EOF") == 0;        /* it went in the middle */
}

/* A step's own words never come first in an error, but it may have several lines, as what a step runs has them: where docker itself speaks, it says no more. */
static void on_loose (docker_words_t *self, const char *text)
{
    self->is_daemon_gone = ++self->loose == 1 && is_of_daemon (text);
    if (strncmp (text, " > [", 4) == 0)
        on_failed (self, text + 3);
    else
        on_other (self, text);
}

/* "#6 sha256:…" alone: a digest that BuildKit has for the step. */
static bool is_noise (const char *text)
{
    return text && strncmp (text, "sha256:", 7) == 0 && strlen (text) == 7 + 64;
}

/* As a text: with blanks for NULs. */
static char *copy_line (const char *line, size_t size)
{
    char *text = mem_alloc (size + 1);
    for (size_t i = 0; i < size; i++)
        text [i] = line [i] ? line [i] : ' ';
    return text;
}

void docker_on_line (void *argument, char stream, const char *line, size_t size)
{
    docker_words_t *self = argument;
    AUTO_FREE char *text = copy_line (line, size);
    const char *numbered = skip_number (text);
    if (is_noise (numbered))
        return;
    builder_disk_hear (&self->disk, line, size);
    if (numbered)
        on_numbered (self, numbered);
    else if (*text)
        on_loose (self, text);
    if (!self->task->on_line)
        return;
    if (!numbered || !skip_time (numbered)) {
        door_unmask (text, door_port (self->task->door));
        builder_cut_folder (text, self->task->context_folder);
    }
    self->task->on_line (self->task->argument, stream, text, strlen (text));
}

/* -- judge ------------------------------------------------------------------------------------------------------- */

/* "executor failed running [/bin/sh -c exit 7]: exit code: 7"; 0: not a RUN step's. */
static int run_status (const char *error)
{
    const char *found = NULL;
    if (strncmp (error, "executor failed running ", 24) != 0 && !strstr (error, "did not complete successfully"))
        return 0;
    for (const char *at = error; (at = strstr (at, "exit code: ")); at++)
        found = at;
    int status = found ? atoi (found + 11) : 0;
    return status > 0 && status < 256 ? status : 0;
}

static int refuse_image (const docker_words_t *words, err_t *err)
{
    reference_t image;
    AUTO_FREE char *name = reference_parse (&image, words->strange, NULL) < 0 ? mem_strdup (words->strange) : mem_printf ("%s/%s", image.host, image.path);
    return err_set (err, ERR_REGISTRY_DENIED, "%s is no image that the Dockerfile names (an ONBUILD of a base image may ask for one): name it there in plain "
                    "words, or let a worker with buildah build it", name);
}

/* The error names what it was about; an image that the door was asked for bears its name. Not a RUN step's. */
static bool is_about_registry (const docker_words_t *words)
{
    char door [32];
    snprintf (door, sizeof door, "127.0.0.1:%d/", door_port (words->task->door));
    return strstr (words->error, door) && run_status (words->error) == 0;
}

int docker_judge_build (const docker_t *self, const docker_words_t *words, int status, builder_outcome_t *outcome, err_t *err)
{
    char text [sizeof words->error];
    strcpy (outcome->failed_step, words->step);
    strcpy (text, words->error);
    door_unmask (text, door_port (words->task->door));
    builder_cut_folder (text, words->task->context_folder);
    if (words->trigger [0])
        return builder_refuse_trigger (words->step, words->trigger, outcome, err);
    if (words->is_hopeless)
        return refuse_image (words, err);
    if (words->is_daemon_gone)
        return err_set (err, ERR_FARM, "the docker daemon is gone, see its log (journalctl -u docker): %s", text);
    if (builder_disk_full (&words->disk))
        return err_set (err, ERR_FULL, "the worker's disk is full below %s: %s", builder_disk_full (&words->disk), text);
    if (!text [0] && status >= 128)
        return err_set (err, ERR_FARM, "%s was killed by signal %d", self->program, status - 128);
    if (is_about_registry (words) && builder_judge_registry (words->task, text, err) < 0)
        return -1;
    outcome->exit_status = run_status (text);
    if (!text [0])
        snprintf (text, sizeof text, "%s ended with exit status %d", self->program, status);
    if (words->words [0] && outcome->exit_status)
        return err_set (err, ERR_BUILD, "%s; before that: %s", text, words->words);
    return err_set (err, ERR_BUILD, "%s", text);
}
