/* submit.c - farmctl submit: reads the options, makes the tree of the context, sends what the depot does not have, submits
 * under a request id (so that a repeated submit is the same build), and follows. */
#include <czmq.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/ignore.h"
#include "common/scan.h"
#include "farmctl/interrupt.h"
#include "farmctl/options.h"
#include "farmctl/news.h"
#include "farmctl/output.h"
#include "farmctl/request.h"
#include "farmctl/schedule.h"
#include "farmctl/stream.h"
#include "farmctl/submit_options.h"
#include "farmctl/track.h"
#include "farmctl/unpacked.h"
#include "farmctl/upload.h"
#include "farmctl/verbs.h"

enum { DOCKERFILE_MAX = 256 * 1024, RESENDS_MAX = 3 };

typedef struct {
    submit_options_t options;
    char *dockerfile_path;          /* NULL for standard input */
    buffer_t dockerfile;
    char *ignore_path;              /* NULL for none */
    client_t *client;
    scan_t *scan;
    char *unpacked;                 /* the folder of an archive from standard input; NULL: there is none */
    bool is_sent;                   /* the whole context, by an earlier submit */
    upload_stats_t stats;
    digest_t dockerfile_digest;
} submission_t;

static void submission_free (submission_t *self)
{
    submit_options_free (&self->options);
    free (self->dockerfile_path);
    buffer_free (&self->dockerfile);
    free (self->ignore_path);
    unpacked_remove (&self->unpacked);
    client_destroy (&self->client);
    scan_destroy (&self->scan);
}

/* -- what is to be built --------------------------------------------------------------------------------------------- */

static int check_context (const char *context, err_t *err)
{
    struct stat status;
    if (stat (context, &status) < 0)
        return err_set (err, ERR_USAGE, "context %s: %s", context, strerror (errno));
    if (!S_ISDIR (status.st_mode))
        return err_set (err, ERR_USAGE, "context %s is not a folder; the Dockerfile is named with -f", context);
    return 0;
}

static int read_standard_input (buffer_t *out, err_t *err)
{
    char block [65536];
    size_t size;
    while ((size = fread (block, 1, sizeof block, stdin)) > 0) {
        if (out->size + size > DOCKERFILE_MAX)
            return err_set (err, ERR_USAGE, "the Dockerfile on standard input is longer than %d KiB", DOCKERFILE_MAX / 1024);
        buffer_append (out, block, size);
    }
    return ferror (stdin) ? err_sys (err, errno, "read the Dockerfile from standard input") : 0;
}

static int read_dockerfile_file (submission_t *self, err_t *err)
{
    err_t why = { 0 };
    if (file_read (self->dockerfile_path, DOCKERFILE_MAX, &self->dockerfile, &why) == 0)
        return 0;
    if (why.code == ERR_NOT_FOUND)
        return err_set (err, ERR_USAGE, "no Dockerfile: there is no %s; name another with -f", self->dockerfile_path);
    return err_set (err, why.code == ERR_FULL ? ERR_FULL : ERR_USAGE, "read the Dockerfile: %s", why.text);
}

static int read_dockerfile (submission_t *self, err_t *err)
{
    const char *named = self->options.dockerfile;
    if (named && strcmp (named, "-") == 0) {
        if (read_standard_input (&self->dockerfile, err) < 0)
            return -1;
    } else {
        if (self->unpacked && unpacked_check_file (self->unpacked, named ? named : "Dockerfile", err) < 0)
            return -1;
        self->dockerfile_path = named && !self->unpacked ? mem_strdup (named) : file_join (self->options.context, named ? named : "Dockerfile");
        if (read_dockerfile_file (self, err) < 0)
            return -1;
    }
    if (self->dockerfile.size == 0)
        return err_set (err, ERR_USAGE, "the Dockerfile %s is empty",
                        self->dockerfile_path ? self->dockerfile_path : "on standard input");
    return 0;
}

/* NULL: the whole context is sent. */
static reach_t *find_reach (const submission_t *self)
{
    if (self->options.sends_whole || !settings_bool (options_settings (), "context/prune"))
        return NULL;
    return reach_new ((const char *) self->dockerfile.data, self->dockerfile.size, json_object_get (self->options.spec, "build_args"));
}

/* -- sending ----------------------------------------------------------------------------------------------------------- */

static int upload (submission_t *self, err_t *err)
{
    return upload_build (self->client, self->scan, self->dockerfile.data, self->dockerfile.size, &self->dockerfile_digest,
                         &self->stats, err);
}

/* No context is read or sent for a build that would be refused. */
static int check_platforms (submission_t *self, err_t *err)
{
    const json_t *spec = self->options.spec;
    if (client_open_objects (self->client, err) < 0)
        return -1;
    json_t *question = json_pack ("{s:O, s:O, s:O, s:O*, s:O*, s:O*, s:O*, s:O*, s:O*}", "platforms", json_object_get (spec, "platforms"),
                                  "emulation", json_object_get (spec, "emulation"), "queue_timeout_ms",
                                  json_object_get (spec, "queue_timeout_ms"), "require", json_object_get (spec, "require"),
                                  "memory_bytes", json_object_get (spec, "memory_bytes"), "cpu_percent", json_object_get (spec, "cpu_percent"),
                                  "timeout_ms", json_object_get (spec, "timeout_ms"), "cross_check", json_object_get (spec, "cross_check"),
                                  "network", json_object_get (spec, "network"));
    AUTO (msg) msg_t *answer = client_ask (self->client, "check", question, "fine", 0, err);
    if (answer && msg_text (answer, "waiting"))
        output_note ("it will wait for %s at most: %s", output_duration (track_int (spec, "queue_timeout_ms")), msg_text (answer, "waiting"));
    return answer ? 0 : -1;
}

/* The control connection is made while the names are read. */
static int scan (submission_t *self, err_t *err)
{
    AUTO_FREE char *cache_folder = self->unpacked ? NULL : options_cache_folder ();
    if (client_open (self->client, err) < 0)
        return -1;
    AUTO (reach) reach_t *reach = find_reach (self);
    if (scan_names (&self->scan, self->options.context, self->ignore_path, reach, cache_folder, err) < 0)
        return err_wrap (err, "read the context %s", self->options.context);
    bool has_news = scan_has_news (self->scan);
    if (has_news && (check_platforms (self, err) < 0 || stream_content (self->client, self->scan, &self->stats, err) < 0))
        return -1;
    if (scan_content (self->scan, err) < 0)
        return err_wrap (err, "read the context %s", self->options.context);
    self->is_sent = scan_is_sent (self->scan, client_server_key (self->client));
    return has_news || self->is_sent ? 0 : check_platforms (self, err);
}

/* "; no instruction reads 2 folders and 1 file", or "". The caller frees. */
static char *say_unread (const submission_t *self)
{
    uint64_t folders, files;
    scan_unread (self->scan, &folders, &files);
    if (!folders && !files)
        return mem_strdup ("");
    output_detail ("unread", json_pack ("{s:I, s:I}", "folders", (json_int_t) folders, "files", (json_int_t) files));
    AUTO_FREE char *one = mem_printf ("%s folder%s", output_count (folders), folders == 1 ? "" : "s");
    AUTO_FREE char *other = mem_printf ("%s file%s", output_count (files), files == 1 ? "" : "s");
    return mem_printf ("; left out %s%s%s, which no instruction reads", folders ? one : "", folders && files ? " and " : "", files ? other : "");
}

/* What was sent before is not asked about: `submit` itself says when it is not there any more. */
static int scan_and_upload (submission_t *self, err_t *err)
{
    int64_t start_ms = clock_boot_ms ();
    if (scan (self, err) < 0)
        return -1;
    if (self->is_sent)
        self->dockerfile_digest = digest_of (self->dockerfile.data, self->dockerfile.size);
    else if (upload (self, err) < 0)
        return -1;
    AUTO_FREE char *unread = say_unread (self);
    output_note ("context: %s file%s, %s%s; sent %s object%s, %s in %s", output_count (scan_files (self->scan)),
                 scan_files (self->scan) == 1 ? "" : "s", output_bytes (scan_bytes (self->scan)), unread,
                 output_count (self->stats.sent_objects), self->stats.sent_objects == 1 ? "" : "s",
                 output_bytes (self->stats.sent_bytes), output_duration (clock_boot_ms () - start_ms));
    return 0;
}

static void complete_spec (submission_t *self)
{
    char hex [DIGEST_HEX_SIZE + 1];
    digest_to_hex (scan_root (self->scan), hex);
    json_object_set_new (self->options.spec, "context", json_string (hex));
    uint64_t folders, files;
    scan_unread (self->scan, &folders, &files);
    if (folders || files)
        json_object_set_new (self->options.spec, "pruned", json_true ());
    digest_to_hex (&self->dockerfile_digest, hex);
    json_t *name = json_string (self->dockerfile_path ? self->dockerfile_path : "standard input");
    json_object_set_new (self->options.spec, "dockerfile",
                         json_pack ("{s:s, s:I, s:o}", "digest", hex, "size", (json_int_t) self->dockerfile.size, "name",
                                    name ? name : json_string ("Dockerfile")));
}

/* What the coordinator's depot has lost meanwhile, and a new Dockerfile beside a context that was sent. */
static int send_again (void *argument, err_t *err)
{
    submission_t *self = argument;
    upload_stats_t before = self->stats;
    int64_t start_ms = clock_boot_ms ();
    if (upload (self, err) < 0)
        return -1;
    uint64_t objects = self->stats.sent_objects - before.sent_objects;
    output_note ("the coordinator did not have all of it: sent %s object%s, %s in %s", output_count (objects),
                 objects == 1 ? "" : "s", output_bytes (self->stats.sent_bytes - before.sent_bytes),
                 output_duration (clock_boot_ms () - start_ms));
    return 0;
}

/* -- the verb ---------------------------------------------------------------------------------------------------------- */

/* The Dockerfile of an archive is in it. */
static int unpack (submission_t *self, err_t *err)
{
    const char *named = self->options.dockerfile;
    if (strcmp (self->options.context, "-") != 0)
        return 0;
    if (named && (strcmp (named, "-") == 0 || *named == '/'))
        return err_set (err, ERR_USAGE, "--file %s: with an archive on standard input the Dockerfile is a path in it", named);
    if (unpacked_read (&self->unpacked, err) < 0)
        return -1;
    self->options.context = self->unpacked;
    return 0;
}

/* The options are read. */
static int prepare (submission_t *self, err_t *err)
{
    output_set_quiet (self->options.after.is_quiet);
    if (unpack (self, err) < 0)
        return -1;
    if (!self->options.is_fetched && (check_context (self->options.context, err) < 0 || read_dockerfile (self, err) < 0
        || ignore_find (self->options.context, self->dockerfile_path, &self->ignore_path, err) < 0))
        return -1;
    self->client = client_new (err);
    return self->client ? 0 : -1;
}

/* Nothing is read here: the coordinator does that, and says in the build's own words when it cannot. */
static int submit_source (submission_t *self, err_t *err)
{
    int64_t build = 0;
    if (client_open (self->client, err) < 0 || check_platforms (self, err) < 0)
        return -1;
    interrupt_catch ();
    request_t request = { .spec = self->options.spec, .secrets = &self->options.secrets };
    if (request_submit (&request, self->client, &build, err) < 0)
        return -1;
    return request_follow (&self->options.after, self->client, build, err);
}

static int submit (submission_t *self, err_t *err)
{
    int64_t build = 0;
    if (self->options.is_fetched)
        return submit_source (self, err);
    if (scan_and_upload (self, err) < 0)
        return -1;
    complete_spec (self);
    interrupt_catch ();
    request_t request = { .spec = self->options.spec, .secrets = &self->options.secrets, .resend = send_again, .argument = self };
    if (request_submit (&request, self->client, &build, err) < 0)
        return -1;
    return request_follow (&self->options.after, self->client, build, err);
}

/* Only a base image that is not here can need what was left out. */
static int submit_whole (submission_t *self, err_t *err)
{
    output_note ("%s", err->text);
    output_note ("submitting again, with the whole context");
    *err = (err_t) { 0 };
    scan_destroy (&self->scan);
    self->options.sends_whole = true;
    self->stats = (upload_stats_t) { 0 };
    json_object_del (self->options.spec, "pruned");
    return submit (self, err);
}

int verb_submit (int argc, char **argv, err_t *err)
{
    __attribute__ ((cleanup (submission_free))) submission_t self = { .client = NULL };
    if (submit_options_read (&self.options, argc, argv, err) < 0 || prepare (&self, err) < 0)
        return -1;
    int rc = submit (&self, err);
    return rc < 0 && err->code == ERR_PRUNED ? submit_whole (&self, err) : rc;
}

/* -- a schedule ---------------------------------------------------------------------------------------------------------- */

/* spec NULL: may it be added? No context is read or sent for one that would be refused. */
static msg_t *ask_schedule (submission_t *self, const schedule_options_t *schedule, json_t *spec, err_t *err)
{
    json_t *question = json_pack ("{s:s, s:s, s:s, s:s*, s:s*, s:b, s:b, s:O*}", "name", schedule->name, "cron", schedule->cron, "zone", schedule->zone,
                                  "catch_up", schedule->catch_up, "overlap", schedule->overlap, "if_changed", schedule->if_changed, "replace",
                                  schedule->replaces, "spec", spec);
    if (question)
        return client_ask (self->client, "add-schedule", question, spec ? "schedule-state" : "fine", 0, err);
    err_set (err, ERR_USAGE, "the name, the times or the zone are not UTF-8");
    return NULL;
}

static msg_t *add_schedule (submission_t *self, const schedule_options_t *schedule, err_t *err)
{
    AUTO (msg) msg_t *fine = ask_schedule (self, schedule, NULL, err);
    if (fine && self->options.is_fetched)
        return ask_schedule (self, schedule, self->options.spec, err);
    if (!fine || scan_and_upload (self, err) < 0)
        return NULL;
    complete_spec (self);
    msg_t *answer = NULL;
    for (int resends = 0; !(answer = ask_schedule (self, schedule, self->options.spec, err)); resends++)
        if (err->code != ERR_NOT_FOUND || resends == RESENDS_MAX || send_again (self, err) < 0)
            break;
    return answer;
}

int schedule_add (int argc, char **argv, err_t *err)
{
    __attribute__ ((cleanup (submission_free))) submission_t self = { .client = NULL };
    __attribute__ ((cleanup (schedule_options_free))) schedule_options_t schedule = { .name = NULL };
    if (schedule_options_read (&self.options, &schedule, argc, argv, err) < 0 || schedule_check_name (schedule.name, err) < 0 || prepare (&self, err) < 0)
        return -1;
    if (news_add_of_schedule (self.client, schedule.name, &schedule.mails, &schedule.hooks, schedule.replaces, true, err) < 0)
        return -1;
    AUTO (msg) msg_t *answer = add_schedule (&self, &schedule, err);
    if (!answer)
        return err_wrap (err, "schedule %s", schedule.name);
    if (news_add_of_schedule (self.client, schedule.name, &schedule.mails, &schedule.hooks, schedule.replaces, false, err) < 0)
        return err_wrap (err, "schedule %s was added, but not all news of it", schedule.name);
    return schedule_report (json_object_get (msg_header (answer), "schedule"), err);
}
