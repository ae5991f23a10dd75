/* follow.c - see follow.h. A line of a builder that begins with STEP, or with [1/2] STEP where there are several stages, is
 * one step; the last lines of each job are kept to be shown if it fails. */
#include "farmctl/follow.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "farmctl/interrupt.h"
#include "farmctl/output.h"
#include "farmctl/track.h"

enum { LAST_LINES = 20, JOBS_MAX = 64 };

/* What is known and was said of one job. */
typedef struct {
    int64_t id;
    char *said;                     /* the last line about its state */
    int64_t attempt;                /* whose lines these are */
    char *lines [LAST_LINES];       /* ring; oldest at `next` when full */
    size_t next;
} view_t;

typedef struct {
    view_t views [JOBS_MAX];
    int count, width;
    bool was_ended;                 /* at first sight: its steps are history */
    bool has_seen;
} follower_t;

static void follower_destroy (follower_t *self)
{
    for (int i = 0; i < self->count; i++) {
        free (self->views [i].said);
        for (int j = 0; j < LAST_LINES; j++)
            free (self->views [i].lines [j]);
    }
}

static view_t *find_view (follower_t *self, const json_t *job)
{
    int64_t id = track_int (job, "id");
    for (int i = 0; i < self->count; i++)
        if (self->views [i].id == id)
            return &self->views [i];
    if (self->count == JOBS_MAX)
        return NULL;
    int length = (int) strlen (track_text (job, "platform"));
    self->width = length > self->width ? length : self->width;
    self->views [self->count].id = id;
    return &self->views [self->count++];
}

static void note (const follower_t *self, const json_t *job, const char *text)
{
    output_note ("%-*s  %s", self->width, track_text (job, "platform"), text);
}

/* -- states -------------------------------------------------------------------------------------------------------------- */

static const json_t *last_attempt (const json_t *job)
{
    const json_t *attempts = json_object_get (job, "attempts");
    size_t count = json_array_size (attempts);
    return count ? json_array_get (attempts, count - 1) : NULL;
}

static char *describe_queued (const json_t *job)
{
    const char *waiting = track_text (job, "waiting");
    const json_t *attempt = last_attempt (job);
    const char *reason = track_text (attempt, "reason");
    AUTO_FREE char *again = *reason ? mem_printf (" again: attempt %lld on %s failed: %s",
                                                  (long long) track_int (attempt, "attempt"), track_text (attempt, "worker"),
                                                  reason) : mem_strdup ("");
    return mem_printf ("queued%s%s%s", again, *waiting ? "; waiting: " : "", waiting);
}

/* What a person is told about a job's state; NULL for nothing. The caller frees. */
static char *describe (const json_t *job)
{
    const char *state = track_text (job, "state");
    const char *worker = track_text (job, "worker"), *reason = track_text (job, "reason");
    const char *emulated = json_is_true (json_object_get (job, "emulated")) ? " (emulated)" : "";
    if (streq (state, "assigned"))
        return NULL;
    if (streq (state, "queued"))
        return describe_queued (job);
    if (streq (state, "fetching"))
        return mem_printf ("fetching the context on %s%s", worker, emulated);
    if (streq (state, "done") && track_int (job, "from_build"))
        return mem_printf ("unchanged, from build %lld%s: %s", (long long) track_int (job, "from_build"), emulated,
                           track_text (job, "digest"));
    if (streq (state, "done"))
        return mem_printf ("done%s %s", emulated, track_text (job, "digest"));
    if (streq (state, "verifying") && track_int (job, "from_build"))
        return mem_printf ("known from build %lld, looking whether it still holds", (long long) track_int (job, "from_build"));
    if (streq (state, "building") || streq (state, "pushing"))
        return mem_printf ("%s on %s%s", state, worker, emulated);
    if (streq (state, "failed"))        /* why is said at the end, with the builder's last lines */
        return mem_strdup (state);
    return mem_printf ("%s%s%s", state, *reason ? ": " : "", reason);
}

static void on_build (void *argument, const json_t *build)
{
    follower_t *self = argument;
    size_t i;
    json_t *job;
    if (!self->has_seen)
        self->was_ended = track_is_ended (build);
    self->has_seen = true;
    json_array_foreach (json_object_get (build, "jobs"), i, job)
        find_view (self, job);
    json_array_foreach (json_object_get (build, "jobs"), i, job) {
        view_t *view = find_view (self, job);
        AUTO_FREE char *text = describe (job);
        if (!view || !text || (view->said && streq (view->said, text)))
            continue;
        free (view->said);
        view->said = take (&text);
        output_clean (view->said);
        note (self, job, view->said);
    }
}

static void on_contact (void *argument, contact_t contact)
{
    (void) argument;
    output_note ("%s", contact == CONTACT_BACK ? "the coordinator is back"
                 : contact == CONTACT_CLOSING ? "the coordinator is being stopped; the build is safe, waiting for the coordinator"
                 : "the coordinator does not answer; the build is safe, waiting for it");
}

/* -- logs ---------------------------------------------------------------------------------------------------------------- */

/* Of a build that had ended before, only what the failure's report will show. */
static bool wants_log (void *argument, const json_t *build, const json_t *job, int64_t attempt)
{
    const follower_t *self = argument;
    if (!self->was_ended && !track_is_ended (build))
        return true;
    return streq (track_text (job, "state"), "failed") && attempt == track_int (job, "attempt");
}

static void keep_line (view_t *view, int64_t attempt, const char *text)
{
    if (attempt != view->attempt)
        for (int i = 0; i < LAST_LINES; i++)
            auto_free (&view->lines [i]);
    view->attempt = attempt;
    free (view->lines [view->next]);
    view->lines [view->next] = mem_strdup (text);
    view->next = (view->next + 1) % LAST_LINES;
}

/* "STEP 2/3: …" and "[1/2] STEP 2/3: …" of buildah, "#6 [tools 2/3] …" of BuildKit. */
static bool is_step (const char *text)
{
    size_t number = text [0] == '#' ? 1 + strspn (text + 1, "0123456789") : 0;
    if (number)
        return strncmp (text + number, " [", 2) == 0 && strncmp (text + number, " [internal]", 11) != 0 && strncmp (text + number, " [auth]", 7) != 0;
    size_t stage = text [0] == '[' ? 1 + strspn (text + 1, "0123456789/") : 0;
    if (stage && strncmp (text + stage, "] ", 2) != 0)
        return false;
    return strncmp (text + stage + (stage ? 2 : 0), "STEP ", 5) == 0;
}

static void on_line (void *argument, const json_t *job, int64_t attempt, const log_line_t *line)
{
    follower_t *self = argument;
    view_t *view = find_view (self, job);
    if (!view || line->stream != 'o' || attempt < view->attempt)
        return;
    keep_line (view, attempt, line->text);
    if (is_step (line->text) && !self->was_ended)
        note (self, job, line->text);
}

/* -- the end ------------------------------------------------------------------------------------------------------------- */

/* `told` is what the last line will say of the whole build: a reason that stands there is not said twice. Was there anything to show? */
static bool show_failed_job (follower_t *self, const json_t *job, const char *told)
{
    const view_t *view = find_view (self, job);
    const char *step = track_text (job, "step"), *worker = track_text (job, "worker");
    const json_t *status = json_object_get (job, "exit_status");
    if (!*worker && !*step && strstr (told, track_text (job, "reason")))        /* nobody had it: all is said at the end */
        return false;
    AUTO_FREE char *text = mem_printf ("%s failed%s%s%s%s", track_text (job, "platform"), *worker ? " on " : "", worker,
                                       *step ? " at " : "", step);
    fprintf (stderr, "\n%s\n", output_clean (text));
    for (size_t i = 0; view && i < LAST_LINES; i++) {
        const char *line = view->lines [(view->next + i) % LAST_LINES];
        if (line)
            fprintf (stderr, "  | %s\n", line);
    }
    AUTO_FREE char *reason = mem_strdup (track_text (job, "reason"));
    if (json_is_integer (status) && !strstr (reason, "exit status"))
        fprintf (stderr, "  exit status %lld\n", (long long) json_integer_value (status));
    if (!strstr (told, reason))
        fprintf (stderr, "  %s\n", output_clean (reason));
    return true;
}

static const json_t *first_failed (const json_t *build)
{
    size_t i;
    json_t *job;
    json_array_foreach (json_object_get (build, "jobs"), i, job)
        if (streq (track_text (job, "state"), "failed"))
            return job;
    return NULL;
}

/* A job that no builder began has no log. */
static void show_failed_jobs (follower_t *self, const json_t *build, const char *told)
{
    size_t i;
    json_t *job;
    bool has_log = false, is_shown = false;
    json_array_foreach (json_object_get (build, "jobs"), i, job) {
        has_log = has_log || last_attempt (job);
        if (streq (track_text (job, "state"), "failed"))
            is_shown = show_failed_job (self, job, told) || is_shown;
    }
    if (is_shown)
        fputc ('\n', stderr);
    if (has_log)
        output_note ("farmctl logs %lld shows all that the builders said", (long long) track_int (build, "id"));
}

/* A build's own reason may be missing or short: the first failed job's stands in. */
static int fail (follower_t *self, const json_t *build, err_t *err)
{
    const json_t *first = first_failed (build);
    const char *code = track_text (build, "code"), *reason = track_text (build, "reason");
    if (!*code)
        code = first ? track_text (first, "code") : streq (track_text (build, "state"), "cancelled") ? "cancelled" : "farm";
    if (!*reason && first)
        reason = track_text (first, "reason");
    err_set (err, err_from_name (code), "build %lld %s%s%s%s", (long long) track_int (build, "id"),
             track_text (build, "state"), *reason ? ": " : "", reason, first ? "; nothing was published" : "");
    if (first)
        show_failed_jobs (self, build, err->text);
    output_detail ("build", json_deep_copy (build));
    return -1;
}

static int succeed (const json_t *build, err_t *err)
{
    size_t i;
    json_t *tag;
    AUTO_BUFFER buffer_t tags = { 0 };
    json_array_foreach (json_object_get (build, "tags"), i, tag)
        buffer_printf (&tags, "%s%s", i ? ", " : "", json_string_value (tag));
    int64_t took_ms = track_int (build, "ended_ms") - track_int (build, "created_ms");
    const char *remark = track_text (build, "note");
    output_note ("build %lld published in %s: %s%s%s%s", (long long) track_int (build, "id"), output_duration (took_ms),
                 tags.size ? (char *) tags.data : "", *remark ? " (" : "", remark, *remark ? ")" : "");
    output_line ("%s", track_text (build, "digest"));
    return output_is_json () ? output_json (json_deep_copy (build), err) : 0;
}

/* The client is deaf once a signal was seen, so that is forgotten first. */
static int cancel (client_t *client, int64_t id, err_t *err)
{
    err_t why = { 0 };
    interrupt_release ();
    AUTO (msg) msg_t *answer = client_ask (client, "cancel", json_pack ("{s:I}", "build", (json_int_t) id), "build", 0,
                                           &why);
    if (!answer)
        return err_set (err, ERR_INTERRUPTED, "interrupted, but build %lld could not be cancelled: %s", (long long) id,
                        why.text);
    return err_set (err, ERR_INTERRUPTED, "interrupted: build %lld is cancelled", (long long) id);
}

static int give_up (client_t *client, int64_t id, const follow_options_t *options, err_t *err)
{
    long long number = (long long) id;
    if (err->code == ERR_INTERRUPTED && options->cancels_on_interrupt)
        return cancel (client, id, err);
    if (err->code == ERR_INTERRUPTED || err->code == ERR_TIMEOUT)
        return err_set (err, err->code, "%s; build %lld goes on: farmctl wait %lld / farmctl logs -f %lld / farmctl cancel %lld",
                        err->code == ERR_TIMEOUT ? "the time is up" : "interrupted", number, number, number, number);
    return err_wrap (err, "follow build %lld", number);
}

int follow_build (client_t *client, int64_t id, const follow_options_t *options, err_t *err)
{
    __attribute__ ((cleanup (follower_destroy))) follower_t self = { .count = 0 };
    track_t wish = { .on_build = on_build, .wants_log = wants_log, .on_line = on_line, .on_contact = on_contact,
                     .argument = &self, .agents = options->agents };
    if (options->timeout_ms)
        wish.deadline_ms = clock_boot_ms () + options->timeout_ms;
    AUTO_JSON json_t *build = track_build (&wish, client, id, err);
    if (!build)
        return give_up (client, id, options, err);
    return streq (track_text (build, "state"), "published") ? succeed (build, err) : fail (&self, build, err);
}
