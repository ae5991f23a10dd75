/* fetch_main.c - farm-coordinator-fetch: one context, from a repository or an archive, for the coordinator that has started it. */
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "coordinator/fetch.h"

/* -- frames ----------------------------------------------------------------------------------------------------- */

static int read_all (void *data, size_t size, err_t *err)
{
    for (size_t at = 0; at < size; ) {
        ssize_t got = read (0, (char *) data + at, size - at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return err_set (err, ERR_FARM, "the coordinator has ended");
        at += (size_t) got;
    }
    return 0;
}

static int read_fields (fetch_job_t *out, err_t *err)
{
    json_int_t size_max, entries_max;
    const json_t *source;
    json_t *rules;
    if (json_unpack (out->json, "{s:o, s:o, s:s, s:s, s:s, s:I, s:I}", "source", &source, "rules", &rules, "dockerfile", &out->dockerfile, "mirrors",
                     &out->mirrors, "work", &out->work, "size_max", &size_max, "entries_max", &entries_max) != 0)
        return err_set (err, ERR_FARM, "a job to fetch that is none");
    out->rules = rules;
    out->size_max = size_max;
    out->entries_max = entries_max;
    return source_read (&out->source, source, err);
}

int fetch_read_job (fetch_job_t *out, err_t *err)
{
    uint8_t head [FETCH_FRAME_HEAD];
    if (read_all (head, sizeof head, err) < 0)
        return -1;
    size_t size = fetch_frame_size (head);
    if (head [0] != 'J' || size > FETCH_JOB_MAX)
        return err_set (err, ERR_FARM, "farm-coordinator-fetch is started by farm-coordinator, and by nobody else");
    AUTO_FREE char *text = mem_alloc (size + 1);
    if (read_all (text, size, err) < 0)
        return -1;
    out->json = json_loadb (text, size, 0, NULL);
    return read_fields (out, err);
}

/* -- the work --------------------------------------------------------------------------------------------------- */

static int fetch (const fetch_job_t *job, json_t *outcome, err_t *err)
{
    fetched_t fetched = { .folder = NULL };
    bool is_confined = false;
    int rc = fetch_enter_room (job, &is_confined, err);
    json_object_set_new (outcome, "is_confined", json_boolean (is_confined));
    if (rc == 0)
        rc = *job->source.sha256 ? archive_fetch (job, &fetched, err) : git_fetch (job, &fetched, err);
    if (rc == 0)
        rc = fetch_ingest (job, &fetched, outcome, err);
    if (rc == 0 && *fetched.commit)
        json_object_set_new (outcome, "commit", json_string (fetched.commit));
    free (fetched.folder);
    return rc;
}

int main (void)
{
    err_t err = { 0 };
    fetch_job_t job = { .json = NULL };
    AUTO_JSON json_t *outcome = json_object ();
    signal (SIGPIPE, SIG_IGN);
    umask (022);
    if (sodium_init () < 0)
        return 1;
    int rc = fetch_read_job (&job, &err);
    if (rc == 0)
        rc = fetch (&job, outcome, &err);
    json_object_set_new (outcome, "ok", json_boolean (rc == 0));
    if (rc < 0)
        json_object_update_new (outcome, json_pack ("{s:s, s:s}", "code", err_name (err.code), "text", err.text));
    AUTO_FREE char *text = json_dumps (outcome, JSON_COMPACT);
    json_decref (job.json);
    return text && fetch_frame_write (STDOUT_FILENO, 'R', text, strlen (text), NULL) == 0 ? 0 : 1;
}
