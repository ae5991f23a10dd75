/* test_docker.c - the Dockerfile as docker gets it, and what a user is told of a build that failed, out of what docker build prints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "worker/docker_private.h"
#include "worker/door_names.h"

/* -- Dockerfile -------------------------------------------------------------------------------------------------- */

/* "door/host/path:tag" stands for what the door would be asked by. */
static char *resolve (void *argument, const reference_t *image, err_t *err)
{
    (void) argument;
    if (strcmp (image->path, "library/none") == 0) {
        err_set (err, ERR_BUILD, "there is none");
        return NULL;
    }
    char host [REFERENCE_HOST_MAX + 2];
    door_mask (image->host, host);
    return mem_printf ("d.lan/%s/%s%s%s", host, image->path, *image->digest ? "@" : ":", *image->digest ? image->digest : image->tag);
}

static int copy (const char *text, buffer_t *out, err_t *err)
{
    json_t *build_args = json_pack ("{s:s}", "GIVEN", "lan/given:2");
    docker_names_t names = { build_args, "linux/arm64", "linux/amd64", resolve, NULL };
    json_t *given = json_object ();
    int rc = docker_copy_dockerfile (&names, text, strlen (text), out, given, err);
    json_decref (given);
    buffer_append (out, "", 1);
    json_decref (build_args);
    return rc;
}

typedef struct { const char *text, *copy; } copy_case_t;

static void assert_copies (const copy_case_t *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        AUTO_BUFFER buffer_t out = { 0 };
        err_t err = { 0 };
        assert_int_equal (copy (cases [i].text, &out, &err), 0);
        assert_string_equal ((char *) out.data, cases [i].copy);
    }
}

#define ALPINE "d.lan/docker.io/library/alpine:latest"
#define TEN "aaaaaaaaaa"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define LONG HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED
#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void images_bear_the_doors_name_in_the_copy (void **state)
{
    static const copy_case_t cases [] = {
        { "FROM alpine", "FROM " ALPINE },
        { "FROM alpine\n", "FROM " ALPINE "\n" },
        { "\n# FROM alpine\n\nFROM alpine # alpine\nRUN echo alpine\n", "\n# FROM alpine\n\nFROM " ALPINE " # alpine\nRUN echo alpine\n" },
        { "from from\n", "from d.lan/docker.io/library/from:latest\n" },
        { "FROM --platform=$BUILDPLATFORM alpine AS alpine\n", "FROM --platform=$BUILDPLATFORM " ALPINE " AS alpine\n" },
        { "FROM alpine AS a\nFROM a AS b\nFROM b\n", "FROM " ALPINE " AS a\nFROM a AS b\nFROM b\n" },
        { "FROM scratch\nCOPY a /\n", "FROM scratch\nCOPY a /\n" },
        { "ARG V=3\nFROM alpine:$V\n", "ARG V=3\nFROM d.lan/docker.io/library/alpine:3\n" },
        { "ARG GIVEN=x\nFROM ${GIVEN}\n", "ARG GIVEN=x\nFROM d.lan/docker.io/lan/given:2\n" },
        { "FROM base-$TARGETARCH\nFROM tools-${BUILDARCH}\n", "FROM d.lan/docker.io/library/base-arm64:latest\nFROM d.lan/docker.io/library/tools-amd64:latest\n" },
        { "FROM \\\n  alpine \\\n  AS a\nCOPY --from=a /x /y\n", "FROM \\\n  " ALPINE " \\\n  AS a\nCOPY --from=a /x /y\n" },
        { "FROM alpine\\\n AS a\n", "FROM " ALPINE "\\\n AS a\n" },
        { "FROM \"alpine\"\n", "FROM " ALPINE "\n" },
        { "FROM registry.lan:5000/a@" DIGEST "\n", "FROM d.lan/registry.lan__5000/a@" DIGEST "\n" },
        { "FROM alpine\nCOPY --chown=1 --from=lan.x/tools:1 from=lan.x/tools:1 /b\n", "FROM " ALPINE "\nCOPY --chown=1 --from=d.lan/lan.x/tools:1 from=lan.x/tools:1 /b\n" },
        { "FROM alpine\nCOPY --from=0 /a /b\nCOPY --from=7 /a /b\n", "FROM " ALPINE "\nCOPY --from=0 /a /b\nCOPY --from=7 /a /b\n" },
        { "FROM alpine\nRUN --mount=type=bind,from=lan.x/a,target=/a --mount=from=lan.x/a,target=/b true from=lan.x/a\n",
          "FROM " ALPINE "\nRUN --mount=type=bind,from=d.lan/lan.x/a:latest,target=/a --mount=from=d.lan/lan.x/a:latest,target=/b true from=lan.x/a\n" },
        { "FROM alpine\nRUN --mount=type=bind,\\\n# from=lan.x/b\nfrom=lan.x/a,target=/a true\n", "FROM " ALPINE "\nRUN --mount=type=bind,\\\n# from=lan.x/b\nfrom=d.lan/lan.x/a:latest,target=/a true\n" },
        { "FROM alpine\r\nRUN true\r\n", "FROM " ALPINE "\r\nRUN true\r\n" },
        { "RUN before the first\n", "RUN before the first\n" },
        { "", "" },
    };
    (void) state;
    assert_copies (cases, sizeof cases / sizeof *cases);
}

/* As many lines as before: BuildKit tells errors by the line. */
static void directives_are_written_anew (void **state)
{
    static const copy_case_t cases [] = {
        { "# syntax=docker/dockerfile:1\n# check=skip=all\nFROM alpine\n", "# syntax=d.lan/docker.io/docker/dockerfile:1\n#\nFROM " ALPINE "\n" },
        { "#syntax = docker.io/docker/dockerfile:1.4 \r\nFROM alpine\n", "# syntax=d.lan/docker.io/docker/dockerfile:1.4\nFROM " ALPINE "\n" },
        { "# escape=`\n# syntax=docker/dockerfile\nFROM `\n alpine\n", "# syntax=d.lan/docker.io/docker/dockerfile:latest\n# escape=`\nFROM `\n " ALPINE "\n" },
        { "# unheard=of\n# syntax=lan.x/evil\nFROM alpine\n", "#\n#\nFROM " ALPINE "\n" },
        { "# a comment\n# syntax=lan.x/evil\nFROM alpine\n", "#\n#\nFROM " ALPINE "\n" },
        { "\xef\xbb\xbf# escape=`\nFROM alpine\n", "# escape=`\nFROM " ALPINE "\n" },
        { "\n# syntax=lan.x/evil\nFROM alpine\n", "\n# syntax=lan.x/evil\nFROM " ALPINE "\n" },
        { "# only this", "# only this" },
    };
    (void) state;
    assert_copies (cases, sizeof cases / sizeof *cases);
}

static void images_that_cannot_be_told_are_refused (void **state)
{
    static const struct { const char *text, *says; } cases [] = {
        { "FROM $UNKNOWN\n", "$UNKNOWN: docker gets base images under other names, but this one cannot be told" },
        { "FROM alpine\nCOPY --from=$X /a /b\n", "$X: docker gets base images under other names" },
        { "FROM alp\\\nine\n", "alpine: docker gets base images under other names, but this one does not stand in the Dockerfile in one piece" },
        { "FROM oci-archive:/etc/image.tar\n", "oci-archive:/etc/image.tar: a base image comes from a registry" },
        { "FROM none\n", "there is none" },
        { "# syntax=lan.x/evil\nFROM alpine\n", "lan.x/evil: docker builds with no other frontend than docker/dockerfile" },
        { "# syntax=none\nFROM alpine\n", "none: docker builds with no other frontend" },
        { "# syntax=lan.x/docker/dockerfile:1\nFROM alpine\n", "lan.x/docker/dockerfile:1: docker builds with no other frontend" },
        { "FROM alpine\nRUN --mount=type=bind,\"from=lan.x/a\",target=/m true\n", "--mount=type=bind,\"from=lan.x/a\",target=/m: docker gets base images under other" },
        { "FROM alpine\nRUN cat <<EOF\nFROM lan.x/a\nEOF\n", "the Dockerfile: builders of different age read it differently" },
        { "// syntax=lan.x/evil\nFROM alpine\n", "its first lines: docker may read them as directives" },
        { "{\"syntax\": \"lan.x/evil\"}\nFROM alpine\n", "its first lines: docker may read them as directives" },
        { "FROM alpine\nCOPY --chown=" LONG " --from=lan.x/a /a /b\n", "an option of more than a thousand letters: docker gets" },
    };
    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO_BUFFER buffer_t out = { 0 };
        err_t err = { 0 };
        assert_int_equal (copy (cases [i].text, &out, &err), -1);
        assert_int_equal (err.code, ERR_BUILD);
        assert_ptr_equal (strstr (err.text, cases [i].says), err.text);
    }
}

/* -- words ------------------------------------------------------------------------------------------------------- */

typedef struct {
    door_t *door;
    const char *disk;               /* where the daemon writes */
    char handed_on [8192];
} state_t;

static int make_door (void **state)
{
    static state_t self;
    self.disk = "/";
    registry_settings_t settings = { .timeout_ms = 1000 };
    *state = &self;
    return door_new (&self.door, 0, &settings, NULL, NULL);
}

static int destroy_door (void **state)
{
    state_t *self = *state;
    door_destroy (&self->door);
    return 0;
}

static void on_line (void *argument, char stream, const char *line, size_t size)
{
    state_t *self = argument;
    size_t used = strlen (self->handed_on);
    assert_int_equal (stream, 'o');
    snprintf (self->handed_on + used, sizeof self->handed_on - used, "%.*s\n", (int) size, line);
}

/* Lines, in which DOOR stands for the door, and what becomes of them. */
static void hear (state_t *self, const char *text, const reach_t *reach, int status, builder_outcome_t *outcome, err_t *err)
{
    builder_task_t task = { .context_folder = "/w/attempts/7-1/context", .door = self->door, .on_line = on_line, .argument = self };
    docker_t docker = { .program = "docker", .root_folder = "/" };
    AUTO_FREE docker_words_t *words = mem_alloc (sizeof *words);
    char line [512];
    AUTO_FREE char *name = mem_printf ("127.0.0.1:%d/lan.x__5000/base@" DIGEST, door_port (self->door));
    json_t *given = json_pack ("{s:b}", name, true);
    *words = (docker_words_t) { .task = &task, .given = given, .reach = reach, .disk = { .folders = { self->disk } } };
    self->handed_on [0] = 0;
    for (const char *end; *text; text = end + 1) {
        end = strchr (text, '\n');
        const char *mark = memmem (text, (size_t) (end - text), "DOOR", 4);
        int size = mark ? snprintf (line, sizeof line, "%.*s127.0.0.1:%d%.*s", (int) (mark - text), text, door_port (self->door), (int) (end - mark - 4), mark + 4)
                        : snprintf (line, sizeof line, "%.*s", (int) (end - text), text);
        docker_on_line (words, 'o', line, (size_t) size);
    }
    *outcome = (builder_outcome_t) { 0 };
    assert_int_equal (docker_judge_build (&docker, words, status, outcome, err), -1);
    json_decref (given);
}

static const char failing [] =
    "#3 [internal] load metadata for DOOR/lan.x__5000/base@" DIGEST "\n"
    "#3 " DIGEST "\n"
    "#5 [2/2] RUN make\n"
    "#5 0.342 cc: no such file\n"
    "#5 ERROR: executor failed running [/bin/sh -c make]: exit code: 2\n"
    "------\n"
    " > [2/2] RUN make:\n"
    "#5 0.342 cc: no such file\n"
    "------\n"
    "executor failed running [/bin/sh -c make]: exit code: 2\n";

static void a_failed_step_is_told (void **state)
{
    state_t *self = *state;
    err_t err = { 0 };
    builder_outcome_t outcome;
    hear (self, failing, NULL, 1, &outcome, &err);
    assert_int_equal (err.code, ERR_BUILD);
    assert_string_equal (err.text, "executor failed running [/bin/sh -c make]: exit code: 2; before that: cc: no such file");
    assert_string_equal (outcome.failed_step, "[2/2] RUN make");
    assert_int_equal (outcome.exit_status, 2);
    assert_non_null (strstr (self->handed_on, "#3 [internal] load metadata for lan.x:5000/base@"));
    assert_null (strstr (self->handed_on, "#3 sha256:"));
}

static void errors_are_judged_by_their_words (void **state)
{
    static const struct { const char *lines; err_code code; int status; const char *says; } cases [] = {
        { "ERROR: failed to solve: process \"/bin/sh -c exit 7\" did not complete successfully: exit code: 7\n", ERR_BUILD, 7, "process \"/bin/sh -c exit 7\" did not" },
        { "failed to compute cache key: \"/nofile\" not found: not found\n", ERR_BUILD, 0, "failed to compute cache key: \"/nofile\" not found" },
        { "failed to solve with frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error line 2: unknown instruction: BOGUS\n", ERR_BUILD, 0,
          "dockerfile parse error line 2: unknown instruction: BOGUS" },
        { "Cannot connect to the Docker daemon at unix:///run/docker.sock. Is the docker daemon running?\n", ERR_FARM, 0, "the docker daemon is gone" },
        { "failed to dial gRPC: cannot connect to the Docker daemon. Is 'docker daemon' running on this host?: dial unix /x: no such file\n", ERR_FARM, 0, "the docker daemon is gone" },
        { "#6 [2/2] RUN make\n#6 0.808 cc\nunexpected EOF\n", ERR_FARM, 0, "the docker daemon is gone" },
        { "Cannot connect to the Docker daemon\n\n", ERR_FARM, 0, "the docker daemon is gone" },
        { "Cannot connect to the Docker daemon\n > [2/2] RUN x:\n", ERR_BUILD, 0, "Cannot connect" },
        { "failed to solve: unexpected EOF\n", ERR_BUILD, 0, "unexpected EOF" },
        { "failed to copy: write /var/lib/docker/x: no space left on device\n", ERR_BUILD, 0, "failed to copy: write" },
        { "failed to create LLB definition: x: no space left on device\n", ERR_BUILD, 0, "x: no space" },
        { "executor failed running [/bin/sh -c false\nCannot connect to the Docker daemon]: exit code: 1\n", ERR_BUILD, 0, "Cannot connect" },
        { "#5 [1/2] COPY a\nCannot connect to the Docker daemon\nfailed to compute cache key: a\n", ERR_BUILD, 0, "failed to compute" },
        { "#3 [internal] load metadata for docker.io/library/alpine:latest\n", ERR_REGISTRY_DENIED, 0, "docker.io/library/alpine is no image that the Dockerfile names" },
        { "#3 [internal] load metadata for DOORx/alpine:latest\n", ERR_REGISTRY_DENIED, 0, "127.0.0.1:" },
        { "#3 resolve image config for docker-image://docker.io/docker/dockerfile:1\n", ERR_REGISTRY_DENIED, 0, "docker.io/docker/dockerfile is no image" },
        { "#5 [2/1] COPY --from=lan.x/tools:1 /bin/sh /tool\n", ERR_REGISTRY_DENIED, 0, "lan.x/tools is no image" },
        { "#5 [2/2] RUN --mount=type=bind,from=lan.x/tools,target=/x true\n", ERR_REGISTRY_DENIED, 0, "lan.x/tools is no image" },
        { "#5 0.1 #3 [internal] load metadata for docker.io/library/alpine:latest\n", ERR_BUILD, 0, "docker ended with exit status 1" },
        { "#5 [2/2] COPY --from=tools /a /b\n", ERR_BUILD, 0, "docker ended with exit status 1" },
        { "#5 [2/2] RUN echo from=lan.x/tools:1\n", ERR_BUILD, 0, "docker ended with exit status 1" },
        { "#3 [internal] load metadata for DOOR/lan.x/secret:attempt-7-1\n", ERR_REGISTRY_DENIED, 0, "127.0.0.1:" },
        { "executor failed running [/bin/sh -c false code = Unavailable]: exit code: 1\n", ERR_BUILD, 1, "executor failed" },
        { "executor failed running [/bin/sh -c false : no space left on device]: exit code: 1\n", ERR_BUILD, 1, "executor failed" },
        { "dockerfile parse error line 2: unknown instruction: rpc error: code = Unavailable\n", ERR_BUILD, 0, "dockerfile parse error" },
        { "stat /w/attempts/7-1/context/a: gone\n", ERR_BUILD, 0, "stat context/a: gone" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err_t err = { 0 };
        builder_outcome_t outcome;
        hear (*state, cases [i].lines, NULL, 1, &outcome, &err);
        assert_ptr_equal (strstr (err.text, cases [i].says), err.text);
        assert_int_equal (err.code, cases [i].code);
        assert_int_equal (outcome.exit_status, cases [i].status);
    }
}

/* /proc has no room for anybody. */
static void a_full_disk_is_the_farms_fault (void **state)
{
    state_t *self = *state;
    builder_outcome_t outcome;
    err_t err = { 0 };
    self->disk = "/proc";
    hear (self, "failed to copy: write /var/lib/docker/x: no space left on device\n", NULL, 1, &outcome, &err);
    assert_int_equal (err.code, ERR_FULL);
    assert_ptr_equal (strstr (err.text, "the worker's disk is full below /proc: failed to copy"), err.text);
}

static void a_trigger_that_reads_what_was_left_out_is_refused (void **state)
{
    static const char text [] = "FROM base\nCOPY src /src\n";
    AUTO (reach) reach_t *reach = reach_new (text, sizeof text - 1, NULL);
    builder_outcome_t outcome;
    err_t err = { 0 };
    hear (*state, "#5 [2/3] COPY . /app\n", reach, 1, &outcome, &err);
    assert_int_equal (err.code, ERR_PRUNED);
    hear (*state, "#4 [1/2] FROM DOOR/lan.x/base@" DIGEST "\n#5 [2/2] COPY src /src\n", reach, 1, &outcome, &err);
    assert_int_equal (err.code, ERR_BUILD);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (images_bear_the_doors_name_in_the_copy),
        cmocka_unit_test (directives_are_written_anew),
        cmocka_unit_test (images_that_cannot_be_told_are_refused),
        cmocka_unit_test_setup_teardown (a_failed_step_is_told, make_door, destroy_door),
        cmocka_unit_test_setup_teardown (errors_are_judged_by_their_words, make_door, destroy_door),
        cmocka_unit_test_setup_teardown (a_full_disk_is_the_farms_fault, make_door, destroy_door),
        cmocka_unit_test_setup_teardown (a_trigger_that_reads_what_was_left_out_is_refused, make_door, destroy_door),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
