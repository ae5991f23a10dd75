/* fuzz_docker_copy.c - Dockerfiles as docker gets them: in the copy, read again, no image is left that does not bear the door's name.
 *
 * covers: worker/docker_dockerfile.c common/base_words.c */
#include <string.h>

#include "fuzz.h"
#include "worker/docker_private.h"

#define DOOR "127.0.0.1:5001/"

static char *resolve (void *argument, const reference_t *image, err_t *err)
{
    int *count = argument;
    (void) err;
    MUST (*image->host && *image->path && (*image->tag || *image->digest));
    return mem_printf (DOOR "image%d", ++*count);
}

static void on_word (void *argument, const base_word_t *word)
{
    reference_t image;
    (void) argument;
    if (word->of == BASE_NO_STAGE && word->name && base_words_image (word->name, &image))
        MUST (strncmp (word->name, DOOR, strlen (DOOR)) == 0);
}

static void read_again (const json_t *build_args, const buffer_t *copy)
{
    AUTO_FREE base_words_t *words = mem_alloc (sizeof *words);
    *words = (base_words_t) { .build_args = build_args, .platform = "linux/arm64", .build_platform = "linux/arm64", .on_word = on_word };
    base_words_read (words, copy->data ? (const char *) copy->data : "", copy->size);
}

static size_t lines (const void *data, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += ((const char *) data) [i] == '\n';
    return count;
}

FUZZ_TARGET (docker_copy)
{
    AUTO_BUFFER buffer_t copy = { 0 };
    AUTO_JSON json_t *build_args = json_pack ("{s:s}", "BASE", "registry.lan:5000/base");
    AUTO_JSON json_t *given = json_object ();
    int count = 0;
    err_t err = { 0 };
    docker_names_t names = { build_args, "linux/arm64", "linux/arm64", resolve, &count };
    AUTO_FREE char *text = mem_strndup ((const char *) data, size);
    size_t length = strlen (text);
    if (docker_copy_dockerfile (&names, text, length, &copy, given, &err) < 0) {
        MUST (err.code == ERR_BUILD);
        return;
    }
    MUST (lines (copy.data, copy.size) == lines (text, length));
    read_again (build_args, &copy);
}
