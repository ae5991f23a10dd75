/* fuzz_platform.c - names of platforms.
 *
 * covers: common/platform.c */
#include <string.h>

#include "common/mem.h"
#include "common/platform.h"
#include "fuzz.h"

/* Normal once is normal for ever. */
static void check (const platform_t *platform)
{
    err_t err = { 0 };
    platform_t again;
    MUST (platform_from_parts (&again, platform->os, platform->architecture, platform->variant, &err) == 0);
    MUST (platform_equal (platform, &again));
}

static void read_parts (const char *text)
{
    platform_t platform;
    AUTO_FREE char *copy = mem_strdup (text);
    char *rest = copy, *os = strsep (&rest, "/"), *architecture = strsep (&rest, "/");
    if (platform_from_parts (&platform, os, architecture, rest, NULL) == 0)
        check (&platform);
}

FUZZ_TARGET (platform)
{
    err_t err = { 0 };
    platform_t platform, again;
    char name [PLATFORM_MAX], same [PLATFORM_MAX];
    fuzz_input_t input = { data, size };
    AUTO_FREE char *text = fuzz_rest (&input, NULL);
    read_parts (text);
    if (platform_parse (&platform, text, &err) < 0) {
        MUST (err.code == ERR_USAGE);
        return;
    }
    check (&platform);
    platform_format (&platform, name);
    MUST (platform_parse (&again, name, &err) == 0 && platform_equal (&platform, &again));
    platform_format (&again, same);
    MUST (strcmp (name, same) == 0);
}
