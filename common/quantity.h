/* quantity.h - sizes, times and parts of cpus as people write them, and back: "512M" of memory, "1h30m", "1.5" cpus. */
#ifndef FARM_QUANTITY_H
#define FARM_QUANTITY_H

#include <stdint.h>

enum { QUANTITY_SIZE = 48 };        /* of a text made here */

/* -1 for what is none, and for what does not fit. */
int quantity_read_bytes (const char *text, int64_t *bytes);         /* "64K", "512M", "2G", "1T" (powers of 1024), "4096" */
int quantity_read_duration (const char *text, int64_t *ms);         /* "90" (seconds), "90s", "30m", "2h", "1d", "1h30m" */
int quantity_read_cpus (const char *text, int64_t *percent);        /* "2" is 200 percent of one cpu, "0.25" is 25 */

/* The shortest that says exactly this (times to the second), and is read as this, but for the word "cpu" or "cpus". Return out. */
const char *quantity_bytes (int64_t bytes, char out [QUANTITY_SIZE]);
const char *quantity_duration (int64_t ms, char out [QUANTITY_SIZE]);
const char *quantity_cpus (int64_t percent, char out [QUANTITY_SIZE]);

#endif
