/* fetch_archive.c - the context of an archive: downloaded, compared with the digest that it was asked for by, and only then unpacked. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/http.h"
#include "common/untar.h"
#include "coordinator/fetch.h"
#include "coordinator/git.h"
#include "coordinator/source_rules.h"

enum { SILENCE_MS = 60000 };

static int check_status (const http_answer_t *answer, err_t *err)
{
    if (answer->status == 200)
        return 0;
    if (answer->status >= 300 && answer->status < 400)
        return err_set (err, ERR_USAGE, "the host sends to another address, which the farm does not follow: give that address itself");
    if (answer->status == 429 || answer->status >= 500)
        return err_set (err, ERR_NETWORK, "the host answers %d", answer->status);
    return err_set (err, ERR_USAGE, "the host answers %d: there is no such archive, or it is not public", answer->status);
}

static int copy (http_t *http, int fd, int64_t size_max, EVP_MD_CTX *hash, err_t *err)
{
    AUTO_FREE uint8_t *block = mem_alloc (65536);
    ssize_t size;
    int64_t total = 0;
    while ((size = http_read (http, block, 65536, err)) > 0) {
        total += size;
        if (total > size_max)
            return err_set (err, ERR_USAGE, "it has more than %lld MB (git/size of the coordinator)", (long long) size_max / 1000000);
        EVP_DigestUpdate (hash, block, (size_t) size);
        if (file_write_all (fd, block, (size_t) size, err) < 0)
            return -1;
    }
    return size < 0 ? -1 : 0;
}

static int compare (EVP_MD_CTX *hash, const char *pinned, err_t *err)
{
    uint8_t digest [32];
    char hex [65];
    EVP_DigestFinal_ex (hash, digest, NULL);
    sodium_bin2hex (hex, sizeof hex, digest, sizeof digest);
    if (strcmp (hex, pinned) == 0)
        return 0;
    return err_set (err, ERR_USAGE, "it is another archive than the one that was asked for: its sha256 is %s, and not %s", hex, pinned);
}

static int request (http_t *http, const fetch_job_t *job, http_answer_t *answer, err_t *err)
{
    const json_t *rules = job->rules;
    http_certs_t certs = { .ca_file = (char *) json_string_value (json_object_get (rules, "ca_file")) };
    http_request_t request = {
        .method = "GET", .url = job->source.url, .certs = certs.ca_file ? &certs : NULL, .timeout_ms = SILENCE_MS,
        .is_guarded = !source_rules_may_be_inside (rules, &job->source), .may_reach = PLACE_OUTSIDE,
    };
    int rc = http_open (http, &request, answer, err);
    return *http_refused (http) ? source_rules_refuse_inside (&job->source, http_refused (http), err) : rc;
}

static int download (const fetch_job_t *job, int fd, err_t *err)
{
    http_answer_t answer;
    AUTO (http) http_t *http = http_new ();
    EVP_MD_CTX *hash = EVP_MD_CTX_new ();
    EVP_DigestInit_ex (hash, EVP_sha256 (), NULL);
    int rc = request (http, job, &answer, err) < 0 || check_status (&answer, err) < 0 || copy (http, fd, job->size_max, hash, err) < 0
             || compare (hash, job->source.sha256, err) < 0 ? -1 : 0;
    EVP_MD_CTX_free (hash);
    return rc;
}

int archive_fetch (const fetch_job_t *job, fetched_t *out, err_t *err)
{
    AUTO_FREE char *path = file_join (job->work, "archive"), *target = file_join (job->work, "tree");
    untar_limits_t limits = { .bytes_max = job->size_max, .entries_max = job->entries_max, .advice = " (git/size and git/entries of the coordinator)" };
    AUTO_CLOSE int fd = open (path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys (err, errno, "make %s", path);
    if (mkdir (target, 0755) < 0)
        return err_sys (err, errno, "make %s", target);
    if (source_rules_check (job->rules, NULL, &job->source, err) < 0 || download (job, fd, err) < 0)
        return -1;
    if (lseek (fd, 0, SEEK_SET) < 0)
        return err_sys (err, errno, "read %s", path);
    if (untar (fd, target, &limits, err) < 0 || git_check_path (target, job->source.folder, err) < 0)
        return -1;
    out->folder = *job->source.folder ? file_join (target, job->source.folder) : take (&target);
    return 0;
}
