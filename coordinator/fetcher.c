/* fetcher.c - see fetcher.h. What the program says is a stranger's word: its packs are put as a laptop's are, each object by its digest, and its outcome
 * is looked at before it counts. */
#include "coordinator/fetcher.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/child.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/msg.h"
#include "common/pack.h"
#include "common/quantity.h"
#include "common/sibling.h"
#include "coordinator/fetch.h"
#include "coordinator/source_rules.h"

enum { TOGETHER_BYTES = 8 * 1024 * 1024 };      /* of packs in one transaction of the depot */

/* One fetch. */
typedef struct {
    fetcher_t *fetcher;
    int64_t id, owner, until_ms;
    char *work, *mirrors;
    pid_t pid;
    int input, output;
    buffer_t heard;                 /* of what the program says: not taken yet */
    buffer_t packs;                 /* whole frames that wait for a transaction */
    bool has_ended;                 /* the program has said what came of it */
    fetch_outcome_t outcome;
} run_t;

static void run_free (run_t *self)
{
    auto_close (&self->input);
    auto_close (&self->output);
    buffer_free (&self->heard);
    buffer_free (&self->packs);
    free (self->work);
    free (self->mirrors);
}

/* -- into the depot --------------------------------------------------------------------------------------------- */

static int put_pack (depot_t *depot, int64_t owner, const uint8_t *data, size_t size, err_t *err)
{
    pack_reader_t reader;
    object_kind kind;
    digest_t digest;
    const uint8_t *object;
    size_t object_size;
    int rc;
    pack_reader_init (&reader, data, size);
    while ((rc = pack_read (&reader, &kind, &digest, &object, &object_size, err)) > 0)
        if (depot_put_zip (depot, kind, &digest, object, object_size, &reader.zip, err) < 0 || depot_own (depot, &digest, owner, err) < 0) {
            rc = -1;
            break;
        }
    pack_reader_free (&reader);
    return rc;
}

static int put_all (run_t *self, err_t *err)
{
    for (size_t at = 0; at < self->packs.size; ) {
        size_t size = fetch_frame_size (self->packs.data + at);
        if (put_pack (self->fetcher->settings->depot, self->owner, self->packs.data + at + FETCH_FRAME_HEAD, size, err) < 0)
            return -1;
        at += FETCH_FRAME_HEAD + size;
    }
    return 0;
}

static int store (run_t *self, err_t *err)
{
    depot_t *depot = self->fetcher->settings->depot;
    int64_t left = file_free_bytes (self->fetcher->settings->folder);
    if (self->packs.size == 0)
        return 0;
    if (left >= 0 && left < self->fetcher->settings->free_floor_bytes)
        return err_set (err, ERR_FULL, "the coordinator's disk has %lld MB left (depot/free-floor)", (long long) left / 1000000);
    if (depot_begin (depot, err) < 0)
        return -1;
    if (put_all (self, err) < 0) {
        depot_rollback (depot);
        return -1;
    }
    buffer_clear (&self->packs);
    return depot_commit (depot, err);
}

/* -- what the program says -------------------------------------------------------------------------------------- */

static int take_frame (run_t *self, const fetch_frame_t *frame, err_t *err)
{
    if (frame->kind == 'R') {
        self->has_ended = true;
        return store (self, err) < 0 ? -1 : fetch_outcome_read (&self->outcome, frame->data, frame->size, err);
    }
    buffer_append (&self->packs, frame->data - FETCH_FRAME_HEAD, FETCH_FRAME_HEAD + frame->size);
    return self->packs.size < TOGETHER_BYTES ? 0 : store (self, err);
}

static int take_frames (run_t *self, err_t *err)
{
    fetch_frame_t frame;
    size_t at = 0;
    int rc = 0;
    while (!self->has_ended && (rc = fetch_frame_read (&frame, self->heard.data + at, self->heard.size - at, err)) > 0) {
        at += FETCH_FRAME_HEAD + frame.size;
        if (take_frame (self, &frame, err) < 0)
            return -1;
    }
    memmove (self->heard.data, self->heard.data + at, self->heard.size - at);
    self->heard.size -= at;
    return rc < 0 ? -1 : 0;
}

static bool is_unwanted (const run_t *self)
{
    return atomic_load (&self->fetcher->is_stopped) || atomic_load (&self->fetcher->dropped) == self->id;
}

/* More from the program, or a word from the gateway. 0: there is more to come. */
static int listen_once (run_t *self, err_t *err)
{
    struct pollfd fds [2] = { { .fd = self->output, .events = POLLIN }, { .fd = self->fetcher->wake_fd, .events = POLLIN } };
    char time [QUANTITY_SIZE];
    int64_t left = self->until_ms - clock_boot_ms ();
    if (left <= 0)
        return err_set (err, ERR_TIMEOUT, "it took more than %s (git/timeout-ms of the coordinator)", quantity_duration (self->fetcher->settings->timeout_ms, time));
    if (poll (fds, 2, left > 60000 ? 60000 : (int) left) <= 0)
        return 0;
    uint64_t count;
    if (fds [1].revents && read (self->fetcher->wake_fd, &count, sizeof count) > 0 && is_unwanted (self))
        return err_set (err, ERR_INTERRUPTED, "nobody waits for it any more");
    if (!fds [0].revents)
        return 0;
    buffer_reserve (&self->heard, self->heard.size + 65536);
    ssize_t size = read (self->output, self->heard.data + self->heard.size, 65536);
    if (size < 0)
        return errno == EINTR ? 0 : err_sys (err, errno, "hear farm-coordinator-fetch");
    if (size == 0)
        return err_set (err, ERR_FARM, "farm-coordinator-fetch ended without an outcome");
    self->heard.size += (size_t) size;
    return take_frames (self, err);
}

/* -- the process ------------------------------------------------------------------------------------------------ */

static int start (run_t *self, err_t *err)
{
    int to [2], from [2];
    AUTO_FREE char *program = sibling_path ("farm-coordinator-fetch", FARM_LIBEXECDIR);
    if (pipe2 (to, O_CLOEXEC) < 0)
        return err_sys (err, errno, "make a pipe");
    AUTO_CLOSE int to_read = to [0];
    self->input = to [1];
    if (pipe2 (from, O_CLOEXEC) < 0)
        return err_sys (err, errno, "make a pipe");
    AUTO_CLOSE int from_write = from [1];
    self->output = from [0];
    char *const argv [] = { program, NULL }, *const environment [] = { "LC_ALL=C", NULL };
    const child_program_t what = { program, argv, environment, to_read, from_write, -1, true };
    int rc = child_start (&self->pid, &what);
    return rc == 0 ? 0 : err_set (err, ERR_FARM, "%s cannot be started: %s; install archfarm again", program, strerror (rc));
}

/* git and ssh are of its group. */
static void end_group (const run_t *self)
{
    int status;
    kill (-self->pid, SIGKILL);
    while (waitpid (self->pid, &status, 0) < 0 && errno == EINTR)
        ;
}

static int tell (run_t *self, const json_t *task, err_t *err)
{
    const fetcher_settings_t *settings = self->fetcher->settings;
    json_t *rules = source_rules_for (settings->rules, json_string_value (json_object_get (task, "user")));
    AUTO_JSON json_t *job = json_pack ("{s:O, s:o, s:O, s:s, s:s, s:I, s:I}", "source", json_object_get (task, "source"), "rules", rules, "dockerfile",
                                       json_object_get (task, "dockerfile"), "mirrors", self->mirrors, "work", self->work, "size_max",
                                       (json_int_t) settings->size_max, "entries_max", (json_int_t) settings->entries_max);
    AUTO_FREE char *text = json_dumps (job, JSON_COMPACT);
    return fetch_frame_write (self->input, 'J', text, strlen (text), err);
}

static int talk (run_t *self, const json_t *task, err_t *err)
{
    if (start (self, err) < 0)
        return -1;
    int rc = tell (self, task, err);
    while (rc == 0 && !self->has_ended)
        rc = listen_once (self, err);
    end_group (self);
    return rc;
}

/* -- the outcome ------------------------------------------------------------------------------------------------ */

static bool is_there (const run_t *self, const digest_t *digest)
{
    return depot_has_of (self->fetcher->settings->depot, digest, self->owner);
}

static int check (const run_t *self, err_t *err)
{
    const fetcher_settings_t *settings = self->fetcher->settings;
    if (!is_there (self, &self->outcome.context) || !is_there (self, &self->outcome.dockerfile))
        return err_set (err, ERR_FARM, "farm-coordinator-fetch ends with an outcome that does not fit what it sent");
    return context_limits_check (&settings->context_limits, settings->depot, &self->outcome.context, err);
}

static int make_folders (run_t *self, err_t *err)
{
    self->work = mem_printf ("%s/work-%d", self->fetcher->settings->folder, self->fetcher->number);
    self->mirrors = file_join (self->fetcher->settings->folder, "mirrors");
    if (file_make_folders (self->mirrors, 0700, err) < 0 || file_remove_tree (self->work, err) < 0)
        return -1;
    return mkdir (self->work, 0700) == 0 ? 0 : err_sys (err, errno, "make %s", self->work);
}

static int run (run_t *self, const json_t *task, err_t *err)
{
    if (is_unwanted (self))
        return err_set (err, ERR_INTERRUPTED, "nobody waits for it any more");
    if (make_folders (self, err) < 0 || talk (self, task, err) < 0)
        return -1;
    return check (self, err);
}

/* Once: the admin is to know. */
static void tell_unconfined (const run_t *self)
{
    static atomic_flag has_told = ATOMIC_FLAG_INIT;
    if (self->outcome.is_unconfined && !atomic_flag_test_and_set (&has_told))
        log_warn ("fetcher", "this kernel, or a filter of system calls, has no Landlock: what fetches contexts could read what the coordinator may (docs/security.md)");
}

static json_t *event_of (const run_t *self, const json_t *task, int rc, const err_t *err)
{
    json_t *event = json_pack ("{s:O, s:b}", "fetch", json_object_get (task, "fetch"), "ok", rc == 0);
    const fetch_outcome_t *outcome = &self->outcome;
    char context [DIGEST_HEX_SIZE + 1], dockerfile [DIGEST_HEX_SIZE + 1];
    digest_to_hex (&outcome->context, context);
    digest_to_hex (&outcome->dockerfile, dockerfile);
    if (rc < 0)
        json_object_update_new (event, json_pack ("{s:s, s:s}", "code", err_name (err->code), "text", err->text));
    else
        json_object_update_new (event, json_pack ("{s:s, s:{s:s, s:I}, s:s*}", "context", context, "dockerfile", "digest", dockerfile, "size",
                                                  (json_int_t) outcome->dockerfile_size, "commit", *outcome->commit ? outcome->commit : NULL));
    return event;
}

static json_t *on_fetch (fetcher_t *fetcher, const json_t *task)
{
    __attribute__ ((cleanup (run_free))) run_t self = {
        .fetcher = fetcher, .input = -1, .output = -1, .id = json_integer_value (json_object_get (task, "fetch")),
        .owner = json_integer_value (json_object_get (task, "principal")), .until_ms = clock_boot_ms () + fetcher->settings->timeout_ms,
    };
    err_t err = { 0 };
    int rc = run (&self, task, &err);
    tell_unconfined (&self);
    if (self.work)
        file_remove_tree (self.work, NULL);
    if (self.mirrors)
        mirrors_trim (self.mirrors, fetcher->settings->mirrors_max);
    return event_of (&self, task, rc, &err);
}

void fetcher_actor (zsock_t *pipe, void *fetcher)
{
    bool goes_on = true;
    zsock_signal (pipe, 0);
    while (goes_on) {
        char *verb = NULL, *text = NULL;
        if (zstr_recvx (pipe, &verb, &text, NULL) < 0)
            goes_on = errno == EINTR;
        else if (streq (verb, "$TERM"))
            goes_on = false;
        else {
            AUTO_JSON json_t *task = json_loads (text, 0, NULL);
            AUTO_JSON json_t *event = on_fetch (fetcher, task);
            AUTO_FREE char *answer = json_dumps (event, JSON_COMPACT);
            zstr_sendx (pipe, "fetched", answer, NULL);
        }
        zstr_free (&verb);
        zstr_free (&text);
    }
}
