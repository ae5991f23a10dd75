/* fuzz_source.c - what people write for a context that is fetched, and what .gitmodules says.
 *
 * covers: common/source.c */
#include <string.h>

#include "common/mem.h"
#include "common/source.h"
#include "fuzz.h"

/* Nothing that git, ssh or a shell could take for something else. */
static void check (const source_t *source)
{
    static const char bent [] = " \t\r\n'\"\\$`;|&<>(){}*?";
    MUST (*source->host != '-' && *source->ref != '-' && *source->path != '-' && *source->url != '-');
    MUST (!strpbrk (source->url, bent) && !strpbrk (source->host, bent) && !strpbrk (source->ref, bent));
    MUST (!strstr (source->path, "/../") && strncmp (source->folder, "..", 3) != 0 && *source->folder != '/');
    if (strcmp (source->transport, "file") != 0) {
        MUST (!strstr (source->path, "//") && !strstr (source->path, "/./"));
        MUST (!strcasestr (source->path, "%2e") && !strcasestr (source->path, "%2f") && !strcasestr (source->path, "%5c"));
    }
    if (strcmp (source->transport, "ssh") != 0)
        MUST (!memchr (source->url, '@', strlen (source->url) - strlen (source->path)));
}

static void check_again (const source_t *source)
{
    source_t again;
    AUTO_JSON json_t *json = source_json (source);
    AUTO_FREE char *text = source_text (source);
    MUST (json && source_read (&again, json, NULL) == 0 && memcmp (&again, source, sizeof again) == 0);
    MUST (source_parse (&again, text, NULL) == 0 && memcmp (&again, source, sizeof again) == 0);
}

FUZZ_TARGET (source)
{
    err_t err = { 0 };
    source_t source, module;
    fuzz_input_t input = { data, size };
    AUTO_FREE char *text = fuzz_rest (&input, NULL);
    if (source_parse (&source, text, &err) < 0)
        MUST (err.code == ERR_USAGE);
    else {
        check (&source);
        check_again (&source);
    }
    MUST (source_parse (&source, "https://git.lan/team/app.git", NULL) == 0);
    if (source_of_submodule (&source, text, &module, &err) < 0)
        MUST (err.code == ERR_USAGE);
    else
        check (&module);
}
