/* test_runtime_guard.c - which mounts a RUN step may have, by what they really show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "worker/runtime_guard.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* The folder of the test stands for scratch/tmp/b, where buildah binds all sources. Each row is what is mounted there. */
static char folder [] = "/tmp/test-guard.XXXXXX", target [64];

static const struct { const char *what, *mount; int rc; } rows [] = {
    { "the context", "8:1 /state/attempts/7-1/context", 0 },
    { "a folder of it", "8:1 /state/attempts/7-1/context/a/b", 0 },
    { "a file whose name has a space", "8:1 /state/attempts/7-1/context/a\\040b", 0 },
    { "a cache", "8:1 /state/attempts/7-1/scratch/tmp/buildah-cache-0/x", 0 },
    { "another stage", "0:99 /", 0 },
    { "a folder of another stage", "0:99 /usr/lib", 0 },
    { "a volume of its container", "8:1 /state/builder/storage-overlay/overlay-containers/" ID "/userdata/buildah-volumes/x", 0 },
    { "a stage with vfs", "8:1 /state/builder/storage-vfs/vfs/dir/" ID "/usr", 0 },
    { "a secret", "0:60 /vault/7-1/" ID "/npm", 0 },
    { "a secret of another", "0:60 /vault/7-2/" ID "/npm", -1 },
    { "the worker's key, had it a name", "8:1 /state/worker.key", -1 },
    { "the attempts", "8:1 /state/attempts", -1 },
    { "another attempt's context", "8:1 /state/attempts/7-2/context", -1 },
    { "one whose name begins alike", "8:1 /state/attempts/7-1/context2", -1 },
    { "its scratch folder, where the image's id stands", "8:1 /state/attempts/7-1/scratch", -1 },
    { "the note of its mounts", "8:1 /state/attempts/7-1/scratch/run", -1 },
    { "the store", "8:1 /state/builder", -1 },
    { "all layers", "8:1 /state/builder/storage-overlay/overlay", -1 },
    { "a layer below its mount", "8:1 /state/builder/storage-overlay/overlay/" ID "/diff", -1 },
    { "all containers", "8:1 /state/builder/storage-overlay/overlay-containers", -1 },
    { "what is noted of one", "8:1 /state/builder/storage-overlay/overlay-containers/" ID "/userdata", -1 },
    { "a name that is no container's", "8:1 /state/builder/storage-overlay/overlay-containers/x/userdata/buildah-volumes", -1 },
    { "all layers with vfs", "8:1 /state/builder/storage-vfs/vfs/dir", -1 },
    { "the room's root", "0:50 /", -1 },
    { "programs of the host", "8:1 /usr", -1 },
    { "processes", "0:51 /", -1 },
    { "a process", "0:51 /1", -1 },
    { "another device, at the context's path", "8:2 /state/attempts/7-1/context", -1 },
};

static const char others [] =
    "1 0 0:50 / / rw - tmpfs room rw\n2 1 8:1 /usr /usr ro - ext4 /dev/sda1 rw\n3 1 0:51 / /proc rw - proc proc rw\n"
    "4 1 8:1 /state/builder /state/builder rw - ext4 /dev/sda1 rw\n5 1 8:1 /state/attempts/7-1/scratch /state/attempts/7-1/scratch rw - ext4 /dev/sda1 rw\n"
    "6 1 8:1 /state/attempts/7-1/context /state/attempts/7-1/context rw shared:7 - ext4 /dev/sda1 rw\n"
    "7 1 0:60 /vault/7-1 /run/vault/7-1 rw - tmpfs x rw\n";

static const runtime_guard_t guard = { .scratch = "/state/attempts/7-1/scratch", .context = "/state/attempts/7-1/context", .store = "/state/builder",
                                       .vault = "/run/vault/7-1" };

static int check (const char *mount, const char *source, const char *option, err_t *err)
{
    char device [32], root [512];
    assert_int_equal (sscanf (mount, "%31s %511s", device, root), 2);
    const char *type = strcmp (device, "0:99") == 0 ? "overlay" : strcmp (device, "0:50") == 0 ? "tmpfs" : strcmp (device, "0:51") == 0 ? "proc" : "ext4";
    AUTO_FREE char *mounts = mem_printf ("%s9 1 %s %s %s rw - %s x rw\n", others, device, root, target, type);
    AUTO_JSON json_t *config = json_pack ("{s:[{s:s, s:s, s:s, s:[s]}]}", "mounts", "type", option ? "none" : "bind", "source", source,
                                          "destination", "/x", "options", option ? option : "ro");
    return runtime_guard_check (&guard, config, mounts, err);
}

static void mounts_are_of_the_build (void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        err_t err = { 0 };
        if (check (rows [i].mount, target, NULL, &err) != rows [i].rc)
            fail_msg ("%s: %s", rows [i].what, err.text);
        if (rows [i].rc < 0)
            assert_non_null (strstr (err.text, "the mount on /x leads out of the build"));
        assert_int_equal (check (rows [i].mount, target, "rbind", &err), rows [i].rc);
    }
}

/* A link that buildah left for the runtime to follow. */
static void links_are_followed (void **state)
{
    (void) state;
    err_t err;
    AUTO_FREE char *link = file_join (folder, "link");
    assert_int_equal (symlink (target, link), 0);
    assert_int_equal (check (rows [0].mount, link, NULL, &err), 0);
    assert_int_equal (check ("8:1 /state/builder", link, NULL, &err), -1);
    unlink (link);
    assert_int_equal (check (rows [0].mount, link, NULL, &err), -1);        /* nothing is there */
}

static void the_usual_is_no_question (void **state)
{
    (void) state;
    err_t err;
    assert_int_equal (check ("0:51 /", "/sys", NULL, &err), 0);
    assert_int_equal (check ("0:51 /", "/dev/null", NULL, &err), 0);
    assert_int_equal (check ("0:51 /", "/proc/1", NULL, &err), -1);
    assert_int_equal (check ("0:51 /", "/usr", NULL, &err), -1);
}

static void it_knows_its_name (void **state)
{
    (void) state;
    assert_true (runtime_guard_is_meant (RUNTIME_GUARD_PATH));
    assert_true (runtime_guard_is_meant ("farm-runtime"));
    assert_false (runtime_guard_is_meant ("/usr/bin/farm-worker"));
}

static int set_up (void **state)
{
    (void) state;
    if (!mkdtemp (folder))
        return -1;
    snprintf (target, sizeof target, "%s/target", folder);
    return mkdir (target, 0700);
}

static int tear_down (void **state)
{
    (void) state;
    rmdir (target);
    return rmdir (folder);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (mounts_are_of_the_build),
        cmocka_unit_test (links_are_followed),
        cmocka_unit_test (the_usual_is_no_question),
        cmocka_unit_test (it_knows_its_name),
    };
    return cmocka_run_group_tests (tests, set_up, tear_down);
}
