/* options.c - see options.h. */
#include "worker/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/enrol.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/quantity.h"
#include "worker/builder.h"

#define DEFAULT_FILE FARM_SYSCONFDIR "/worker.conf"
#define DEFAULT_STATE FARM_STATEDIR "/worker"
#define DEFAULT_CACHE FARM_CACHEDIR "/worker"

enum { MEMORY_MIN = 64 << 20, PIDS_MIN = 64, PIDS_MAX = 4194304, CPUS_MAX = 65536 };

static const setting_def_t table [] = {
    { "state", SETTING_TEXT, DEFAULT_STATE, "folder of the key, the builder's images and the attempts" },
    { "cache", SETTING_TEXT, NULL, "folder of the contexts; default STATE/cache, or " DEFAULT_CACHE },
    { "coordinator/control", SETTING_TEXT, NULL, "the coordinator's control socket, tcp://HOST:PORT" },
    { "coordinator/objects", SETTING_TEXT, NULL, "the coordinator's objects socket, tcp://HOST:PORT" },
    { "coordinator/key", SETTING_TEXT, NULL, "the coordinator's public key, 64 hex digits" },
    { "name", SETTING_TEXT, NULL, "of this worker; default: this host's name" },
    { "slots", SETTING_NUMBER, "1", "how many jobs run at a time" },
    { "stop-ms", SETTING_NUMBER, "60000", "how long they may go on after SIGTERM" },
    { "labels", SETTING_LIST, NULL, "words about this worker (ssd=yes,room=attic) that builds may require" },
    { "platforms", SETTING_LIST, NULL, "take jobs for these only (linux/amd64,…); default: all that run here" },
    { "builder/driver", SETTING_TEXT, "buildah", "what builds: buildah, podman, or docker (BuildKit)" },
    { "builder/docker-host", SETTING_TEXT, NULL, "of docker: the daemon's socket, unix:///PATH; default: docker's own" },
    { "builder/program", SETTING_TEXT, NULL, "the builder, a name in PATH or a path; default: as builder/driver says" },
    { "builder/isolation", SETTING_TEXT, "auto", "of RUN steps: auto, oci or chroot" },
    { "builder/user", SETTING_TEXT, "auto", "whose ids and files it has: own (namespaces), worker (this process's), or auto: own where the host can" },
    { "builder/allow", SETTING_LIST, NULL, "what builds may ask of this worker beyond the ordinary: network-host" },
    { "builder/ids", SETTING_TEXT, BUILDER_IDS, "its own ids on this host, FIRST:COUNT" },
    { "limit/memory", SETTING_BYTES, "0", "the most that one job may have, and has if it asks for none; 0: 7/8 of this host's" },
    { "limit/cpus", SETTING_NUMBER, "0", "the same of cpus; 0: all" },
    { "limit/pids", SETTING_NUMBER, "4096", "processes and threads that one job may have" },
    { "door/port", SETTING_NUMBER, "0", "of the door to registries, on loopback; 0: choose one, and keep it" },
    { "door/quota", SETTING_BYTES, "256G", "bytes that one attempt may pull and push; 0: no limit" },
    { "context/entries", SETTING_NUMBER, "1000000", "files and folders of one context, each as often as it stands in it; 0: as many as the disk takes" },
    { "depot/limit", SETTING_BYTES, "10G", "disk space for contexts; what was not used for long goes first" },
    { "checkouts/keep", SETTING_NUMBER, "32", "how many checkouts wait for the next build of their repository; 0: none" },
    { "checkouts/limit", SETTING_BYTES, "10G", "disk space for them; what was not used for long goes first" },
    { "disk/free-floor", SETTING_BYTES, "1G", "with less free disk space this worker takes no new job" },
    { "memory/pressure-max", SETTING_NUMBER, "20", "nor when programs wait for memory for a larger part of the time, in percent" },
    { "registry/plain-http", SETTING_LIST, NULL, "registries (host:port) that are spoken to without TLS" },
    { "registry/inside", SETTING_LIST, NULL, "hosts (host:port) inside that registries elsewhere may send us to" },
    { "registry/bases", SETTING_LIST, NULL, "images (registry.lan/base/*,…) that builds may pull though their Dockerfile does not name them" },
    { "registry/certs", SETTING_TEXT, NULL, "folder of certs.d; default /etc/docker/certs.d" },
    { "registry/timeout-ms", SETTING_NUMBER, "30000", "how long a registry may take without progress; for a manifest a third of it" },
    { "log/level", SETTING_TEXT, "info", "error, warn, info or debug" },
    { NULL, SETTING_TEXT, NULL, NULL }
};

static void print_help (void)
{
    AUTO_FREE char *settings = settings_help (table);
    printf ("usage: farm-worker [-c FILE] [--SETTING=VALUE ...]\n"
            "       farm-worker join STRING [-c FILE] [--SETTING=VALUE ...]\n"
            "       farm-worker doctor [--json] [-c FILE] [--SETTING=VALUE ...]\n\n"
            "Builds images for a farm. join enrols this machine with a join string of the coordinator, and writes the\n"
            "coordinator and the settings that were given into FILE. doctor says what isolation this host gives builds, and what\n"
            "is missing; it ends with 0 where this machine can build, else with 4.\n"
            "Settings, in FILE (default " DEFAULT_FILE ") or as options:\n%s", settings);
}

/* What the command line leaves when its settings are taken off. */
static int take_word (options_t *self, int argc, char **argv, int *at, err_t *err)
{
    const char *word = argv [*at];
    if (strcmp (word, "--help") == 0 || strcmp (word, "-h") == 0) {
        print_help ();
        exit (0);
    }
    if (strcmp (word, "--version") == 0) {
        puts ("farm-worker " PACKAGE_VERSION);
        exit (0);
    }
    if (strcmp (word, "doctor") == 0 && !self->join) {
        self->is_doctor = true;
        return 0;
    }
    if (strcmp (word, "--json") == 0 && self->is_doctor) {
        self->is_json = true;
        return 0;
    }
    bool is_join = strcmp (word, "join") == 0, is_file = strcmp (word, "-c") == 0;
    if ((!is_join || self->join || self->is_doctor) && !is_file)
        return err_set (err, ERR_USAGE, "%s is no option of farm-worker: see --help", word);
    if (*at + 1 == argc)
        return err_set (err, ERR_USAGE, is_file ? "-c needs the name of a settings file" : "join needs the join string; it lies in "
                        "the file `join` of the coordinator's state folder");
    *(is_file ? &self->file : &self->join) = argv [++*at];
    return 0;
}

static int take_words (options_t *self, int argc, char **argv, err_t *err)
{
    AUTO (settings) settings_t *scratch = settings_new (table);
    AUTO_FREE char **words = mem_alloc (((size_t) argc + 1) * sizeof *words);
    memcpy (words, argv, (size_t) argc * sizeof *words);
    if (settings_take_options (scratch, &argc, words, err) < 0)
        return -1;
    for (int i = 1; i < argc; i++)
        if (take_word (self, argc, words, &i, err) < 0)
            return -1;
    return 0;
}

/* A file that was named has to be there, but for `join`, which makes it. */
static int load_file (options_t *self, err_t *err)
{
    bool must_be = self->file && !self->join;
    if (!self->file)
        self->file = DEFAULT_FILE;
    if (!must_be && !file_exists (self->file))
        return 0;
    if (settings_load (self->settings, self->file, err) < 0)
        return -1;
    return settings_load (self->without_line, self->file, err);
}

/* A path that is relative means from where the worker is started; builders run elsewhere, and `join` writes it down. */
static int make_absolute (options_t *self, const char *setting, err_t *err)
{
    const char *path = settings_text (self->settings, setting);
    if (!path || path [0] == '/' || !path [0] || (!strchr (path, '/') && strcmp (setting, "builder/program") == 0))
        return 0;
    AUTO_FREE char *here = getcwd (NULL, 0);
    if (!here)
        return err_sys (err, errno, "find the current folder");
    AUTO_FREE char *whole = file_join (here, path);
    return settings_set (self->settings, setting, whole, err);
}

static int make_paths_absolute (options_t *self, err_t *err)
{
    static const char *const paths [] = { "state", "cache", "builder/program", "registry/certs" };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (make_absolute (self, paths [i], err) < 0)
            return -1;
    return 0;
}

static int check_limits (const options_t *self, err_t *err)
{
    int64_t memory = settings_number (self->settings, "limit/memory"), cpus = settings_number (self->settings, "limit/cpus");
    int64_t pids = settings_number (self->settings, "limit/pids");
    char quantity [QUANTITY_SIZE];
    if (memory > 0 && memory < MEMORY_MIN)
        return err_set (err, ERR_USAGE, "limit/memory is %s: a build needs 64M at least; 0 is 7/8 of this host's", quantity_bytes (memory, quantity));
    if (cpus > CPUS_MAX)
        return err_set (err, ERR_USAGE, "limit/cpus is %lld: it can be 1 to %d, or 0 for all", (long long) cpus, CPUS_MAX);
    if (pids < PIDS_MIN || pids > PIDS_MAX)
        return err_set (err, ERR_USAGE, "limit/pids is %lld: it can be %d to %d", (long long) pids, PIDS_MIN, PIDS_MAX);
    return 0;
}

static int check_driver (const options_t *self, err_t *err)
{
    const char *driver = settings_text (self->settings, "builder/driver");
    return builder_has_driver (driver) ? 0 : err_set (err, ERR_USAGE, "builder/driver is %.60s: there are " BUILDER_DRIVERS, driver);
}

static int check_allowed (const options_t *self, err_t *err)
{
    for (const char *const *word = settings_list (self->settings, "builder/allow"); *word; word++)
        if (strcmp (*word, "network-host") != 0)
            return err_set (err, ERR_USAGE, "builder/allow has \"%.60s\": it can have network-host", *word);
    return 0;
}

static int check_numbers (const options_t *self, err_t *err)
{
    int64_t slots = settings_number (self->settings, "slots"), port = settings_number (self->settings, "door/port");
    int64_t timeout_ms = settings_number (self->settings, "registry/timeout-ms"), stop_ms = settings_number (self->settings, "stop-ms");
    if (slots < 1 || slots > 1024)
        return err_set (err, ERR_USAGE, "slots is %lld: a worker has 1 to 1024", (long long) slots);
    if (stop_ms < 0 || stop_ms > 86400000)
        return err_set (err, ERR_USAGE, "stop-ms is %lld: it can be 0 to 86400000", (long long) stop_ms);
    if (port > 65535)
        return err_set (err, ERR_USAGE, "door/port is %lld: a port is 1 to 65535, or 0 for a free one", (long long) port);
    if (timeout_ms < 1 || timeout_ms > 3600000)
        return err_set (err, ERR_USAGE, "registry/timeout-ms is %lld: it can be 1 to 3600000", (long long) timeout_ms);
    int64_t pressure = settings_number (self->settings, "memory/pressure-max");
    if (pressure < 0 || pressure > 100)
        return err_set (err, ERR_USAGE, "memory/pressure-max is %lld: it is a part of the time, 0 to 100 percent", (long long) pressure);
    if (log_set_level_name (settings_text (self->settings, "log/level")) < 0)
        return err_set (err, ERR_USAGE, "log/level is %s: it can be error, warn, info or debug",
                        settings_text (self->settings, "log/level"));
    return 0;
}

int options_read (options_t *self, int argc, char **argv, err_t *err)
{
    *self = (options_t) { .settings = settings_new (table), .without_line = settings_new (table) };
    if (take_words (self, argc, argv, err) < 0 || load_file (self, err) < 0)
        return -1;
    if (settings_take_options (self->settings, &argc, argv, err) < 0)
        return -1;
    return make_paths_absolute (self, err) < 0 || check_limits (self, err) < 0 || check_driver (self, err) < 0 || check_allowed (self, err) < 0 ? -1 : check_numbers (self, err);
}

void options_free (options_t *self)
{
    settings_destroy (&self->settings);
    settings_destroy (&self->without_line);
}

void options_keep (const options_t *self, zconfig_t *file)
{
    for (const setting_def_t *def = table; def->path; def++) {
        const char *now = settings_text (self->settings, def->path), *before = settings_text (self->without_line, def->path);
        if (now && (!before || strcmp (now, before) != 0))
            enrol_put (file, def->path, now);
    }
}

char *options_contexts_folder (const options_t *self)
{
    const char *cache = settings_text (self->settings, "cache"), *state = settings_text (self->settings, "state");
    if (cache && *cache)
        return mem_strdup (cache);
    return strcmp (state, DEFAULT_STATE) == 0 ? mem_strdup (DEFAULT_CACHE) : file_join (state, "cache");
}
