/* doctor.c - see doctor.h: the builder, the disk, the farm, the report. The builder runs a container in a folder of its own below the state folder. */
#include "worker/doctor_private.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/quantity.h"
#include "worker/builder.h"
#include "worker/connection.h"
#include "worker/host.h"
#include "worker/join.h"

enum { ANSWER_MS = 5000 };

static const char *const verdict_words [] = { "ok", "could be better", "FAILS" }, *const verdict_names [] = { "ok", "warn", "fail" };

void doctor_say (doctor_t *self, const char *name, verdict_t verdict, const char *advice, const char *format, ...)
{
    char *line = NULL;
    err_t tidy;
    va_list args;
    va_start (args, format);
    if (vasprintf (&line, format, args) < 0)
        abort ();
    va_end (args);
    err_set (&tidy, ERR_NONE, "%s", line);          /* a file's name, or a program's words, may be anything */
    free (line);
    json_array_append_new (self->checks, json_pack ("{s:s, s:s, s:s, s:s}", "name", name, "verdict", verdict_names [verdict], "text", tidy.text,
                                                    "advice", advice && verdict != GOOD ? advice : ""));
    self->bad += verdict == BAD;
    self->poor += verdict == POOR;
}

const char *doctor_text (const doctor_t *self, const char *path)
{
    return settings_text (self->options->settings, path);
}

/* -- the builder -------------------------------------------------------------------------------------------------- */

static void judge_builder (doctor_t *self, const builder_t *builder)
{
    bool is_own = strcmp (builder_user (builder), "own") == 0, is_oci = strcmp (builder_isolation (builder), "oci") == 0;
    bool is_overlay = strcmp (builder_storage (builder), "overlay") == 0;
    doctor_say (self, "builder", GOOD, NULL, "%s", builder_version (builder));
    doctor_say (self, "builder's user", is_own ? GOOD : POOR,
                "see docs/security.md: without namespaces of its own, only build for whom you would give a shell here", "%s: %s",
                builder_user (builder), builder_user_reason (builder));
    doctor_say (self, "isolation", is_oci ? GOOD : POOR, "install runc or crun: with chroot users must trust each other", "%s: %s", builder_isolation (builder),
                builder_isolation_reason (builder));
    doctor_say (self, "storage", is_overlay ? GOOD : POOR, "keep the state folder on ext4 or xfs: vfs copies each layer whole", "%s",
                builder_storage (builder));
}

static void check_builder (doctor_t *self)
{
    err_t err = { 0 };
    builder_t *builder = NULL;
    AUTO_FREE char *folder = file_join (doctor_text (self, "state"), "doctor.XXXXXX");
    AUTO_FREE char *advice = mem_printf ("apt-get install %s; or see what the settings builder/… say",
                                         builder_packages (doctor_text (self, "builder/driver")));
    const char *const hidden [] = { doctor_text (self, "state"), NULL };
    if (!mkdtemp (folder)) {
        doctor_say (self, "builder", BAD, "make the state folder writable for this user", "no folder can be made in %s: %s", doctor_text (self, "state"),
                    strerror (errno));
        return;
    }
    builder_settings_t settings = {
        .state_folder = folder, .isolation = doctor_text (self, "builder/isolation"), .driver = doctor_text (self, "builder/driver"),
        .program = doctor_text (self, "builder/program"),
        .user = doctor_text (self, "builder/user"), .ids = doctor_text (self, "builder/ids"), .hidden = hidden,
        .docker_host = doctor_text (self, "builder/docker-host"),
    };
    if (builder_new (&builder, &settings, self->spawner, &err) < 0)
        doctor_say (self, "builder", BAD, advice, "%s", err.text);
    else
        judge_builder (self, builder);
    builder_destroy (&builder);
    if (file_remove_tree (folder, &err) < 0)
        doctor_say (self, "builder's test", POOR, "remove it", "%s", err.text);
}

static void check_platforms (doctor_t *self)
{
    err_t err = { 0 };
    AUTO_FREE host_t *host = mem_alloc (sizeof *host);
    AUTO_BUFFER buffer_t text = { 0 };
    if (host_read (host, doctor_text (self, "state"), &err) < 0) {
        doctor_say (self, "platforms", BAD, "see that the state folder is there and not mounted noexec", "%s", err.text);
        return;
    }
    for (int i = 0; i < host->platform_count; i++) {
        char name [PLATFORM_MAX];
        platform_format (&host->platforms [i].platform, name);
        buffer_printf (&text, "%s%s (%s)", i ? ", " : "", name, host->platforms [i].is_emulated ? "emulated, by binfmt_misc" : "native");
    }
    doctor_say (self, "platforms", GOOD, NULL, "%s", (const char *) text.data);
}

/* -- disk ---------------------------------------------------------------------------------------------------------- */

static void check_disk (doctor_t *self)
{
    const char *state = doctor_text (self, "state");
    int64_t free_bytes = file_free_bytes (state), floor_bytes = settings_number (self->options->settings, "disk/free-floor");
    char free_text [QUANTITY_SIZE], floor_text [QUANTITY_SIZE];
    if (free_bytes < 0)
        doctor_say (self, "disk", BAD, "make the folder, or set state", "%s: %s", state, strerror (errno));
    else
        doctor_say (self, "disk", free_bytes < floor_bytes ? BAD : GOOD, "make room, or lower disk/free-floor: no job is taken before",
                    "%s free of %s that %s has to keep",
                    quantity_bytes (free_bytes >> 20 << 20, free_text), quantity_bytes (floor_bytes, floor_text), state);
}

/* -- the farm ----------------------------------------------------------------------------------------------------- */

/* What came of the first try to connect; CONNECTION_SAME: nothing. */
static connection_change await_answer (connection_t *connection)
{
    int64_t until_ms = clock_boot_ms () + ANSWER_MS;
    connection_change change = CONNECTION_SAME;
    while (change == CONNECTION_SAME && clock_boot_ms () < until_ms) {
        zmq_pollitem_t items [CONNECTION_ITEMS];
        int count = connection_poll_items (connection, items);
        zmq_poll (items, count, 50);
        change = connection_next (connection);
    }
    return change;
}

static void check_coordinator (doctor_t *self, const keypair_t *own)
{
    static const char *const words [] = { "does not answer", "answers, and knows this worker", "does not answer", "cannot be reached",
                                          "does not know this worker's key",
                                          "is another one than the settings say, or none" };
    err_t err = { 0 };
    uint8_t key [KEY_SIZE];
    connection_t *connection = NULL;
    const char *endpoint = doctor_text (self, "coordinator/control");
    if (!endpoint || !doctor_text (self, "coordinator/key")) {
        doctor_say (self, "coordinator", BAD, "run farm-worker join STRING", "this worker has joined no farm");
        return;
    }
    if (key_from_hex (key, doctor_text (self, "coordinator/key"), &err) < 0 || connection_new (&connection, endpoint, own, key, 10, &err) < 0) {
        doctor_say (self, "coordinator", BAD, "run farm-worker join STRING once more", "%s", err.text);
        return;
    }
    connection_change change = await_answer (connection);
    connection_destroy (&connection);
    doctor_say (self, "coordinator", change == CONNECTION_UP ? GOOD : BAD, change == CONNECTION_REFUSED || change == CONNECTION_STRANGE
                ? "run farm-worker join STRING once more" : "see that it runs, and that its ports can be reached from here", "%s %s", endpoint, words [change]);
}

static void check_key (doctor_t *self)
{
    err_t err = { 0 };
    keypair_t own;
    AUTO_FREE char *path = join_key_file (self->options->settings);
    if (keypair_load (&own, path, &err) < 0) {
        doctor_say (self, "key", BAD, err.code == ERR_NOT_FOUND ? "run farm-worker join STRING"
                    : "chmod 600 it, and give it to the user that runs farm-worker", "%s", err.text);
        return;
    }
    doctor_say (self, "key", GOOD, NULL, "%s is for its owner alone", path);
    check_coordinator (self, &own);
    explicit_bzero (&own, sizeof own);
}

/* -- the report --------------------------------------------------------------------------------------------------- */

static verdict_t verdict_of (const json_t *check)
{
    const char *name = json_string_value (json_object_get (check, "verdict"));
    return strcmp (name, "fail") == 0 ? BAD : strcmp (name, "warn") == 0 ? POOR : GOOD;
}

static void print (const doctor_t *self)
{
    size_t i;
    json_t *check;
    json_array_foreach (self->checks, i, check) {
        const char *advice = json_string_value (json_object_get (check, "advice"));
        verdict_t verdict = verdict_of (check);
        printf ("%-18s %s%s%s\n", json_string_value (json_object_get (check, "name")), verdict == GOOD ? "" : verdict_words [verdict],
                verdict == GOOD ? "" : ": ", json_string_value (json_object_get (check, "text")));
        if (*advice)
            printf ("%-18s   -> %s\n", "", advice);
    }
    printf ("%s\n", self->bad ? "This machine cannot build for the farm yet." : self->poor ? "This machine can build; docs/security.md tells for whom."
            : "This machine can build, and gives all the isolation there is.");
}

static void print_json (const doctor_t *self)
{
    AUTO_JSON json_t *document = json_pack ("{s:b, s:O}", "fit", self->bad == 0, "checks", self->checks);
    AUTO_FREE char *text = json_dumps (document, JSON_INDENT (2));
    puts (text);
}

int doctor_run (const options_t *options, spawner_t *spawner, err_t *err)
{
    AUTO_JSON json_t *checks = json_array ();
    doctor_t self = { .options = options, .spawner = spawner, .checks = checks };
    doctor_check_host (&self);
    check_platforms (&self);
    check_builder (&self);
    check_disk (&self);
    check_key (&self);
    if (options->is_json)
        print_json (&self);
    else
        print (&self);
    return self.bad ? err_set (err, ERR_NO_WORKER, "%d of the above %s to be put right first", self.bad, self.bad == 1 ? "has" : "have") : 0;
}
