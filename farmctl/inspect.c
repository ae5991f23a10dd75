/* inspect.c - farmctl inspect ID: one build with its jobs and their attempts; or how it came to where it is. */
#include <czmq.h>

#include "common/quantity.h"
#include "common/source.h"
#include "farmctl/client.h"
#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/pages.h"
#include "farmctl/track.h"
#include "farmctl/verbs.h"

static void line (const char *name, const char *value)
{
    if (!*value)
        return;
    AUTO_FREE char *clean = output_clean (mem_strdup (value));
    printf ("%-10s %s\n", name, clean);
}

static void lines (const char *name, const json_t *array)
{
    size_t i;
    json_t *item;
    json_array_foreach (array, i, item)
        line (i ? "" : name, json_string_value (item) ? json_string_value (item) : "");
}

/* -- attempts ---------------------------------------------------------------------------------------------------------- */

/* The moments of an attempt, in order; what lies between two is a phase. The last one that a failed attempt reached lasts until
 * its end. */
static const struct { const char *name, *from; } phases [] = {
    { "fetching", "assigned_ms" }, { "building", "building_ms" }, { "pushing", "pushing_ms" }, { "verifying", "verifying_ms" },
};

/* queued_ms: when the job came into the queue before this attempt. */
static void print_phases (const json_t *attempt, int64_t queued_ms)
{
    enum { COUNT = sizeof phases / sizeof *phases };
    int64_t ended_ms = track_int (attempt, "ended_ms");
    printf ("      queued %s", output_duration (track_int (attempt, "assigned_ms") - queued_ms));
    for (size_t i = 0; i < COUNT; i++) {
        int64_t start = track_int (attempt, phases [i].from), end = 0;
        for (size_t j = i + 1; j < COUNT && !end; j++)
            end = track_int (attempt, phases [j].from);
        if (!end)
            end = ended_ms;
        if (start && end)
            printf (", %s %s", phases [i].name, output_duration (end - start));
    }
    if (ended_ms)
        printf (", all %s", output_duration (ended_ms - track_int (attempt, "assigned_ms")));
    printf ("\n");
}

static void print_attempt (const json_t *attempt, int64_t queued_ms)
{
    const char *reason = track_text (attempt, "reason");
    AUTO_FREE char *text = mem_printf ("attempt %lld on %s%s: %s%s%s", (long long) track_int (attempt, "attempt"),
                                       track_text (attempt, "worker"),
                                       json_is_true (json_object_get (attempt, "emulated")) ? " (emulated)" : "",
                                       track_text (attempt, "state"), *reason ? ": " : "", reason);
    printf ("    %s\n", output_clean (text));
    if (json_is_integer (json_object_get (attempt, "exit_status")))
        printf ("      exit status %lld\n", (long long) track_int (attempt, "exit_status"));
    print_phases (attempt, queued_ms);
    AUTO_FREE char *digest = output_clean (mem_strdup (track_text (attempt, "digest")));
    if (*digest)
        printf ("      pushed %s\n", digest);
    if (track_int (attempt, "log_removed_ms"))
        printf ("      its log was removed %s\n", output_ago (track_int (attempt, "log_removed_ms")));
}

/* A job is queued from the beginning, and again from the end of each attempt that another followed. */
static void print_attempts (const json_t *attempts, int64_t created_ms)
{
    size_t i;
    json_t *attempt;
    int64_t queued_ms = created_ms;
    json_array_foreach (attempts, i, attempt) {
        print_attempt (attempt, queued_ms);
        queued_ms = track_int (attempt, "ended_ms") ? track_int (attempt, "ended_ms") : queued_ms;
    }
}

/* -- jobs -------------------------------------------------------------------------------------------------------------- */

static void print_field (const json_t *job, const char *field)
{
    if (!*track_text (job, field))
        return;
    AUTO_FREE char *text = output_clean (mem_strdup (track_text (job, field)));
    printf ("  %s: %s\n", field, text);
}

static void print_job (int64_t build, const json_t *job, int64_t created_ms)
{
    AUTO_FREE char *text = mem_printf ("%lld/%s  %s", (long long) build, track_text (job, "platform"),
                                       track_text (job, "state"));
    printf ("\n%s\n", output_clean (text));
    print_field (job, "waiting");
    print_field (job, "step");
    print_field (job, "reason");
    if (json_is_integer (json_object_get (job, "exit_status")))
        printf ("  exit status: %lld\n", (long long) track_int (job, "exit_status"));
    print_field (job, "digest");
    print_attempts (json_object_get (job, "attempts"), created_ms);
}

/* "2G of memory, 1.5 cpus, 1h" */
static void print_limits (const json_t *limits)
{
    char quantity [QUANTITY_SIZE];
    AUTO_BUFFER buffer_t text = { 0 };
    if (track_int (limits, "memory_bytes"))
        buffer_printf (&text, "%s of memory, ", quantity_bytes (track_int (limits, "memory_bytes"), quantity));
    if (track_int (limits, "cpu_percent"))
        buffer_printf (&text, "%s, ", quantity_cpus (track_int (limits, "cpu_percent"), quantity));
    if (track_int (limits, "timeout_ms"))
        buffer_printf (&text, "%s for each job", quantity_duration (track_int (limits, "timeout_ms"), quantity));
    line ("limits", text.size ? (char *) text.data : "");
}

/* "https://host/repo.git#main:folder at 1f2e…" */
static void print_source (const json_t *given)
{
    source_t source;
    if (!json_is_object (given) || source_read (&source, given, NULL) < 0)
        return;
    const char *commit = track_text (given, "commit");
    AUTO_FREE char *name = source_text (&source), *text = mem_printf ("%s%s%s", name, *commit ? " at " : "", commit);
    line ("source", text);
}

/* "docker.io/library/alpine:3.20 sha256:1f2e…"; of one that is named by its digest that alone. */
static void print_bases (const json_t *bases)
{
    size_t i;
    json_t *base;
    json_array_foreach (bases, i, base) {
        const char *reference = track_text (base, "reference"), *digest = track_text (base, "digest");
        AUTO_FREE char *text = strchr (reference, '@') ? mem_strdup (reference) : mem_printf ("%s %s", reference, digest);
        line (i ? "" : "bases", text);
    }
}

static void print_build (const json_t *build)
{
    size_t i;
    json_t *job;
    int64_t id = track_int (build, "id"), created_ms = track_int (build, "created_ms");
    int64_t ended_ms = track_int (build, "ended_ms");
    printf ("%-10s %lld\n", "build", (long long) id);
    line ("state", track_shown_state (build));
    line ("reason", track_text (build, "reason"));
    line ("note", track_text (build, "note"));
    line ("digest", track_text (build, "digest"));
    lines ("tags", json_object_get (build, "tags"));
    line ("user", track_text (build, "user"));
    line ("created", output_ago (created_ms));
    line ("took", ended_ms ? output_duration (ended_ms - created_ms) : "");
    print_source (json_object_get (build, "source"));
    line ("context", track_text (build, "context"));
    print_bases (json_object_get (build, "bases"));
    print_limits (json_object_get (build, "limits"));
    json_array_foreach (json_object_get (build, "jobs"), i, job)
        print_job (id, job, created_ms);
}

/* -- events ------------------------------------------------------------------------------------------------------------ */

static void print_event (const json_t *event, int64_t build)
{
    char when [32] = "";
    time_t seconds = (time_t) (track_int (event, "at_ms") / 1000);
    struct tm broken;
    if (localtime_r (&seconds, &broken))
        strftime (when, sizeof when, "%Y-%m-%d %H:%M:%S", &broken);
    const char *platform = track_text (event, "platform"), *from = track_text (event, "from");
    int64_t attempt = track_int (event, "attempt");
    AUTO_FREE char *number = attempt ? mem_printf (" attempt %lld", (long long) attempt) : mem_strdup ("");
    AUTO_FREE char *text = mem_printf ("%lld%s%s%s: %s%s%s: %s", (long long) build, *platform ? "/" : "", platform, number,
                                       from, *from ? " -> " : "", track_text (event, "to"), track_text (event, "cause"));
    printf ("%s.%03d  %s\n", when, (int) (track_int (event, "at_ms") % 1000), output_clean (text));
}

static int show_events (client_t *client, int64_t id, err_t *err)
{
    size_t i;
    json_t *event;
    static const pages_t pages = { "events", "event-list", "events", "id" };
    AUTO_JSON json_t *question = json_pack ("{s:I}", "build", (json_int_t) id);
    AUTO_JSON json_t *all = pages_read (client, &pages, question, err);
    if (!all)
        return err_wrap (err, "events of build %lld", (long long) id);
    if (output_is_json ())
        return output_json (json_pack ("{s:I, s:O}", "build", (json_int_t) id, "events", all), err);
    json_array_foreach (all, i, event)
        print_event (event, id);
    if (json_array_size (all) == 0)
        output_note ("there are no events of build %lld: they were forgotten (retention/build-ms of the coordinator)", (long long) id);
    return 0;
}

/* -- the verb ---------------------------------------------------------------------------------------------------------- */

int verb_inspect (int argc, char **argv, err_t *err)
{
    int64_t id;
    bool are_events = false;
    const option_t options [] = { { "events", 0, OPTION_FLAG, &are_events }, { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (options, &argc, argv, err) < 0 || options_words (argc, argv, 1, 1, "inspect ID [--events]", err) < 0
        || options_build_id (argv [1], &id, err) < 0)
        return -1;
    AUTO (client) client_t *client = client_new (err);
    if (!client)
        return -1;
    if (are_events)
        return show_events (client, id, err);
    AUTO (msg) msg_t *answer = client_ask (client, "inspect", json_pack ("{s:I}", "build", (json_int_t) id), "build", 0,
                                           err);
    if (!answer)
        return err_wrap (err, "inspect build %lld", (long long) id);
    json_t *build = json_object_get (msg_header (answer), "build");
    if (output_is_json ())
        return output_json (json_deep_copy (build), err);
    print_build (build);
    return 0;
}
