/* zone.c - see zone.h. */
#include "coordinator/zone.h"

#include <fcntl.h>
#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"

/* No zone is further from UTC (RFC 9636 allows more, tzdata has -15:13 to 15:58), and no clock was ever put on or back by more. */
enum { OFFSET_MAX = 16 * 3600, CHANGE_MAX = 26 * 3600 };

static const char tzdata [] = "/usr/share/zoneinfo";

struct zone {
    GTimeZone *zone;
};

/* -- names ------------------------------------------------------------------------------------------------------ */

static bool is_name (const char *name)
{
    static const char letters [] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/";
    size_t size = strlen (name);
    return size > 0 && size < ZONE_NAME_MAX && strspn (name, letters) == size && name [0] != '/' && !strstr (name, "//");
}

/* right/ counts leap seconds, which the farm's clock does not. */
static bool is_zone_file (const char *name)
{
    char path [sizeof tzdata + ZONE_NAME_MAX + 1], magic [4] = "";
    if (strncmp (name, "right/", 6) == 0)
        return false;
    snprintf (path, sizeof path, "%s/%s", tzdata, name);
    AUTO_CLOSE int file = open (path, O_RDONLY | O_CLOEXEC);
    return file >= 0 && read (file, magic, sizeof magic) == sizeof magic && memcmp (magic, "TZif", 4) == 0;
}

int zone_new (zone_t **out, const char *name, err_t *err)
{
    GTimeZone *zone = is_name (name) && is_zone_file (name) ? g_time_zone_new_identifier (name) : NULL;
    if (!zone)
        return err_set (err, ERR_USAGE, "there is no time zone %.80s%s: take a name of tzdata, as Europe/Berlin or UTC", name,
                        is_zone_file ("UTC") ? "" : " (nor any other: the package tzdata is missing on the coordinator)");
    *out = mem_alloc (sizeof **out);
    (*out)->zone = zone;
    return 0;
}

void zone_destroy (zone_t **self_p)
{
    if (!*self_p)
        return;
    g_time_zone_unref ((*self_p)->zone);
    auto_free (self_p);
}

/* -- offsets ---------------------------------------------------------------------------------------------------- */

int zone_offset (const zone_t *self, int64_t instant)
{
    int interval = g_time_zone_find_interval (self->zone, G_TIME_TYPE_UNIVERSAL, instant);
    return g_time_zone_get_offset (self->zone, interval);
}

/* The first instant in (low, high] whose interval is not low's. */
static int64_t end_of_interval (const zone_t *self, int64_t low, int64_t high)
{
    int interval = g_time_zone_find_interval (self->zone, G_TIME_TYPE_UNIVERSAL, low);
    if (g_time_zone_find_interval (self->zone, G_TIME_TYPE_UNIVERSAL, high) == interval)
        return INT64_MAX;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (g_time_zone_find_interval (self->zone, G_TIME_TYPE_UNIVERSAL, middle) == interval)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* Intervals may differ in their name alone. */
int64_t zone_next_change (const zone_t *self, int64_t after, int64_t until)
{
    int offset = zone_offset (self, after);
    int64_t change = after;
    do
        change = change < until ? end_of_interval (self, change, until) : INT64_MAX;
    while (change != INT64_MAX && zone_offset (self, change) == offset);
    return change;
}

int64_t zone_latest_wall (const zone_t *self, int64_t instant)
{
    int64_t begin = instant - CHANGE_MAX, latest = instant + zone_offset (self, instant);
    for (int64_t change; (change = zone_next_change (self, begin, instant)) != INT64_MAX; begin = change) {
        int64_t before = change + zone_offset (self, begin) - 1;
        latest = before > latest ? before : latest;
    }
    return latest;
}

int64_t zone_first_instant (const zone_t *self, int64_t wall)
{
    int64_t begin = wall - OFFSET_MAX - CHANGE_MAX, until = wall + OFFSET_MAX + CHANGE_MAX;
    for (;;) {
        int64_t end = zone_next_change (self, begin, until), shown = wall - zone_offset (self, begin);
        if (end == INT64_MAX || shown < end)
            return shown > begin ? shown : begin;
        begin = end;
    }
}
