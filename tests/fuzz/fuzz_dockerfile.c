/* fuzz_dockerfile.c - Dockerfiles as worker and coordinator read them: instructions, words, values, registries, base images.
 *
 * covers: common/dockerfile.c common/base_words.c common/base_names.c worker/hosts.c */
#include <string.h>

#include "common/base_names.h"
#include "common/dockerfile.h"
#include "fuzz.h"
#include "worker/hosts.h"

static void read_words (const dockerfile_t *file, const json_t *variables, const char *instruction)
{
    char word [DOCKERFILE_WORD_MAX];
    const char *at = instruction, *end = instruction + strlen (instruction);
    while (dockerfile_next_word (&at, word)) {
        AUTO_BUFFER buffer_t value = { 0 };
        MUST (at <= end && strlen (word) < sizeof word);
        dockerfile_expand (file, variables, word, &value);
        MUST (strlen ((const char *) value.data) == value.size);
    }
    MUST (at == end);
}

/* No instruction is made of more than there is, and all of them come to an end. */
static void read_file (const char *text, size_t size)
{
    dockerfile_t file;
    size_t total = 0;
    AUTO_JSON json_t *variables = json_pack ("{s:s, s:s, s:s}", "A", "one", "B", "", "C", "$A ${A}");
    dockerfile_begin (&file, text, size);
    for (const char *instruction; (instruction = dockerfile_next (&file));) {
        total += file.instruction.size;
        MUST ((*instruction || file.is_doubtful) && total <= size);     /* a NUL makes it doubtful */
        read_words (&file, variables, instruction);
    }
    dockerfile_end (&file);
}

static void find_hosts (const char *text, size_t size)
{
    static hosts_t hosts;
    reference_t reference;
    AUTO_JSON json_t *build_args = json_pack ("{s:s}", "BASE", "registry.lan:5000/base");
    hosts_find (text, size, build_args, &hosts);
    MUST (hosts.count <= HOSTS_MAX && hosts.short_name_count <= SHORT_NAMES_MAX);
    for (int i = 0; i < hosts.count; i++) {
        AUTO_FREE char *image = mem_printf ("%s/a/b", hosts.names [i]);
        MUST (reference_parse (&reference, image, NULL) == 0 && strcmp (reference.host, hosts.names [i]) == 0);
    }
    MUST (hosts.image_count <= IMAGES_MAX);
    for (int i = 0; i < hosts.image_count; i++) {
        AUTO_FREE char *image = mem_printf ("%s/%s", hosts.images [i].host, *hosts.images [i].path ? hosts.images [i].path : "any");
        MUST (reference_parse (&reference, image, NULL) == 0 && strcmp (reference.host, hosts.images [i].host) == 0);
    }
    for (int i = 0; i < hosts.short_name_count; i++)
        MUST (reference_parse (&reference, hosts.short_names [i], NULL) == 0 && strcmp (reference.host, "docker.io") == 0);
}

/* Whole names, which are read again as they are written. */
static void find_bases (const char *text, size_t size)
{
    static base_names_t names;
    reference_t again;
    platform_t platform;
    char whole [REFERENCE_MAX];
    AUTO_JSON json_t *build_args = json_pack ("{s:s}", "BASE", "registry.lan:5000/base");
    base_names_find (text, size, build_args, NULL, "linux/arm/v7", &names);
    MUST (names.count <= BASE_NAMES_MAX);
    for (size_t i = 0; i < names.count; i++) {
        const base_name_t *name = &names.items [i];
        reference_format (&name->reference, whole);
        MUST (!*name->reference.tag != !*name->reference.digest);
        MUST (reference_parse (&again, whole, NULL) == 0 && memcmp (&again, &name->reference, sizeof again) == 0);
        MUST (!*name->platform || platform_parse (&platform, name->platform, NULL) == 0);
    }
}

FUZZ_TARGET (dockerfile)
{
    find_bases ((const char *) data, size);
    read_file ((const char *) data, size);
    find_hosts ((const char *) data, size);
}
