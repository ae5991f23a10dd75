/* fuzz_reach.c - what of a context a Dockerfile can read: paths to ask about in a first line, between blanks; the Dockerfile.
 *
 * covers: common/reach.c common/reach_read.c common/stages.c common/dockerfile.c */
#include <string.h>

#include "common/dockerfile.h"
#include "common/reach.h"
#include "fuzz.h"

/* What is below something that is read is read, and what is above it is at least passed. */
static void check_path (const reach_t *reach, const char *path)
{
    AUTO_FREE char *below = mem_printf ("%s/x", path);
    AUTO_FREE char *above = mem_strdup (path);
    reach_kind kind = reach_path (reach, path);
    reach_follows (reach, path);
    MUST (kind != REACH_WHOLE || reach_path (reach, below) == REACH_WHOLE);
    MUST (kind != REACH_NONE || reach_path (reach, below) == REACH_NONE);
    char *slash = strrchr (above, '/');
    if (!slash || slash == above || slash [-1] == '/')
        return;
    *slash = 0;
    MUST (kind == REACH_NONE || reach_path (reach, above) != REACH_NONE);
}

static bool is_reader (const char *instruction)
{
    char verb [DOCKERFILE_WORD_MAX];
    return dockerfile_next_word (&instruction, verb)
        && (strcasecmp (verb, "copy") == 0 || strcasecmp (verb, "add") == 0 || strcasecmp (verb, "run") == 0);
}

/* The Dockerfile's own instructions are covered, as the builder shows them too. */
static void check_own (const reach_t *reach, const char *text, size_t size)
{
    dockerfile_t file;
    dockerfile_begin (&file, text, size);
    for (const char *instruction; (instruction = dockerfile_next (&file));)
        MUST (!is_reader (instruction) || reach_covers (reach, instruction));
    dockerfile_end (&file);
}

/* The same text gives the same; a comment behind it changes nothing. */
static void check_same (const reach_t *reach, const char *text, size_t size, const json_t *build_args)
{
    AUTO_BUFFER buffer_t longer = { 0 };
    AUTO_BUFFER buffer_t one = { 0 };
    AUTO_BUFFER buffer_t other = { 0 };
    buffer_append (&longer, text, size);
    buffer_text (&longer, "\n# the end\n");
    AUTO (reach) reach_t *again = reach_new ((const char *) longer.data, longer.size, build_args);
    MUST (again);
    reach_write (reach, &one);
    reach_write (again, &other);
    MUST (one.size == other.size && (one.size == 0 || memcmp (one.data, other.data, one.size) == 0));
}

FUZZ_TARGET (reach)
{
    size_t length;
    fuzz_input_t input = { data, size };
    AUTO_JSON json_t *build_args = json_pack ("{s:s, s:s}", "VERSION", "1.4", "FOLDER", "src/main");
    AUTO_FREE char *paths = fuzz_line (&input, NULL);
    AUTO_FREE char *text = fuzz_rest (&input, &length);
    AUTO (reach) reach_t *reach = reach_new (text, length, build_args);
    if (!reach)
        return;
    char *rest = paths;
    for (char *path; (path = strsep (&rest, " "));)
        if (*path)
            check_path (reach, path);
    check_own (reach, text, length);
    check_same (reach, text, length, build_args);
}
