/* test_reach.c - what of a context a Dockerfile can read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/digest.h"
#include "common/mem.h"
#include "common/reach.h"

/* The context: of a row, or this. */
static const char usual [] = "Dockerfile README a a/b a/b/c a/x bin bin/amd64 bin/arm64 lib1.so lib2.so other src src/main.c";

/* What of it is read; a folder that is only led through has a slash. "*" is everything, unasked. */
static const struct {
    const char *what, *text, *context, *expected;
} table [] = {
    /* COPY and ADD */
    { "nothing", "", NULL, "" },
    { "nothing is copied", "FROM scratch\nRUN true\nCMD x\n", NULL, "" },
    { "a file", "FROM x\nCOPY README /\n", NULL, "README" },
    { "a folder, with all below it", "FROM x\nCOPY src /\n", NULL, "src src/main.c" },
    { "a file in a folder", "FROM x\nCOPY a/b/c /\n", NULL, "a/ a/b/ a/b/c" },
    { "a folder in a folder", "FROM x\nCOPY a/b /\n", NULL, "a/ a/b a/b/c" },
    { "several", "FROM x\nCOPY README src/main.c /to/\nCOPY bin /\n", NULL, "README bin bin/amd64 bin/arm64 src/ src/main.c" },
    { "a name is no beginning of another", "FROM x\nCOPY src /\n", "sr src src/a srcs srcs/b src.d", "src src/a" },
    { "ADD", "FROM x\nADD src /\n", NULL, "src src/main.c" },
    { "small letters", "from x\ncopy src /\nadd README /\n", NULL, "README src src/main.c" },
    { "all", "FROM x\nCOPY . .\n", NULL, "*" },
    { "all, otherwise written", "FROM x\nCOPY ./ /a\n", NULL, "*" },
    { "all, as the root", "FROM x\nCOPY / /a\n", NULL, "*" },
    { "all, beside others", "FROM x\nCOPY src . /a/\n", NULL, "*" },
    { "slashes and dots", "FROM x\nCOPY ./src/ /a\nCOPY /a//./b/. /\n", NULL, "a/ a/b a/b/c src src/main.c" },
    { "a way up", "FROM x\nCOPY a/../src /\n", NULL, "*" },
    { "a way out", "FROM x\nCOPY ../src /\n", NULL, "*" },
    { "two dots in a name", "FROM x\nCOPY a..b ..c /\n", "..c ..d a..b b", "..c a..b" },
    { "what is not there", "FROM x\nCOPY nowhere/at/all /\n", NULL, "" },
    { "no destination", "FROM x\nCOPY src\n", NULL, "*" },
    { "no words", "FROM x\nCOPY\n", NULL, "*" },
    { "a URL", "FROM x\nADD https://a.lan/src /\nADD http://a.lan/README src /\n", NULL, "src src/main.c" },
    { "a URL is a name for COPY", "FROM x\nCOPY https://a.lan/x /\n", "https: https:/a.lan https:/a.lan/x y", "https:/ https:/a.lan/ https:/a.lan/x" },
    { "a git repository may be a name too", "FROM x\nADD git@a.lan:src /\n", "git@a.lan:src src", "git@a.lan:src" },
    { "bytes that are no UTF-8", "FROM x\nCOPY \xff\xfe /\n", "\xff\xfe \xff", "\xff\xfe" },

    /* flags */
    { "from a stage", "FROM x AS s\nFROM y\nCOPY --from=s /src /\n", NULL, "" },
    { "from an image", "FROM y\nCOPY --from=img.lan/a:1 src README /\n", NULL, "" },
    { "from a number, behind other flags", "FROM y\nCOPY --chown=1:1 --link --from=0 src /\n", NULL, "" },
    { "from what may be nothing", "FROM y\nCOPY --from=$S src /\n", NULL, "*" },
    { "from what may not be nothing", "FROM y\nCOPY --from=build-$TARGETARCH src /\n", NULL, "" },
    { "from nothing", "FROM y\nCOPY --from= src /\n", NULL, "*" },
    { "owner and mode", "FROM y\nCOPY --chown=\"a b\" --chmod=755 --link=false src /\n", NULL, "src src/main.c" },
    { "ADD with a checksum", "FROM y\nADD --checksum=sha256:00 --keep-git-dir=true README /\n", NULL, "README" },
    { "a flag that copies folders above", "FROM y\nCOPY --parents a/b/c /\n", NULL, "*" },
    { "an unknown flag", "FROM y\nCOPY --new=1 src /\n", NULL, "*" },
    { "a flag behind the first word is a name", "FROM y\nCOPY src --from=x /\n", "--from=x a src", "--from=x src" },

    /* forms */
    { "JSON", "FROM x\nCOPY [\"src\", \"README\", \"/to/\"]\n", NULL, "README src src/main.c" },
    { "JSON with a blank in its destination", "FROM x\nCOPY [\"README\", \"lib1.so\", \"/two words/\"]\n", NULL, "README lib1.so" },
    { "JSON behind a flag", "FROM x\nCOPY --chown=1 [\"src\",\"/\"]\n", NULL, "src src/main.c" },
    { "JSON, not whole: words", "FROM x\nCOPY [\"src\", \"/\"\n", NULL, "*" },
    { "JSON with escapes", "FROM x\nCOPY [\"s\\u0072c\", \"/\"]\n", NULL, "src src/main.c" },
    { "JSON of one", "FROM x\nCOPY [\"src\"]\n", NULL, "*" },
    { "JSON with a number", "FROM x\nCOPY [1, \"/\"]\n", NULL, "*" },
    { "quotes", "FROM x\nCOPY \"src\" /\n", NULL, "src src/main.c" },
    { "quotes around a blank", "FROM x\nCOPY \"a b\" /\n", NULL, "*" },
    { "one quote", "FROM x\nCOPY \"src /\n", NULL, "*" },
    { "other quotes", "FROM x\nCOPY 'src' /\n", NULL, "*" },
    { "an escaped blank", "FROM x\nCOPY a\\ b /\n", NULL, "*" },
    { "lines that go on", "FROM x\nCOPY src \\\n  README \\\n# COPY a /\n\n  /to/\n", NULL, "README src src/main.c" },
    { "a name that goes on", "FROM x\nCOPY sr\\\nc /\n", NULL, "src src/main.c" },
    { "an indented comment between lines", "FROM x\nCOPY src \\\n  # a\n  /to/\n", NULL, "*" },
    { "an indented comment in a RUN", "FROM x\nRUN a && \\\n  # b\n  c\nCOPY src /\n", NULL, "src src/main.c" },
    { "two escapes at the end of a line", "FROM x\nRUN a \\\\\nCOPY . /\n", NULL, "*" },
    { "another escape", "# escape=`\nFROM x\nCOPY src `\n README /\n", NULL, "README src src/main.c" },
    { "another escape, not in the first line", "# syntax=docker/dockerfile:1\n# escape=`\nFROM x\nCOPY src /\n", NULL, "*" },
    { "no directive behind a comment", "# hello\n# escape=`\nFROM x\nCOPY src \\\n /\n", NULL, "src src/main.c" },
    { "Docker's own frontend", "# syntax=docker/dockerfile:1.7-labs\nFROM x\nCOPY src /\n", NULL, "src src/main.c" },
    { "another frontend", "# syntax=a.lan/mine\nFROM x\nCOPY src /\n", NULL, "*" },
    { "carriage returns", "FROM x\r\nCOPY src /\r\n", NULL, "src src/main.c" },
    { "an instruction of the future", "FROM x\nINCLUDE more\nCOPY src /\n", NULL, "*" },
    { "all that is harmless", "FROM x\nCMD a\nENTRYPOINT [\".\"]\nLABEL a=. b=.\nEXPOSE 1\nVOLUME .\nUSER a\nWORKDIR .\nSTOPSIGNAL 9\n"
      "HEALTHCHECK CMD .\nSHELL [\".\"]\nMAINTAINER .\n", NULL, "" },

    /* here-documents */
    { "COPY of a here-document", "FROM x\nCOPY <<EOF /a\n. .\nEOF\nCOPY src /\n", NULL, "src src/main.c" },
    { "a here-document beside a file", "FROM x\nCOPY README <<-\"EOF\" /a/\n.\n\tEOF\n", NULL, "README" },
    { "RUN of a here-document", "FROM x\nRUN <<EOF\nmake\nEOF\n", NULL, "" },
    { "one that old builders would run", "FROM x\nRUN <<EOF\ncopy src /\nEOF\n", NULL, "*" },
    { "one with an odd name", "FROM x\nRUN <<EOF-1\nENV A=a\nEOF-1\n", NULL, "*" },
    { "one that does not end", "FROM x\nRUN cat <<EOF\nCOPY src /\n", NULL, "src src/main.c" },
    { "a here-string", "FROM x\nRUN cat <<<EOF\nCOPY src /\nEOF\n", NULL, "*" },

    /* patterns */
    { "what begins so", "FROM x\nCOPY lib*.so /\n", NULL, "lib1.so lib2.so" },
    { "a pattern in a folder", "FROM x\nCOPY src/*.c /\n", NULL, "src/ src/main.c" },
    { "a pattern for a folder", "FROM x\nCOPY s?c/main.c /\n", NULL, "src src/main.c" },
    { "a pattern that begins with a sign", "FROM x\nCOPY *.so /\n", NULL, "*" },
    { "a class", "FROM x\nCOPY lib[12].so /\n", NULL, "lib1.so lib2.so" },
    { "a pattern that matches nothing", "FROM x\nCOPY src/*.none zzz* /\n", NULL, "src/ src/main.c" },

    /* variables */
    { "an unknown variable", "FROM x\nCOPY $A /\n", NULL, "*" },
    { "ENV of the stage", "FROM scratch\nENV A=src\nCOPY $A/main.c /\n", NULL, "src/ src/main.c" },
    { "ENV with braces and quotes", "FROM scratch\nENV A=\"src\" B=1\nCOPY ${A} lib$B.so /\n", NULL, "lib1.so src src/main.c" },
    { "ENV of an ENV", "FROM scratch\nENV A=src\nENV B=$A/main.c\nCOPY $B /\n", NULL, "src/ src/main.c" },
    { "ENV of the same line sees the one before", "FROM scratch\nENV A=src\nENV A=a B=$A\nCOPY $B /\n", NULL, "src src/main.c" },
    { "ENV without '='", "FROM scratch\nENV A src\nCOPY $A /\n", NULL, "*" },
    { "ENV of something unknown", "FROM scratch\nENV A=src\nENV A=$B\nCOPY $A /\n", NULL, "*" },
    { "ENV that is set anew", "FROM scratch\nENV A=src\nCOPY $A /\nENV A=a\nCOPY $A/x /\n", NULL, "a/ a/x src src/main.c" },
    { "ENV with escapes", "FROM scratch\nENV A=s\\rc\nCOPY $A /\n", NULL, "*" },
    { "ENV with blanks", "FROM scratch\nENV A=\"src README\"\nCOPY $A /\n", NULL, "*" },
    { "ENV with a way up", "FROM scratch\nENV A=..\nCOPY a/$A/src /\n", NULL, "*" },
    { "ENV that a build argument names too", "FROM scratch\nENV GIVEN=src\nCOPY $GIVEN /\n", NULL, "*" },
    { "ENV of the stage below", "FROM scratch AS one\nENV A=src\nFROM One AS two\nFROM two\nCOPY $A /\n", NULL, "src src/main.c" },
    { "ENV above a base image, whose triggers may read something else", "FROM x\nENV A=src\nCOPY $A /\n", NULL, "*" },
    { "a base image of another stage, earlier", "FROM x\nFROM scratch\nENV A=src\nCOPY $A /\n", NULL, "*" },
    { "a base image of another stage, later", "FROM scratch\nENV A=src\nCOPY $A /\nFROM x\n", NULL, "*" },
    { "a base image whose name may be anything", "FROM $X\nENV A=src\nCOPY ${A}* /\n", NULL, "*" },
    { "a base image that nothing stands on", "FROM scratch\nENV A=src\nCOPY --from=x /a /\nCOPY $A /\n", NULL, "src src/main.c" },
    { "ENV of another stage", "FROM scratch AS one\nENV A=src\nFROM scratch\nCOPY $A /\n", NULL, "*" },
    { "ENV of a stage that goes on later", "FROM scratch AS one\nFROM one\nENV A=src\nFROM one\nCOPY $A /\n", NULL, "*" },
    { "ARG above a base image, which may set it", "FROM x\nARG A=src\nCOPY $A /\n", NULL, "*" },
    { "a build argument above a base image", "FROM x\nARG GIVEN\nCOPY $GIVEN /\n", NULL, "*" },
    { "ARG above nothing", "FROM scratch\nARG A=src\nCOPY $A /\n", NULL, "src src/main.c" },
    { "a build argument above nothing", "FROM scratch\nARG GIVEN=src\nCOPY $GIVEN /\n", NULL, "README" },
    { "a build argument without ARG", "FROM scratch\nCOPY $GIVEN /\n", NULL, "*" },
    { "ARG without a value", "FROM scratch\nARG A\nCOPY $A /\n", NULL, "*" },
    { "ARG of the whole file", "ARG A=src\nFROM scratch\nARG A\nCOPY $A /\n", NULL, "src src/main.c" },
    { "ARG of the whole file, not of the stage", "ARG A=src\nFROM scratch\nCOPY $A /\n", NULL, "*" },
    { "ARG of the stage below", "FROM scratch AS one\nARG A=src\nFROM one\nCOPY $A /\n", NULL, "*" },
    { "ENV goes before ARG", "FROM scratch\nENV A=src\nARG A=a\nCOPY $A /\n", NULL, "src src/main.c" },
    { "one ARG may see the other of its line", "FROM scratch\nARG A=src B=$A\nCOPY $B /\n", NULL, "*" },
    { "the platform of the build, above nothing", "FROM scratch\nARG TARGETARCH\nCOPY bin/$TARGETARCH /\n", NULL, "bin/ bin/amd64 bin/arm64" },
    { "the platform of the build, above an image", "FROM x\nARG TARGETARCH\nCOPY bin/$TARGETARCH /\n", NULL, "*" },
    { "the platform with a default", "FROM scratch\nARG TARGETARCH=amd64\nCOPY bin/$TARGETARCH /\n", NULL, "*" },
    { "a variant, which may be empty", "FROM scratch\nARG TARGETVARIANT\nCOPY bin/$TARGETVARIANT /\n", NULL, "*" },
    { "another value", "FROM scratch\nENV A=\nCOPY ${A:-src} /\n", NULL, "src src/main.c" },
    { "another value of an unknown one", "FROM scratch\nCOPY ${A:-src} /\n", NULL, "*" },
    { "value instead", "FROM scratch\nENV A=1\nCOPY ${A:+src} /\n", NULL, "src src/main.c" },
    { "a form that is not everywhere", "FROM scratch\nENV A=src.c\nCOPY ${A%.c} /\n", NULL, "*" },
    { "an empty variable", "FROM scratch\nENV A=\"\"\nCOPY $A /\n", NULL, "*" },
    { "a variable in JSON", "FROM scratch\nENV A=src\nCOPY [\"$A\", \"/\"]\n", NULL, "src src/main.c" },
    { "a variable in what is not read", "FROM $X\nARG A\nRUN echo $A\nCOPY --from=x $A /\nCOPY README $A\n", NULL, "README" },
    { "two stages of one name", "FROM scratch AS s\nENV A=src\nFROM scratch AS s\nFROM s\nCOPY $A /\n", NULL, "*" },

    /* mounts */
    { "a mount of all", "FROM x\nRUN --mount=type=bind,target=/a make\n", NULL, "*" },
    { "a mount without a type", "FROM x\nRUN --mount=target=. make\n", NULL, "*" },
    { "a mount of a folder", "FROM x\nRUN --mount=type=bind,source=src,target=/a,ro make\n", NULL, "src src/main.c" },
    { "a mount of a file", "FROM x\nRUN --network=none --mount=src=a/x,target=/a --mount=source=README,target=/b make\n", NULL, "README a/ a/x" },
    { "a mount from elsewhere", "FROM x\nRUN --mount=type=bind,from=b.lan/x,source=src,target=/a make\n", NULL, "" },
    { "a mount of no files", "FROM x\nRUN --mount=type=cache,target=$HOME/x --mount=type=secret,id=a --mount=type=ssh --mount=type=tmpfs,target=/t x\n", NULL, "" },
    { "a mount with a variable", "FROM x\nRUN --mount=source=$A,target=/a make\n", NULL, "*" },
    { "a mount with quotes", "FROM x\nRUN --mount=\"source=src,target=/a\" make\n", NULL, "*" },
    { "a mount of a new type", "FROM x\nRUN --mount=type=new,source=src make\n", NULL, "*" },
    { "a mount with two sources", "FROM x\nRUN --mount=source=src,src=a,target=/a make\n", NULL, "*" },
    { "what only looks like a mount", "FROM x\nRUN make --mount=target=/a\n", NULL, "" },

    /* triggers */
    { "a trigger", "FROM x\nONBUILD COPY src /\nONBUILD RUN make $A\nONBUILD WORKDIR /\n", NULL, "src src/main.c" },
    { "a trigger that reads all", "FROM x\nONBUILD ADD . /\n", NULL, "*" },
    { "a trigger with a variable", "FROM x\nENV A=src\nONBUILD COPY $A /\n", NULL, "*" },
    { "a trigger that sets one", "FROM x\nONBUILD ENV A=src\n", NULL, "*" },
    { "all stages count", "FROM x AS a\nCOPY src /\nFROM y AS b\nCOPY README /\nFROM a\n", NULL, "README src src/main.c" },
};

static reach_t *reach_of (const char *text, size_t size)
{
    json_t *arguments = json_pack ("{s:s}", "GIVEN", "README");
    char *exact = memcpy (mem_alloc (size + 1), text, size);         /* of its size, for the sanitizer */
    exact = mem_resize (exact, size ? size : 1);
    reach_t *self = reach_new (exact, size, arguments);
    free (exact);
    json_decref (arguments);
    return self;
}

static void list (const reach_t *reach, const char *context, buffer_t *out)
{
    AUTO_FREE char *names = mem_strdup (context);
    char *rest = names;
    buffer_text (out, reach ? "" : "*");
    for (char *name = strsep (&rest, " "); reach && name; name = strsep (&rest, " ")) {
        reach_kind kind = reach_path (reach, name);
        if (kind != REACH_NONE)
            buffer_printf (out, "%s%s%s", out->size ? " " : "", name, kind == REACH_PASSAGE ? "/" : "");
    }
}

static void the_table_holds (void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        AUTO_BUFFER buffer_t found = { 0 };
        AUTO (reach) reach_t *reach = reach_of (table [i].text, strlen (table [i].text));
        list (reach, table [i].context ? table [i].context : usual, &found);
        if (strcmp ((char *) found.data, table [i].expected) != 0)
            fail_msg ("%s: found \"%s\", expected \"%s\"", table [i].what, (char *) found.data, table [i].expected);
    }
}

static bool follows (const char *text, const char *path)
{
    AUTO (reach) reach_t *reach = reach_of (text, strlen (text));
    assert_non_null (reach);
    return reach_follows (reach, path);
}

static void links_on_the_way_are_followed (void **state)
{
    (void) state;
    assert_true (follows ("FROM x\nCOPY a/b/c /", "a"));
    assert_true (follows ("FROM x\nCOPY a/b/c /", "a/b"));
    assert_true (follows ("FROM x\nCOPY a/b/c /", "a/b/c"));
    assert_false (follows ("FROM x\nCOPY a/b /", "a/b/c"));
    assert_false (follows ("FROM x\nCOPY a/b /", "b"));
    assert_true (follows ("FROM x\nCOPY a* /", "a1"));
    assert_false (follows ("FROM x\nCOPY a* /", "a1/b"));
    assert_true (follows ("FROM x\nCOPY a*/b /", "a1/b"));
    assert_false (follows ("FROM x\nCOPY a*/b /", "a1/b/c"));
    assert_true (follows ("FROM x\nCOPY a*/b /", "a1"));
    assert_true (follows ("FROM x\nCOPY a/** /", "a/b/c/d"));
    assert_true (follows ("FROM x\nCOPY a a/b /c/", "a/b"));
    assert_true (follows ("FROM scratch\nARG TARGETPLATFORM\nCOPY bin/$TARGETPLATFORM/x /", "bin/linux/arm64/x"));
}

/* The steps that a builder shows: the Dockerfile's own, and a base image's triggers. */
static void triggers_of_a_base_image_are_seen (void **state)
{
    (void) state;
    const char text [] = "FROM x\nCOPY   src\\\n  $A/\nCOPY [\"lib1.so\", \"/two words\"]\nRUN --mount=source=a,target=/a \\\n # x\n make\nADD bin* /\n";
    AUTO (reach) reach_t *reach = reach_of (text, strlen (text));
    assert_non_null (reach);
    static const char *const covered [] = { "FROM x", "ENV A=src", "COPY src  $A/", "COPY [\"lib1.so\", \"/two words\"]", "RUN --mount=source=a,target=/a make",
                                            "RUN make", "COPY lib1.so a /else", "ADD https://a.lan/x /", "COPY --from=y . /", "WORKDIR /x", "" };
    static const char *const others [] = { "COPY . /", "COPY src/main.c /", "COPY src $A /", "COPY $B /", "COPY a/b /", "COPY lib1* /", "ADD README /",
                                           "RUN --mount=target=/x make", "copy lib1.so lib2.so /", "COPY" };
    for (size_t i = 0; i < sizeof covered / sizeof *covered; i++)
        if (!reach_covers (reach, covered [i]))
            fail_msg ("%s is not covered", covered [i]);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (reach_covers (reach, others [i]))
            fail_msg ("%s is covered", others [i]);
}

/* Else a build with Latin-1 in its Dockerfile would fail, as if its own step were a trigger. */
static void own_steps_need_not_be_utf_8 (void **state)
{
    (void) state;
    const char text [] = "FROM scratch\nARG A=src\nCOPY $A/gr\xfc\xdf" "e /\n";
    AUTO (reach) reach_t *reach = reach_of (text, strlen (text));
    assert_non_null (reach);
    assert_true (reach_covers (reach, "COPY $A/gr\xfc\xdf" "e /"));
}

static void the_same_reach_is_the_same_bytes (void **state)
{
    (void) state;
    static const char *const texts [] = { "FROM x\nCOPY b a /\nCOPY a* /", "FROM y\nRUN x\nCOPY a* /\nADD ./a b//. /", "FROM x\nCOPY a b /" };
    digest_t digests [3];
    for (int i = 0; i < 3; i++) {
        AUTO_BUFFER buffer_t bytes = { 0 };
        AUTO (reach) reach_t *reach = reach_of (texts [i], strlen (texts [i]));
        reach_write (reach, &bytes);
        digests [i] = digest_of (bytes.data, bytes.size);
    }
    assert_true (digest_equal (&digests [0], &digests [1]));
    assert_false (digest_equal (&digests [0], &digests [2]));
}

/* -- anything ------------------------------------------------------------------------------------------------------ */

static void a_text_that_breaks_off_does_no_harm (void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (size_t size = 0; size <= strlen (table [i].text); size++) {
            AUTO (reach) reach_t *reach = reach_of (table [i].text, size);
            (void) reach;
        }
}

static unsigned seed;

static unsigned below (unsigned limit)
{
    seed = seed * 1103515245 + 12345;
    return (seed >> 8) % limit;
}

/* Pieces of Dockerfiles, and bytes, in any order. Whatever comes out, the answers hang together. */
static void anything_does_no_harm (void **state)
{
    (void) state;
    static const char *const pieces [] = { "FROM ", "scratch", " AS s", "\nCOPY ", "\nADD ", "\nRUN ", "\nENV ", "\nARG ", "\nONBUILD ", "--from=", "--mount=",
                                           "source=", "A", "=", "$A", "${A", ":-", "}", "src", "/", "*", "..", ".", "[", "\"", "'", "\\\n", "\n", " ", "<<EOF",
                                           "\nEOF\n", "#", "# escape=`\n", ",", "]", "\xff" };
    for (seed = 1; seed < 20000000; seed += 1000) {
        AUTO_BUFFER buffer_t text = { 0 };
        AUTO_BUFFER buffer_t out = { 0 };
        unsigned start = seed;
        for (unsigned i = below (40); i > 0; i--)
            buffer_text (&text, pieces [below (sizeof pieces / sizeof *pieces)]);
        if (text.size && below (4) == 0)
            text.data [below ((unsigned) text.size)] = (uint8_t) below (256);
        AUTO (reach) reach_t *reach = reach_of (text.data ? (char *) text.data : "", text.size);
        list (reach, usual, &out);
        if (reach && !reach_covers (reach, "RUN true"))
            fail_msg ("seed %u", start);
        seed = start;
    }
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (the_table_holds),
        cmocka_unit_test (links_on_the_way_are_followed),
        cmocka_unit_test (triggers_of_a_base_image_are_seen),
        cmocka_unit_test (own_steps_need_not_be_utf_8),
        cmocka_unit_test (the_same_reach_is_the_same_bytes),
        cmocka_unit_test (a_text_that_breaks_off_does_no_harm),
        cmocka_unit_test (anything_does_no_harm),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
