/* cron_parse.c - see cron.h: the text of a schedule's times. */
#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"
#include "coordinator/cron.h"

static const char *const months [] = { "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", NULL };
static const char *const weekdays [] = { "sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL };

static const struct {
    const char *name;
    int least, most;
    int hash_most;                  /* of H: each month has 28 days, and Sunday is one day */
    const char *const *names;       /* from least on */
} fields [CRON_FIELDS] = {
    { "minute", 0, 59, 59, NULL },
    { "hour", 0, 23, 23, NULL },
    { "day of the month", 1, 31, 28, NULL },
    { "month", 1, 12, 12, months },
    { "day of the week", 0, 7, 6, weekdays },
};

static const struct { const char *name, *text; } nicknames [] = {
    { "@yearly", "0 0 1 1 *" }, { "@annually", "0 0 1 1 *" }, { "@monthly", "0 0 1 * *" }, { "@weekly", "0 0 * * 0" },
    { "@daily", "0 0 * * *" }, { "@midnight", "0 0 * * *" }, { "@hourly", "0 * * * *" },
};

/* One item of a field's list, as it is read. */
typedef struct {
    cron_field field;
    const char *text;               /* the item, for messages */
    const char *at;                 /* what is yet to be read of it */
    const char *schedule;
} item_t;

static int refuse (const item_t *self, err_t *err, const char *why)
{
    return err_set (err, ERR_USAGE, "%s \"%.60s\": %s", fields [self->field].name, self->text, why);
}

static int refuse_number (const item_t *self, err_t *err)
{
    int least = fields [self->field].least, most = fields [self->field].most;
    const char *const *names = fields [self->field].names;
    AUTO_FREE char *why = mem_printf ("it can be %d to %d%s%s%s%s", least, most, names ? ", or " : "", names ? names [0] : "", names ? " to " : "",
                                      names ? names [names == months ? 11 : 6] : "");
    return refuse (self, err, why);
}

/* -- numbers ---------------------------------------------------------------------------------------------------- */

static int read_name (item_t *self, int *out)
{
    const char *const *names = fields [self->field].names;
    for (int i = 0; names && names [i]; i++)
        if (strncasecmp (self->at, names [i], 3) == 0 && !isalnum ((unsigned char) self->at [3])) {
            *out = fields [self->field].least + i;
            self->at += 3;
            return 0;
        }
    return -1;
}

static int read_digits (item_t *self, int most, int *out)
{
    size_t digits = strspn (self->at, "0123456789");
    if (digits < 1 || digits > 4)
        return -1;
    *out = atoi (self->at);
    self->at += digits;
    return *out <= most ? 0 : -1;
}

static int read_number (item_t *self, int *out, err_t *err)
{
    if (read_name (self, out) == 0)
        return 0;
    if (read_digits (self, fields [self->field].most, out) < 0 || *out < fields [self->field].least)
        return refuse_number (self, err);
    return 0;
}

/* From `-` on. Where Sunday ends a range it is the seventh day: fri-sun. */
static int read_end (item_t *self, int first, int *last, err_t *err)
{
    self->at++;
    if (read_number (self, last, err) < 0)
        return -1;
    if (self->field == CRON_WEEKDAY && *last == 0 && first > 0)
        *last = 7;
    return *last >= first ? 0 : refuse (self, err, "the range ends before it begins");
}

static int read_step (item_t *self, int *step, err_t *err)
{
    *step = 1;
    if (*self->at != '/')
        return 0;
    self->at++;
    if (read_digits (self, 1000, step) < 0 || *step < 1)
        return refuse (self, err, "behind / stands how many to go on by, at least 1");
    return 0;
}

/* -- items ------------------------------------------------------------------------------------------------------ */

static uint64_t hash (const item_t *self)
{
    uint8_t bytes [crypto_generichash_BYTES_MIN];
    uint64_t number = 0;
    AUTO_FREE char *text = mem_printf ("%s/%d", self->schedule, (int) self->field);
    crypto_generichash (bytes, sizeof bytes, (const uint8_t *) text, strlen (text), NULL, 0);
    for (int i = 0; i < 8; i++)
        number = number << 8 | bytes [i];
    return number;
}

/* From "H" on: where it begins, and where it ends. */
static int read_hash (item_t *self, int *first, int *last, int *step, err_t *err)
{
    *first = fields [self->field].least;
    *last = fields [self->field].hash_most;
    self->at++;
    if (*self->at == '(') {
        self->at++;
        if (read_number (self, first, err) < 0)
            return -1;
        if (*self->at != '-')
            return refuse (self, err, "H takes a range, as H(0-29)");
        if (read_end (self, *first, last, err) < 0)
            return -1;
        if (*self->at++ != ')')
            return refuse (self, err, "the range of H has no closing parenthesis");
        if (self->field == CRON_DAY && *last > fields [self->field].hash_most)
            return refuse (self, err, "H is one of the days that each month has, 1 to 28");
    }
    bool has_step = *self->at == '/';
    if (read_step (self, step, err) < 0)
        return -1;
    int width = *last - *first + 1;
    *first += (int) (hash (self) % (uint64_t) (has_step && *step < width ? *step : width));
    if (!has_step)
        *last = *first;
    return 0;
}

static int read_range (item_t *self, int *first, int *last, int *step, err_t *err)
{
    bool is_all = *self->at == '*';
    if (is_all) {
        self->at++;
        *first = fields [self->field].least;
        *last = self->field == CRON_WEEKDAY ? 6 : fields [self->field].most;
    } else if (read_number (self, first, err) < 0)
        return -1;
    else if (*self->at == '-') {
        if (read_end (self, *first, last, err) < 0)
            return -1;
    } else {
        *last = *first;
        if (*self->at == '/')
            return refuse (self, err, "a step stands behind a range or *, as 5-59/15");
    }
    return read_step (self, step, err);
}

static int read_item (item_t *self, uint64_t *set, err_t *err)
{
    int first, last, step;
    int rc = *self->at == 'H' ? read_hash (self, &first, &last, &step, err) : read_range (self, &first, &last, &step, err);
    if (rc < 0)
        return -1;
    if (*self->at)
        return refuse (self, err, "this is no number, range, step or list of them");
    for (int i = first; i <= last; i += step)
        *set |= 1ull << (self->field == CRON_WEEKDAY ? i % 7 : i);
    return 0;
}

static int read_field (cron_t *self, cron_field field, char *text, const char *schedule, err_t *err)
{
    for (char *rest = text, *word; (word = strsep (&rest, ",")); ) {
        item_t item = { .field = field, .text = word, .at = word, .schedule = schedule };
        if (!*word)
            return refuse (&item, err, "there is nothing before or behind a comma");
        if (read_item (&item, &self->sets [field], err) < 0)
            return -1;
    }
    return 0;
}

/* -- all of it -------------------------------------------------------------------------------------------------- */

static const char *find_nickname (const char *text, err_t *err)
{
    if (strcasecmp (text, "@reboot") == 0) {
        err_set (err, ERR_USAGE, "@reboot: a farm's schedule goes by the clock, and the coordinator's starts are no times of it");
        return NULL;
    }
    for (size_t i = 0; i < sizeof nicknames / sizeof *nicknames; i++)
        if (strcasecmp (text, nicknames [i].name) == 0)
            return nicknames [i].text;
    err_set (err, ERR_USAGE, "%.60s is none of @yearly, @annually, @monthly, @weekly, @daily, @midnight and @hourly", text);
    return NULL;
}

static int split (char *text, char *words [CRON_FIELDS], err_t *err)
{
    size_t count = 0;
    for (char *rest = text, *word; (word = strsep (&rest, " \t")); )
        if (*word && count++ < CRON_FIELDS)
            words [count - 1] = word;
    return count == CRON_FIELDS ? 0 : err_set (err, ERR_USAGE, "there are %zu fields, and not five: minute, hour, day of the month, month, day of the week", count);
}

/* A day of the month that some month of it has. */
static bool ever_comes (const cron_t *self)
{
    static const int days [] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    uint64_t left = 0;
    for (int month = 1; month <= 12; month++)
        if (self->sets [CRON_MONTH] >> month & 1)
            left |= self->sets [CRON_DAY] & ((2ull << days [month - 1]) - 1);
    return self->takes_either_day || left;
}

static int parse (cron_t *self, const char *text, const char *name, err_t *err)
{
    AUTO_FREE char *copy = mem_strdup (text);
    char *words [CRON_FIELDS] = { NULL };
    if (split (copy, words, err) < 0)
        return -1;
    self->takes_either_day = *words [CRON_DAY] != '*' && *words [CRON_WEEKDAY] != '*';
    for (int field = 0; field < CRON_FIELDS; field++)
        if (read_field (self, field, words [field], name, err) < 0)
            return -1;
    self->is_hourly = self->sets [CRON_HOUR] == (1ull << 24) - 1;
    return ever_comes (self) ? 0 : err_set (err, ERR_USAGE, "no such day ever comes in the months that it names");
}

int cron_parse (cron_t *out, const char *text, const char *name, err_t *err)
{
    cron_t self = { .is_hourly = false };
    const char *plain = text + strspn (text, " \t");
    if (strlen (text) >= CRON_TEXT_MAX)
        return err_set (err, ERR_USAGE, "the times have %zu characters: %d at most", strlen (text), CRON_TEXT_MAX - 1);
    if (*plain == '@' && !(plain = find_nickname (plain, err)))
        return -1;
    if (parse (&self, plain, name, err) < 0)
        return -1;
    *out = self;
    return 0;
}
