/* worker.c - farmctl worker ls|inspect|drain|pause|resume|label|forget|invite|revoke: a table, and one worker for the eye. */
#include <czmq.h>

#include "common/quantity.h"
#include "farmctl/client.h"
#include "farmctl/options.h"
#include "farmctl/output.h"
#include "farmctl/subverb.h"
#include "farmctl/track.h"
#include "farmctl/worker.h"

static const subverb_t verbs [] = {
    { "ls", worker_ls }, { "inspect", worker_inspect }, { "drain", worker_drain }, { "pause", worker_pause },
    { "resume", worker_resume }, { "label", worker_label }, { "forget", worker_forget }, { "invite", worker_invite },
    { "revoke", worker_revoke },
};
static const subverbs_t all = { "worker", verbs, sizeof verbs / sizeof *verbs,
                                "ls, inspect NAME, drain NAME, pause NAME, resume NAME, label NAME K=V…, forget NAME, invite NAME, revoke NAME" };

int verb_worker (int argc, char **argv, err_t *err)
{
    return subverb_run (&all, argc, argv, err);
}

/* -- one worker -------------------------------------------------------------------------------------------------------- */

char *worker_platforms (const json_t *worker)
{
    AUTO_BUFFER buffer_t text = { 0 };
    size_t i;
    json_t *platform;
    json_array_foreach (json_object_get (worker, "platforms"), i, platform)
        buffer_printf (&text, "%s%s%s", i ? ", " : "", track_text (platform, "platform"),
                       json_is_true (json_object_get (platform, "emulated")) ? " (emulated)" : "");
    return mem_strdup (text.size ? (char *) text.data : "");
}

char *worker_state (const json_t *worker)
{
    const char *state = track_text (worker, "state");
    bool is_told = json_is_true (json_object_get (worker, "connected")) || streq (state, "lost");
    return mem_printf ("%s%s", state, is_told ? "" : ", not connected");
}

static void line (const char *name, const char *value)
{
    AUTO_FREE char *clean = output_clean (mem_strdup (value));
    if (*value)
        printf ("%-12s %s\n", name, clean);
}

static void print_labels (json_t *labels)
{
    AUTO_BUFFER buffer_t text = { 0 };
    const char *name;
    json_t *value;
    json_object_foreach (labels, name, value)
        buffer_printf (&text, "%s%s=%s", text.size ? ", " : "", name, json_string_value (value) ? json_string_value (value) : "");
    line ("labels", text.size ? (char *) text.data : "");
}

/* A quarantine ends at a time to come. */
static const char *in_a_while (int64_t when_ms)
{
    int64_t left = when_ms - zclock_time ();
    return output_duration (left > 0 ? left : 0);
}

static void print_state (const json_t *worker)
{
    int64_t until = track_int (worker, "quarantined_until_ms");
    bool is_quarantined = streq (track_text (worker, "state"), "quarantined");
    AUTO_FREE char *state = worker_state (worker);
    AUTO_FREE char *text = mem_printf ("%s%s%s", state, is_quarantined ? ", for " : "", is_quarantined ? in_a_while (until) : "");
    line ("state", text);
    line ("unfit", track_text (worker, "unfit"));
    AUTO_FREE char *faults = mem_printf ("%lld in a row, the farm's", (long long) track_int (worker, "faults"));
    if (track_int (worker, "faults"))
        line ("failed", faults);
}

static void add_health (buffer_t *text, const json_t *health, const char *field, const char *form, bool are_bytes)
{
    const json_t *value = json_object_get (health, field);
    if (!json_is_integer (value))
        return;
    AUTO_FREE char *number = are_bytes ? mem_strdup (output_bytes ((uint64_t) json_integer_value (value)))
                                       : mem_printf ("%lld", (long long) json_integer_value (value));
    buffer_printf (text, text->size ? ", " : "");
    buffer_printf (text, form, number);
}

static void print_health (const json_t *health)
{
    AUTO_BUFFER buffer_t text = { 0 };
    add_health (&text, health, "load_percent", "load %s %% of a cpu", false);
    add_health (&text, health, "memory_free_bytes", "%s of memory free", true);
    add_health (&text, health, "disk_free_bytes", "%s of disk free", true);
    add_health (&text, health, "cache_bytes", "%s of contexts kept", true);
    add_health (&text, health, "temperature_c", "%s °C", false);
    add_health (&text, health, "pressure_percent", "waits for memory %s %% of the time", false);
    line ("health", text.size ? (char *) text.data : "");
}

/* Of one job */
static void print_limits (const json_t *limits)
{
    char memory [QUANTITY_SIZE], cpus [QUANTITY_SIZE];
    if (!json_is_object (limits))
        return;
    AUTO_FREE char *text = mem_printf ("%s of memory, %s, %lld processes for one job", quantity_bytes (track_int (limits, "memory_bytes"), memory),
                                       quantity_cpus (track_int (limits, "cpu_percent"), cpus), (long long) track_int (limits, "pids"));
    line ("limits", text);
    line ("", track_text (limits, "enforced"));
}

static void print_tasks (const json_t *tasks)
{
    size_t i;
    json_t *task;
    json_array_foreach (tasks, i, task) {
        AUTO_FREE char *text = mem_printf ("%lld/%s attempt %lld, %s, begun %s", (long long) track_int (task, "build"),
                                           track_text (task, "platform"), (long long) track_int (task, "attempt"),
                                           track_text (task, "state"), output_ago (track_int (task, "assigned_ms")));
        line (i ? "" : "works on", text);
    }
}

int worker_print (const json_t *worker, err_t *err)
{
    if (output_is_json ())
        return output_json (json_deep_copy (worker), err);
    AUTO_FREE char *platforms = worker_platforms (worker);
    AUTO_FREE char *busy = mem_printf ("%lld of %lld", (long long) track_int (worker, "busy"), (long long) track_int (worker, "slots"));
    AUTO_FREE char *host = mem_printf ("%lld cpus, %s", (long long) track_int (worker, "cpus"),
                                       output_bytes ((uint64_t) track_int (worker, "memory_bytes")));
    line ("worker", track_text (worker, "name"));
    print_state (worker);
    line ("comment", track_text (worker, "comment"));
    line ("platforms", platforms);
    print_labels (json_object_get (worker, "labels"));
    line ("slots busy", busy);
    line ("host", host);
    print_health (json_object_get (worker, "health"));
    print_limits (json_object_get (worker, "limits"));
    line ("builder", track_text (worker, "builder"));
    line ("isolation", track_text (worker, "isolation"));
    line ("", track_text (worker, "isolation_reason"));
    line ("version", track_text (worker, "version"));
    line ("seen", output_ago (track_int (worker, "seen_ms")));
    print_tasks (json_object_get (worker, "tasks"));
    return 0;
}
