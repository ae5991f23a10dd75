/* submit_options.c - see submit_options.h. */
#include "farmctl/submit_options.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/label.h"
#include "common/mem.h"
#include "common/platform.h"
#include "common/quantity.h"
#include "common/reference.h"
#include "common/source.h"
#include "farmctl/options.h"
#include "farmctl/secret_options.h"

/* As schema/messages.json has them. */
enum { PLATFORMS_MAX = 32, TAGS_MAX = 64, TAG_BYTES_MAX = 512, MAP_MAX = 256, MAP_NAME_MAX = 256, MAP_VALUE_MAX = 32768,
       TARGET_MAX = 256, CRON_MAX = 255, ZONE_MAX = 63, REQUIREMENTS_MAX = 32 };
static const int64_t memory_min = 64LL << 20, memory_max = 1LL << 50, cpu_percent_min = 10, cpu_percent_max = 6553600,
                     limit_ms_min = 1000, limit_ms_max = 31536000000;

typedef struct {
    option_list_t platforms, required_platforms, tags, build_args, labels, requirements, secrets, agents;
    int64_t queue_timeout_ms;
    const char *target, *network, *emulation, *priority, *verify, *memory, *cpus, *limit;
    bool no_cache, no_result_cache, pull, push, keep_going, fail_fast, supersede, cross_check;
} raw_t;

static void raw_destroy (raw_t *self)
{
    option_list_free (&self->platforms);
    option_list_free (&self->required_platforms);
    option_list_free (&self->tags);
    option_list_free (&self->build_args);
    option_list_free (&self->labels);
    option_list_free (&self->requirements);
    option_list_free (&self->secrets);
    option_list_free (&self->agents);
}

static void append_once (json_t *array, const char *text)
{
    size_t i;
    json_t *item;
    json_array_foreach (array, i, item)
        if (strcmp (json_string_value (item), text) == 0)
            return;
    json_array_append_new (array, json_string (text));
}

/* -- platforms --------------------------------------------------------------------------------------------------------- */

static int add_platform (json_t *platforms, const char *text, err_t *err)
{
    platform_t platform;
    char name [PLATFORM_MAX];
    if (platform_parse (&platform, text, err) < 0)
        return -1;
    platform_format (&platform, name);
    append_once (platforms, name);
    if (json_array_size (platforms) > PLATFORMS_MAX)
        return err_set (err, ERR_USAGE, "more than %d platforms", PLATFORMS_MAX);
    return 0;
}

static int add_platforms (json_t *platforms, const char *option, const char *list, err_t *err)
{
    for (const char *at = list; at; ) {
        const char *comma = strchr (at, ',');
        AUTO_FREE char *text = mem_strndup (at, comma ? (size_t) (comma - at) : strlen (at));
        if (add_platform (platforms, text, err) < 0)
            return err_wrap (err, "--%s", option);
        at = comma ? comma + 1 : NULL;
    }
    return 0;
}

static bool is_among (const json_t *texts, const char *text)
{
    size_t i;
    json_t *item;
    json_array_foreach ((json_t *) texts, i, item)
        if (strcmp (json_string_value (item), text) == 0)
            return true;
    return false;
}

static int read_required (json_t *spec, const option_list_t *list, err_t *err)
{
    AUTO_JSON json_t *required = json_array ();
    size_t i;
    json_t *item;
    for (i = 0; i < list->count; i++)
        if (add_platforms (required, "required-platform", list->items [i], err) < 0)
            return -1;
    json_array_foreach (required, i, item)
        if (!is_among (json_object_get (spec, "platforms"), json_string_value (item)))
            return err_set (err, ERR_USAGE, "--required-platform %s: it is none of the build's platforms (--platform)",
                            json_string_value (item));
    return list->count ? json_object_set (spec, "required_platforms", required) : 0;
}

static int read_platforms (json_t *spec, const option_list_t *list, err_t *err)
{
    json_t *platforms = json_array ();
    json_object_set_new (spec, "platforms", platforms);
    for (size_t i = 0; i < list->count; i++)
        if (add_platforms (platforms, "platform", list->items [i], err) < 0)
            return -1;
    if (json_array_size (platforms))
        return 0;
    platform_t host;
    char name [PLATFORM_MAX];
    if (platform_host (&host, err) < 0)
        return err_wrap (err, "find this machine's platform (or name one with --platform)");
    platform_format (&host, name);
    append_once (platforms, name);
    return 0;
}

/* -- tags -------------------------------------------------------------------------------------------------------------- */

static int add_tag (json_t *tags, const char *text, reference_t *first, err_t *err)
{
    reference_t tag;
    char whole [REFERENCE_MAX];
    if (reference_parse (&tag, text, err) < 0)
        return err_wrap (err, "--tag");
    if (*tag.digest)
        return err_set (err, ERR_USAGE, "--tag %s: a digest cannot be chosen; give a tag such as %s/%s:1.0", text, tag.host,
                        tag.path);
    if (!*tag.tag)
        strcpy (tag.tag, "latest");
    if (!*first->host)
        *first = tag;
    if (strcmp (first->host, tag.host) != 0)
        return err_set (err, ERR_USAGE, "--tag %s: all tags of a build are in one registry, and the first is in %s; submit "
                        "again for %s", text, first->host, tag.host);
    reference_format (&tag, whole);
    if (strlen (whole) > TAG_BYTES_MAX)
        return err_set (err, ERR_USAGE, "--tag %.60s…: longer than %d bytes", text, TAG_BYTES_MAX);
    append_once (tags, whole);
    return 0;
}

static bool skip (const char **at, const char *word)
{
    bool is_there = strncmp (*at, word, strlen (word)) == 0;
    *at += is_there ? strlen (word) : 0;
    return is_there;
}

/* What a tag may hold: nothing; {date} and {build}; {commit} as well. */
typedef enum { WORDS_NONE, WORDS_PLAIN, WORDS_COMMIT } words_t;

/* Words of a schedule's tag are filled in by the coordinator: here they only have to make a good tag. */
static int check_words (const char *text, words_t words, err_t *err)
{
    AUTO_BUFFER buffer_t filled = { 0 };
    AUTO_JSON json_t *tags = json_array ();
    reference_t first = { .host = "" };
    if (strstr (text, "{commit}") && words != WORDS_COMMIT)
        return err_set (err, ERR_USAGE, "--tag %s: the context is a folder or an archive, and has no commit to name", text);
    for (const char *at = text; *at; )
        if (skip (&at, "{date}"))
            buffer_text (&filled, "2026-12-31");
        else if (skip (&at, "{build}"))
            buffer_text (&filled, "9007199254740991");
        else if (skip (&at, "{commit}"))
            buffer_text (&filled, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        else
            buffer_printf (&filled, "%c", *at++);
    return add_tag (tags, filled.data ? (const char *) filled.data : "", &first, err);
}

static int read_tag (json_t *tags, const char *text, reference_t *first, words_t words, err_t *err)
{
    if (words == WORDS_NONE || !strchr (text, '{'))
        return add_tag (tags, text, first, err);
    if (check_words (text, words, err) < 0)
        return -1;
    append_once (tags, text);
    return 0;
}

static int read_tags (json_t *spec, const option_list_t *list, words_t words, err_t *err)
{
    reference_t first = { .host = "" };
    json_t *tags = json_array ();
    json_object_set_new (spec, "tags", tags);
    for (size_t i = 0; i < list->count; i++)
        if (read_tag (tags, list->items [i], &first, words, err) < 0)
            return -1;
    if (json_array_size (tags) == 0)
        return err_set (err, ERR_USAGE, "no tag: say where to publish with --tag, such as -t registry.lan/team/app:1.4");
    if (json_array_size (tags) > TAGS_MAX)
        return err_set (err, ERR_USAGE, "--tag: more than %d tags", TAGS_MAX);
    return 0;
}

/* -- build arguments and labels ---------------------------------------------------------------------------------------- */

static int set_pair (json_t *map, const char *option, const char *name, const char *value, err_t *err)
{
    if (strlen (name) > MAP_NAME_MAX)
        return err_set (err, ERR_USAGE, "--%s %.60s…: its name is longer than %d bytes", option, name, MAP_NAME_MAX);
    if (strlen (value) > MAP_VALUE_MAX)
        return err_set (err, ERR_USAGE, "--%s %s: its value is longer than %d bytes", option, name, MAP_VALUE_MAX);
    json_t *text = json_string (value);
    if (!text)
        return err_set (err, ERR_USAGE, "--%s %s: its value is not UTF-8", option, name);
    json_object_set_new (map, name, text);
    if (json_object_size (map) > MAP_MAX)
        return err_set (err, ERR_USAGE, "--%s: more than %d", option, MAP_MAX);
    return 0;
}

static bool is_argument_name (const char *name)
{
    static const char letters [] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    size_t length = strspn (name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789");
    return *name && strchr (letters, *name) && !name [length];
}

/* K=V; K alone takes its value from the environment, and counts as not given when it is not there: docker's rule. */
static int add_argument (json_t *map, const char *text, err_t *err)
{
    const char *equals = strchr (text, '=');
    AUTO_FREE char *name = mem_strndup (text, equals ? (size_t) (equals - text) : strlen (text));
    if (!is_argument_name (name))
        return err_set (err, ERR_USAGE, "--build-arg \"%s\": give NAME=VALUE, or NAME for its value in the environment; a name "
                        "has letters, digits and '_'", text);
    const char *value = equals ? equals + 1 : getenv (name);
    return value ? set_pair (map, "build-arg", name, value, err) : 0;
}

static int add_label (json_t *map, const char *text, err_t *err)
{
    const char *equals = strchr (text, '=');
    AUTO_FREE char *name = mem_strndup (text, equals ? (size_t) (equals - text) : strlen (text));
    if (!*name || strpbrk (name, " \t\r\n\"'"))
        return err_set (err, ERR_USAGE, "--label \"%s\": give NAME=VALUE; a name has no blanks and no quotes", text);
    return set_pair (map, "label", name, equals ? equals + 1 : "", err);
}

static int read_map (json_t *spec, const char *field, const option_list_t *list,
                     int (*add) (json_t *, const char *, err_t *), err_t *err)
{
    json_t *map = json_object ();
    for (size_t i = 0; i < list->count; i++)
        if (add (map, list->items [i], err) < 0) {
            json_decref (map);
            return -1;
        }
    if (json_object_size (map))
        json_object_set_new (spec, field, map);
    else
        json_decref (map);
    return 0;
}

/* -- workers ------------------------------------------------------------------------------------------------------------ */

static int read_requirements (json_t *spec, const option_list_t *list, err_t *err)
{
    AUTO_JSON json_t *all = json_array ();
    for (size_t i = 0; i < list->count; i++) {
        if (requirement_check (list->items [i], err) < 0)
            return err_wrap (err, "--require");
        append_once (all, list->items [i]);
    }
    if (json_array_size (all) > REQUIREMENTS_MAX)
        return err_set (err, ERR_USAGE, "--require: more than %d", REQUIREMENTS_MAX);
    return json_array_size (all) ? json_object_set (spec, "require", all) : 0;
}

/* -- limits ------------------------------------------------------------------------------------------------------------- */

/* What is not given is left to the farm. */
static int read_limit (json_t *spec, const char *field, const char *text, int (*read) (const char *, int64_t *), int64_t min, int64_t max,
                       const char *form, err_t *err)
{
    int64_t number;
    if (!text)
        return 0;
    if (read (text, &number) < 0 || number < min || number > max)
        return err_set (err, ERR_USAGE, "%s, not \"%s\"", form, text);
    return json_object_set_new (spec, field, json_integer (number));
}

static int read_limits (json_t *spec, const raw_t *raw, err_t *err)
{
    if (read_limit (spec, "memory_bytes", raw->memory, quantity_read_bytes, memory_min, memory_max,
                    "--memory is a size, 64M to 1024T", err) < 0)
        return -1;
    if (read_limit (spec, "cpu_percent", raw->cpus, quantity_read_cpus, cpu_percent_min, cpu_percent_max,
                    "--cpus is a number such as 2 or 1.5, from 0.1 on", err) < 0)
        return -1;
    return read_limit (spec, "timeout_ms", raw->limit, quantity_read_duration, limit_ms_min, limit_ms_max,
                       "--timeout is a time such as 90 (seconds), 30m or 2h, at most 365d (how long to follow is --follow-timeout)", err);
}

/* -- all ----------------------------------------------------------------------------------------------------------------- */

static int read_rest (json_t *spec, const raw_t *raw, err_t *err)
{
    if (raw->target && (!*raw->target || strlen (raw->target) > TARGET_MAX))
        return err_set (err, ERR_USAGE, "--target is the name of a stage, of at most %d bytes", TARGET_MAX);
    if (raw->target && json_object_set_new (spec, "target", json_string (raw->target)) < 0)
        return err_set (err, ERR_USAGE, "--target is not UTF-8");
    if (raw->network && strcmp (raw->network, "default") != 0 && strcmp (raw->network, "none") != 0 && strcmp (raw->network, "host") != 0)
        return err_set (err, ERR_USAGE, "--network is default, none or host, not \"%s\"", raw->network);
    if (raw->network && strcmp (raw->network, "default") != 0)
        json_object_set_new (spec, "network", json_string (raw->network));
    if (strcmp (raw->emulation, "deny") != 0 && strcmp (raw->emulation, "allow") != 0)
        return err_set (err, ERR_USAGE, "--emulation is deny or allow, not \"%s\"", raw->emulation);
    if (strcmp (raw->priority, "low") != 0 && strcmp (raw->priority, "normal") != 0 && strcmp (raw->priority, "high") != 0)
        return err_set (err, ERR_USAGE, "--priority is low, normal or high, not \"%s\"", raw->priority);
    if (raw->verify && strcmp (raw->verify, "quick") != 0 && strcmp (raw->verify, "layers") != 0 && strcmp (raw->verify, "deep") != 0)
        return err_set (err, ERR_USAGE, "--verify is quick, layers or deep, not \"%s\"", raw->verify);
    if (raw->keep_going && raw->fail_fast)
        return err_set (err, ERR_USAGE, "--keep-going and --fail-fast are opposites: give one of them");
    if (!raw->push)
        return err_set (err, ERR_USAGE, "--push cannot be turned off: a build is always published; there is nowhere else for it to go");
    json_object_set_new (spec, "emulation", json_string (raw->emulation));
    json_object_set_new (spec, "queue_timeout_ms", json_integer (raw->queue_timeout_ms));
    json_object_set_new (spec, "priority", json_string (raw->priority));
    if (raw->verify)
        json_object_set_new (spec, "verify", json_string (raw->verify));
    if (raw->keep_going)
        json_object_set_new (spec, "keep_going", json_true ());
    if (raw->supersede)
        json_object_set_new (spec, "supersede", json_true ());
    if (raw->cross_check)
        json_object_set_new (spec, "cross_check", json_true ());
    json_object_set_new (spec, "no_cache", json_boolean (raw->no_cache));
    json_object_set_new (spec, "no_result_cache", json_boolean (raw->no_result_cache));
    json_object_set_new (spec, "pull", json_boolean (raw->pull));
    return 0;
}

static int read_spec (json_t *spec, const raw_t *raw, words_t words, err_t *err)
{
    if (read_tags (spec, &raw->tags, words, err) < 0 || read_platforms (spec, &raw->platforms, err) < 0)
        return -1;
    if (read_required (spec, &raw->required_platforms, err) < 0)
        return -1;
    if (read_map (spec, "build_args", &raw->build_args, add_argument, err) < 0)
        return -1;
    if (read_map (spec, "labels", &raw->labels, add_label, err) < 0)
        return -1;
    if (read_requirements (spec, &raw->requirements, err) < 0 || read_limits (spec, raw, err) < 0)
        return -1;
    return read_rest (spec, raw, err);
}

static bool is_folder (const char *path)
{
    struct stat info;
    return stat (path, &info) == 0 && S_ISDIR (info.st_mode);
}

/* Of what is fetched the Dockerfile is in it. *words: what its tags may hold. */
static int read_source (submit_options_t *self, words_t *words, err_t *err)
{
    source_t source;
    const char *dockerfile = self->dockerfile ? self->dockerfile : "Dockerfile";
    if (!source_is_meant (self->context) || is_folder (self->context))
        return 0;
    if (source_parse (&source, self->context, err) < 0)
        return -1;
    if (strcmp (dockerfile, "-") == 0 || *dockerfile == '/')
        return err_set (err, ERR_USAGE, "--file %s: of a context that the coordinator fetches the Dockerfile is in it: give its path there", dockerfile);
    self->is_fetched = true;
    *words = *words != WORDS_NONE && !*source.sha256 ? WORDS_COMMIT : *words;
    json_object_set_new (self->spec, "source", source_json (&source));
    json_t *name = json_string (dockerfile);
    return name ? json_object_set_new (self->spec, "dockerfile", json_pack ("{s:o}", "name", name)) : err_set (err, ERR_USAGE, "--file is not UTF-8");
}

static int read_secrets (submit_options_t *self, const option_list_t *list, err_t *err)
{
    if (secret_options_read (list, &self->secrets, err) < 0)
        return -1;
    return self->secrets.count ? json_object_set_new (self->spec, "secrets", secret_options_ids (&self->secrets)) : 0;
}

static int read_agents (submit_options_t *self, const option_list_t *list, err_t *err)
{
    if (agent_offer_read (&self->after.agents, list, err) < 0 || !self->after.agents)
        return self->after.agents || !list->count ? 0 : -1;
    if (self->after.is_detached)
        return err_set (err, ERR_USAGE, "--ssh: the build asks this machine's agent, so farmctl has to stay: leave out --detach");
    return json_object_set_new (self->spec, "ssh", agent_offer_ids (self->after.agents));
}

/* A schedule's times, and what nobody is there for. */
static int check_schedule (const submit_options_t *self, const schedule_options_t *schedule, err_t *err)
{
    if (!schedule->cron)
        return err_set (err, ERR_USAGE, "no times: say when with --cron, such as --cron '30 2 * * 1-5' --tz Europe/Berlin");
    if (!*schedule->cron || strlen (schedule->cron) > CRON_MAX || !*schedule->zone || strlen (schedule->zone) > ZONE_MAX)
        return err_set (err, ERR_USAGE, "--cron has 1 to %d characters, --tz 1 to %d", CRON_MAX, ZONE_MAX);
    if (schedule->catch_up && strcmp (schedule->catch_up, "none") != 0 && strcmp (schedule->catch_up, "last") != 0)
        return err_set (err, ERR_USAGE, "--catch-up is none or last, not \"%s\"", schedule->catch_up);
    if (schedule->overlap && strcmp (schedule->overlap, "skip") != 0 && strcmp (schedule->overlap, "queue") != 0 && strcmp (schedule->overlap, "cancel-old") != 0)
        return err_set (err, ERR_USAGE, "--overlap is skip, queue or cancel-old, not \"%s\"", schedule->overlap);
    if (self->after.is_detached || self->after.cancels_on_interrupt || self->after.timeout_ms)
        return err_set (err, ERR_USAGE, "--detach, --cancel-on-interrupt and --follow-timeout are about following a build: there is none yet");
    if (self->after.agents)
        return err_set (err, ERR_USAGE, "--ssh: a schedule cannot ask an ssh agent, for nobody is attached when it builds");
    if (self->secrets.count)
        return err_set (err, ERR_USAGE, "--secret: a schedule cannot have secrets, for the farm keeps them for one build only");
    return 0;
}

/* schedule NULL: of `submit`. */
static int read_options (submit_options_t *self, schedule_options_t *schedule, int argc, char **argv, err_t *err)
{
    schedule_options_t none;
    bool is_schedule = schedule != NULL;
    schedule = schedule ? schedule : &none;
    *self = (submit_options_t) { .spec = json_object () };
    __attribute__ ((cleanup (raw_destroy))) raw_t raw = { .emulation = "deny", .priority = is_schedule ? "low" : "normal", .push = true, .queue_timeout_ms = 600000 };
    const option_t options [] = {
        { "platform", 0, OPTION_LIST, &raw.platforms },
        { "tag", 't', OPTION_LIST, &raw.tags },
        { "file", 'f', OPTION_TEXT, &self->dockerfile },
        { "build-arg", 0, OPTION_LIST, &raw.build_args },
        { "label", 0, OPTION_LIST, &raw.labels },
        { "secret", 0, OPTION_LIST, &raw.secrets }, { "ssh", 0, OPTION_LIST, &raw.agents },
        { "target", 0, OPTION_TEXT, &raw.target },
        { "network", 0, OPTION_TEXT, &raw.network },
        { "no-cache", 0, OPTION_FLAG, &raw.no_cache }, { "no-result-cache", 0, OPTION_FLAG, &raw.no_result_cache },
        { "pull", 0, OPTION_FLAG, &raw.pull },
        { "push", 0, OPTION_FLAG, &raw.push },
        { "emulation", 0, OPTION_TEXT, &raw.emulation },
        { "priority", 0, OPTION_TEXT, &raw.priority },
        { "require", 0, OPTION_LIST, &raw.requirements },
        { "required-platform", 0, OPTION_LIST, &raw.required_platforms },
        { "keep-going", 0, OPTION_FLAG, &raw.keep_going }, { "fail-fast", 0, OPTION_FLAG, &raw.fail_fast },
        { "supersede", 0, OPTION_FLAG, &raw.supersede },
        { "verify", 0, OPTION_TEXT, &raw.verify }, { "cross-check", 0, OPTION_FLAG, &raw.cross_check },
        { "queue-timeout", 0, OPTION_DURATION, &raw.queue_timeout_ms },
        { "whole-context", 0, OPTION_FLAG, &self->sends_whole },
        { "quiet", 'q', OPTION_FLAG, &self->after.is_quiet },
        { "detach", 0, OPTION_FLAG, &self->after.is_detached },
        { "cancel-on-interrupt", 0, OPTION_FLAG, &self->after.cancels_on_interrupt },
        { "memory", 0, OPTION_TEXT, &raw.memory }, { "cpus", 0, OPTION_TEXT, &raw.cpus }, { "timeout", 0, OPTION_TEXT, &raw.limit },
        { "follow-timeout", 0, OPTION_DURATION, &self->after.timeout_ms },
        { "load", 0, OPTION_REFUSED, "the image is published under its tags; docker pull fetches it" },
        { "output", 'o', OPTION_REFUSED, "the image is published under its tags, and goes nowhere else" },
        { "progress", 0, OPTION_REFUSED, "it is plain always; --quiet prints the digest only" },
        { "cache-from", 0, OPTION_REFUSED, "workers keep their own cache, and need not be told" },
        { "cache-to", 0, OPTION_REFUSED, "workers keep their own cache, and need not be told" },
        { "builder", 0, OPTION_REFUSED, "the coordinator chooses workers by --platform" },
        { "iidfile", 0, OPTION_REFUSED, "the digest is what is printed on standard output" },
        { "metadata-file", 0, OPTION_REFUSED, "--json prints the build on standard output" },
        { "provenance", 0, OPTION_REFUSED, "no attestations are made; leave it out" },
        { "sbom", 0, OPTION_REFUSED, "no attestations are made; leave it out" },
        { "privileged", 0, OPTION_REFUSED, "no build has more rights than another" },
        { "allow", 0, OPTION_REFUSED, "no build has more rights than another" },
        { "cap-add", 0, OPTION_REFUSED, "no build has more rights than another" },
        { "security-opt", 0, OPTION_REFUSED, "no build has more rights than another" },
        { "device", 0, OPTION_REFUSED, "builds get no devices of a worker" },
        { "volume", 0, OPTION_REFUSED, "builds get no folders of a worker; COPY from the context" },
        { "add-host", 0, OPTION_REFUSED, "names mean on a worker what they mean there" },
        { is_schedule ? "cron" : NULL, 0, OPTION_TEXT, &schedule->cron },
        { "tz", 0, OPTION_TEXT, &schedule->zone },
        { "catch-up", 0, OPTION_TEXT, &schedule->catch_up },
        { "overlap", 0, OPTION_TEXT, &schedule->overlap },
        { "mail", 0, OPTION_LIST, &schedule->mails }, { "hook", 0, OPTION_LIST, &schedule->hooks },
        { "if-changed", 0, OPTION_FLAG, &schedule->if_changed }, { "replace", 0, OPTION_FLAG, &schedule->replaces },
        { NULL, 0, OPTION_FLAG, NULL }
    };
    const char *form = is_schedule ? "schedule add NAME --cron '30 2 * * *' [--tz ZONE] [options] CONTEXT"
                                   : "submit [options] CONTEXT, such as: farmctl submit -t registry.lan/app:1.0 .";
    if (options_parse (options, &argc, argv, err) < 0 || options_words (argc, argv, 1 + is_schedule, 1 + is_schedule, form, err) < 0)
        return -1;
    self->context = argv [1 + is_schedule];
    if (is_schedule)
        schedule->name = argv [1];
    if (self->dockerfile && !*self->dockerfile)
        return err_set (err, ERR_USAGE, "--file is empty: give the path of a Dockerfile, or - for standard input");
    words_t words = is_schedule ? WORDS_PLAIN : WORDS_NONE;
    if (read_source (self, &words, err) < 0 || read_spec (self->spec, &raw, words, err) < 0 || read_secrets (self, &raw.secrets, err) < 0)
        return -1;
    return read_agents (self, &raw.agents, err);
}

int submit_options_read (submit_options_t *self, int argc, char **argv, err_t *err)
{
    return read_options (self, NULL, argc, argv, err);
}

int schedule_options_read (submit_options_t *self, schedule_options_t *schedule, int argc, char **argv, err_t *err)
{
    *schedule = (schedule_options_t) { .zone = "UTC" };
    if (read_options (self, schedule, argc, argv, err) < 0)
        return -1;
    self->sends_whole = true;
    return check_schedule (self, schedule, err);
}

void schedule_options_free (schedule_options_t *self)
{
    option_list_free (&self->mails);
    option_list_free (&self->hooks);
}

void submit_options_free (submit_options_t *self)
{
    json_decref (self->spec);
    secrets_free (&self->secrets);
    agent_offer_destroy (&self->after.agents);
    self->spec = NULL;
}
