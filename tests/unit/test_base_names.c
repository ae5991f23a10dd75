/* test_base_names.c - the images that a build of a Dockerfile stands on are found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/base_names.h"
#include "common/mem.h"

#define LETTERS "stage-678901234567890123456789012345678901234567890123456789012-4"       /* 64 */

/* Of a job for linux/arm/v7. Behind a name "!" is the last one; before it "?" is a platform that is not known, or another one. */
static const struct {
    const char *what, *text, *target, *found;
} table [] = {
    { "a short name", "FROM alpine\n", NULL, "docker.io/library/alpine:latest!" },
    { "a tag and a host with port", "FROM r.lan:5000/team/base:1\nRUN true", NULL, "r.lan:5000/team/base:1!" },
    { "a digest goes before a tag", "FROM r.lan/x:1@sha256:0123456789012345678901234567890123456789012345678901234567890123", NULL,
      "r.lan/x@sha256:0123456789012345678901234567890123456789012345678901234567890123!" },
    { "one digest by two tags is one image", "FROM r.lan/x:1@sha256:0123456789012345678901234567890123456789012345678901234567890123 AS one\n"
      "FROM r.lan/x:22@sha256:0123456789012345678901234567890123456789012345678901234567890123\nCOPY --from=one /a /a", NULL,
      "r.lan/x@sha256:0123456789012345678901234567890123456789012345678901234567890123!" },
    { "scratch is no image", "FROM scratch\nCOPY a /a", NULL, "" },
    { "nothing in nothing", "", NULL, "" },
    { "no FROM", "RUN true", NULL, "" },
    { "stages are no images", "FROM a.lan/x:1 AS build\nFROM b.lan/x:1\nCOPY --from=build /a /a", NULL, "a.lan/x:1 b.lan/x:1!" },
    { "the last one of a stage that goes on with another", "FROM a.lan/x:1 AS one\nFROM One AS two\nFROM two", NULL, "a.lan/x:1!" },
    { "what only others need is left out", "FROM a.lan/x:1 AS unused\nFROM b.lan/x:1", NULL, "b.lan/x:1!" },
    { "a target by its name", "FROM a.lan/x:1 AS one\nFROM b.lan/x:1 AS two\nFROM c.lan/x:1", "TWO", "b.lan/x:1!" },
    { "a target by its number", "FROM a.lan/x:1\nFROM b.lan/x:1", "0", "a.lan/x:1!" },
    { "a target that is not there", "FROM a.lan/x:1", "none", "" },
    { "a copy from a stage by number", "FROM a.lan/x:1\nFROM b.lan/x:1\nFROM c.lan/x:1\nCOPY --from=1 /a /a", NULL, "b.lan/x:1 c.lan/x:1!" },
    { "a copy from an image", "FROM a.lan/x:1\nCOPY --chown=1 --from=tools.lan/y:2 /a /a", NULL, "a.lan/x:1! tools.lan/y:2" },
    { "an image that is both is the last one too", "FROM a.lan/x:1\nCOPY --from=a.lan/x:1 /a /a", NULL, "a.lan/x:1!" },
    { "a mount from an image", "FROM a.lan/x:1\nRUN --mount=type=bind,from=tools.lan/y,target=/y --network=none true", NULL, "a.lan/x:1! tools.lan/y:latest" },
    { "a mount from a stage", "FROM a.lan/x:1 AS s\nFROM b.lan/x:1\nRUN --mount=from=s,target=/y true", NULL, "a.lan/x:1 b.lan/x:1!" },
    { "a stage's name is not known in its own FROM", "FROM a.lan/x:1 AS x\nFROM docker.io/library/x:1 AS x\nFROM x", NULL, "docker.io/library/x:1!" },
    { "a stage hides an image of its name", "FROM a.lan/x:1 AS alpine\nFROM alpine", NULL, "a.lan/x:1!" },
    { "a default", "ARG V=3.20\nFROM alpine:$V", NULL, "docker.io/library/alpine:3.20!" },
    { "a build argument goes before it", "ARG GIVEN=3.20\nFROM alpine:${GIVEN}", NULL, "docker.io/library/alpine:given!" },
    { "one without ARG does not count", "FROM alpine:$GIVEN", NULL, "" },
    { "a default of another", "ARG R=a.lan B=$R/x\nFROM $B", NULL, "a.lan/x:latest!" },
    { "an ARG of a stage is not one of the next FROM", "ARG V=1\nFROM a.lan/x:$V AS one\nARG V=2\nFROM a.lan/y:$V\nCOPY --from=one /a /a", NULL, "a.lan/x:1 a.lan/y:1!" },
    { "an unknown variable", "FROM a.lan/x:$NONE", NULL, "" },
    { "an unknown variable, and a copy", "FROM a.lan/x:$NONE\nCOPY --from=b.lan/y:1 /a /a", NULL, "b.lan/y:1" },
    { "another value", "FROM a.lan/x:${NONE:-1}", NULL, "" },
    { "another value of one that is set", "ARG V=\nFROM a.lan/x:${V:-1}", NULL, "a.lan/x:1!" },
    { "the job's platform", "FROM a.lan/x-$TARGETARCH:$TARGETVARIANT", NULL, "a.lan/x-arm:v7!" },
    { "a stage by the job's platform", "FROM a.lan/x:1 AS for-amd64\nFROM b.lan/x:1 AS for-arm\nFROM for-$TARGETARCH", NULL, "b.lan/x:1!" },
    { "a platform's variable with a value of its own", "ARG TARGETARCH=amd64\nFROM a.lan/x-$TARGETARCH", NULL, "" },
    { "one that is declared", "ARG TARGETARCH\nFROM a.lan/x-$TARGETARCH", NULL, "a.lan/x-arm:latest!" },
    { "the worker's platform is not known", "FROM a.lan/x-$BUILDARCH", NULL, "" },
    { "for the worker's platform", "FROM --platform=$BUILDPLATFORM a.lan/x:1 AS b\nFROM c.lan/x:1\nCOPY --from=b /a /a", NULL, "?a.lan/x:1 c.lan/x:1!" },
    { "for a platform", "FROM --platform=linux/amd64 a.lan/x:1", NULL, "linux/amd64:a.lan/x:1!" },
    { "for the job's", "FROM --platform=$TARGETPLATFORM a.lan/x:1", NULL, "a.lan/x:1!" },
    { "a variable in --from is the builder's", "ARG V=1\nFROM a.lan/x:1\nCOPY --from=b.lan/y:$V /a /a", NULL, "a.lan/x:1!" },
    { "quotes in a mount are the builder's", "FROM a.lan/x:1\nRUN --mount=\"from=b.lan/y,target=/y\" true", NULL, "a.lan/x:1!" },
    { "from elsewhere", "FROM oci:/x\nCOPY --from=dir:/y /a /a", NULL, "" },
    { "an id of the builder's store", "FROM 0123456789ab", NULL, "" },
    { "no reference", "FROM Upper/x", NULL, "" },
    { "a transport", "FROM docker://a.lan/x:1", NULL, "a.lan/x:1!" },
    { "each once", "FROM a.lan/x:1 AS s\nFROM a.lan/x:1\nCOPY --from=s /a /a", NULL, "a.lan/x:1!" },
    { "a trigger is not this build's", "FROM a.lan/x:1\nONBUILD COPY --from=b.lan/y:1 /a /a", NULL, "a.lan/x:1!" },
    { "a here-document", "FROM a.lan/x:1\nCOPY <<E /f\n--from=b.lan/y:1\nE", NULL, "a.lan/x:1!" },
    { "a here-document that old builders take for instructions", "FROM a.lan/x:1\nRUN <<E\nFROM b.lan/x:1\nE", NULL, "" },
    { "continued lines and comments", "FROM \\\n# no\n  a.lan/x:1 \\\n  AS y\nFROM y", NULL, "a.lan/x:1!" },
    { "another frontend", "# syntax=other/frontend\nFROM a.lan/x:1", NULL, "" },
    { "a long name of a stage", "FROM a.lan/x:1 AS " LETTERS "-567890\nFROM " LETTERS "-567890", NULL, "a.lan/x:1!" },
    { "one that there is no room for", "FROM a.lan/x:1 AS " LETTERS LETTERS "\nFROM " LETTERS LETTERS, NULL, "" },
    { "the same, copied from", "FROM a.lan/x:1 AS " LETTERS LETTERS "\nFROM b.lan/x:1\nCOPY --from=" LETTERS LETTERS " /a /a", NULL, "" },
    { "docker's own", "# syntax=docker/dockerfile:1\nFROM a.lan/x:1", NULL, "a.lan/x:1!" },
};

static void write_name (const base_name_t *name, buffer_t *out)
{
    char text [REFERENCE_MAX];
    reference_format (&name->reference, text);
    const char *platform = !*name->platform ? "?" : strcmp (name->platform, "linux/arm/v7") == 0 ? "" : name->platform;
    buffer_printf (out, "%s%s%s%s%s", out->size ? " " : "", platform, strlen (platform) > 1 ? ":" : "", text, name->is_last ? "!" : "");
}

static void test_names (void **state)
{
    AUTO_JSON json_t *build_args = json_pack ("{s:s}", "GIVEN", "given");
    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        base_names_t names;
        AUTO_BUFFER buffer_t found = { 0 };
        buffer_text (&found, "");
        base_names_find (table [i].text, strlen (table [i].text), build_args, table [i].target, "linux/arm/v7", &names);
        for (size_t j = 0; j < names.count; j++)
            write_name (&names.items [j], &found);
        if (strcmp ((const char *) found.data, table [i].found) != 0)
            fail_msg ("%s: found \"%s\", not \"%s\"", table [i].what, (const char *) found.data, table [i].found);
    }
}

/* More of anything than there is room for is left to the builder. */
static void test_many (void **state)
{
    base_names_t names;
    (void) state;
    AUTO_BUFFER buffer_t stages = { 0 }, copies = { 0 }, images = { 0 };
    for (int i = 0; i < 200; i++)
        buffer_printf (&stages, "FROM a.lan/x:%d\n", i);
    base_names_find ((const char *) stages.data, stages.size, NULL, NULL, "linux/amd64", &names);
    assert_int_equal (names.count, 0);
    buffer_text (&copies, "FROM a.lan/x:1\n");
    for (int i = 0; i < 300; i++)
        buffer_printf (&copies, "COPY --from=b.lan/y:%d /a /a\n", i);
    base_names_find ((const char *) copies.data, copies.size, NULL, NULL, "linux/amd64", &names);
    assert_int_equal (names.count, 0);
    buffer_text (&images, "FROM a.lan/x:1\n");
    for (int i = 0; i < 100; i++)
        buffer_printf (&images, "COPY --from=b.lan/y:%d /a /a\n", i);
    base_names_find ((const char *) images.data, images.size, NULL, NULL, "linux/amd64", &names);
    assert_int_equal (names.count, BASE_NAMES_MAX);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (test_names),
        cmocka_unit_test (test_many),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
