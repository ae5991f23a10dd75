/* health.h - how this machine is: what it has left, and whether it should take more work. */
#ifndef FARM_HEALTH_H
#define FARM_HEALTH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* -1 where the kernel does not tell. */
typedef struct {
    int64_t load_percent;           /* of one cpu, over the last minute (/proc/loadavg) */
    int64_t memory_free_bytes;      /* that programs could have without swapping (MemAvailable of /proc/meminfo) */
    int64_t disk_free_bytes;        /* of the folder with the least */
    int64_t temperature_c;          /* of the hottest zone (/sys/class/thermal) */
    int64_t pressure_percent;       /* of time that all programs waited for memory, over 10 s (full avg10 of /proc/pressure/memory) */
    int64_t cache_bytes;            /* of contexts that are kept, on the disk; -1 until the caller sets it */
} health_t;

typedef struct {
    const char *root;               /* where /proc and /sys are: "" but in tests */
    const char *const *folders;     /* whose disks count; NULL behind the last */
    int64_t disk_floor_bytes;       /* below it no new job is taken */
    int64_t pressure_max_percent;   /* nor above this */
} health_settings_t;

void health_read (health_t *self, const health_settings_t *settings);

/* A folder's disk is below its floor. */
bool health_is_disk_low (const health_t *self, const health_settings_t *settings);

/* Why it should take no new job, for a person; NULL: it may. The caller frees. */
char *health_why_unfit (const health_t *self, const health_settings_t *settings);

/* As a heartbeat tells it: what is not known is left out. To the caller. */
json_t *health_json (const health_t *self);

#endif
