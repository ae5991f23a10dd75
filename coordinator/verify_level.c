/* verify_level.c - see verify_level.h. */
#include "coordinator/verify_level.h"

#include <string.h>

static const char *const levels [] = { "quick", "layers", "deep" };

verify_level verify_level_of (const char *name)
{
    for (int i = VERIFY_DEEP; i > VERIFY_QUICK && name; i--)
        if (strcmp (name, levels [i]) == 0)
            return (verify_level) i;
    return VERIFY_QUICK;
}

const char *verify_level_name (verify_level level)
{
    return levels [level];
}

void verify_level_put (json_t *task, const char *asked, verify_level least)
{
    verify_level level = verify_level_of (asked);
    if (level < least)
        level = least;
    if (level > VERIFY_QUICK)
        json_object_set_new (task, "verify", json_string (levels [level]));
}
