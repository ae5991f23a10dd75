/* inspect.c - farmctl inspect ID: one build with its jobs and their attempts. */
#include <czmq.h>

#include "farmctl/client.h"
#include "farmctl/options.h"
#include "farmctl/output.h"
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

/* How long a stage took. The last one that a failed attempt reached lasts until its end. */
static const char *between (const json_t *attempt, const char *from, const char *to)
{
    int64_t start = track_int (attempt, from), end = track_int (attempt, to);
    if (!end)
        end = track_int (attempt, "ended_ms");
    return start && end ? output_duration (end - start) : "-";
}

static void print_attempt (const json_t *attempt)
{
    const char *reason = track_text (attempt, "reason");
    AUTO_FREE char *text = mem_printf ("attempt %lld on %s%s: %s%s%s", (long long) track_int (attempt, "attempt"),
                                       track_text (attempt, "worker"),
                                       json_is_true (json_object_get (attempt, "emulated")) ? " (emulated)" : "",
                                       track_text (attempt, "state"), *reason ? ": " : "", reason);
    printf ("    %s\n", output_clean (text));
    if (track_int (attempt, "building_ms"))
        printf ("      fetched in %s, built in %s, pushed in %s, all %s\n", between (attempt, "assigned_ms", "building_ms"),
                between (attempt, "building_ms", "pushing_ms"), between (attempt, "pushing_ms", "verifying_ms"),
                between (attempt, "assigned_ms", "ended_ms"));
}

static void print_field (const json_t *job, const char *field)
{
    if (!*track_text (job, field))
        return;
    AUTO_FREE char *text = output_clean (mem_strdup (track_text (job, field)));
    printf ("  %s: %s\n", field, text);
}

static void print_job (int64_t build, const json_t *job)
{
    size_t i;
    json_t *attempt;
    AUTO_FREE char *text = mem_printf ("%lld/%s  %s", (long long) build, track_text (job, "platform"),
                                       track_text (job, "state"));
    printf ("\n%s\n", output_clean (text));
    print_field (job, "waiting");
    print_field (job, "step");
    print_field (job, "reason");
    if (json_is_integer (json_object_get (job, "exit_status")))
        printf ("  exit status: %lld\n", (long long) track_int (job, "exit_status"));
    print_field (job, "digest");
    json_array_foreach (json_object_get (job, "attempts"), i, attempt)
        print_attempt (attempt);
}

static void print_build (const json_t *build)
{
    size_t i;
    json_t *job;
    int64_t id = track_int (build, "id"), created_ms = track_int (build, "created_ms");
    int64_t ended_ms = track_int (build, "ended_ms");
    printf ("%-10s %lld\n", "build", (long long) id);
    line ("state", track_text (build, "state"));
    line ("reason", track_text (build, "reason"));
    line ("note", track_text (build, "note"));
    line ("digest", track_text (build, "digest"));
    lines ("tags", json_object_get (build, "tags"));
    line ("user", track_text (build, "user"));
    line ("created", output_ago (created_ms));
    line ("took", ended_ms ? output_duration (ended_ms - created_ms) : "");
    line ("context", track_text (build, "context"));
    json_array_foreach (json_object_get (build, "jobs"), i, job)
        print_job (id, job);
}

int verb_inspect (int argc, char **argv, err_t *err)
{
    int64_t id;
    const option_t none [] = { { NULL, 0, OPTION_FLAG, NULL } };
    if (options_parse (none, &argc, argv, err) < 0 || options_words (argc, argv, 1, 1, "inspect ID", err) < 0
        || options_build_id (argv [1], &id, err) < 0)
        return -1;
    AUTO (client) client_t *client = client_new (err);
    if (!client)
        return -1;
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
