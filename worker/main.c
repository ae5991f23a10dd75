/* main.c - farm-worker: puts the parts together, runs the link, and takes them apart after a signal. */
#include <czmq.h>
#include <dirent.h>
#include <signal.h>
#include <sodium.h>

#include "common/daemon.h"
#include "common/file.h"
#include "common/log.h"
#include "common/label.h"
#include "common/mem.h"
#include "common/secret.h"
#include "common/quantity.h"
#include "worker/vault.h"
#include "worker/doctor.h"
#include "worker/host.h"
#include "worker/join.h"
#include "worker/link.h"
#include "worker/runtime_guard.h"

enum { SHORT_TEXT_MAX = 512, PORT_FILE_MAX = 16, LOCK_WAIT_MS = 40000 };

typedef struct {
    options_t options;
    spawner_t *spawner;
    int lock, signals;
    keypair_t own;
    uint8_t server_key [KEY_SIZE];
    char name [JOIN_NAME_SIZE];
    char *attempts, *contexts, *vault;      /* folders; vault NULL: there is none */
    const char *disks [3];          /* whose free space counts */
    shelf_t *shelf;
    host_t host;
    registry_settings_t registry;
    allowance_t *allowance;
    builder_t *builder;
    door_t *door;
    cache_t *cache;
    json_t *description;            /* `worker` of `hello` */
    link_t *link;
} worker_t;

static const char *text_of (const worker_t *self, const char *path)
{
    return settings_text (self->options.settings, path);
}

/* -- what stands in the state folder ---------------------------------------------------------------------------- */

static int check_joined (const worker_t *self, err_t *err)
{
    static const char *const required [] = { "coordinator/control", "coordinator/objects", "coordinator/key" };
    for (size_t i = 0; i < sizeof required / sizeof *required; i++) {
        const char *text = text_of (self, required [i]);
        if (!text || !*text)
            return err_set (err, ERR_USAGE, "this worker has joined no farm: %s is not set in %s. Run farm-worker join STRING; the "
                            "string lies in the file `join` of the coordinator's state folder", required [i], self->options.file);
        if (i < 2 && (strncmp (text, "tcp://", 6) != 0 || !strchr (text + 6, ':')))
            return err_set (err, ERR_USAGE, "%s is \"%s\": it has to be tcp://HOST:PORT", required [i], text);
    }
    return 0;
}

static int read_keys (worker_t *self, err_t *err)
{
    AUTO_FREE char *path = join_key_file (self->options.settings);
    if (key_from_hex (self->server_key, text_of (self, "coordinator/key"), err) < 0)
        return err_wrap (err, "coordinator/key in %s", self->options.file);
    if (keypair_load (&self->own, path, err) == 0)
        return 0;
    if (err && err->code == ERR_NOT_FOUND)
        return err_set (err, ERR_USAGE, "this worker has no key (%s is not there): run farm-worker join STRING; the string lies in "
                        "the file `join` of the coordinator's state folder", path);
    return err_wrap (err, "this worker's key");
}

/* Builders of an earlier run that was killed may still be about to end: what is swept before that, they make again. */
static int lock_state (worker_t *self, err_t *err)
{
    const char *state = text_of (self, "state");
    AUTO_FREE char *lock = file_join (state, "lock");
    if (file_make_folders (state, 0700, err) < 0)
        return err_wrap (err, "state folder");
    self->lock = file_lock (lock, LOCK_WAIT_MS, err);
    if (self->lock < 0)
        return err_wrap (err, "another farm-worker may run here");
    file_sweep (state);
    return 0;
}

static int open_state (worker_t *self, err_t *err)
{
    if (read_keys (self, err) < 0 || join_name (self->options.settings, self->name, err) < 0)
        return -1;
    self->attempts = file_join (text_of (self, "state"), "attempts");
    return 0;
}

/* -- platforms -------------------------------------------------------------------------------------------------- */

/* "linux/amd64 (native), linux/arm64 (emulated)"; the caller frees. */
static char *list_platforms (const host_t *host)
{
    buffer_t text = { 0 };
    for (int i = 0; i < host->platform_count; i++) {
        char name [PLATFORM_MAX];
        platform_format (&host->platforms [i].platform, name);
        buffer_printf (&text, "%s%s (%s)", i ? ", " : "", name, host->platforms [i].is_emulated ? "emulated" : "native");
    }
    buffer_append (&text, "", 1);
    return (char *) text.data;
}

/* Only those that the settings name; one that cannot run here is a mistake to be told now, not a job that never comes. */
static int choose_platforms (worker_t *self, err_t *err)
{
    const char *const *wished = settings_list (self->options.settings, "platforms");
    host_t chosen = self->host;
    chosen.platform_count = 0;
    if (!wished [0])
        return 0;
    for (; *wished; wished++) {
        platform_t platform;
        if (platform_parse (&platform, *wished, err) < 0)
            return err_wrap (err, "platforms");
        const host_platform_t *found = host_find (&self->host, &platform);
        AUTO_FREE char *all = list_platforms (&self->host);
        if (!found)
            return err_set (err, ERR_USAGE, "platforms names %s, which this machine cannot run: it runs %s", *wished, all);
        if (!host_find (&chosen, &platform))
            chosen.platforms [chosen.platform_count++] = *found;
    }
    self->host = chosen;
    return 0;
}

/* What the builder can, and what it cannot, as labels: where a build can go that asks for more than the ordinary. No word of the owner's can stand
 * in for that. */
static int add_abilities (const worker_t *self, json_t *labels, err_t *err)
{
    const struct { bool is_so; const char *label; } abilities [] = {
        { builder_has_network (self->builder, "none"), LABEL_NETWORK_NONE }, { builder_has_network (self->builder, "host"), LABEL_NETWORK_HOST },
        { !builder_sets_times (self->builder), LABEL_NO_TIMESTAMP },
    };
    for (size_t i = 0; i < sizeof abilities / sizeof *abilities; i++)
        if (!abilities [i].is_so)
            json_object_del (labels, abilities [i].label);
        else if (label_set (labels, abilities [i].label, err) < 0)
            return -1;
    return 0;
}

/* `labels` as an object, and those of what the builder can. NULL: they are none. The caller frees. */
static json_t *read_labels (const worker_t *self, err_t *err)
{
    AUTO_JSON json_t *labels = json_object ();
    int rc = 0;
    for (const char *const *text = settings_list (self->options.settings, "labels"); rc == 0 && *text; text++)
        rc = label_set (labels, *text, err);
    if (rc == 0 && add_abilities (self, labels, err) == 0)
        return take (&labels);
    err_wrap (err, "labels");
    return NULL;
}

/* -- the door --------------------------------------------------------------------------------------------------- */

/* The port of the former starts; 0 where there is none. */
static int kept_port (const char *path)
{
    AUTO_BUFFER buffer_t text = { 0 };
    return file_read (path, PORT_FILE_MAX, &text, NULL) == 0 && text.size ? atoi ((const char *) text.data) : 0;
}

static int keep_port (const char *path, int port, err_t *err)
{
    char text [PORT_FILE_MAX];
    int size = snprintf (text, sizeof text, "%d\n", port);
    return file_write (path, text, (size_t) size, 0600, err);
}

/* Builders remember by the door's address which blobs a registry has: it stays the same if it can. */
static int open_door (worker_t *self, err_t *err)
{
    err_t why = { 0 };
    int chosen = (int) settings_number (self->options.settings, "door/port");
    AUTO_FREE char *path = file_join (text_of (self, "state"), "door.port");
    self->registry = (registry_settings_t) {
        .plain_http_hosts = settings_list (self->options.settings, "registry/plain-http"),
        .inside_hosts = settings_list (self->options.settings, "registry/inside"),
        .certs_folder = text_of (self, "registry/certs"),
        .timeout_ms = (int) settings_number (self->options.settings, "registry/timeout-ms"),
    };
    door_limits_t limits = {
        .bases = settings_list (self->options.settings, "registry/bases"),
        .quota_bytes = settings_number (self->options.settings, "door/quota"),
    };
    if (chosen)
        return door_new (&self->door, chosen, &self->registry, &limits, err);
    int port = kept_port (path);
    if (port && door_new (&self->door, port, &self->registry, &limits, &why) == 0)
        return 0;
    if (port)
        log_warn ("main", "%s; another port is taken, and the next pushes send layers that the registry may have", why.text);
    if (door_new (&self->door, 0, &self->registry, &limits, err) < 0)
        return -1;
    return keep_port (path, door_port (self->door), err);
}

/* -- start ------------------------------------------------------------------------------------------------------ */

static int open_builder (worker_t *self, err_t *err)
{
    AUTO_FREE char *folder = file_join (text_of (self, "state"), "builder");
    const char *certs = text_of (self, "registry/certs");
    const char *const hidden [] = { text_of (self, "state"), FARM_SYSCONFDIR, FARM_STATEDIR, self->options.file, "/etc/docker", certs, NULL };
    const char *const *allowed = settings_list (self->options.settings, "builder/allow");       /* one word there is */
    builder_settings_t settings = {
        .may_use_host_network = allowed [0] != NULL,
        .state_folder = folder, .isolation = text_of (self, "builder/isolation"), .driver = text_of (self, "builder/driver"), .program = text_of (self, "builder/program"),
        .free_floor_bytes = settings_number (self->options.settings, "disk/free-floor"), .user = text_of (self, "builder/user"),
        .ids = text_of (self, "builder/ids"), .hidden = hidden, .bases = settings_list (self->options.settings, "registry/bases"),
        .docker_host = text_of (self, "builder/docker-host"),
    };
    if (builder_new (&self->builder, &settings, self->spawner, err) < 0)
        return -1;
    builder_clean_all (self->builder);
    return 0;
}

static int open_cache (worker_t *self, err_t *err)
{
    self->contexts = options_contexts_folder (&self->options);
    return cache_new (&self->cache, self->contexts, settings_number (self->options.settings, "depot/limit"),
                      settings_number (self->options.settings, "disk/free-floor"), err);
}

static void open_allowance (worker_t *self)
{
    const settings_t *settings = self->options.settings;
    allowance_settings_t of_job = {
        .memory_bytes = settings_number (settings, "limit/memory"), .cpus = settings_number (settings, "limit/cpus"),
        .pids = settings_number (settings, "limit/pids"), .host_memory_bytes = self->host.memory_bytes, .host_cpus = self->host.cpus,
        .state_folder = text_of (self, "state"), .cgroup_mount = CGROUP_MOUNT, .spawner = spawner_pid (self->spawner),
    };
    self->allowance = allowance_new (&of_job);
}

static int open_shelf (worker_t *self, err_t *err)
{
    AUTO_FREE char *folder = file_join (text_of (self, "state"), "checkouts");
    shelf_settings_t settings = {
        .folder = folder, .keep = settings_number (self->options.settings, "checkouts/keep"),
        .limit_bytes = settings_number (self->options.settings, "checkouts/limit"),
        .free_floor_bytes = settings_number (self->options.settings, "disk/free-floor"),
    };
    return shelf_new (&self->shelf, &settings, err);
}

/* At most 512 bytes of a text, whole characters, for a message. */
static json_t *short_text (const char *text)
{
    size_t size = strlen (text);
    if (size > SHORT_TEXT_MAX)
        size = SHORT_TEXT_MAX;
    json_t *json = NULL;
    while (!json && size > 0)
        json = json_stringn (text, size--);
    return json ? json : json_string ("");
}

/* The most that one job gets. */
static json_t *describe_limits (const worker_t *self)
{
    const cgroup_limits_t *most = allowance_most (self->allowance);
    return json_pack ("{s:I, s:I, s:I, s:o}", "memory_bytes", (json_int_t) most->memory_bytes, "cpu_percent", (json_int_t) most->cpu_percent,
                      "pids", (json_int_t) most->pids, "enforced", short_text (builder_enforces (self->builder, allowance_enforced (self->allowance))));
}

static json_t *describe (const worker_t *self, err_t *err)
{
    json_t *labels = read_labels (self, err);
    if (!labels)
        return NULL;
    json_t *platforms = json_array ();
    for (int i = 0; i < self->host.platform_count; i++) {
        char name [PLATFORM_MAX];
        platform_format (&self->host.platforms [i].platform, name);
        json_array_append_new (platforms, json_pack ("{s:s, s:b}", "platform", name, "emulated",
                                                     self->host.platforms [i].is_emulated));
    }
    return json_pack ("{s:s, s:o, s:o, s:I, s:i, s:I, s:o, s:s, s:o, s:o}", "name", self->name, "labels", labels, "platforms", platforms, "slots",
                      (json_int_t) settings_number (self->options.settings, "slots"), "cpus", self->host.cpus, "memory_bytes",
                      (json_int_t) self->host.memory_bytes, "builder", short_text (builder_version (self->builder)), "isolation",
                      builder_isolation (self->builder), "isolation_reason",
                      short_text (builder_isolation_reason (self->builder)), "limits", describe_limits (self));
}

static int open_link (worker_t *self, err_t *err)
{
    self->disks [0] = text_of (self, "state");
    self->disks [1] = self->contexts;
    self->description = describe (self, err);
    if (!self->description)
        return -1;
    link_settings_t settings = {
        .control = text_of (self, "coordinator/control"), .worker = self->description,
        .slots = (int) settings_number (self->options.settings, "slots"), .stop_ms = settings_number (self->options.settings, "stop-ms"),
        .health = {
            .root = "", .folders = self->disks, .disk_floor_bytes = settings_number (self->options.settings, "disk/free-floor"),
            .pressure_max_percent = settings_number (self->options.settings, "memory/pressure-max"),
        },
        .parts = {
            .worker_name = self->name, .folder = self->attempts, .control = text_of (self, "coordinator/control"), .vault = self->vault,
            .objects = text_of (self, "coordinator/objects"),
            .own = &self->own, .server_key = self->server_key, .cache = self->cache, .shelf = self->shelf,
            .builder = self->builder, .door = self->door, .allowance = self->allowance,
            .context_entries_max = settings_number (self->options.settings, "context/entries"),
        },
    };
    return link_new (&self->link, &settings, err);
}

static void tell_start (const worker_t *self)
{
    AUTO_FREE char *platforms = list_platforms (&self->host);
    const cgroup_limits_t *most = allowance_most (self->allowance);
    char memory [QUANTITY_SIZE], cpus [QUANTITY_SIZE];
    log_info ("main", "farm-worker %s, %s: %s, %d slots", PACKAGE_VERSION, self->name, platforms,
              (int) settings_number (self->options.settings, "slots"));
    log_info ("main", "%s, isolation %s: %s", builder_version (self->builder), builder_isolation (self->builder),
              builder_isolation_reason (self->builder));
    log_info ("main", "the builder's user is %s: %s", builder_user (self->builder), builder_user_reason (self->builder));
    log_info ("main", "one job may have %s of memory, %s, %lld processes, enforced %s", quantity_bytes (most->memory_bytes, memory),
              quantity_cpus (most->cpu_percent, cpus), (long long) most->pids, builder_enforces (self->builder, allowance_enforced (self->allowance)));
    log_info ("main", "door to registries on 127.0.0.1:%d, coordinator %s, state %s", door_port (self->door),
              text_of (self, "coordinator/control"), text_of (self, "state"));
}

/* Without it builds that have no secrets are built. */
static void open_vault (worker_t *self)
{
    err_t why;
    self->vault = vault_open (text_of (self, "state"), &why);
    if (!self->vault)
        log_warn ("main", "%s; builds with secrets fail here", why.text);
}

/* What cannot be removed is in nobody's way: an attempt does not begin in a folder that is not empty (attempt.c). */
static void sweep_attempts (const worker_t *self)
{
    err_t err;
    DIR *items = opendir (self->attempts);
    for (struct dirent *item; items && (item = readdir (items));) {
        AUTO_FREE char *path = file_join (self->attempts, item->d_name);
        bool is_dots = strcmp (item->d_name, ".") == 0 || strcmp (item->d_name, "..") == 0;
        if (!is_dots && file_remove_tree (path, &err) < 0)
            log_warn ("main", "remove what an earlier run left: %s; it stays, and takes its space: remove %s by hand, as root", err.text, path);
    }
    if (items)
        closedir (items);
}

static int start (worker_t *self, err_t *err)
{
    if (open_state (self, err) < 0)
        return -1;
    if (host_read (&self->host, text_of (self, "state"), err) < 0 || choose_platforms (self, err) < 0)
        return -1;
    open_allowance (self);
    if (open_builder (self, err) < 0)
        return -1;
    sweep_attempts (self);
    open_vault (self);
    if (open_door (self, err) < 0 || open_cache (self, err) < 0 || open_shelf (self, err) < 0 || open_link (self, err) < 0)
        return -1;
    tell_start (self);
    return 0;
}

/* -- end -------------------------------------------------------------------------------------------------------- */

static void stop (worker_t *self)
{
    link_destroy (&self->link);
    door_destroy (&self->door);
    cache_destroy (&self->cache);
    shelf_destroy (&self->shelf);
    builder_destroy (&self->builder);
    allowance_destroy (&self->allowance);
    spawner_destroy (&self->spawner);
    vault_close (&self->vault);
    json_decref (self->description);
    free (self->attempts);
    free (self->contexts);
    options_free (&self->options);
    sodium_memzero (&self->own, sizeof self->own);
    auto_close (&self->lock);
    auto_close (&self->signals);
}

/* A worker that can start no builder any more would fail each job it has or is given: it gives them back, and is started anew. */
static void stop_by_signal (void)
{
    kill (getpid (), SIGINT);
}

static int check_spawner (worker_t *self, err_t *err)
{
    return spawner_is_lost (self->spawner) ? err_set (err, ERR_FARM, "the process that starts builders has ended: start the worker again")
                                           : 0;
}

/* The spawner comes before threads, sockets and keys: what it starts inherits none of them. The lock it keeps. */
static int serve (worker_t *self, err_t *err)
{
    if (lock_state (self, err) < 0 || spawner_start (&self->spawner, self->lock, err) < 0)
        return -1;
    secret_guard_process ();
    daemon_raise_limits (16384);
    self->signals = daemon_catch_signals ();
    zsys_init ();
    zsys_handler_set (NULL);
    spawner_watch (self->spawner, stop_by_signal);
    if (start (self, err) < 0)
        return -1;
    if (link_run (self->link, self->signals, err) == 0)
        return check_spawner (self, err);
    log_warn ("main", "%s; the builders are killed", err->text);
    _exit (0);              /* their threads still use everything; the spawner sees us end, and kills what it started */
}

/* What comes before a worker starts, and all of `join`, is between the program and the person who called it: no lines of a log. */
static int prepare (worker_t *self, int argc, char **argv, err_t *err)
{
    if (options_read (&self->options, argc, argv, err) < 0)
        return -1;
    if (self->options.is_doctor)
        return 0;                       /* who says that too, among other things */
    return self->options.join ? join_run (&self->options, err) : check_joined (self, err);
}

/* Beside a worker that may run: without its lock. */
static int examine (worker_t *self, err_t *err)
{
    if (spawner_start (&self->spawner, -1, err) < 0)
        return -1;
    zsys_init ();
    zsys_handler_set (NULL);
    return doctor_run (&self->options, self->spawner, err);
}

int main (int argc, char **argv)
{
    err_t err = { 0 };
    worker_t self = { .lock = -1, .signals = -1 };
    if (argc > 0 && runtime_guard_is_meant (argv [0]))
        return runtime_guard_main (argc, argv);
    if (sodium_init () < 0)
        return 1;
    int rc = prepare (&self, argc, argv, &err);
    if (rc == 0 && self.options.is_doctor)
        rc = examine (&self, &err);
    if (rc < 0)
        fprintf (stderr, "farm-worker: %s\n", err.text);
    else if (!self.options.join && !self.options.is_doctor && (rc = serve (&self, &err)) < 0)
        log_error ("main", "%s", err.text);
    stop (&self);
    return rc < 0 ? err_exit_code (err.code) : 0;
}
