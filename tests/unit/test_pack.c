/* test_pack.c - objects travel compressed where it helps, and are kept as they travelled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/depot.h"
#include "common/msg.h"
#include "common/pack.h"
#include "trees.h"

enum { SIZE = 100000 };

/* Half of it text, half of it noise, or noise alone. */
static uint8_t *make (bool is_noise, size_t size)
{
    uint8_t *data = mem_alloc (size);
    uint32_t random = 1;
    for (size_t i = 0; i < size; i++) {
        random = random * 1664525 + 1013904223;
        data [i] = is_noise || i > size / 2 ? (uint8_t) (random >> 24) : (uint8_t) ("farm" [i % 4]);
    }
    return data;
}

static void what_helps_is_compressed (void **state)
{
    (void) state;
    AUTO_BUFFER buffer_t out = { 0 };
    AUTO_FREE uint8_t *mixed = make (false, SIZE);
    AUTO_FREE uint8_t *noise = make (true, SIZE);
    assert_true (zip_compress (&out, mixed, SIZE));
    assert_true (out.size < SIZE / 2 + 2000);
    assert_true (zip_compress (&out, mixed, 64));
    assert_false (zip_compress (&out, mixed, 63));
    for (size_t size = 64; size <= SIZE; size = size * 5 / 4)
        assert_false (zip_compress (&out, noise, size));
    zip_t zip = zip_best (&out, noise, SIZE);
    assert_false (zip.is_zstd);
    assert_ptr_equal (zip.data, noise);
}

static void a_pack_gives_back_what_was_put_in (void **state)
{
    (void) state;
    AUTO_BUFFER buffer_t body = { 0 };
    AUTO_FREE uint8_t *mixed = make (false, SIZE);
    AUTO_FREE uint8_t *noise = make (true, MSG_BODY_MAX);
    const uint8_t *objects [3] = { mixed, noise, (const uint8_t *) "" };
    size_t sizes [3] = { SIZE, SIZE, 0 };
    for (int i = 0; i < 3; i++) {
        digest_t digest = digest_of (objects [i], sizes [i]);
        assert_true (pack_add (&body, OBJECT_CONTENT, &digest, objects [i], sizes [i]));
    }
    digest_t digest = digest_of (noise, SIZE);
    size_t before = body.size;
    assert_true (pack_add (&body, OBJECT_CONTENT, &digest, noise, SIZE));
    body.size = before;
    assert_false (pack_add (&body, OBJECT_CONTENT, &digest, noise, MSG_BODY_MAX - before - PACK_RECORD_HEAD + 1));
    assert_int_equal (body.size, before);
    pack_reader_t reader;
    pack_reader_init (&reader, body.data, body.size);
    for (int i = 0; i < 3; i++) {
        object_kind kind;
        const uint8_t *raw;
        size_t size;
        assert_int_equal (pack_read (&reader, &kind, &digest, &raw, &size, NULL), 1);
        assert_int_equal (size, sizes [i]);
        assert_memory_equal (raw, objects [i], size);
        assert_int_equal (reader.zip.is_zstd, i == 0);
        assert_true (i == 0 ? reader.zip.size < size : reader.zip.size == size);
    }
    pack_reader_free (&reader);
}

/* In and out of a depot as it came, without being compressed again. */
static void a_depot_keeps_what_came_as_it_came (void **state)
{
    (void) state;
    AUTO_FREE char *folder = tree_new ();
    AUTO_FREE uint8_t *data = make (false, SIZE);
    AUTO (depot) depot_t *depot = NULL;
    AUTO_BUFFER buffer_t packed = { 0 };
    AUTO_BUFFER buffer_t out = { 0 };
    AUTO_BUFFER buffer_t memory = { 0 };
    err_t err = { 0 };
    object_kind kind;
    digest_t digest = digest_of (data, SIZE), part = digest_of (data, 1000);
    assert_int_equal (depot_open (&depot, folder, &err), 0);
    zip_t zip = zip_best (&packed, data, SIZE), plain = { data, 1000, false };
    assert_true (zip.is_zstd);
    assert_int_equal (depot_begin (depot, &err), 0);
    assert_int_equal (depot_put_zip (depot, OBJECT_CONTENT, &digest, data, SIZE, &zip, &err), 0);
    assert_int_equal (depot_put_zip (depot, OBJECT_CONTENT, &part, data, 1000, &plain, &err), 0);
    assert_int_equal (depot_commit (depot, &err), 0);
    zip_t got;
    assert_int_equal (depot_get_zip (depot, &digest, &out, &kind, &memory, &got, &err), 0);
    assert_memory_equal (out.data, data, SIZE);
    assert_true (got.is_zstd);
    assert_int_equal (got.size, packed.size);
    assert_memory_equal (got.data, packed.data, got.size);
    assert_int_equal (depot_get_zip (depot, &part, &out, &kind, &memory, &got, &err), 0);
    assert_false (got.is_zstd);
    assert_int_equal (got.size, 1000);
    depot_destroy (&depot);
    tree_remove (folder);
}

/* A frame of zstd (RFC 8878, 3.1.1) of 8 KB that comes to 256 MiB of zeros: blocks that repeat a byte 128 KiB, in four bytes, are 32,768 to 1. */
static void make_bomb (buffer_t *out)
{
    static const uint8_t head [] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38 }, block [] = { 0x02, 0x00, 0x10, 0x00 }, last [] = { 0x03, 0x00, 0x10, 0x00 };
    buffer_append (out, head, sizeof head);
    for (int i = 1; i < 2048; i++)
        buffer_append (out, block, sizeof block);
    buffer_append (out, last, sizeof last);
}

static long most_memory_kib (void)
{
    struct rusage usage;
    assert_int_equal (getrusage (RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

static void a_bomb_is_stopped_at_the_size_that_it_names (void **state)
{
    (void) state;
    AUTO_BUFFER buffer_t bomb = { 0 };
    make_bomb (&bomb);
    long before = most_memory_kib ();
    for (size_t named = 1; named <= OBJECT_MAX; named *= 2) {
        AUTO_BUFFER buffer_t body = { 0 };
        zip_t zip = { .data = bomb.data, .size = bomb.size, .is_zstd = true };
        digest_t digest = digest_of ("x", 1);
        pack_reader_t reader;
        object_kind kind;
        const uint8_t *data;
        size_t size;
        err_t err = { 0 };
        assert_true (pack_add_zip (&body, OBJECT_CONTENT, &digest, named, &zip));
        pack_reader_init (&reader, body.data, body.size);
        assert_int_equal (pack_read (&reader, &kind, &digest, &data, &size, &err), -1);
        assert_int_equal (err.code, ERR_PROTOCOL);
        pack_reader_free (&reader);
    }
    assert_in_range (most_memory_kib () - before, 0, 16 * 1024);
}

int main (void)
{
    const struct CMUnitTest tests [] = {
        cmocka_unit_test (what_helps_is_compressed),
        cmocka_unit_test (a_pack_gives_back_what_was_put_in),
        cmocka_unit_test (a_depot_keeps_what_came_as_it_came),
        cmocka_unit_test (a_bomb_is_stopped_at_the_size_that_it_names),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
