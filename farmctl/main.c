/* main.c - farmctl: finds the verb, runs it, prints its error and exits with its code. */
#include <czmq.h>
#include <locale.h>
#include <signal.h>
#include <unistd.h>

#include "common/log.h"
#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/verbs.h"

typedef struct {
    const char *name;
    verb_fn *run;
    const char *form;           /* behind "farmctl " */
    const char *summary;
    const char *options;        /* for farmctl help VERB; "" for none */
} verb_t;

static const verb_t verbs [] = {
    { "submit", verb_submit, "submit [options] CONTEXT", "build a folder, a repository or an archive for all platforms and publish it",
      "  CONTEXT: a folder; '-': an archive on standard input; https://HOST/REPO.git#REF:FOLDER, git@HOST:REPO.git#REF, ssh://…; https://HOST/A.tar.gz#sha256=DIGEST\n"
      "  --platform P,P       platforms, may be repeated; default: the one of this machine\n"
      "  -t, --tag REF        publish under this reference; may be repeated, all in one registry\n"
      "  -f, --file FILE      the Dockerfile; default CONTEXT/Dockerfile; '-': standard input\n"
      "  --build-arg K=V      a build argument; K alone: its value in the environment\n"
      "  --label K=V          a label of the image\n"
      "  --secret id=NAME,src=FILE    for RUN --mount=type=secret,id=NAME; also id=NAME,env=VARIABLE; may be repeated\n"
      "  --ssh default[=SOCKET]   for RUN --mount=type=ssh: the agent is asked while farmctl follows the build\n"
      "  --target STAGE       build this stage\n"
      "  --network MODE       of RUN steps: default, none, or host where a worker's settings allow it\n"
      "  --no-cache           run every step anew\n"
      "  --no-result-cache    do not publish the image of an earlier build of the same, run the builder\n"
      "  --pull               ask the registry for newer base images\n"
      "  --push               accepted: it is what happens\n"
      "  --emulation MODE     deny (default) or allow: may a worker emulate a platform?\n"
      "  --require LABEL      K=V, K!=V, K or !K: only workers whose labels are so; may be repeated\n"
      "  --required-platform P,P  publish when these are done, though others have failed; default: all\n"
      "  --keep-going         let the other platforms end when one has failed; --fail-fast, the default, stops them\n"
      "  --supersede          cancel my older builds that wait for the same tags\n"
      "  --queue-timeout TIME  how long to wait where no worker takes such jobs, 10m; 0: refuse at once\n"
      "  --priority CLASS     low, normal (default) or high: high goes first\n"
      "  --verify LEVEL       what is looked at before it is published: quick (default), layers (their bytes) or deep (their files)\n"
      "  --cross-check        build each platform on two workers, and publish it only if both have made the same\n"
      "  --memory SIZE        what each job may have of its worker's memory (512M, 2G), and needs\n"
      "  --cpus N             and of its cpus (2, 0.5)\n"
      "  --timeout TIME       how long each job may take (90, 30m, 2h); default: as the farm says, 1h\n"
      "  --whole-context      send also what no instruction of the Dockerfile reads\n"
      "  -q, --quiet          print the index digest only (with --detach the build's number only)\n"
      "  --detach             do not wait for the build\n"
      "  --cancel-on-interrupt    an interrupt cancels the build; otherwise it goes on\n"
      "  --follow-timeout TIME  follow for this long at most; the build goes on\n" },
    { "ls", verb_ls, "ls [--limit N] [--all]", "list builds, newest first",
      "  --limit N            show N builds; default 20\n"
      "  --all                show all\n" },
    { "inspect", verb_inspect, "inspect ID", "show one build with its jobs and attempts",
      "  --events             each change of state, with time, attempt and cause\n" },
    { "logs", verb_logs, "logs [-f] [-t] ID [--platform P]", "show what the builders said",
      "  -f, --follow         go on until the build ends\n"
      "  -t, --timestamps     put the time in front of each line\n"
      "  --platform P         of this platform only\n" },
    { "wait", verb_wait, "wait ID", "follow a build to its end; exit as submit does",
      "  -q, --quiet          print the index digest only\n"
      "  --cancel-on-interrupt    an interrupt cancels the build\n"
      "  --ssh default[=SOCKET]   offer the agent again to a build that was submitted with it\n"
      "  --timeout TIME       wait for this long at most\n" },
    { "cancel", verb_cancel, "cancel ID", "cancel a build", "" },
    { "retry", verb_retry, "retry ID", "build once more from the same context and options",
      "  --failed-only            only the platforms that have not been done; the others' images are used again\n"
      "  --secret id=NAME,src=FILE   those that the build had are not kept: give them again; as with submit\n"
      "  -q, --quiet, --detach, --cancel-on-interrupt, --follow-timeout TIME: as with submit\n" },
    { "worker", verb_worker, "worker VERB [NAME]", "list workers, look at one, or say what becomes of it",
      "  ls                       all: what they run, how busy they are\n"
      "  inspect NAME             one: state, labels, what it works on\n"
      "  drain NAME [--wait]      nothing new for it, for good; --wait: until it works on nothing\n"
      "  pause NAME               nothing new for it, for now\n"
      "  resume NAME              it takes jobs again; a quarantine ends\n"
      "  label NAME K=V…          labels for --require; K- takes one away\n"
      "  forget NAME              one that is gone\n"
      "  invite NAME              print a join string for a new one (--expire TIME, 1h), or for one that was set up anew\n"
      "  revoke NAME              take its right to connect back: its jobs go to others\n"
      "  --comment TEXT           why, for the others; with drain, pause, resume, label and forget\n" },
    { "user", verb_user, "user add|ls|rm|role|limit", "who may use the farm, for what, and how much (admin)",
      "  add NAME                 print a join string for a new user, to be used with farmctl join\n"
      "      --role ROLE          admin, submitter (default: sees and builds the own builds) or viewer (sees all, changes nothing)\n"
      "      --expire TIME        how long the string is good, 1h\n"
      "  ls                       all users, and who is invited\n"
      "  rm NAME                  take their right back at once, and cancel their builds\n"
      "  role NAME ROLE           another role\n"
      "  limit NAME               other limits\n"
      "  with add and limit:\n"
      "      --repository PATTERN publish to these only: 'team/*'; may be repeated; all: to any\n"
      "      --max-queued N       so many builds may wait; none: any number\n"
      "      --max-running N      so many are at work at once, the others are held back; none: any number\n" },
    { "schedule", verb_schedule, "schedule add|ls|inspect|…", "builds by the clock: add one, look at them, say what becomes of them",
      "  add NAME [options] CONTEXT  a build at each time: of the folder as it is now, of a repository as it is then\n"
      "    --cron TIMES           minute hour day-of-month month day-of-week, or @daily and the like; H spreads (docs/schedules.md)\n"
      "    --tz ZONE              the clock that it goes by, as Europe/Berlin; default: UTC\n"
      "    --catch-up MODE        none (default) or last: after an outage the latest time that was missed\n"
      "    --overlap MODE         skip (default), queue or cancel-old: when an earlier build has not ended\n"
      "    --if-changed           no build where options, commit and base images are those of the last success\n"
      "    --mail ADDRESS, --hook URL   who is told when it fails, does not run, and is fixed (farmctl news); may be repeated\n"
      "    --replace              change the schedule of that name\n"
      "    and the options of submit but those to follow a build; --priority is low; tags may hold {date}, {build} and, of a repository, {commit}\n"
      "  ls                       all: when they are due next, what became of the last time\n"
      "  inspect NAME             one: options, latest times, next times\n"
      "  hook NAME                POST /hooks/NAME of the coordinator's HTTP service builds it; prints the secret that a forge is to sign with\n"
      "    --branch NAME          only for pushes to this branch\n"
      "    --secret-file FILE     another secret than one that is made for it\n"
      "    --remove               no more\n"
      "  next NAME [-n N]         the next times; default 5\n"
      "  run NAME                 build now; prints the build's number\n"
      "  pause NAME, resume NAME  no builds until it is resumed\n"
      "  rm NAME                  remove it; a build that is under way goes on\n" },
    { "news", verb_news, "news add|ls|rm|test|outbox|retry", "who is told, by mail or webhook, what becomes of builds, schedules and workers",
      "  add NAME --mail ADDRESS|--hook URL   of my builds and schedules; a hook's secret is printed, once (docs/news.md)\n"
      "      --schedule NAME      of one schedule\n"
      "      --farm               of everything, workers too (admin)\n"
      "      --on EVENT,EVENT     failed, fixed, succeeded, missed, lost, quarantined; default: all but succeeded\n"
      "      --replace            change the news of that name; a hook gets a new secret\n"
      "  ls                       all of mine\n"
      "  rm NAME                  none any more, nor what waits\n"
      "  test NAME                send one now, and say whether it has arrived\n"
      "  outbox                   what waits, was sent or was given up, newest first\n"
      "      --state STATE        waiting, sent or given-up\n"
      "      --limit N            so many; default 50\n"
      "  retry ID|all             what was given up is tried again\n" },
    { "audit", verb_audit, "audit show|verify", "who did what with the farm's rights, and who was denied what (admin)",
      "  show                     the last rows\n"
      "      --limit N            so many; default 50\n"
      "      --since TIME         all of the last 30m, 2h, 7d\n"
      "  verify                   is the log whole? Exit code 6 if a row was changed, taken out or cut off\n" },
    { "du", verb_du, "du", "show what the coordinator's depot holds", "" },
    { "prune", verb_prune, "prune [--dry-run]", "take away what the coordinator's retention does not keep (admin)",
      "  -n, --dry-run        say what would go: builds, logs, contexts, objects\n" },
    { "imagetools", verb_imagetools, "imagetools inspect REF [--raw]", "show an image index of a registry",
      "  --raw                print the manifest as the registry has it, byte by byte\n" },
    { "join", verb_join, "join STRING [--name N]", "enrol this user with a join string of the coordinator",
      "  --name N             the user's name; default: user and host\n" },
    { "version", verb_version, "version", "show farmctl's version, and the coordinator's", "" },
    { NULL, NULL, NULL, NULL, NULL }
};

static const verb_t *find_verb (const char *name)
{
    for (const verb_t *verb = verbs; verb->name; verb++)
        if (streq (verb->name, name))
            return verb;
    return NULL;
}

static int unknown_verb (const char *name, err_t *err)
{
    const char *names [sizeof verbs / sizeof *verbs + 1];
    size_t count = 0;
    for (const verb_t *verb = verbs; verb->name; verb++)
        names [count++] = verb->name;
    names [count++] = "help";
    names [count] = NULL;
    const char *nearest = options_nearest (name, names);
    return err_set (err, ERR_USAGE, "there is no verb \"%s\"%s%s%s; farmctl help lists all", name,
                    nearest ? " (did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?)" : "");
}

static void print_settings (void)
{
    char *text = settings_help (options_table ());
    printf ("\nSettings, from %s or the command line:\n%s", options_file (NULL), text);
    free (text);
}

/* How many bytes of a text take no column of their own, as it is UTF-8. */
static int hidden_bytes (const char *text)
{
    int count = 0;
    for (; *text; text++)
        count += (*text & 0xc0) == 0x80;
    return count;
}

static void help_all (void)
{
    printf ("Usage: farmctl VERB [options]\n\n");
    for (const verb_t *verb = verbs; verb->name; verb++)
        printf ("  %-*s %s\n", 36 + hidden_bytes (verb->form), verb->form, verb->summary);
    printf ("  %-36s %s\n", "help [VERB]", "show this, or the options of a verb");
    printf ("\nEvery verb takes --json: one JSON document on standard output, errors too.\n"
            "Exit codes: 0 done; 1 farm or network; 2 usage; 3 the build failed; 4 no worker can; 5 registry; "
            "6 verification; 124 timeout; 130 interrupted.\n");
    print_settings ();
}

static int help (int argc, char **argv, err_t *err)
{
    if (argc < 2) {
        help_all ();
        return 0;
    }
    const verb_t *verb = find_verb (argv [1]);
    if (!verb)
        return unknown_verb (argv [1], err);
    printf ("Usage: farmctl %s\n\n%s.\n%s%s", verb->form, verb->summary, *verb->options ? "\n" : "", verb->options);
    return 0;
}

/* Take a flag off, wherever it stands before "--". */
static bool take_flag (int *argc, char **argv, const char *name)
{
    bool is_there = false;
    int kept = 1, i = 1;
    for (; i < *argc && !streq (argv [i], "--"); i++) {
        if (streq (argv [i], name))
            is_there = true;
        else
            argv [kept++] = argv [i];
    }
    for (; i < *argc; i++)
        argv [kept++] = argv [i];
    argv [kept] = NULL;
    *argc = kept;
    return is_there;
}

/* argv [0] is the program's name. Options of the verb may not stand before it. */
static int run (int argc, char **argv, err_t *err)
{
    bool is_help = take_flag (&argc, argv, "--help");
    is_help = take_flag (&argc, argv, "-h") || is_help;
    if (argc < 2 || streq (argv [1], "help")) {
        if (argc < 2 && !is_help)
            return err_set (err, ERR_USAGE, "say what to do: farmctl help lists the verbs");
        return help (argc - 1, argv + 1, err);
    }
    if (streq (argv [1], "--version"))
        argv [1] = "version";
    if (argv [1][0] == '-')
        return err_set (err, ERR_USAGE, "the verb comes first, not %s: farmctl VERB [options]; farmctl help lists all",
                        argv [1]);
    const verb_t *verb = find_verb (argv [1]);
    if (!verb)
        return unknown_verb (argv [1], err);
    if (is_help)
        return help (2, argv, err);
    return verb->run (argc - 1, argv + 1, err);
}

/* Whoever asked has seen enough: as other programs end then. */
static _Noreturn void end_unread (void)
{
    options_end ();
    signal (SIGPIPE, SIG_DFL);
    raise (SIGPIPE);
    _exit (128 + SIGPIPE);
}

int main (int argc, char **argv)
{
    err_t err = { 0 };
    setlocale (LC_CTYPE, "C.UTF-8");
    setvbuf (stderr, NULL, _IOLBF, 0);
    signal (SIGPIPE, SIG_IGN);
    signal (SIGXFSZ, SIG_IGN);          /* EFBIG, as on a full disk */
    zsys_handler_set (NULL);
    options_keep_given (argc, argv);
    output_set_json (take_flag (&argc, argv, "--json"));
    int rc = options_init (&argc, argv, &err);
    if (rc == 0)
        rc = run (argc, argv, &err);
    if (rc == 0)
        rc = output_flush (&err);
    if (rc < 0 && output_is_unread ())
        end_unread ();
    if (rc < 0)
        output_error (&err);
    options_end ();
    return rc < 0 ? err_exit_code (err.code) : 0;
}
