/* cron.c - see cron.h: when it is due next. cron_parse.c reads the text. */
#include "coordinator/cron.h"

enum { MINUTE = 60, DAY = 86400, DAYS_MAX = 146097 + 366 };       /* the calendar repeats itself after 400 years */

typedef struct { int64_t year; int month, day; } date_t;

/* -- the calendar ----------------------------------------------------------------------------------------------- */

/* Rounded down, also below 0. */
static int64_t divide (int64_t number, int64_t by)
{
    return number / by - (number % by < 0);
}

static bool is_leap (int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_of_month (int64_t year, int month)
{
    static const int days [] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return days [month - 1] + (month == 2 && is_leap (year));
}

static int64_t days_before_year (int64_t year)
{
    int64_t past = year - 1;
    return 365 * past + divide (past, 4) - divide (past, 100) + divide (past, 400) - 719162;
}

/* number: days since 1970. */
static date_t date_of (int64_t number)
{
    date_t date = { .year = 1970 + divide (number, number < 0 ? 365 : 366), .month = 1 };      /* that year, or one before it */
    while (days_before_year (date.year + 1) <= number)
        date.year++;
    int64_t left = number - days_before_year (date.year);
    for (; left >= days_of_month (date.year, date.month); date.month++)
        left -= days_of_month (date.year, date.month);
    date.day = (int) left + 1;
    return date;
}

/* -- which times are meant -------------------------------------------------------------------------------------- */

static bool has (const cron_t *self, cron_field field, int64_t number)
{
    return self->sets [field] >> number & 1;
}

static bool means_day (const cron_t *self, int64_t number)
{
    date_t date = date_of (number);
    int64_t weekday = number + 4 - 7 * divide (number + 4, 7);         /* 1970 began on a Thursday */
    bool is_day = has (self, CRON_DAY, date.day), is_weekday = has (self, CRON_WEEKDAY, weekday);
    return has (self, CRON_MONTH, date.month) && (self->takes_either_day ? is_day || is_weekday : is_day && is_weekday);
}

/* Within a day: the first second at or behind `from` that is meant; -1 for none. */
static int next_in_day (const cron_t *self, int from)
{
    int minute = (from + MINUTE - 1) / MINUTE;
    for (; minute < DAY / MINUTE; minute++)
        if (!has (self, CRON_HOUR, minute / 60))
            minute += 59 - minute % 60;
        else if (has (self, CRON_MINUTE, minute % 60))
            return minute * MINUTE;
    return -1;
}

/* The first wall time at or behind `from` that is meant; INT64_MAX for none. */
static int64_t next_wall (const cron_t *self, int64_t from)
{
    int64_t first = divide (from, DAY);
    for (int64_t day = first; day < first + DAYS_MAX; day++) {
        int second = means_day (self, day) ? next_in_day (self, day == first ? (int) (from - first * DAY) : 0) : -1;
        if (second >= 0)
            return day * DAY + second;
    }
    return INT64_MAX;
}

/* -- when ------------------------------------------------------------------------------------------------------- */

/* Whatever the clock shows at the time. */
static int64_t next_by_real_time (const cron_t *self, const zone_t *zone, int64_t from)
{
    for (;;) {
        int offset = zone_offset (zone, from);
        int64_t wall = next_wall (self, from + offset);
        if (wall == INT64_MAX)
            return INT64_MAX;
        int64_t change = wall - offset > from ? zone_next_change (zone, from, wall - offset) : INT64_MAX;
        if (change == INT64_MAX)
            return wall - offset;
        from = change;
    }
}

/* Each wall time once: when the clock has come to it, or beyond. */
static int64_t next_by_wall_time (const cron_t *self, const zone_t *zone, int64_t after)
{
    int64_t wall = next_wall (self, zone_latest_wall (zone, after) + 1);
    return wall == INT64_MAX ? INT64_MAX : zone_first_instant (zone, wall);
}

int64_t cron_next (const cron_t *self, const zone_t *zone, int64_t after_ms)
{
    int64_t after = divide (after_ms, 1000);
    int64_t next = self->is_hourly ? next_by_real_time (self, zone, after + 1) : next_by_wall_time (self, zone, after);
    return next == INT64_MAX ? INT64_MAX : next * 1000;
}
