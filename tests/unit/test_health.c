/* test_health.c - what a worker tells of its machine, from files that a test has written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/mem.h"
#include "worker/health.h"

static char root [] = "/tmp/health-XXXXXX";

static void put (const char *path, const char *text)
{
    err_t err = { 0 };
    AUTO_FREE char *whole = mem_printf ("%s%s", root, path);
    AUTO_FREE char *folder = mem_strndup (whole, (size_t) (strrchr (whole, '/') - whole));
    if (file_make_folders (folder, 0700, &err) < 0 || file_write (whole, text, strlen (text), 0600, &err) < 0)
        fail_msg ("%s", err.text);
}

static int make_root (void **state)
{
    (void) state;
    strcpy (root, "/tmp/health-XXXXXX");
    return mkdtemp (root) ? 0 : -1;
}

static int remove_root (void **state)
{
    (void) state;
    return file_remove_tree (root, NULL);
}

static void what_the_kernel_tells_is_told (void **state)
{
    (void) state;
    const char *const folders [] = { root, "/proc", NULL };
    health_settings_t settings = { .root = root, .folders = folders };
    health_t health;
    put ("/proc/loadavg", "1.25 0.50 0.10 1/200 4711\n");
    put ("/proc/meminfo", "MemTotal: 100 kB\nMemFree: 1 kB\nMemAvailable:   2048 kB\n");
    put ("/proc/pressure/memory", "some avg10=50.00 avg60=1.00 avg300=0.10 total=1\nfull avg10=12.34 avg60=0.00 avg300=0.00 total=1\n");
    put ("/sys/class/thermal/thermal_zone0/temp", "41000\n");
    put ("/sys/class/thermal/thermal_zone1/temp", "62500\n");
    put ("/sys/class/thermal/thermal_zone2/temp", "9999999\n");
    put ("/sys/class/thermal/cooling_device0/temp", "90000\n");
    health_read (&health, &settings);
    assert_int_equal (health.load_percent, 125);
    assert_int_equal (health.memory_free_bytes, 2048 * 1024);
    assert_int_equal (health.temperature_c, 62);
    assert_int_equal (health.pressure_percent, 12);
    assert_int_equal (health.disk_free_bytes, 0);               /* /proc has none */
    AUTO_JSON json_t *json = health_json (&health);
    assert_int_equal (json_object_size (json), 5);
}

static void what_it_does_not_tell_is_left_out (void **state)
{
    (void) state;
    const char *const folders [] = { "/nowhere", NULL };
    health_settings_t settings = { .root = root, .folders = folders, .disk_floor_bytes = 1 << 20, .pressure_max_percent = 10 };
    health_t health;
    put ("/proc/loadavg", "nothing\n");
    put ("/proc/meminfo", "MemFree: 1 kB\n");
    put ("/proc/pressure/memory", "full avg10=-5\n");
    health_read (&health, &settings);
    AUTO_JSON json_t *json = health_json (&health);
    assert_int_equal (json_object_size (json), 0);
    assert_null (health_why_unfit (&health, &settings));
}

static void too_little_disk_or_memory_is_a_reason (void **state)
{
    (void) state;
    health_settings_t settings = { .disk_floor_bytes = 100 << 20, .pressure_max_percent = 20 };
    health_t health = { .disk_free_bytes = 100 << 20, .pressure_percent = 20 };
    assert_null (health_why_unfit (&health, &settings));
    health.disk_free_bytes--;
    AUTO_FREE char *disk = health_why_unfit (&health, &settings);
    assert_non_null (strstr (disk, "99 MiB of disk are free, and it keeps 100"));
    health.disk_free_bytes++;
    health.pressure_percent++;
    AUTO_FREE char *memory = health_why_unfit (&health, &settings);
    assert_non_null (strstr (memory, "21 % of the time"));
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test_setup_teardown (what_the_kernel_tells_is_told, make_root, remove_root),
        cmocka_unit_test_setup_teardown (what_it_does_not_tell_is_left_out, make_root, remove_root),
        cmocka_unit_test (too_little_disk_or_memory_is_a_reason),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
