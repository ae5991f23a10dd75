/* metrics.c - see metrics.h. Names and units as https://prometheus.io/docs/practices/naming/ has them. */
#include "coordinator/metrics.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MAX = 14, LABEL_MAX = 64 };

/* COUNTER and HISTOGRAM grow by what is added here; READ is a counter that somebody else keeps; a GAUGE is the sum of what
 * is told, GREATEST the most of it. */
typedef enum { COUNTER, HISTOGRAM, READ, GAUGE, GREATEST } metric_type;

static const double minutes [BUCKETS_MAX + 1] = { 1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200 };
static const double instants [BUCKETS_MAX + 1] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5 };

typedef struct {
    const char *name;
    metric_type type;
    const char *labels [METRIC_LABELS_MAX];
    const double *buckets;      /* upper bounds, 0 behind the last */
    const char *help;
} metric_t;

static const metric_t table [] = {
    { "farm_coordinator_info", GAUGE, { "version" }, NULL, "The running program; always 1." },
    { "farm_start_time_seconds", GAUGE, { NULL }, NULL, "When the program was started, since 1970." },

    { "farm_jobs", GAUGE, { "platform", "state" }, NULL, "Jobs that are not over. resting: queued, and held back by the limits of its user." },
    { "farm_jobs_unserved", GAUGE, { "platform" }, NULL, "Queued jobs that no registered worker takes." },
    { "farm_oldest_queued_seconds", GREATEST, { "platform" }, NULL, "For how long the oldest queued job has waited." },
    { "farm_builds_live", GAUGE, { NULL }, NULL, "Builds that are not over." },
    { "farm_builds_limit", GAUGE, { NULL }, NULL, "So many of them are taken (queue/limit)." },
    { "farm_builds_total", COUNTER, { "outcome" }, NULL, "Builds that have ended." },
    { "farm_build_duration_seconds", HISTOGRAM, { "outcome" }, minutes, "From submit to the end of a build." },
    { "farm_job_wait_seconds", HISTOGRAM, { "platform" }, minutes, "From the queue to a worker." },
    { "farm_attempts_total", COUNTER, { "platform", "outcome", "code" }, NULL, "Attempts that have ended; code as in docs/errors.md." },
    { "farm_attempt_phase_seconds", HISTOGRAM, { "platform", "phase" }, minutes, "What attempts that were done took, by phase." },
    { "farm_attempt_fetched_bytes_total", COUNTER, { "platform" }, NULL, "Bytes of contexts that workers had to fetch." },
    { "farm_attempt_context_bytes_total", COUNTER, { "platform", "origin" }, NULL, "Of contexts that images were built from, unpacked. kept: the worker had them." },
    { "farm_images_total", COUNTER, { "origin" }, NULL, "Verified images of jobs. known: of an earlier build of the same inputs." },

    { "farm_outbox_builds", GAUGE, { NULL }, NULL, "Builds whose index is to be put into the registry, or is being put." },
    { "farm_outbox_tries", GAUGE, { NULL }, NULL, "The most often that one of these was tried in vain." },

    { "farm_workers", GAUGE, { "state" }, NULL, "Registered workers." },
    { "farm_worker_slots", GAUGE, { NULL }, NULL, "Slots of workers that take jobs." },
    { "farm_worker_slots_busy", GAUGE, { NULL }, NULL, "Slots that have an attempt, also of workers that take no more." },
    { "farm_platform_workers", GAUGE, { "platform", "emulated" }, NULL, "Workers that take jobs of a platform." },
    { "farm_worker_cache_bytes", GAUGE, { NULL }, NULL, "Of contexts that workers keep, as they have told last." },

    { "farm_schedules", GAUGE, { "state" }, NULL, "Schedules." },
    { "farm_schedules_overdue_seconds", GAUGE, { NULL }, NULL, "For how long the first schedule that is due has been so; 0: none is." },
    { "farm_schedule_firings_total", COUNTER, { "outcome" }, NULL, "What times of schedules came to; missed: times that had passed." },

    { "farm_news_waiting", GAUGE, { NULL }, NULL, "News that have not arrived yet." },
    { "farm_news_total", COUNTER, { "kind", "outcome" }, NULL, "News by mail or hook that have arrived (sent), or were given up." },

    { "farm_depot_objects", GAUGE, { NULL }, NULL, "Objects of contexts in the depot." },
    { "farm_depot_bytes", GAUGE, { NULL }, NULL, "Of them, as they are on the disk." },
    { "farm_depot_limit_bytes", GAUGE, { NULL }, NULL, "So much is kept (retention/context-total); 0: no limit." },
    { "farm_disk_free_bytes", GAUGE, { NULL }, NULL, "Free on the disk of the depot." },
    { "farm_disk_floor_bytes", GAUGE, { NULL }, NULL, "Contexts must leave so much free (depot/free-floor)." },
    { "farm_depot_received_objects_total", READ, { NULL }, NULL, "Objects that were sent." },
    { "farm_depot_received_bytes_total", READ, { NULL }, NULL, "Of them, unpacked." },
    { "farm_depot_known_objects_total", READ, { NULL }, NULL, "Objects that were sent although they were there." },
    { "farm_depot_damaged_objects_total", READ, { NULL }, NULL, "Objects that were found damaged." },
    { "farm_depot_asked_objects_total", READ, { "result" }, NULL, "Objects that farmctl asked for before it sent them." },
    { "farm_depot_sent_objects_total", READ, { NULL }, NULL, "Objects that workers did not have, and fetched." },
    { "farm_log_received_bytes_total", READ, { NULL }, NULL, "Of the builders' output." },

    { "farm_registry_requests_total", READ, { "method", "status" }, NULL, "Requests to registries; status error: none came." },

    { "farm_control_peers", GAUGE, { NULL }, NULL, "Connections of workers and farmctl." },
    { "farm_commit_seconds", HISTOGRAM, { NULL }, instants, "What a batch of events takes, with its commit." },
    { "farm_http_requests_total", READ, { "path", "status" }, NULL, "Requests to the coordinator's HTTP service." },
};
enum { METRICS = sizeof table / sizeof *table };

typedef struct {
    char labels [METRIC_LABELS_MAX] [LABEL_MAX];
    double value;               /* of a histogram: the sum */
    uint64_t counts [BUCKETS_MAX + 1];      /* per bucket, not yet added up; the last: above all */
} series_t;

typedef struct {
    series_t *series;           /* owned */
    size_t count;
} family_t;

struct metrics {
    family_t families [METRICS];
};


void metrics_destroy (metrics_t **self_p)
{
    metrics_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < METRICS; i++)
        free (self->families [i].series);
    free (self);
    *self_p = NULL;
}

const char *metrics_name (size_t place)
{
    return place < METRICS ? table [place].name : NULL;
}

/* -- taking ------------------------------------------------------------------------------------------------------- */

static size_t label_count (const metric_t *metric)
{
    size_t count = 0;
    while (count < METRIC_LABELS_MAX && metric->labels [count])
        count++;
    return count;
}

static series_t *find_series (family_t *family, char labels [METRIC_LABELS_MAX] [LABEL_MAX])
{
    for (size_t i = 0; i < family->count; i++)
        if (memcmp (family->series [i].labels, labels, sizeof family->series [i].labels) == 0)
            return &family->series [i];
    return NULL;
}

static series_t *find_or_add (family_t *family, const metric_t *metric, char labels [METRIC_LABELS_MAX] [LABEL_MAX])
{
    series_t *series = find_series (family, labels);
    if (series)
        return series;
    if (family->count == METRIC_SERIES_MAX && label_count (metric) > 0)
        for (size_t i = 0; i < label_count (metric); i++) {
            memset (labels [i], 0, LABEL_MAX);
            strcpy (labels [i], "other");
        }
    series = find_series (family, labels);
    if (series)
        return series;
    family->series = mem_resize (family->series, (family->count + 1) * sizeof *family->series);
    series = &family->series [family->count++];
    *series = (series_t) { .value = 0 };
    memcpy (series->labels, labels, sizeof series->labels);
    return series;
}

static void observe (series_t *series, const metric_t *metric, double value)
{
    size_t bucket = 0;
    while (metric->buckets [bucket] > 0 && value > metric->buckets [bucket])
        bucket++;
    series->counts [bucket]++;
    series->value += value;
}

static void take_sample (metrics_t *self, size_t place, double value, const char *const *given)
{
    const metric_t *metric = &table [place];
    char labels [METRIC_LABELS_MAX] [LABEL_MAX] = { "" };
    for (size_t i = 0; i < label_count (metric); i++)
        snprintf (labels [i], LABEL_MAX, "%s", given [i] ? given [i] : "");
    series_t *series = find_or_add (&self->families [place], metric, labels);
    if (metric->type == HISTOGRAM)
        observe (series, metric, value > 0 ? value : 0);
    else if (metric->type == GREATEST)
        series->value = value > series->value ? value : series->value;
    else
        series->value += value;
}

static size_t find_metric (const char *name)
{
    size_t place = 0;
    while (place < METRICS && strcmp (table [place].name, name) != 0)
        place++;
    return place;
}

void metrics_add (metrics_t *self, const char *name, double value, const char *label, const char *second, const char *third)
{
    const char *const labels [METRIC_LABELS_MAX] = { label, second, third };
    size_t place = find_metric (name);
    assert (place < METRICS);
    take_sample (self, place, value, labels);
}

void metrics_add_sample (metrics_t *self, const json_t *sample)
{
    const char *labels [METRIC_LABELS_MAX];
    const char *name = json_string_value (json_array_get (sample, 0));
    for (size_t i = 0; i < METRIC_LABELS_MAX; i++)
        labels [i] = json_string_value (json_array_get (sample, 2 + i));
    if (name && json_is_number (json_array_get (sample, 1)))
        metrics_add (self, name, json_number_value (json_array_get (sample, 1)), labels [0], labels [1], labels [2]);
}

void metrics_add_samples (metrics_t *self, const json_t *samples)
{
    size_t i;
    json_t *sample;
    json_array_foreach (samples, i, sample)
        metrics_add_sample (self, sample);
}

void metrics_begin (metrics_t *self)
{
    for (size_t i = 0; i < METRICS; i++)
        if (table [i].type != COUNTER && table [i].type != HISTOGRAM)
            self->families [i].count = 0;
}

/* 0, so that the first of them is seen as a rise. */
static void add_zeros (metrics_t *self)
{
    static const char *const builds [] = { "published", "failed", "cancelled" };
    static const char *const firings [] = { "build", "unchanged", "skipped", "missed", "refused" };
    for (size_t i = 0; i < sizeof builds / sizeof *builds; i++)
        metrics_add (self, "farm_builds_total", 0, builds [i], NULL, NULL);
    for (size_t i = 0; i < sizeof firings / sizeof *firings; i++)
        metrics_add (self, "farm_schedule_firings_total", 0, firings [i], NULL, NULL);
    for (size_t i = 0; i < 2; i++) {
        metrics_add (self, "farm_news_total", 0, i ? "hook" : "mail", "sent", NULL);
        metrics_add (self, "farm_news_total", 0, i ? "hook" : "mail", "given-up", NULL);
    }
    metrics_add (self, "farm_images_total", 0, "built", NULL, NULL);
    metrics_add (self, "farm_images_total", 0, "known", NULL, NULL);
}

metrics_t *metrics_new (void)
{
    metrics_t *self = mem_alloc (sizeof *self);
    add_zeros (self);
    return self;
}

/* -- telling ------------------------------------------------------------------------------------------------------ */

static void write_value (buffer_t *out, double value)
{
    buffer_printf (out, " %.15g\n", value);
}

static void write_escaped (buffer_t *out, const char *text)
{
    for (; *text; text++)
        if (*text == '\n')
            buffer_text (out, "\\n");
        else {
            if (*text == '"' || *text == '\\')
                buffer_append (out, "\\", 1);
            buffer_append (out, text, 1);
        }
}

/* `bound`: of a bucket; NULL for none. */
static void write_labels (buffer_t *out, const metric_t *metric, const series_t *series, const char *bound)
{
    size_t count = label_count (metric);
    if (count == 0 && !bound)
        return;
    for (size_t i = 0; i < count; i++) {
        buffer_printf (out, "%s%s=\"", i ? "," : "{", metric->labels [i]);
        write_escaped (out, series->labels [i]);
        buffer_append (out, "\"", 1);
    }
    if (bound)
        buffer_printf (out, "%sle=\"%s\"", count ? "," : "{", bound);
    buffer_text (out, "}");
}

static void write_histogram (buffer_t *out, const metric_t *metric, const series_t *series)
{
    uint64_t sum = 0;
    for (size_t i = 0; i == 0 || metric->buckets [i - 1] > 0; i++) {
        char bound [32] = "+Inf";
        if (metric->buckets [i] > 0)
            snprintf (bound, sizeof bound, "%g", metric->buckets [i]);
        sum += series->counts [i];
        buffer_printf (out, "%s_bucket", metric->name);
        write_labels (out, metric, series, bound);
        write_value (out, (double) sum);
    }
    buffer_printf (out, "%s_sum", metric->name);
    write_labels (out, metric, series, NULL);
    write_value (out, series->value);
    buffer_printf (out, "%s_count", metric->name);
    write_labels (out, metric, series, NULL);
    write_value (out, (double) sum);
}

void metrics_write (const metrics_t *self, buffer_t *out)
{
    static const char *const types [] = { "counter", "histogram", "counter", "gauge", "gauge" };
    for (size_t place = 0; place < METRICS; place++) {
        const metric_t *metric = &table [place];
        const family_t *family = &self->families [place];
        if (family->count == 0)
            continue;
        buffer_printf (out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name, types [metric->type]);
        for (size_t i = 0; i < family->count; i++)
            if (metric->type == HISTOGRAM)
                write_histogram (out, metric, &family->series [i]);
            else {
                buffer_text (out, metric->name);
                write_labels (out, metric, &family->series [i], NULL);
                write_value (out, family->series [i].value);
            }
    }
}
