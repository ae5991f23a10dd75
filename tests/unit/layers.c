/* layers.c - see layers.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "layers.h"

void elf_head (uint8_t out [64], int type, int machine, int class, int order)
{
    memset (out, 0, 64);
    memcpy (out, "\177ELF", 4);
    out [4] = (uint8_t) class;
    out [5] = (uint8_t) order;
    out [6] = 1;
    out [order == 2 ? 17 : 16] = (uint8_t) type;
    out [order == 2 ? 19 : 18] = (uint8_t) (machine & 0xff);
    out [order == 2 ? 18 : 19] = (uint8_t) (machine >> 8);
}

static la_ssize_t on_write (struct archive *archive, void *argument, const void *data, size_t size)
{
    (void) archive;
    buffer_append (argument, data, size);
    return (la_ssize_t) size;
}

static void add_file (struct archive *archive, const file_entry_t *file)
{
    size_t size = file->size ? file->size : file->content ? strlen (file->content) : 0;
    struct archive_entry *entry = archive_entry_new ();
    archive_entry_set_pathname (entry, file->path);
    archive_entry_set_filetype (entry, AE_IFREG);
    archive_entry_set_perm (entry, (mode_t) file->mode);
    archive_entry_set_size (entry, file->hardlink ? 0 : (la_int64_t) size);
    archive_entry_set_hardlink (entry, file->hardlink);
    assert_int_equal (archive_write_header (archive, entry), ARCHIVE_OK);
    if (!file->hardlink && size)
        assert_int_equal (archive_write_data (archive, file->content, size), size);
    archive_entry_free (entry);
}

void tar_of (const file_entry_t *files, buffer_t *out)
{
    struct archive *archive = archive_write_new ();
    buffer_clear (out);
    archive_write_set_format_ustar (archive);
    archive_write_set_bytes_in_last_block (archive, 1);
    assert_int_equal (archive_write_open (archive, out, NULL, on_write, NULL), ARCHIVE_OK);
    for (; files->mode; files++)
        add_file (archive, files);
    archive_write_close (archive);
    archive_write_free (archive);
}

static void pack_gzip (const void *data, size_t size, buffer_t *out)
{
    z_stream stream = { 0 };
    assert_int_equal (deflateInit2 (&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t bound = deflateBound (&stream, size);
    buffer_reserve (out, out->size + bound);
    stream.next_in = (void *) data;
    stream.avail_in = (uInt) size;
    stream.next_out = out->data + out->size;
    stream.avail_out = (uInt) bound;
    assert_int_equal (deflate (&stream, Z_FINISH), Z_STREAM_END);
    out->size += stream.total_out;
    deflateEnd (&stream);
}

void pack_into (packing_t packing, const void *data, size_t size, buffer_t *out)
{
    if (packing == PACKED_GZIP)
        pack_gzip (data, size, out);
    else if (packing == PACKED_ZSTD) {
        buffer_reserve (out, out->size + ZSTD_compressBound (size));
        size_t packed = ZSTD_compress (out->data + out->size, ZSTD_compressBound (size), data, size, 1);
        assert_false (ZSTD_isError (packed));
        out->size += packed;
    } else
        buffer_append (out, data, size);
}

void layer_make (layer_bytes_t *self, packing_t packing, const buffer_t *tar)
{
    static const char *const types [] = {
        [PACKED_NOT] = "application/vnd.oci.image.layer.v1.tar", [PACKED_GZIP] = "application/vnd.oci.image.layer.v1.tar+gzip",
        [PACKED_ZSTD] = "application/vnd.oci.image.layer.v1.tar+zstd",
    };
    memset (self, 0, sizeof *self);
    self->media_type = types [packing];
    pack_into (packing, tar->data, tar->size, &self->bytes);
    oci_digest_of (tar->data, tar->size, self->diff_id);
}

void image_push (const server_t *server, registry_t *client, const char *path, const char *platform, const layer_bytes_t *layers, size_t count,
                 manifest_t *out)
{
    AUTO_BUFFER buffer_t config = { 0 };
    AUTO_BUFFER buffer_t list = { 0 };
    char digest [OCI_DIGEST_SIZE], architecture [32] = "", variant [32] = "";
    err_t err;
    assert_true (sscanf (platform, "linux/%31[a-z0-9]/%31s", architecture, variant) >= 1);
    buffer_printf (&config, "{\"os\":\"linux\",\"architecture\":\"%s\",\"variant\":\"%s\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[", architecture, variant);
    for (size_t i = 0; i < count; i++) {
        push_blob (server, path, NULL, layers [i].bytes.data, layers [i].bytes.size, digest);
        buffer_printf (&config, "%s\"%s\"", i ? "," : "", layers [i].diff_id);
        buffer_printf (&list, "%s{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu}", i ? "," : "", layers [i].media_type, digest,
                       layers [i].bytes.size);
    }
    buffer_text (&config, "]}}");
    push_blob (server, path, NULL, config.data, config.size, digest);
    memset (out, 0, sizeof *out);
    strcpy (out->media_type, MEDIA_OCI_MANIFEST);
    buffer_printf (&out->bytes, "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\",\"config\":{\"mediaType\":\"" MEDIA_OCI_CONFIG
                   "\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[%s]}", digest, config.size, (const char *) list.data);
    oci_digest_of (out->bytes.data, out->bytes.size, out->digest);
    reference_t repository = reference_of (server->host, path);
    if (registry_put_manifest (client, &repository, NULL, out, &err) < 0)
        fail_msg ("%s", err.text);
}
