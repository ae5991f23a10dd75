/* fuzz_untar.c - an archive as a context: in a first line "tar", "gzip" or "zstd", how it is packed, then the tar, whose headers get their
 * checksums here. "raw" instead: it is given as it is, for zip, and gzip that is damaged.
 *
 * Beside the folder lie a file and a folder: whatever the archive says, they stay as they were. What is below the folder is a context, within its
 * limits, and the same archive is the same one.
 *
 * covers: common/untar.c */
#include <dirent.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "common/file.h"
#include "common/tree.h"
#include "common/untar.h"
#include "fuzz.h"

enum { HEADER = 512, CHECKSUM_AT = 148, CHECKSUM_SIZE = 8, SIZE_AT = 124, SIZE_DIGITS = 11, INPUT_MAX = 65536, BYTES_MAX = 1024 * 1024, ENTRIES_MAX = 64 };

/* -- packing -------------------------------------------------------------------------------------------------------- */

static void set_checksum (uint8_t *header)
{
    unsigned sum = 0;
    memset (header + CHECKSUM_AT, ' ', CHECKSUM_SIZE);
    for (size_t i = 0; i < HEADER; i++)
        sum += header [i];
    snprintf ((char *) header + CHECKSUM_AT, CHECKSUM_SIZE, "%06o", sum);
}

/* Of each header, found as a reader of tar finds them. A block of zeros stays one. */
static void set_checksums (uint8_t *tar, size_t size)
{
    static const uint8_t zeros [HEADER];
    for (size_t at = 0; size - at >= HEADER;) {
        char digits [SIZE_DIGITS + 1] = "";
        if (memcmp (tar + at, zeros, HEADER) != 0)
            set_checksum (tar + at);
        memcpy (digits, tar + at + SIZE_AT, SIZE_DIGITS);
        size_t data = (size_t) strtoul (digits, NULL, 8), blocks = data > size ? size : (data + HEADER - 1) / HEADER * HEADER;
        at += HEADER;
        at += blocks < size - at ? blocks : size - at;
    }
}

static void pack_gzip (buffer_t *out, const uint8_t *data, size_t size)
{
    z_stream stream = { 0 };
    MUST (deflateInit2 (&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    size_t bound = deflateBound (&stream, size);
    buffer_reserve (out, bound);
    stream.next_in = (void *) data;
    stream.avail_in = (uInt) size;
    stream.next_out = out->data;
    stream.avail_out = (uInt) bound;
    MUST (deflate (&stream, Z_FINISH) == Z_STREAM_END);
    out->size = stream.total_out;
    deflateEnd (&stream);
}

static void pack (buffer_t *out, const char *how, const uint8_t *data, size_t size)
{
    if (strcmp (how, "gzip") == 0)
        pack_gzip (out, data, size);
    else if (strcmp (how, "zstd") == 0) {
        buffer_reserve (out, ZSTD_compressBound (size));
        out->size = ZSTD_compress (out->data, ZSTD_compressBound (size), data, size, 1);
        MUST (!ZSTD_isError (out->size));
    } else
        buffer_append (out, data, size);
}

/* What packs with a window whose size it says itself, and libarchive takes 128 MiB and more for: xz, zstd, and what zip has beside deflate. */
static bool wants_memory (const uint8_t *data, size_t size)
{
    static const uint8_t heads [] [4] = { { 0xfd, '7', 'z', 'X' }, { 0x28, 0xb5, 0x2f, 0xfd } };
    if (size < 4)
        return false;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        if (memcmp (data, heads [i], 4) == 0)
            return true;
    if ((data [0] & 0xf0) == 0x50 && data [1] == 0x2a && data [2] == 0x4d && data [3] == 0x18)       /* a frame of zstd to be skipped */
        return true;
    for (size_t i = 0; i + 10 <= size; i++)
        if (memcmp (data + i, "PK\3\4", 4) == 0 && (data [i + 9] != 0 || (data [i + 8] != 0 && data [i + 8] != 8)))
            return true;
    return false;
}

/* -- what is beside ------------------------------------------------------------------------------------------------- */

static const struct timespec long_ago [2] = { { 1, 0 }, { 1, 0 } };

static void lay_out (void)
{
    MUST (chdir (fuzz_folder ()) == 0);
    MUST (file_write_scratch ("beside", "beside", 6, 0600, NULL) == 0);
    MUST (mkdir ("yard", 0700) == 0 && mkdir ("one", 0755) == 0 && mkdir ("two", 0755) == 0);
    MUST (utimensat (AT_FDCWD, "beside", long_ago, 0) == 0 && utimensat (AT_FDCWD, "yard", long_ago, 0) == 0);
}

static int count_names (const char *folder)
{
    int count = 0;
    DIR *all = opendir (folder);
    MUST (all);
    while (readdir (all))
        count++;
    closedir (all);
    return count - 2;
}

static void look_beside (void)
{
    struct stat file, yard;
    AUTO_BUFFER buffer_t bytes = { 0 };
    MUST (chdir (fuzz_folder ()) == 0);
    MUST (count_names (".") == 4 && count_names ("yard") == 0);
    MUST (lstat ("beside", &file) == 0 && S_ISREG (file.st_mode) && (file.st_mode & 07777) == 0600 && file.st_nlink == 1 && file.st_mtime == 1);
    MUST (file_read ("beside", 64, &bytes, NULL) == 0 && bytes.size == 6 && memcmp (bytes.data, "beside", 6) == 0);
    MUST (lstat ("yard", &yard) == 0 && S_ISDIR (yard.st_mode) && (yard.st_mode & 07777) == 0700 && yard.st_mtime == 1);
}

static void clear (void)
{
    static const char *const names [] = { "beside", "yard", "one", "two" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        MUST (file_remove_tree (names [i], NULL) == 0);
}

/* -- what came of it ------------------------------------------------------------------------------------------------ */

static int by_name (const FTSENT **a, const FTSENT **b)
{
    return strcmp ((*a)->fts_name, (*b)->fts_name);
}

static void describe (const FTSENT *entry, buffer_t *out)
{
    const struct stat *is = entry->fts_statp;
    char target [4096] = "";
    ssize_t length = S_ISLNK (is->st_mode) ? readlink (entry->fts_accpath, target, sizeof target) : 0;
    MUST (length >= 0 && length < (ssize_t) sizeof target);
    buffer_printf (out, "%s %o %lld %lld.%ld %.*s\n", entry->fts_path, is->st_mode, S_ISREG (is->st_mode) ? (long long) is->st_size : 0,
                   (long long) is->st_mtim.tv_sec, is->st_mtim.tv_nsec, (int) length, target);
}

/* A text of all that is there, after looking at it. */
static void list (const char *folder, buffer_t *out)
{
    long long bytes = 0, entries = 0;
    MUST (chdir (fuzz_folder ()) == 0 && chdir (folder) == 0);
    char *const here [] = { ".", NULL };
    FTS *walk = fts_open (here, FTS_PHYSICAL, by_name);
    MUST (walk);
    for (FTSENT *entry; (entry = fts_read (walk));) {
        if (entry->fts_info == FTS_DP)
            continue;
        MUST (entry->fts_info == FTS_F || entry->fts_info == FTS_D || entry->fts_info == FTS_SL || entry->fts_info == FTS_SLNONE);
        MUST ((entry->fts_statp->st_mode & 07000) == 0 || entry->fts_level == 0 || S_ISLNK (entry->fts_statp->st_mode));
        MUST (entry->fts_level <= TREE_DEPTH_MAX + 1);
        bytes += entry->fts_info == FTS_F && entry->fts_statp->st_nlink == 1 ? (long long) entry->fts_statp->st_size : 0;
        entries++;
        describe (entry, out);
    }
    fts_close (walk);
    MUST (bytes <= BYTES_MAX && entries <= ENTRIES_MAX * (TREE_DEPTH_MAX + 1));
    MUST (chdir (fuzz_folder ()) == 0);
}

static int unpack (const buffer_t *packed, const char *folder, buffer_t *listing)
{
    const untar_limits_t limits = { .bytes_max = BYTES_MAX, .entries_max = ENTRIES_MAX, .advice = "" };
    err_t err = { 0 };
    AUTO_CLOSE int fd = open (fuzz_file (packed->data, packed->size), O_RDONLY | O_CLOEXEC);
    MUST (fd >= 0);
    int rc = untar (fd, folder, &limits, &err);
    MUST (rc == 0 || (err.code == ERR_USAGE && *err.text));
    look_beside ();
    list (folder, listing);
    return rc;
}

FUZZ_TARGET (untar)
{
    AUTO_BUFFER buffer_t packed = { 0 }, one = { 0 }, two = { 0 };
    size_t length;
    fuzz_input_t input = { data, size };
    AUTO_FREE char *how = fuzz_line (&input, NULL);
    AUTO_FREE uint8_t *tar = (uint8_t *) fuzz_rest (&input, &length);
    bool is_raw = strcmp (how, "raw") == 0;
    if (length > INPUT_MAX || wants_memory (tar, length))
        return;
    if (!is_raw)
        set_checksums (tar, length);
    pack (&packed, how, tar, length);
    lay_out ();
    int rc = unpack (&packed, "one", &one);
    if (rc == 0) {
        MUST (unpack (&packed, "two", &two) == 0);
        MUST (one.size == two.size && memcmp (one.data, two.data, one.size) == 0);
    }
    clear ();
    MUST (chdir ("/") == 0);
}
