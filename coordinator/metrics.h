/* metrics.h - what the coordinator counts, and how it looks for Prometheus (text exposition format 0.0.4).
 *
 * One table in metrics.c names every metric with its labels and its help; docs/operations.md, the alert rules and the dashboard name the
 * same. A sample is [name, value, label…], as the engine (engine_count, view_on_metrics) and the depot service make it: added to a counter, put
 * into a histogram, or, for what somebody else counts and for gauges, taken as it is.
 *
 * Nobody's words become label values without bound: beyond METRIC_SERIES_MAX of a metric the rest are counted together, as "other". */
#ifndef FARM_METRICS_H
#define FARM_METRICS_H

#include <jansson.h>

#include "common/mem.h"

enum { METRIC_SERIES_MAX = 200, METRIC_LABELS_MAX = 3 };

typedef struct metrics metrics_t;

metrics_t *metrics_new (void);
void metrics_destroy (metrics_t **self);

/* Labels in the order of the table; NULL behind the last that the metric has. A name that is not there is a bug of the caller, and asserted on. */
void metrics_add (metrics_t *self, const char *name, double value, const char *label, const char *second, const char *third);
/* A sample, or a list of them. Checked: what is none is left out. */
void metrics_add_sample (metrics_t *self, const json_t *sample);
void metrics_add_samples (metrics_t *self, const json_t *samples);

/* Before they are told anew: gauges, and counters that are kept elsewhere, say nothing. */
void metrics_begin (metrics_t *self);

/* All that there is, appended. */
void metrics_write (const metrics_t *self, buffer_t *out);

/* The name at a place of the table; NULL behind the last. */
const char *metrics_name (size_t place);

#endif
