/* fuzz_docker_config.c - docker's config.json: the registry that is asked for in a first line. No helper can be found.
 *
 * covers: common/docker_config.c */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/docker_config.h"
#include "common/mem.h"
#include "fuzz.h"

/* It goes into a header: user and password, and nothing that would end the line. */
static void check (const char *authorization)
{
    size_t size = 0;
    AUTO_FREE char *text = mem_alloc (strlen (authorization) + 1);
    MUST (strncmp (authorization, "Basic ", 6) == 0);
    MUST (sodium_base642bin ((uint8_t *) text, strlen (authorization), authorization + 6, strlen (authorization + 6), NULL, &size,
                             NULL, sodium_base64_VARIANT_ORIGINAL) == 0);
    MUST (strlen (text) == size && strchr (text, ':'));
    for (size_t i = 0; i < size; i++)
        MUST ((unsigned char) text [i] >= ' ');
}

FUZZ_TARGET (docker_config)
{
    size_t length;
    err_t err = { 0 };
    char *authorization = NULL;
    fuzz_input_t input = { data, size };
    AUTO_FREE char *host = fuzz_line (&input, NULL);
    AUTO_FREE char *text = fuzz_rest (&input, &length);
    setenv ("PATH", "/nowhere", 1);
    if (docker_config_find (fuzz_file (text, length), host, &authorization, &err) < 0)
        MUST (err.code == ERR_FARM && !authorization);
    else if (authorization)
        check (authorization);
    docker_config_wipe (&authorization);
}
