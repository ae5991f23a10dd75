/* health.c - see health.h. */
#include "worker/health.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/mem.h"

enum { ZONE_MAX_C = 200 };

/* A file of the kernel's. The caller frees. */
static char *read_text (const char *root, const char *path)
{
    AUTO_FREE char *whole = mem_printf ("%s%s", root, path);
    return file_text (whole);
}

/* The number behind a word, -1 where it is not there. */
static int64_t number_behind (const char *text, const char *word)
{
    const char *at = strstr (text, word);
    return at ? strtoll (at + strlen (word), NULL, 10) : -1;
}

static int64_t read_load (const char *root)
{
    AUTO_FREE char *text = read_text (root, "/proc/loadavg");
    char *end;
    double load = strtod (text, &end);
    return end > text && load >= 0 && load < 1e6 ? (int64_t) (load * 100) : -1;
}

static int64_t read_memory (const char *root)
{
    AUTO_FREE char *text = read_text (root, "/proc/meminfo");
    int64_t kib = number_behind (text, "MemAvailable:");
    return kib < 0 || kib > INT64_MAX / 1024 ? -1 : kib * 1024;
}

/* "some avg10=…\nfull avg10=1.23 …" */
static int64_t read_pressure (const char *root)
{
    AUTO_FREE char *text = read_text (root, "/proc/pressure/memory");
    int64_t percent = number_behind (text, "full avg10=");
    return percent >= 0 && percent <= 100 ? percent : -1;
}

static int64_t read_zone (const char *root, const char *zone)
{
    AUTO_FREE char *path = mem_printf ("/sys/class/thermal/%s/temp", zone);
    AUTO_FREE char *text = read_text (root, path);
    int64_t celsius = *text ? strtoll (text, NULL, 10) / 1000 : -1;
    return celsius <= ZONE_MAX_C ? celsius : -1;        /* what some firmware makes up */
}

static int64_t read_temperature (const char *root)
{
    AUTO_FREE char *path = mem_printf ("%s/sys/class/thermal", root);
    int64_t hottest = -1;
    DIR *zones = opendir (path);
    if (!zones)
        return -1;
    for (struct dirent *entry; (entry = readdir (zones));) {
        int64_t celsius = strncmp (entry->d_name, "thermal_zone", 12) == 0 ? read_zone (root, entry->d_name) : -1;
        hottest = celsius > hottest ? celsius : hottest;
    }
    closedir (zones);
    return hottest;
}

static int64_t read_disk (const char *const *folders)
{
    int64_t least = -1;
    for (; *folders; folders++) {
        int64_t bytes = file_free_bytes (*folders);
        if (bytes >= 0 && (least < 0 || bytes < least))
            least = bytes;
    }
    return least;
}

void health_read (health_t *self, const health_settings_t *settings)
{
    *self = (health_t) {
        .load_percent = read_load (settings->root), .memory_free_bytes = read_memory (settings->root),
        .disk_free_bytes = read_disk (settings->folders), .temperature_c = read_temperature (settings->root),
        .pressure_percent = read_pressure (settings->root), .cache_bytes = -1,
    };
}

bool health_is_disk_low (const health_t *self, const health_settings_t *settings)
{
    return self->disk_free_bytes >= 0 && self->disk_free_bytes < settings->disk_floor_bytes;
}

char *health_why_unfit (const health_t *self, const health_settings_t *settings)
{
    if (health_is_disk_low (self, settings))
        return mem_printf ("%lld MiB of disk are free, and it keeps %lld (disk/free-floor)", (long long) self->disk_free_bytes >> 20,
                           (long long) settings->disk_floor_bytes >> 20);
    if (self->pressure_percent > settings->pressure_max_percent)
        return mem_printf ("it waits for memory %lld %% of the time, and %lld is the most (memory/pressure-max)",
                           (long long) self->pressure_percent, (long long) settings->pressure_max_percent);
    return NULL;
}

json_t *health_json (const health_t *self)
{
    const struct { const char *name; int64_t value; } fields [] = {
        { "load_percent", self->load_percent }, { "memory_free_bytes", self->memory_free_bytes },
        { "disk_free_bytes", self->disk_free_bytes }, { "temperature_c", self->temperature_c },
        { "pressure_percent", self->pressure_percent }, { "cache_bytes", self->cache_bytes },
    };
    json_t *json = json_object ();
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields [i].value >= 0)
            json_object_set_new (json, fields [i].name, json_integer (fields [i].value));
    return json;
}
