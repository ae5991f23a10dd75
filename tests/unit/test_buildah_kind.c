/* test_buildah_kind.c - what buildah and podman are called with, and the settings that podman is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "worker/buildah_private.h"

typedef struct {
    char folder [64];
    buildah_t builder;
    builder_task_t task;
    buildah_run_t how;
} state_t;

/* A builder whose store lies below a name that TOML would misread, out of a room. */
static int set_up (void **state)
{
    static state_t self;
    strcpy (self.folder, "/tmp/kind.XXXXXX");
    self.builder = (buildah_t) { .program = "/usr/bin/it", .base.storage = "vfs", .runtime = "runc", .state_folder = "/a" };
    self.task = (builder_task_t) { .job = 7, .attempt = 1 };
    self.how = (buildah_run_t) { .task = &self.task, .place = "/a \"b\\c", .scratch_folder = self.folder };
    *state = &self;
    return mkdtemp (self.folder) ? 0 : -1;
}

static int tear_down (void **state)
{
    state_t *self = *state;
    return file_remove_tree (self->folder, NULL);
}

/* Words with one space between them. */
static char *join (const words_t *words)
{
    buffer_t text = { 0 };
    for (size_t i = 0; i < words->count; i++)
        buffer_printf (&text, "%s%s", i ? " " : "", words->items [i]);
    buffer_append (&text, "", 1);
    return (char *) text.data;
}

static char *globals (state_t *self)
{
    AUTO_WORDS words_t words = { 0 };
    self->builder.kind->add_globals (&self->builder, &self->how, &words);
    return join (&words);
}

static void drivers_are_found_by_name (void **state)
{
    (void) state;
    assert_string_equal (buildah_find_kind (NULL)->name, "buildah");
    assert_string_equal (buildah_find_kind ("")->name, "buildah");
    assert_string_equal (buildah_find_kind ("podman")->name, "podman");
    assert_null (buildah_find_kind ("docker"));
    assert_null (buildah_find_kind ("Podman"));
    assert_true (builder_has_driver ("podman"));
    assert_string_equal (builder_packages ("podman"), "podman runc");
}

static void buildah_is_told_its_store_in_words (void **state)
{
    state_t *self = *state;
    self->builder.kind = buildah_find_kind ("buildah");
    AUTO_FREE char *plain = globals (self);
    assert_string_equal (plain, "--root /a \"b\\c/storage-vfs --runroot /a \"b\\c/run --storage-driver vfs");
    self->builder.room.ids = 65536;
    AUTO_FREE char *in_room = globals (self), *wanted = mem_printf ("--root /a \"b\\c/storage-vfs --runroot %s/run --storage-driver vfs", self->folder);
    assert_string_equal (in_room, wanted);
    assert_null (self->builder.kind->write_settings);
}

/* The store's places are in a file; the runtime is behind the guard for an attempt in a room, and for that alone. */
static void podman_is_told_its_runtime_in_words (void **state)
{
    state_t *self = *state;
    self->builder.kind = buildah_find_kind ("podman");
    AUTO_FREE char *plain = globals (self);
    assert_string_equal (plain, "--runtime runc");
    self->builder.room.ids = 65536;
    AUTO_FREE char *in_room = globals (self);
    assert_non_null (strstr (in_room, "--runtime /"));
    self->how.task = NULL;
    AUTO_FREE char *of_store = globals (self);
    assert_string_equal (of_store, "--runtime runc");
    self->builder.runtime = NULL;
    AUTO_FREE char *none = globals (self);
    assert_string_equal (none, "");
}

static void podmans_settings_are_its_attempts_own (void **state)
{
    state_t *self = *state;
    err_t err;
    self->builder.kind = buildah_find_kind ("podman");
    assert_int_equal (self->builder.kind->write_settings (&self->builder, &self->how, &err), 0);
    AUTO_FREE char *storage_file = file_join (self->folder, "podman-storage.conf"), *storage = file_text (storage_file);
    assert_string_equal (storage, "[storage]\ndriver = \"vfs\"\ngraphroot = \"/a \\\"b\\\\c/storage-vfs\"\nrunroot = \"/a \\\"b\\\\c/run\"\n");
    AUTO_FREE char *containers_file = file_join (self->folder, "podman-containers.conf"), *containers = file_text (containers_file);
    AUTO_FREE char *wanted = mem_printf ("[engine]\nstatic_dir = \"%s/libpod-vfs\"\nvolume_path = \"%s/libpod-vfs/volumes\"\ntmp_dir = \"%s/libpod-vfs/tmp\"\n"
                                         "events_logger = \"none\"\nlock_type = \"file\"\ncgroup_manager = \"cgroupfs\"\n", self->folder, self->folder, self->folder);
    assert_string_equal (containers, wanted);
    AUTO_WORDS words_t words = { 0 };
    self->builder.kind->add_environment (&self->builder, &self->how, &words);
    AUTO_FREE char *environment = join (&words), *named = mem_printf ("CONTAINERS_STORAGE_CONF=%s CONTAINERS_CONF=%s", storage_file, containers_file);
    assert_string_equal (environment, named);
}

static void podman_can_be_asked_for_its_version_before_there_is_a_store (void **state)
{
    state_t *self = *state;
    err_t err;
    self->builder.kind = buildah_find_kind ("podman");
    self->builder.base.storage = NULL;
    assert_int_equal (self->builder.kind->write_settings (&self->builder, &self->how, &err), 0);
    AUTO_FREE char *path = file_join (self->folder, "podman-storage.conf"), *storage = file_text (path);
    assert_non_null (strstr (storage, "driver = \"overlay\"\ngraphroot = \"/a \\\"b\\\\c/storage-overlay\"\n"));
}

/* -- marks ------------------------------------------------------------------------------------------------------ */

static void make_container (const state_t *self, const char *id, const char *text)
{
    AUTO_FREE char *folder = mem_printf ("%s/%s/userdata", self->folder, id), *path = file_join (folder, "buildah.json");
    assert_int_equal (file_make_folders (folder, 0700, NULL), 0);
    assert_int_equal (file_write_scratch (path, text, strlen (text), 0600, NULL), 0);
}

/* A Dockerfile knows which numbers come, and its labels stand in the same file. */
static void no_label_marks_a_container_as_anothers (void **state)
{
    state_t *self = *state;
    char mark [BUILDAH_MARK_SIZE], other [BUILDAH_MARK_SIZE];
    self->task.password = "0123456789abcdef0123456789abcdef";
    builder_task_t next = { .job = 8, .attempt = 1, .password = "fedcba9876543210fedcba9876543210" }, again = next;
    again.job = 7;
    buildah_mark (&self->task, mark);
    buildah_mark (&next, other);
    AUTO_FREE char *forged = mem_printf ("{\"type\":\"buildah 0.0.1\",\"docker\":{\"config\":{\"Labels\":{\"m\":\"id=farm-attempt-7-1, id=farm-attempt-7-1-,\"}}},"
                                         "\"CommonBuildOpts\":{\"Secrets\":[\"%ssrc=/s/empty\"]}}", other);
    AUTO_FREE char *own = mem_printf ("{\"type\":\"buildah 0.0.1\",\"CommonBuildOpts\":{\"Secrets\":[\"%ssrc=/s/empty\"]}}", mark);
    make_container (self, "forged", forged);
    make_container (self, "own", own);
    assert_true (buildah_is_marked (self->folder, "own", mark));
    assert_false (buildah_is_marked (self->folder, "own", other));
    assert_true (buildah_is_marked (self->folder, "forged", other));
    assert_false (buildah_is_marked (self->folder, "forged", mark));
    buildah_mark (&again, other);           /* one with the same numbers and another password */
    assert_false (buildah_is_marked (self->folder, "own", other));
    assert_null (strstr (mark, self->task.password));
    self->task.password = NULL;
}

/* A worker was killed while it wrote them. */
static void what_was_half_written_in_a_place_is_swept (void **state)
{
    state_t *self = *state;
    err_t err;
    self->builder.state_folder = self->folder;
    AUTO_FREE char *place = buildah_place (&self->builder, &self->task), *file = file_join (place, "empty"), *kept = file_join (place, "own/kept");
    assert_int_equal (buildah_open_place (&self->builder, place, &self->task, &err), 0);
    AUTO_FREE char *half = file_temporary (file), *other = file_temporary (kept);
    close (mkstemp (half));
    close (mkstemp (other));
    assert_int_equal (buildah_take_over (&self->builder, &err), 0);
    assert_false (file_exists (half));
    assert_false (file_exists (other));
    assert_true (file_exists (file));
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (drivers_are_found_by_name),
        cmocka_unit_test_setup_teardown (buildah_is_told_its_store_in_words, set_up, tear_down),
        cmocka_unit_test_setup_teardown (podman_is_told_its_runtime_in_words, set_up, tear_down),
        cmocka_unit_test_setup_teardown (podmans_settings_are_its_attempts_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown (what_was_half_written_in_a_place_is_swept, set_up, tear_down),
        cmocka_unit_test_setup_teardown (podman_can_be_asked_for_its_version_before_there_is_a_store, set_up, tear_down),
        cmocka_unit_test_setup_teardown (no_label_marks_a_container_as_anothers, set_up, tear_down),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
