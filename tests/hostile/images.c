/* images.c - see hostile.h: a worker that was given a job says that it has pushed it, and has pushed something else.
 *
 * rule <tab> level <tab> layer <tab> type <tab> manifest <tab> config <tab> answer
 *
 * level     of --verify
 * layer     a name of `layers` below; $L is its digest, $LS its size, $D its digest unpacked, $LAYER a descriptor of it
 * type      of the manifest: "-" OCI's
 * manifest  "-" an honest one; $HEAD its first members, $C the config's digest, $CS its size, $CONFIG a descriptor of it;
 *           or "sha256:…": that is reported, and nothing pushed
 * config    "-" an honest one; $ROOTFS its last member
 * answer    "published", or the code of the error and words of its reason */
#include "hostile.h"

#include <archive.h>
#include <archive_entry.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/digest.h"
#include "common/manifest.h"

enum { COLUMN_RULE, COLUMN_LEVEL, COLUMN_LAYER, COLUMN_TYPE, COLUMN_MANIFEST, COLUMN_CONFIG, COLUMN_ANSWER };

static const char honest_manifest [] = "{$HEAD,\"config\":$CONFIG,\"layers\":[$LAYER]}";
static const char honest_config [] = "{\"os\":\"linux\",\"architecture\":\"riscv64\",$ROOTFS}";

/* -- layers ----------------------------------------------------------------------------------------------------------- */

/* ELF's first bytes for a machine, little-endian, 64 bits, an executable. */
#define ELF(machine) "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0" machine

static const struct {
    const char *name, *path;
    int mode;
    const char *content;
    size_t size;
    const char *link, *behind;          /* behind: bytes behind the end of the tar */
} layers [] = {
    { "good", "bin/app", 0755, ELF ("\363\0"), 20, NULL, "" },
    { "script", "bin/run", 0755, "#!/bin/sh\n", 10, NULL, "" },
    { "amd64", "bin/app", 0755, ELF ("\76\0"), 20, NULL, "" },
    { "arm64", "usr/bin/app", 0700, ELF ("\267\0"), 20, NULL, "" },
    { "s390x", "app", 0755, "\177ELF\2\2\1\0\0\0\0\0\0\0\0\0\0\2\0\26", 20, NULL, "" },
    { "arm", "app", 04755, "\177ELF\1\1\1\0\0\0\0\0\0\0\0\0\2\0\50\0", 20, NULL, "" },
    { "up", "../../etc/cron.d/x", 0644, "x", 1, NULL, "" },
    { "inside-up", "a/../../b", 0644, "x", 1, NULL, "" },
    { "link-up", "shadow", 0644, "", 0, "../../etc/shadow", "" },
    { "behind", "a", 0644, "x", 1, NULL, "another tar" },
};

static la_ssize_t on_write (struct archive *archive, void *argument, const void *data, size_t size)
{
    (void) archive;
    buffer_append (argument, data, size);
    return (la_ssize_t) size;
}

static void make_layer (const char *name, buffer_t *out)
{
    size_t i = 0;
    while (i < sizeof layers / sizeof *layers && !streq (layers [i].name, name))
        i++;
    if (i == sizeof layers / sizeof *layers)
        give_up ("a table names the layer %s, which is none", name);
    struct archive *archive = archive_write_new ();
    struct archive_entry *entry = archive_entry_new ();
    archive_write_set_format_ustar (archive);
    archive_write_set_bytes_in_last_block (archive, 1);
    archive_write_open (archive, out, NULL, on_write, NULL);
    archive_entry_set_pathname (entry, layers [i].path);
    archive_entry_set_filetype (entry, AE_IFREG);
    archive_entry_set_perm (entry, (mode_t) layers [i].mode);
    archive_entry_set_size (entry, (la_int64_t) layers [i].size);
    archive_entry_set_hardlink (entry, layers [i].link);
    archive_write_header (archive, entry);
    if (layers [i].size)
        archive_write_data (archive, layers [i].content, layers [i].size);
    archive_entry_free (entry);
    archive_write_close (archive);
    archive_write_free (archive);
    buffer_text (out, layers [i].behind);
}

/* -- pushing ---------------------------------------------------------------------------------------------------------- */

typedef struct { const char *data; size_t left; } upload_t;

static size_t give (char *out, size_t unit, size_t count, void *argument)
{
    upload_t *self = argument;
    size_t size = unit * count < self->left ? unit * count : self->left;
    memcpy (out, self->data, size);
    self->data += size;
    self->left -= size;
    return size;
}

static size_t drop (char *data, size_t unit, size_t count, void *argument)
{
    (void) data, (void) argument;
    return unit * count;
}

/* Is there a manifest? */
static bool is_tagged (const scene_t *scene, const row_t *row)
{
    AUTO_FREE char *url = mem_printf ("http://%s/v2/lies/manifests/row%d", scene->registry, row->line);
    CURL *easy = curl_easy_init ();
    long status = 0;
    curl_easy_setopt (easy, CURLOPT_URL, url);
    curl_easy_setopt (easy, CURLOPT_NOBODY, 1L);
    curl_easy_perform (easy);
    curl_easy_getinfo (easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup (easy);
    return status != 404;
}

static void request (const char *method, const char *url, const char *type, const void *data, size_t size)
{
    upload_t upload = { data, size };
    AUTO_FREE char *header = mem_printf ("Content-Type: %s", type);
    struct curl_slist *headers = curl_slist_append (curl_slist_append (NULL, header), "Expect:");
    CURL *easy = curl_easy_init ();
    long status = 0;
    curl_easy_setopt (easy, CURLOPT_URL, url);
    curl_easy_setopt (easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt (easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt (easy, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt (easy, CURLOPT_READFUNCTION, give);
    curl_easy_setopt (easy, CURLOPT_READDATA, &upload);
    curl_easy_setopt (easy, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt (easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t) size);
    CURLcode rc = curl_easy_perform (easy);
    curl_easy_getinfo (easy, CURLINFO_RESPONSE_CODE, &status);
    if (rc != CURLE_OK || status / 100 != 2)
        give_up ("%s %s: status %ld", method, url, status);
    curl_slist_free_all (headers);
    curl_easy_cleanup (easy);
}

/* The fake registry numbers its uploads. */
static void push_blob (const scene_t *scene, const buffer_t *blob, char digest [OCI_DIGEST_SIZE])
{
    static int count;
    oci_digest_of (blob->data, blob->size, digest);
    AUTO_FREE char *begin = mem_printf ("http://%s/v2/lies/blobs/uploads/", scene->registry);
    AUTO_FREE char *end = mem_printf ("http://%s/v2/lies/blobs/uploads/u%d?state=x%%2Fy&digest=%s", scene->registry, count++, digest);
    request ("POST", begin, "application/octet-stream", "", 0);
    request ("PUT", end, "application/octet-stream", blob->data, blob->size);
}

/* What the row has the worker push; its digest. */
static void push_image (const scene_t *scene, const row_t *row, char digest [OCI_DIGEST_SIZE])
{
    AUTO_BUFFER buffer_t layer = { 0 };
    char layer_digest [OCI_DIGEST_SIZE], layer_size [24], config_digest [OCI_DIGEST_SIZE], config_size [24];
    const char *type = streq (row->columns [COLUMN_TYPE], "-") ? MEDIA_OCI_MANIFEST : row->columns [COLUMN_TYPE];
    make_layer (row->columns [COLUMN_LAYER], &layer);
    push_blob (scene, &layer, layer_digest);
    snprintf (layer_size, sizeof layer_size, "%zu", layer.size);
    const char *more [] = {
        "L", layer_digest, "D", layer_digest, "LS", layer_size, "C", config_digest, "CS", config_size,
        "LAYER", "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"$L\",\"size\":$LS}",
        "CONFIG", "{\"mediaType\":\"" MEDIA_OCI_CONFIG "\",\"digest\":\"$C\",\"size\":$CS}",
        "HEAD", "\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\"",
        "ROOTFS", "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"$D\"]}", NULL
    };
    AUTO_FREE char *text = table_fill (scene, streq (row->columns [COLUMN_CONFIG], "-") ? honest_config : row->columns [COLUMN_CONFIG], more);
    buffer_t config = { .data = (uint8_t *) text, .size = strlen (text) };
    push_blob (scene, &config, config_digest);
    snprintf (config_size, sizeof config_size, "%zu", config.size);
    AUTO_FREE char *manifest = table_fill (scene, streq (row->columns [COLUMN_MANIFEST], "-") ? honest_manifest : row->columns [COLUMN_MANIFEST], more);
    oci_digest_of (manifest, strlen (manifest), digest);
    AUTO_FREE char *url = mem_printf ("http://%s/v2/lies/manifests/%s", scene->registry, digest);
    request ("PUT", url, type, manifest, strlen (manifest));
}

/* -- a build ---------------------------------------------------------------------------------------------------------- */

static int64_t submit (peer_t *user, const json_t *template, const row_t *row)
{
    char id [33];
    AUTO_FREE char *tag = mem_printf ("%s/lies:row%d", user->scene->registry, row->line);
    json_t *spec = json_deep_copy (template);
    json_object_set_new (spec, "platforms", json_pack ("[s]", "linux/riscv64"));
    json_object_set_new (spec, "tags", json_pack ("[s]", tag));
    json_object_set_new (spec, "no_result_cache", json_true ());
    json_object_set_new (spec, "verify", json_string (row->columns [COLUMN_LEVEL]));
    snprintf (id, sizeof id, "%032x", row->line);
    json_t *answer = peer_await (user, "accepted", peer_say (user, "submit", json_pack ("{s:s, s:o}", "request", id, "spec", spec)));
    int64_t build = json_integer_value (json_object_get (answer, "build"));
    json_decref (answer);
    return build;
}

static void work (peer_t *worker, const row_t *row)
{
    char digest [OCI_DIGEST_SIZE];
    json_t *assign = peer_await (worker, "assign", 0);
    if (strncmp (row->columns [COLUMN_MANIFEST], "sha256:", 7) == 0)
        snprintf (digest, sizeof digest, "%s", row->columns [COLUMN_MANIFEST]);
    else
        push_image (worker->scene, row, digest);
    json_t *report = json_pack ("{s:O, s:O, s:s, s:s}", "job", json_object_get (assign, "job"), "attempt", json_object_get (assign, "attempt"), "state",
                                "pushed", "digest", digest);
    json_decref (peer_await (worker, "noted", peer_say (worker, "report", report)));
    json_decref (assign);
}

/* Its last state, as `watch` shows it. */
static json_t *follow (peer_t *user, int64_t build)
{
    peer_say (user, "watch", json_pack ("{s:I}", "build", (json_int_t) build));
    for (;;) {
        json_t *shown = peer_await (user, "build", 0), *one = json_object_get (shown, "build");
        const char *state = json_string_value (json_object_get (one, "state"));
        if (json_integer_value (json_object_get (one, "id")) == build && (streq (state, "published") || streq (state, "failed")))
            return shown;
        json_decref (shown);
    }
}

static int run_row (peer_t *user, peer_t *worker, const json_t *template, const row_t *row)
{
    AUTO_FREE char *wanted = mem_strdup (row->columns [COLUMN_ANSWER]);
    char *words = wanted, *code = strsep (&words, " ");
    int64_t build = submit (user, template, row);
    work (worker, row);
    AUTO_JSON json_t *shown = follow (user, build);
    const json_t *one = json_object_get (shown, "build");
    const char *state = json_string_value (json_object_get (one, "state")), *is = json_string_value (json_object_get (one, "code"));
    const char *reason = json_string_value (json_object_get (one, "reason"));
    bool is_right = streq (code, "published") ? streq (state, code) : is && streq (is, code) && reason && (!words || strstr (reason, words));
    if (is_tagged (user->scene, row) != streq (code, "published"))
        give_up ("line %d, %s: its tag is %s", row->line, row->columns [COLUMN_RULE], streq (code, "published") ? "not there" : "there");
    if (!is_right)
        printf ("line %d, %s: %s, %s, and not %s\n", row->line, row->columns [COLUMN_RULE], state, reason ? reason : "", row->columns [COLUMN_ANSWER]);
    return !is_right;
}

int images_run (const table_t *table, peer_t *user, peer_t *worker)
{
    int wrong = 0;
    AUTO_FREE char *build = table_fill (user->scene, "$BUILD", NULL);
    peer_socket (worker, false);
    json_t *answer = peer_await (user, "build-spec", peer_say (user, "spec", json_pack ("{s:I}", "build", (json_int_t) atoll (build))));
    for (size_t i = 0; i < table->count; i++)
        wrong += run_row (user, worker, json_object_get (answer, "spec"), &table->rows [i]);
    json_decref (answer);
    return wrong;
}
