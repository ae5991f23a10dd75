/* cron.h - when a schedule is due: five fields as crontab(5) has them, `@daily` and the like, and `H` as Jenkins has it.
 *
 *     minute 0-59   hour 0-23   day of the month 1-31   month 1-12 or jan-dec   day of the week 0-7 or sun-sat (0 and 7: Sunday)
 *
 * A field is a list of asterisks, numbers, ranges and steps behind one of the former two (1,10-20,30-59/5). Where neither day field begins with
 * an asterisk either is enough. `H` stands for a number that the schedule's name chooses, the same ever after, so that not all are due at
 * once: `H`, `H(a-b)`, `H/n` (each n-th, from one that is chosen), `H(a-b)/n`; of the days of the month only 1 to 28.
 *
 * When clocks are put on or back (cron(8) of Debian): a time that does not exist is due at the jump, once; one that comes twice is due the
 * first time. What is due in each hour goes by real time instead. Where cron looks for an asterisk in the minute or the hour, here all hours
 * have to be meant: a nightly job of every 15 minutes in an hour that does not exist is due once too, and not left out.
 *
 * Pure: no clock, no state. */
#ifndef FARM_CRON_H
#define FARM_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "coordinator/zone.h"

enum { CRON_TEXT_MAX = 256 };

typedef enum { CRON_MINUTE, CRON_HOUR, CRON_DAY, CRON_MONTH, CRON_WEEKDAY, CRON_FIELDS } cron_field;

typedef struct {
    uint64_t sets [CRON_FIELDS];        /* a bit for each number; of the days of the week 0 to 6 */
    bool takes_either_day;              /* the one or the other day field */
    bool is_hourly;                     /* due in each hour: by real time */
} cron_t;

/* name: the schedule's, for `H`. ERR_USAGE, with the field and the word, also for what never comes. */
int cron_parse (cron_t *out, const char *text, const char *name, err_t *err);

/* The first instant behind `after` at which it is due; both in milliseconds since 1970. INT64_MAX: none in the next 400 years. */
int64_t cron_next (const cron_t *self, const zone_t *zone, int64_t after_ms);

#endif
