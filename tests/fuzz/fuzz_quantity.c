/* fuzz_quantity.c - sizes, times and parts of cpus as people write them.
 *
 * covers: common/quantity.c */
#include <string.h>

#include "common/mem.h"
#include "common/quantity.h"
#include "fuzz.h"

typedef int (read_fn) (const char *text, int64_t *value);
typedef const char *(write_fn) (int64_t value, char out [QUANTITY_SIZE]);

/* What is read is not below zero, and written it is read as the same; a time to the second. */
static void check (read_fn *read, write_fn *write, int64_t unit, const char *text)
{
    int64_t value = -1, again = -1;
    char out [QUANTITY_SIZE];
    if (read (text, &value) < 0)
        return;
    write (value, out);
    if (read == quantity_read_cpus)
        out [strcspn (out, " ")] = 0;       /* "1.5 cpus" */
    MUST (value >= 0 && read (out, &again) == 0 && again == value - value % unit);
}

FUZZ_TARGET (quantity)
{
    fuzz_input_t input = { data, size };
    AUTO_FREE char *text = fuzz_rest (&input, NULL);
    check (quantity_read_bytes, quantity_bytes, 1, text);
    check (quantity_read_duration, quantity_duration, 1000, text);
    check (quantity_read_cpus, quantity_cpus, 1, text);
}
