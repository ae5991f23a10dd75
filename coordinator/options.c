/* options.c - see options.h. */
#include "coordinator/options.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/reference.h"
#include "coordinator/letter.h"
#include "coordinator/subscribers.h"
#include "coordinator/verify_level.h"

#define DEFAULT_FILE FARM_SYSCONFDIR "/coordinator.conf"

static const setting_def_t table [] = {
    { "state", SETTING_TEXT, FARM_STATEDIR "/coordinator", "folder of the queue, the depot, the logs and the keys" },
    { "control/bind", SETTING_TEXT, "tcp://*:5570", "where workers and farmctl connect" },
    { "objects/bind", SETTING_TEXT, "tcp://*:5571", "where contexts and logs pass" },
    { "connections/per-key", SETTING_NUMBER, "32", "connections of one worker or user to each of the two; more are refused" },
    { "http/bind", SETTING_TEXT, "127.0.0.1:5572", "where /metrics, /healthz, /readyz and /hooks are; off: nowhere" },
    { "advertise/control", SETTING_TEXT, NULL, "how others reach control/bind; default: this host's name and the port" },
    { "advertise/objects", SETTING_TEXT, NULL, "how others reach objects/bind" },
    { "registry/plain-http", SETTING_LIST, NULL, "registries (host:port) that are spoken to without TLS" },
    { "registry/auth-file", SETTING_TEXT, NULL, "docker's config.json with the registries' credentials" },
    { "registry/staging", SETTING_TEXT, NULL, "folder of the registry that workers push to; what is verified is copied to its own name from there" },
    { "registry/bases", SETTING_LIST, NULL, "images (registry.lan/base/*,…) that workers may pull with these credentials though no Dockerfile names them" },
    { "registry/inside", SETTING_LIST, NULL, "hosts (host:port) inside that registries elsewhere may send us to" },
    { "registry/certs", SETTING_TEXT, NULL, "folder of certs.d; default /etc/docker/certs.d" },
    { "registry/timeout-ms", SETTING_NUMBER, "30000", "how long a registry may take without progress" },
    { "bases/lookup", SETTING_BOOL, "yes", "look base images up before a build begins; no: when its first worker asks for them" },
    { "stop-ms", SETTING_NUMBER, "30000", "how long what is being published, verified or sent may go on after SIGTERM" },
    { "publishers", SETTING_NUMBER, "2", "how many builds are verified or published at a time" },
    { "verify/least", SETTING_TEXT, "quick", "how much of every image is looked at: quick, layers or deep" },
    { "verify/readers", SETTING_NUMBER, "1", "how many images have their layers read at a time, beside the publishers" },
    { "verify/timeout-ms", SETTING_NUMBER, "1800000", "how long reading the layers of one image may take" },
    { "verify/unpacked-max", SETTING_BYTES, "64G", "of the layers of one image, unpacked; 0: no limit" },
    { "git/transports", SETTING_LIST, "https,ssh", "how contexts may be fetched: https, http, ssh, git, file" },
    { "git/hosts", SETTING_LIST, "*", "where from: HOST for all users, HOST=USER for one; *.lan for all names below lan" },
    { "git/inside", SETTING_LIST, NULL, "hosts of them whose addresses may be inside" },
    { "git/folders", SETTING_LIST, NULL, "folders of this machine below which file:// may name repositories" },
    { "git/keys", SETTING_LIST, NULL, "HOST=FILE or HOST/PATH=FILE: the key for ssh" },
    { "git/known-hosts", SETTING_TEXT, "/etc/ssh/ssh_known_hosts", "file with the keys of hosts for ssh" },
    { "git/helpers", SETTING_LIST, NULL, "HOST=FILE or HOST=NAME, also HOST/PATH=…: credentials for https, in git-credential-store's form, or of the helper git-credential-NAME" },
    { "git/ca-file", SETTING_TEXT, NULL, "file of authorities for https, in place of the system's" },
    { "git/proxy", SETTING_TEXT, NULL, "proxy for https" },
    { "git/lfs", SETTING_BOOL, "no", "fetch what git-lfs keeps, where that program is" },
    { "git/fetchers", SETTING_NUMBER, "2", "how many contexts are fetched at a time" },
    { "git/timeout-ms", SETTING_NUMBER, "600000", "how long fetching one may take" },
    { "git/size", SETTING_BYTES, "2G", "of one context with its submodules, and of what one fetch may bring" },
    { "git/entries", SETTING_NUMBER, "1000000", "files of one context with its submodules" },
    { "git/mirrors", SETTING_BYTES, "20G", "disk space for what was fetched; what was used least lately goes first" },
    { "lease/heartbeat-ms", SETTING_NUMBER, "5000", "how often a worker says that it is there" },
    { "lease/duration-ms", SETTING_NUMBER, "45000", "how long a silent worker keeps its jobs" },
    { "join/standing", SETTING_BOOL, "no", "keep a join string in STATE/join with which anybody joins, again and again" },
    { "lease/gone-grace-ms", SETTING_NUMBER, "3000", "how long a worker whose connection was lost may take to come back" },
    { "lease/ended-grace-ms", SETTING_NUMBER, "200", "the same, when the worker's machine closed it, as it does when the worker ends" },
    { "retry/delay-ms", SETTING_NUMBER, "2000", "before the second attempt of a job; doubles" },
    { "retry/attempts", SETTING_NUMBER, "3", "attempts of a job that fails through the farm's fault" },
    { "job/timeout-ms", SETTING_NUMBER, "3600000", "how long a job may take that was submitted without --timeout" },
    { "job/timeout-max-ms", SETTING_NUMBER, "86400000", "the most that --timeout may ask for" },
    { "result/keep-ms", SETTING_NUMBER, "86400000", "how long the image of the same inputs is used again; 0: never" },
    { "queue/limit", SETTING_NUMBER, "100000", "builds queued or running; more are refused" },
    { "worker/quarantine-ms", SETTING_NUMBER, "300000", "how long a worker that failed three times in a row gets no jobs; doubles; 0: never" },
    { "queue/affinity-ms", SETTING_NUMBER, "3000", "how long a job waits for the worker that built the same before, when another is free" },
    { "queue/ageing-ms", SETTING_NUMBER, "1800000", "how long a job waits in its priority class before it rises into the next" },
    { "log/limit", SETTING_BYTES, "64M", "of the builder's output of one attempt" },
    { "context/entries", SETTING_NUMBER, "1000000", "files and folders of one context, each as often as it stands in it" },
    { "context/size", SETTING_BYTES, "64G", "of the files of one context" },
    { "depot/free-floor", SETTING_BYTES, "256M", "disk space that contexts must leave free" },
    { "depot/collect-ms", SETTING_NUMBER, "3600000", "how often what no build needs is taken out of the depot; 0: only by prune" },
    { "depot/grace-ms", SETTING_NUMBER, "3600000", "what was sent or asked for within this time stays" },
    { "retention/build-ms", SETTING_NUMBER, "7776000000", "how long a build is remembered after its end; 0: for ever" },
    { "retention/builds", SETTING_NUMBER, "100000", "how many builds that have ended are remembered; the oldest go first; 0: all" },
    { "retention/log-ms", SETTING_NUMBER, "2592000000", "how long an attempt's log is kept after its end; 0: for ever" },
    { "retention/log-total", SETTING_BYTES, "10G", "disk space for logs; the oldest go first; 0: no limit" },
    { "retention/context-ms", SETTING_NUMBER, "604800000", "how long the context of a build is kept after its end" },
    { "retention/context-total", SETTING_BYTES, "50G", "disk space for contexts; the oldest that no live build needs go first; 0: no limit" },
    { "mail/server", SETTING_TEXT, NULL, "smtp://HOST:PORT or smtps://HOST:PORT that takes the farm's mail; without it none is sent" },
    { "mail/from", SETTING_TEXT, NULL, "the address that it is from" },
    { "mail/tls", SETTING_BOOL, "yes", "send only where the server offers TLS (STARTTLS); no: without it" },
    { "mail/user", SETTING_TEXT, NULL, "who logs in there" },
    { "mail/password-file", SETTING_TEXT, NULL, "the password, in a file that only its owner can read" },
    { "mail/ca-file", SETTING_TEXT, NULL, "authorities of its certificate, in place of the system's" },
    { "mail/allow", SETTING_LIST, NULL, "addresses that news may go to (*@example.com); default: any" },
    { "mail/timeout-ms", SETTING_NUMBER, "30000", "how long one mail may take" },
    { "hook/plain-http", SETTING_LIST, NULL, "hosts (host:port) whose hooks are called without TLS" },
    { "hook/inside", SETTING_LIST, NULL, "hosts (host:port) inside whose hooks are called" },
    { "hook/ca-file", SETTING_TEXT, NULL, "authorities of hooks' certificates, in place of the system's" },
    { "hook/timeout-ms", SETTING_NUMBER, "10000", "how long one call of a hook may take" },
    { "news/gather-ms", SETTING_NUMBER, "10000", "how long news wait for what comes of the same cause" },
    { "news/retry-ms", SETTING_NUMBER, "30000", "before news are tried a second time; doubles, an hour at most" },
    { "news/give-up-ms", SETTING_NUMBER, "259200000", "when they are tried for the last time" },
    { "news/lost-ms", SETTING_NUMBER, "300000", "how long a worker is away before that is news" },
    { "news/remind-ms", SETTING_NUMBER, "604800000", "what happens again after that time is told again, though it was told; 0: never" },
    { "log/level", SETTING_TEXT, "info", "error, warn, info or debug" },
    { NULL, SETTING_TEXT, NULL, NULL }
};

static void print_help (void)
{
    char *settings = settings_help (table);
    printf ("usage: farm-coordinator [-c FILE] [--SETTING=VALUE ...]\n\n"
            "Keeps the queue of builds, gives jobs to workers, verifies and publishes.\n"
            "Settings, in FILE (default " DEFAULT_FILE ") or as options:\n%s", settings);
    free (settings);
}

static int take_file (int argc, char **argv, const char **file, err_t *err)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp (argv [i], "--help") == 0 || strcmp (argv [i], "-h") == 0) {
            print_help ();
            exit (0);
        }
        if (strcmp (argv [i], "--version") == 0) {
            puts ("farm-coordinator " PACKAGE_VERSION);
            exit (0);
        }
        if (strcmp (argv [i], "-c") != 0 || i + 1 == argc)
            return err_set (err, ERR_USAGE, "%s is no option of farm-coordinator: see --help", argv [i]);
        *file = argv [++i];
    }
    return 0;
}

/* What the command line leaves when its settings are taken off: -c FILE, or something that is no option. */
static int find_file (int argc, char **argv, const char **file, err_t *err)
{
    AUTO (settings) settings_t *scratch = settings_new (table);
    AUTO_FREE char **words = mem_alloc (((size_t) argc + 1) * sizeof *words);
    memcpy (words, argv, (size_t) argc * sizeof *words);
    if (settings_take_options (scratch, &argc, words, err) < 0)
        return -1;
    return take_file (argc, words, file, err);
}

/* The command line wins over the file, so it is read last. */
static int read_all (settings_t *self, int argc, char **argv, err_t *err)
{
    const char *file = NULL;
    if (find_file (argc, argv, &file, err) < 0)
        return -1;
    if ((file || file_exists (DEFAULT_FILE)) && settings_load (self, file ? file : DEFAULT_FILE, err) < 0)
        return -1;
    return settings_take_options (self, &argc, argv, err);
}

/* Times that workers are told have the limits of schema/messages.json; a delay is doubled at each attempt. */
static const struct { const char *path; int64_t least, most; } limits [] = {
    { "connections/per-key", 4, 60000 },
    { "registry/timeout-ms", 1, 3600000 }, { "stop-ms", 0, 3600000 }, { "publishers", 1, 16 }, { "verify/readers", 1, 16 }, { "verify/timeout-ms", 1, 86400000 }, { "lease/heartbeat-ms", 1, 3600000 },
    { "lease/duration-ms", 1, 3600000 }, { "lease/gone-grace-ms", 0, 3600000 }, { "lease/ended-grace-ms", 0, 3600000 }, { "retry/delay-ms", 0, 3600000 },
    { "retry/attempts", 1, 20 }, { "job/timeout-ms", 1, 31536000000 }, { "job/timeout-max-ms", 1, 31536000000 },
    { "result/keep-ms", 0, 3153600000000 },
    { "git/fetchers", 1, 16 }, { "git/timeout-ms", 1000, 86400000 }, { "git/size", 1000000, 1125899906842624 }, { "git/entries", 1, 100000000 },
    { "git/mirrors", 0, 1125899906842624 },
    { "queue/limit", 1, 1000000000 }, { "worker/quarantine-ms", 0, 86400000 }, { "queue/affinity-ms", 0, 3600000 }, { "queue/ageing-ms", 1000, 3153600000000 },
    { "context/entries", 1, 1000000000 }, { "context/size", 1, 1125899906842624 },
    { "depot/collect-ms", 0, 3153600000000 }, { "depot/grace-ms", 0, 3153600000000 },
    { "mail/timeout-ms", 1, 600000 }, { "hook/timeout-ms", 1, 600000 }, { "news/gather-ms", 0, 3600000 }, { "news/retry-ms", 1, 3600000 },
    { "news/give-up-ms", 0, 3153600000 }, { "news/lost-ms", 1, 86400000 }, { "news/remind-ms", 0, 3153600000000 },
    { "retention/build-ms", 0, 3153600000000 }, { "retention/builds", 0, 1000000000 }, { "retention/log-ms", 0, 3153600000000 }, { "retention/context-ms", 0, 3153600000000 },
};

static int check_staging (const settings_t *self, err_t *err)
{
    reference_t reference;
    const char *staging = settings_text (self, "registry/staging");
    AUTO_FREE char *example = mem_printf ("registry.lan/%s/app", staging ? staging : "");
    if (!staging || (reference_parse (&reference, example, NULL) == 0 && !*reference.tag && !*reference.digest))
        return 0;
    return err_set (err, ERR_USAGE, "registry/staging is \"%s\": it has to be the beginning of a repository's name, such as staging or team/staging", staging);
}

/* Better now than when the first mail is to leave. */
static int check_mail (const settings_t *self, err_t *err)
{
    const char *server = settings_text (self, "mail/server"), *from = settings_text (self, "mail/from"), *file = settings_text (self, "mail/password-file");
    const engine_settings_t any = { .has_mail = true };
    if (!server)
        return 0;
    if (strncmp (server, "smtp://", 7) != 0 && strncmp (server, "smtps://", 8) != 0)
        return err_set (err, ERR_USAGE, "mail/server is \"%s\": it can be smtp://HOST:PORT or smtps://HOST:PORT", server);
    if (strchr (server, '@'))
        return err_set (err, ERR_USAGE, "mail/server has a user in it: that belongs into mail/user, and the password into a file (mail/password-file)");
    if (!from || news_check_mail (&any, from, NULL) < 0)
        return err_set (err, ERR_USAGE, "mail/from is \"%s\": mail/server needs it, an address as farm@example.com", from ? from : "");
    if (!settings_text (self, "mail/user") != !file)
        return err_set (err, ERR_USAGE, "mail/user and mail/password-file go together, and one of them is missing");
    if (file && !settings_bool (self, "mail/tls") && strncmp (server, "smtps://", 8) != 0)
        return err_set (err, ERR_USAGE, "mail/tls is no, and mail/user would send its password for all to read: take mail/tls = yes or smtps://");
    char *password = file ? letter_read_password (file, err) : NULL;
    if (file && !password)
        return err_wrap (err, "mail/password-file");
    if (password)
        sodium_memzero (password, strlen (password));
    free (password);
    return 0;
}

static int check (const settings_t *self, err_t *err)
{
    if (check_staging (self, err) < 0 || check_mail (self, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        int64_t number = settings_number (self, limits [i].path);
        if (number < limits [i].least || number > limits [i].most)
            return err_set (err, ERR_USAGE, "%s is %lld: it can be %lld to %lld", limits [i].path, (long long) number,
                            (long long) limits [i].least, (long long) limits [i].most);
    }
    if (settings_number (self, "lease/duration-ms") <= settings_number (self, "lease/heartbeat-ms"))
        return err_set (err, ERR_USAGE, "lease/duration-ms is %lld: a lease has to last for more than lease/heartbeat-ms",
                        (long long) settings_number (self, "lease/duration-ms"));
    const char *least = settings_text (self, "verify/least");
    if (strcmp (least, verify_level_name (verify_level_of (least))) != 0)
        return err_set (err, ERR_USAGE, "verify/least is %s: it can be quick, layers or deep", least);
    if (log_set_level_name (settings_text (self, "log/level")) < 0)
        return err_set (err, ERR_USAGE, "log/level is %s: it can be error, warn, info or debug", settings_text (self, "log/level"));
    return 0;
}

settings_t *options_read (int argc, char **argv, err_t *err)
{
    settings_t *self = settings_new (table);
    if (read_all (self, argc, argv, err) < 0 || check (self, err) < 0)
        settings_destroy (&self);
    return self;
}
