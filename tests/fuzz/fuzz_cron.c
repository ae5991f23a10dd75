/* fuzz_cron.c - the times of a schedule, and its zone: three lines, name, times, zone; behind them a time in seconds.
 *
 * covers: coordinator/cron.c coordinator/cron_parse.c coordinator/zone.c */
#include <stdlib.h>

#include "common/mem.h"
#include "coordinator/cron.h"
#include "fuzz.h"

enum { TIMES = 5 };
static const int64_t century_ms = 3155760000000, last_ms = 253402300799000;

/* Each time is behind the one before it; what comes at all comes within some 40 years, as 29 February on a Sunday does. */
static void check (const cron_t *cron, const zone_t *zone, int64_t at_ms)
{
    for (int i = 0; i < TIMES; i++) {
        int64_t next = cron_next (cron, zone, at_ms);
        MUST (next > at_ms && next < at_ms + century_ms);
        MUST (cron_next (cron, zone, next - 1) == next);
        at_ms = next;
    }
}

FUZZ_TARGET (cron)
{
    fuzz_input_t input = { data, size };
    cron_t cron;
    AUTO (zone) zone_t *zone = NULL;
    AUTO_FREE char *name = fuzz_line (&input, NULL), *times = fuzz_line (&input, NULL), *where = fuzz_line (&input, NULL), *from = fuzz_rest (&input, NULL);
    int64_t from_ms = strtoll (from, NULL, 10) % (last_ms / 1000) * 1000;
    if (cron_parse (&cron, times, name, NULL) == 0 && zone_new (&zone, where, NULL) == 0)
        check (&cron, zone, from_ms);
}
