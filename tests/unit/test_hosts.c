/* test_hosts.c - the registries that a Dockerfile names are found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "worker/hosts.h"

static const struct {
    const char *what, *text, *hosts;
} table [] = {
    { "a short name is docker.io's", "FROM alpine\n", "docker.io" },
    { "a host with port", "FROM registry.lan:5000/team/base:1\nRUN true", "registry.lan:5000" },
    { "localhost is a host", "from localhost/base", "localhost" },
    { "a digest", "FROM r.lan/base@sha256:0123456789012345678901234567890123456789012345678901234567890123", "r.lan" },
    { "scratch is no image", "FROM scratch\nCOPY a /a", "" },
    { "nothing in nothing", "", "" },
    { "each once, in their order", "FROM b.lan/x\nFROM a.lan/x\nFROM b.lan/y", "b.lan a.lan" },
    { "a stage is no image", "FROM a.lan/x AS build\nFROM build\nFROM Build AS two\nCOPY --from=build /a /b", "a.lan" },
    { "COPY --from an image", "FROM a.lan/x\nCOPY --chown=1:1 --from=b.lan/y:1 /a /b", "a.lan b.lan" },
    { "COPY --from a number", "FROM a.lan/x\nFROM b.lan/x\nCOPY --from=0 /a /b", "a.lan b.lan" },
    { "the name of a copied file is no option", "FROM a.lan/x\nCOPY x --from=b.lan/y /a", "a.lan" },
    { "RUN --mount from an image", "FROM a.lan/x\nRUN --network=none --mount=type=bind,from=b.lan/y,target=/y true", "a.lan b.lan" },
    { "RUN --mount in quotes", "FROM a.lan/x\nRUN --mount=\"from=b.lan/y,target=/y\" true", "a.lan b.lan" },
    { "RUN --mount from a stage", "FROM a.lan/x AS s\nRUN --mount=from=s,target=/y true", "a.lan" },
    { "--platform goes before the image", "FROM --platform=$BUILDPLATFORM a.lan/x AS y", "a.lan" },
    { "ARG with a default", "ARG R=a.lan\nFROM $R/x", "a.lan" },
    { "ARG with braces and quotes", "ARG R=\"a.lan:5000\"\nFROM ${R}/x", "a.lan:5000" },
    { "several in an ARG, one of another", "ARG H=a P=5000 R=$H.lan:$P\nFROM $R/x", "a.lan:5000" },
    { "a build argument goes before the default", "ARG GIVEN=a.lan\nFROM $GIVEN/x", "given.lan" },
    { "a build argument without default", "ARG GIVEN\nFROM ${GIVEN}/x", "given.lan" },
    { "a build argument without ARG is unknown", "FROM a.lan/$GIVEN", "a.lan" },
    { "other value", "FROM ${NONE:-a.lan}/x", "a.lan" },
    { "other value of a set one", "ARG R=a.lan\nFROM ${R:-b.lan}/x", "a.lan" },
    { "value instead", "ARG R=1\nFROM ${R:+a.lan/}x", "a.lan" },
    { "value instead of nothing", "FROM ${R:+a.lan/}x", "docker.io" },
    { "a variable in a default", "ARG H=a.lan\nFROM ${NONE:-$H}/x", "a.lan" },
    { "nested braces", "ARG H=a.lan\nFROM ${NONE:-${H}}/x", "a.lan" },
    { "the builder's own variables", "FROM a.lan/base-$TARGETARCH/$TARGETVARIANT", "a.lan" },
    { "braces that do not end", "FROM ${R", "" },
    { "a lone dollar", "FROM $", "" },
    { "a continued line", "FROM \\\n  a.lan/x \\\n  AS y\nFROM y", "a.lan" },
    { "a word in two lines", "FROM a.la\\\nn/x", "a.lan" },
    { "comments between continued lines", "FROM \\\n# FROM b.lan/x\n\n  a.lan/x", "a.lan" },
    { "comments", "# FROM b.lan/x\n  # FROM c.lan/x\nFROM a.lan/x", "a.lan" },
    { "another escape character", "# escape=`\nFROM `\n a.lan/x\nRUN dir c:\\\nFROM b.lan/x", "a.lan b.lan" },
    { "directives in any order", "#syntax=docker/dockerfile:1\n# Escape = `\nFROM `\n a.lan/x", "a.lan" },
    { "no directive after a comment", "# hello\n# escape=`\nFROM \\\n a.lan/x", "a.lan" },
    { "carriage returns", "FROM a.lan/x\r\nFROM \\\r\n b.lan/x\r\n", "a.lan b.lan" },
    { "a byte-order mark", "\xef\xbb\xbf" "FROM a.lan/x", "a.lan" },
    { "a here-document", "FROM a.lan/x\nRUN <<EOF\nFROM b.lan/x\nEOF\nFROM c.lan/x", "a.lan c.lan" },
    { "a here-document with tabs and quotes", "FROM a.lan/x\nCOPY <<-\"E\" /x\n\tFROM b.lan/x\n\tE\nFROM c.lan/x", "a.lan c.lan" },
    { "two here-documents", "FROM a.lan/x\nCOPY <<A <<B /x\nFROM b.lan/x\nA\nFROM d.lan/x\nB\nFROM c.lan/x", "a.lan c.lan" },
    { "a shift is no here-document", "FROM a.lan/x\nRUN echo $((1<<X))\nFROM b.lan/x", "a.lan b.lan" },
    { "an upper-case repository is left out", "FROM a.lan/Bad\nFROM b.lan/x", "b.lan" },
    { "no image", "FROM\nFROM --platform=x\nFROM b.lan/x", "b.lan" },
    { "an unknown instruction", "FORM a.lan/x\nFROM b.lan/x", "b.lan" },
};

static void assert_hosts (const char *what, const char *text, size_t size, const char *expected)
{
    hosts_t hosts;
    json_t *arguments = json_pack ("{s:s}", "GIVEN", "given.lan");
    char *copy = mem_alloc (size + 1), found [512] = "";
    memcpy (copy, text, size);          /* of exactly its size, for the sanitizer */
    char *exact = mem_resize (copy, size ? size : 1);
    hosts_find (exact, size, arguments, &hosts);
    for (int i = 0; i < hosts.count; i++)
        snprintf (found + strlen (found), sizeof found - strlen (found), "%s%s", i ? " " : "", hosts.names [i]);
    free (exact);
    json_decref (arguments);
    if (strcmp (found, expected) != 0)
        fail_msg ("%s: found \"%s\", expected \"%s\"", what, found, expected);
}

static void hosts_of_the_table_are_found (void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_hosts (table [i].what, table [i].text, strlen (table [i].text), table [i].hosts);
}

static void names_without_a_host_are_found (void **state)
{
    (void) state;
    hosts_t hosts;
    const char text [] = "FROM alpine:3\nFROM alpine\nFROM team/app@sha256:0123456789012345678901234567890123456789012345678901234567890123\n"
        "FROM docker.io/library/fedora\nFROM docker.io/debian\nFROM a.lan/b\nFROM library/redis\n";
    hosts_find (text, strlen (text), NULL, &hosts);
    assert_int_equal (hosts.short_name_count, 3);
    assert_string_equal (hosts.short_names [0], "alpine");
    assert_string_equal (hosts.short_names [1], "team/app");
    assert_string_equal (hosts.short_names [2], "library/redis");
}

/* What the door lets through: repositories, and a whole registry where the builder alone knows the name. */
static void repositories_are_found (void **state)
{
    (void) state;
    static hosts_t hosts;
    AUTO_BUFFER buffer_t found = { 0 };
    const char text [] = "ARG R=r.lan:5000\nFROM alpine:3 AS base\nFROM $R/team/base@sha256:0123456789012345678901234567890123456789012345678901234567890123\n"
        "FROM base\nCOPY --from=r.lan:5000/team/base:2 /a /b\nRUN --mount=from=a.lan/tools,target=/t true\nFROM b.lan/base-$TARGETARCH\n"
        "FROM ${NONE:-c.lan}/x\nFROM scratch\n";
    hosts_find (text, strlen (text), NULL, &hosts);
    for (int i = 0; i < hosts.image_count; i++)
        buffer_printf (&found, "%s/%s ", hosts.images [i].host, hosts.images [i].path);
    assert_string_equal (found.data, "docker.io/library/alpine r.lan:5000/team/base a.lan/tools b.lan/ c.lan/ ");
}

static void steps_that_bind_files_are_found (void **state)
{
    (void) state;
    static hosts_t hosts;
    static const struct { const char *text; bool binds; } rows [] = {
        { "FROM a\nRUN --mount=type=bind,target=/x make", true }, { "FROM a\nRUN --network=none --mount=target=/x,from=b make", true },
        { "FROM a\nRUN --mount=type=cache,target=/x --mount=\"type=bind,target=/y\" make", true }, { "FROM a\nRUN --mount=type=$T,target=/x make", true },
        { "FROM a\nRUN --mount=type=bind,target=/x,type=cache make", true }, { "FROM a\nRUN --mount=type=cachet,target=/x make", true },
        { "FROM a\nRUN --mount=type=cache,target=/x --mount=type=tmpfs,target=/y --mount=type=secret,id=s --mount=type=ssh make", false },
        { "FROM a\nRUN make --mount=type=bind", false }, { "FROM a\nCOPY . /x\nRUN make", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        hosts_find (rows [i].text, strlen (rows [i].text), NULL, &hosts);
        if (hosts.binds != rows [i].binds)
            fail_msg ("%s", rows [i].text);
    }
    AUTO_FREE char *many = mem_alloc (70000), *text = NULL;
    memset (many, 'x', 69999);
    text = mem_printf ("FROM a\nRUN --mount=type=cache,target=/%s make", many);
    hosts_find (text, strlen (text), NULL, &hosts);
    assert_true (hosts.binds);              /* it cannot be told */
}

/* Every beginning of every text, too: nothing is read behind the end. */
static void a_text_that_breaks_off_does_no_harm (void **state)
{
    (void) state;
    hosts_t hosts;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (size_t size = 0; size <= strlen (table [i].text); size++) {
            char *part = mem_strndup (table [i].text, size);
            part = mem_resize (part, size ? size : 1);
            hosts_find (part, size, NULL, &hosts);
            free (part);
        }
}

static void the_list_is_bounded (void **state)
{
    (void) state;
    AUTO_BUFFER buffer_t text = { 0 };
    hosts_t hosts;
    for (int i = 0; i < 1000; i++)
        buffer_printf (&text, "FROM host%d.lan/x AS stage%d\nARG V%d=$V%d$V%d\n", i, i, i + 1, i, i);
    hosts_find ((char *) text.data, text.size, NULL, &hosts);
    assert_int_equal (hosts.count, HOSTS_MAX);
    assert_int_equal (hosts.image_count, IMAGES_MAX);
}

static void bytes_that_are_no_text_do_no_harm (void **state)
{
    (void) state;
    AUTO_BUFFER buffer_t text = { 0 };
    hosts_t hosts;
    buffer_text (&text, "FROM a.lan/x\nFROM ");
    for (int i = 0; i < 4096; i++)
        buffer_append (&text, &(char) { (char) (i * 37) }, 1);
    buffer_text (&text, "\nFROM ");
    for (int i = 0; i < 5000; i++)
        buffer_text (&text, "long");
    hosts_find ((char *) text.data, text.size, NULL, &hosts);
    assert_string_equal (hosts.names [0], "a.lan");
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (hosts_of_the_table_are_found),
        cmocka_unit_test (names_without_a_host_are_found),
        cmocka_unit_test (repositories_are_found),
        cmocka_unit_test (steps_that_bind_files_are_found),
        cmocka_unit_test (a_text_that_breaks_off_does_no_harm),
        cmocka_unit_test (the_list_is_bounded),
        cmocka_unit_test (bytes_that_are_no_text_do_no_harm),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
