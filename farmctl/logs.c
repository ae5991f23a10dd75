/* logs.c - farmctl logs ID: what the builders said, whole; with several platforms each line says its own. */
#include <czmq.h>
#include <time.h>

#include "common/platform.h"
#include "farmctl/interrupt.h"
#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/track.h"
#include "farmctl/verbs.h"

typedef struct {
    char platform [PLATFORM_MAX];   /* "" for all */
    bool has_times;
    bool has_platform;              /* of the build */
    int width;
    json_t *lines;                  /* for --json */
    int64_t line_count;
    err_t missing;                  /* that a log is not there: the last one, which is not told yet */
} logs_t;

static void on_build (void *argument, const json_t *build)
{
    logs_t *self = argument;
    size_t i;
    json_t *job;
    json_array_foreach (json_object_get (build, "jobs"), i, job) {
        const char *platform = track_text (job, "platform");
        self->has_platform |= streq (platform, self->platform);
        if (!*self->platform && json_array_size (json_object_get (build, "jobs")) > 1 && (int) strlen (platform) > self->width)
            self->width = (int) strlen (platform);
    }
}

static bool wants_log (void *argument, const json_t *build, const json_t *job, int64_t attempt)
{
    const logs_t *self = argument;
    (void) build;
    (void) attempt;
    return !*self->platform || streq (track_text (job, "platform"), self->platform);
}

static void print_time (int64_t time_ms)
{
    time_t seconds = (time_t) (time_ms / 1000);
    struct tm parts;
    char text [32];
    gmtime_r (&seconds, &parts);
    strftime (text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    printf ("%s.%03dZ ", text, (int) (time_ms % 1000));
}

/* When it was removed, where that is known: 0. */
static int64_t removed_ms (const json_t *job, int64_t number)
{
    size_t i;
    json_t *attempt;
    json_array_foreach (json_object_get (job, "attempts"), i, attempt)
        if (track_int (attempt, "attempt") == number)
            return track_int (attempt, "log_removed_ms");
    return 0;
}

static void on_missing (void *argument, const json_t *job, int64_t attempt)
{
    logs_t *self = argument;
    char when [32] = "";
    int64_t removed = removed_ms (job, attempt);
    time_t seconds = (time_t) (removed / 1000);
    struct tm parts;
    if (self->missing.code != ERR_NONE)
        output_note ("%s", self->missing.text);
    if (removed && localtime_r (&seconds, &parts))
        strftime (when, sizeof when, " on %Y-%m-%d %H:%M", &parts);
    err_set (&self->missing, ERR_NOT_FOUND, "the log of %s, attempt %lld, %s%s%s", track_text (job, "platform"), (long long) attempt,
             removed ? "was removed" : "is not there any more", when, removed ? " (retention/log-ms and retention/log-total of the coordinator)" : "");
}

static void on_line (void *argument, const json_t *job, int64_t attempt, const log_line_t *line)
{
    logs_t *self = argument;
    const char *platform = track_text (job, "platform");
    self->line_count++;
    if (output_is_json ()) {
        json_array_append_new (self->lines, json_pack ("{s:s, s:I, s:I, s:s%, s:s}", "platform", platform, "attempt",
                                                       (json_int_t) attempt, "time_ms", (json_int_t) line->time_ms,
                                                       "stream", &line->stream, (size_t) 1, "text", line->text));
        return;
    }
    if (self->has_times)
        print_time (line->time_ms);
    if (self->width)
        printf ("%-*s  ", self->width, platform);
    printf ("%s%s\n", line->stream == 'w' ? "[worker] " : "", line->text);
    fflush (stdout);
}

static int show (logs_t *self, client_t *client, int64_t id, bool is_following, err_t *err)
{
    track_t wish = { .on_build = on_build, .wants_log = wants_log, .on_line = on_line, .on_missing = on_missing,
                     .argument = self, .is_once = !is_following };
    AUTO_JSON json_t *build = track_build (&wish, client, id, err);
    if (!build)
        return err_wrap (err, "logs of build %lld", (long long) id);
    if (self->missing.code != ERR_NONE && self->line_count > 0)
        output_note ("%s", self->missing.text);
    else if (self->missing.code != ERR_NONE) {
        *err = self->missing;
        return err_wrap (err, "logs of build %lld", (long long) id);
    }
    if (*self->platform && !self->has_platform)
        return err_set (err, ERR_NOT_FOUND, "build %lld is not for %s; farmctl inspect %lld shows its platforms", (long long) id,
                        self->platform, (long long) id);
    return 0;
}

static int read_platform (logs_t *self, const char *text, err_t *err)
{
    platform_t platform;
    if (!text)
        return 0;
    if (platform_parse (&platform, text, err) < 0)
        return err_wrap (err, "--platform");
    platform_format (&platform, self->platform);
    return 0;
}

int verb_logs (int argc, char **argv, err_t *err)
{
    int64_t id;
    bool is_following = false;
    const char *platform = NULL;
    logs_t self = { .width = 0 };
    const option_t options [] = {
        { "follow", 'f', OPTION_FLAG, &is_following }, { "timestamps", 't', OPTION_FLAG, &self.has_times },
        { "platform", 0, OPTION_TEXT, &platform }, { NULL, 0, OPTION_FLAG, NULL }
    };
    if (options_parse (options, &argc, argv, err) < 0 || read_platform (&self, platform, err) < 0
        || options_words (argc, argv, 1, 1, "logs [-f] [-t] ID [--platform P]", err) < 0
        || options_build_id (argv [1], &id, err) < 0)
        return -1;
    AUTO (client) client_t *client = client_new (err);
    if (!client)
        return -1;
    AUTO_JSON json_t *lines = self.lines = json_array ();
    interrupt_catch ();
    if (show (&self, client, id, is_following, err) < 0)
        return -1;
    if (!output_is_json ())
        return 0;
    return output_json (json_pack ("{s:I, s:O}", "build", (json_int_t) id, "lines", lines), err);
}
