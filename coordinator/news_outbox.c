/* news_outbox.c - see news_outbox.h. */
#include "coordinator/news_outbox.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "coordinator/audit.h"
#include "coordinator/cells.h"
#include "coordinator/news.h"
#include "coordinator/news_words.h"
#include "coordinator/principals.h"

/* The wall clock may be put on or back at any moment, so it is looked at each LOOK_MS though nothing is due on the boot clock. */
enum { LOOK_MS = 60000, RETRY_MAX_MS = 3600000, TIDY_MS = 3600000, WAITING_MAX = 1000, PAGE_MAX = 200, ALSO_MAX = 50 };
static const int64_t keep_ms = 30ll * 86400000;

/* -- rows ------------------------------------------------------------------------------------------------------- */

static int next_id (engine_t *self, int64_t *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT seq FROM sqlite_sequence WHERE name = 'news'");
    *out = (query_step (&query) ? query_get_int (&query, 0) : 0) + 1;
    return query_end (&query, err);
}

static void make_uid (int64_t id, int64_t at_ms, const subscriber_t *to, char uid [NEWS_UID_SIZE])
{
    uint8_t bytes [16];
    AUTO_FREE char *text = mem_printf ("news/%lld/%lld/%s/%s", (long long) id, (long long) at_ms, to->name, to->address);
    crypto_generichash (bytes, sizeof bytes, (const uint8_t *) text, strlen (text), NULL, 0);
    sodium_bin2hex (uid, NEWS_UID_SIZE, bytes, sizeof bytes);
}

static int is_crowded (engine_t *self, int64_t subscriber, bool *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT count (*) FROM news WHERE subscriber = :subscriber AND due_ms IS NOT NULL");
    query_int (&query, ":subscriber", subscriber);
    *out = query_step (&query) && query_get_int (&query, 0) >= WAITING_MAX;
    return query_end (&query, err);
}

static int insert (engine_t *self, const subscriber_t *to, const news_t *news, const char *uid, bool is_crowded, err_t *err)
{
    AUTO_FREE char *facts = json_dumps (news->facts, JSON_COMPACT);
    query_t query = db_query (self->db, "INSERT INTO news (uid, thread, subscriber, principal, name, kind, address, salt, event, subject, cause, facts, at_ms, "
                              "state, due_ms, text, ended_ms) VALUES (:uid, :thread, :subscriber, :principal, :name, :kind, :address, :salt, :event, "
                              ":subject, :cause, :facts, :now, iif (:crowded, 'given-up', 'waiting'), iif (:crowded, NULL, :due), :text, iif (:crowded, :now, NULL))");
    query_text (&query, ":uid", uid);
    query_text (&query, ":thread", news->thread ? news->thread : uid);
    query_int (&query, ":subscriber", to->id);
    query_int (&query, ":principal", to->principal);
    query_text (&query, ":name", to->name);
    query_text (&query, ":kind", to->kind);
    query_text (&query, ":address", to->address);
    query_text (&query, ":salt", to->salt);
    query_text (&query, ":event", news->event);
    query_text (&query, ":subject", news->subject);
    query_text (&query, ":cause", news->cause);
    query_text (&query, ":facts", facts);
    query_int (&query, ":now", self->wall_ms);
    query_int (&query, ":due", self->wall_ms + news->delay_ms);
    query_int (&query, ":crowded", is_crowded);
    query_text (&query, ":text", is_crowded ? "too many wait for it already" : "");
    return query_run (&query, err) < 0 ? -1 : 0;
}

int news_outbox_add (engine_t *self, const subscriber_t *to, const news_t *news, char uid [NEWS_UID_SIZE], err_t *err)
{
    int64_t id;
    bool crowded;
    if (next_id (self, &id, err) < 0 || is_crowded (self, to->id, &crowded, err) < 0)
        return -1;
    make_uid (id, self->wall_ms, to, uid);
    if (insert (self, to, news, uid, crowded, err) < 0)
        return -1;
    int64_t due = self->boot_ms + news->delay_ms;
    self->news_at = due < self->news_at ? due : self->news_at;
    return 0;
}

static bool is_in_flight (const engine_t *self, int64_t id, int64_t subscriber)
{
    for (size_t i = 0; i < self->flight_count; i++)
        if (self->flights [i].id == id || self->flights [i].subscriber == subscriber)
            return true;
    return false;
}

static int64_t find_waiting (engine_t *self, int64_t subscriber, const news_t *news, json_t **facts, err_t *err)
{
    int64_t id = 0;
    *facts = NULL;
    query_t query = db_query (self->db, "SELECT id, facts FROM news WHERE subscriber = :subscriber AND due_ms IS NOT NULL AND tries = 0 "
                              "AND event = :event AND subject = :subject AND cause = :cause ORDER BY id DESC LIMIT 1");
    query_int (&query, ":subscriber", subscriber);
    query_text (&query, ":event", news->event);
    query_text (&query, ":subject", news->subject);
    query_text (&query, ":cause", news->cause);
    if (query_step (&query) && !is_in_flight (self, query_get_int (&query, 0), 0)) {
        id = query_get_int (&query, 0);
        *facts = json_loads (query_get_text (&query, 1), 0, NULL);
    }
    if (query_end (&query, err) == 0)
        return *facts ? id : 0;
    json_decref (*facts);
    *facts = NULL;
    return -1;
}

static int change (engine_t *self, int64_t id, const json_t *facts, err_t *err)
{
    AUTO_FREE char *text = json_dumps (facts, JSON_COMPACT);
    query_t query = db_query (self->db, "UPDATE news SET facts = :facts WHERE id = :id");
    query_text (&query, ":facts", text);
    query_int (&query, ":id", id);
    return query_run (&query, err) < 0 ? -1 : 0;
}

int news_outbox_join (engine_t *self, int64_t subscriber, const news_t *news, const json_t *also, bool counts, err_t *err)
{
    AUTO_JSON json_t *facts = NULL;
    int64_t id = find_waiting (self, subscriber, news, &facts, err);
    if (id <= 0)
        return id < 0 ? -1 : 0;
    json_t *list = json_object_get (facts, "also");
    if (!list)
        json_object_set_new (facts, "also", list = json_array ());
    if (counts)
        json_object_set_new (facts, "times", json_integer (json_integer_value (json_object_get (facts, "times")) + 1));
    if (json_array_size (list) < ALSO_MAX)
        json_array_append (list, (json_t *) also);
    news_words_title (news->event, facts);
    return change (self, id, facts, err) < 0 ? -1 : 1;
}

int news_outbox_drop (engine_t *self, int64_t subscriber, err_t *err)
{
    query_t query = db_query (self->db, "DELETE FROM news WHERE subscriber = :subscriber AND due_ms IS NOT NULL");
    query_int (&query, ":subscriber", subscriber);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* -- handed out ------------------------------------------------------------------------------------------------- */

static void land (engine_t *self, int64_t id)
{
    for (size_t i = 0; i < self->flight_count; i++)
        if (self->flights [i].id == id) {
            self->flights [i] = self->flights [--self->flight_count];
            return;
        }
}

void news_outbox_take_back (engine_t *self, int64_t id)
{
    land (self, id);
    self->news_at = self->boot_ms;
}

static json_t *task_of (const query_t *row)
{
    json_t *facts = json_loads (query_get_text (row, 9), 0, NULL);
    return json_pack ("{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:I}", "id", (json_int_t) query_get_int (row, 0), "uid", query_get_text (row, 2),
                      "thread", query_get_text (row, 3), "name", query_get_text (row, 4), "kind", query_get_text (row, 5), "address", query_get_text (row, 6),
                      "salt", query_get_text (row, 7), "event", query_get_text (row, 8), "facts", facts ? facts : json_object (), "at_ms",
                      (json_int_t) query_get_int (row, 10));
}

/* Before it leaves: what may have been sent is not changed any more. */
static int count_try (engine_t *self, int64_t id, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE news SET tries = tries + 1 WHERE id = :id");
    query_int (&query, ":id", id);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* Those whose user may not see any more what they tell. */
static int drop_silent (engine_t *self, err_t *err)
{
    query_t query = db_query (self->db, "DELETE FROM news WHERE due_ms <= :now AND (NOT EXISTS (SELECT 1 FROM principals WHERE id = news.principal AND revoked_ms IS NULL "
                              "AND (role = 'admin' OR role = 'submitter')) OR EXISTS (SELECT 1 FROM subscribers JOIN principals ON principals.id = subscribers.principal "
                              "WHERE subscribers.id = news.subscriber AND NOT (" SUBSCRIBER_MAY_BE_TOLD ")))");
    query_int (&query, ":now", self->wall_ms);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* Nothing is ever due later than in an hour: the wall clock was put back since. */
static int bring_forward (engine_t *self, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE news SET due_ms = :now WHERE due_ms > :far");
    query_int (&query, ":now", self->wall_ms);
    query_int (&query, ":far", self->wall_ms + 2 * RETRY_MAX_MS);
    return query_run (&query, err) < 0 ? -1 : 0;
}

/* Of each subscriber the first that is due and has nothing before it in its thread. */
static int hand_out (engine_t *self, err_t *err)
{
    size_t count = 0;
    query_t query = db_query (self->db, "SELECT min (id), subscriber, uid, thread, name, kind, address, salt, event, facts, at_ms FROM news WHERE due_ms <= :now "
                              "AND NOT EXISTS (SELECT 1 FROM news AS earlier WHERE earlier.thread = news.thread AND earlier.id < news.id "
                              "AND earlier.due_ms IS NOT NULL) GROUP BY subscriber");
    query_int (&query, ":now", self->wall_ms);
    while (self->flight_count < FLIGHTS_MAX && query_step (&query)) {
        if (is_in_flight (self, query_get_int (&query, 0), query_get_int (&query, 1)))
            continue;
        self->flights [self->flight_count++] = (flight_t) { query_get_int (&query, 0), query_get_int (&query, 1) };
        engine_act (self, ACTION_NEWS, task_of (&query));
        count++;
    }
    if (query_end (&query, err) < 0)
        return -1;
    for (size_t i = self->flight_count - count; i < self->flight_count; i++)
        if (count_try (self, self->flights [i].id, err) < 0)
            return -1;
    return 0;
}

static int forget_old (engine_t *self, err_t *err)
{
    if (self->boot_ms < self->news_tidy_at)
        return 0;
    self->news_tidy_at = self->boot_ms + TIDY_MS;
    query_t query = db_query (self->db, "DELETE FROM news WHERE ended_ms < :before");
    query_int (&query, ":before", self->wall_ms - keep_ms);
    return query_run (&query, err) < 0 ? -1 : subscribers_look (self, err);
}

/* Whatever is in flight brings the next tick with it when it lands. */
static int expect (engine_t *self, err_t *err)
{
    query_t query = db_query (self->db, "SELECT min (due_ms) FROM news WHERE due_ms > :now");
    query_int (&query, ":now", self->wall_ms);
    int64_t wait = query_step (&query) && !query_is_null (&query, 0) ? query_get_int (&query, 0) - self->wall_ms : LOOK_MS;
    self->news_at = self->boot_ms + (wait < LOOK_MS ? wait : LOOK_MS);
    return query_end (&query, err);
}

int news_outbox_tick (engine_t *self, err_t *err)
{
    if (self->boot_ms < self->news_at || self->winds_down)
        return 0;
    if (forget_old (self, err) < 0 || bring_forward (self, err) < 0 || drop_silent (self, err) < 0 || hand_out (self, err) < 0)
        return -1;
    return expect (self, err);
}

/* -- what came of it -------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t id, at_ms;
    int tries;
    bool is_test;
    char uid [NEWS_UID_SIZE], name [64], kind [8], address [256];
} sent_t;

/* 1, 0 where it was removed meanwhile, -1. */
static int load_sent (engine_t *self, int64_t id, sent_t *out, err_t *err)
{
    query_t query = db_query (self->db, "SELECT at_ms, tries, event, uid, name, address, kind FROM news WHERE id = :id AND due_ms IS NOT NULL");
    query_int (&query, ":id", id);
    int found = query_step (&query);
    if (found) {
        *out = (sent_t) { .id = id, .at_ms = query_get_int (&query, 0), .tries = (int) query_get_int (&query, 1) };
        out->is_test = strcmp (query_get_text (&query, 2), NEWS_TEST) == 0;
        snprintf (out->uid, sizeof out->uid, "%s", query_get_text (&query, 3));
        snprintf (out->name, sizeof out->name, "%s", query_get_text (&query, 4));
        snprintf (out->address, sizeof out->address, "%s", query_get_text (&query, 5));
        snprintf (out->kind, sizeof out->kind, "%s", query_get_text (&query, 6));
    }
    return query_end (&query, err) < 0 ? -1 : found;
}

/* due_ms 0: it is not tried again. */
static int note (engine_t *self, const sent_t *sent, const char *state, int64_t due_ms, const char *text, err_t *err)
{
    query_t query = db_query (self->db, "UPDATE news SET state = :state, due_ms = nullif (:due, 0), text = :text, "
                              "ended_ms = iif (:due = 0, :now, NULL) WHERE id = :id");
    query_text (&query, ":state", state);
    query_int (&query, ":due", due_ms);
    query_text (&query, ":text", text ? text : "");
    query_int (&query, ":now", self->wall_ms);
    query_int (&query, ":id", sent->id);
    if (due_ms == 0)
        engine_count (self, "farm_news_total", 1, sent->kind, state, NULL);
    return query_run (&query, err) < 0 ? -1 : 0;
}

static void drop_waiter (engine_t *self, size_t place)
{
    self->news_wait_count--;
    memmove (&self->news_waits [place], &self->news_waits [place + 1], (self->news_wait_count - place) * sizeof *self->news_waits);
}

/* Whoever waits for a test's end. */
static void tell_waiter (engine_t *self, const sent_t *sent, bool is_ok, const char *text)
{
    for (size_t i = 0; i < self->news_wait_count; i++) {
        news_wait_t wait = self->news_waits [i];
        if (strcmp (wait.uid, sent->uid) != 0)
            continue;
        drop_waiter (self, i);
        engine_send (self, wait.peer, "news-tested", json_pack ("{s:I, s:b, s:s}", "re", (json_int_t) wait.seq, "ok", is_ok, "text", text ? text : ""));
        return;
    }
}

static int give_up (engine_t *self, const sent_t *sent, const char *text, err_t *err)
{
    AUTO_FREE char *subject = mem_printf ("news %s", sent->name), *detail = mem_printf ("given up after %d tries: %s: %s", sent->tries, sent->address, text);
    engine_tell (self, "news %lld of %s, %s", (long long) sent->id, sent->name, detail);
    if (!sent->is_test && audit_found (self, "deliver", subject, detail, err) < 0)
        return -1;
    return note (self, sent, "given-up", 0, text, err);
}

/* Twice as long after each try, an hour at most; the last try is at the end of its time. */
static int64_t next_try (const engine_t *self, const sent_t *sent, int64_t retry_after_s)
{
    int64_t wait = self->settings.news_retry_ms, last = sent->at_ms + self->settings.news_give_up_ms;
    for (int i = 1; i < sent->tries && wait < RETRY_MAX_MS; i++)
        wait *= 2;
    wait = retry_after_s * 1000 > wait ? retry_after_s * 1000 : wait;
    wait = wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS;
    return self->wall_ms + wait < last ? self->wall_ms + wait : last;
}

static int try_again (engine_t *self, const event_t *event, const sent_t *sent, err_t *err)
{
    const char *text = event_text (event, "text");
    int64_t due = next_try (self, sent, event_int (event, "retry_after_s"));
    bool is_over = self->wall_ms >= sent->at_ms + self->settings.news_give_up_ms || sent->is_test;
    if (is_over || json_is_true (json_object_get (event->header, "final")))
        return give_up (self, sent, text ? text : "", err);
    return note (self, sent, "waiting", due > self->wall_ms ? due : self->wall_ms + 1, text, err);
}

int news_outbox_on_delivered (engine_t *self, const event_t *event, err_t *err)
{
    sent_t sent;
    bool is_ok = json_is_true (json_object_get (event->header, "ok"));
    int found = load_sent (self, event_int (event, "id"), &sent, err);
    if (found < 0)
        return -1;
    if (found && (is_ok ? note (self, &sent, "sent", 0, event_text (event, "text"), err) < 0 : try_again (self, event, &sent, err) < 0))
        return -1;
    if (found && sent.is_test)
        tell_waiter (self, &sent, is_ok, event_text (event, "text"));
    land (self, event_int (event, "id"));
    self->news_at = self->boot_ms;
    return 0;
}

/* -- looked at -------------------------------------------------------------------------------------------------- */

/* The oldest goes where there are too many: its news may have been removed, or its batch lost. */
void news_outbox_await (engine_t *self, const event_t *event, const char *uid)
{
    if (self->news_wait_count == NEWS_WAITS_MAX)
        drop_waiter (self, 0);
    news_wait_t *wait = &self->news_waits [self->news_wait_count++];
    *wait = (news_wait_t) { .peer = event->peer, .seq = event_int (event, "seq") };
    snprintf (wait->uid, sizeof wait->uid, "%s", uid);
}

static json_t *view_of (const query_t *row)
{
    json_t *facts = json_loads (query_get_text (row, 11), 0, NULL);
    json_t *view = json_pack ("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:O?}", "id", (json_int_t) query_get_int (row, 0), "uid",
                              cell_text (row, 1, 32), "name", cell_text (row, 2, 64), "kind", cell_text (row, 3, 8), "address", cell_text (row, 4, 256),
                              "event", cell_text (row, 5, 16), "state", cell_text (row, 6, 16), "at_ms", cell_int (row, 7), "due_ms", cell_int (row, 8),
                              "tries", cell_int (row, 9), "text", cell_text (row, 10, 1024), "ended_ms", cell_int (row, 12), "title",
                              json_object_get (facts, "title"));
    json_decref (facts);
    return view;
}

/* Newest first, before a number (0: from the last on). */
int news_outbox_on_list (engine_t *self, const event_t *event, err_t *err)
{
    AUTO_JSON json_t *all = json_array ();
    bool has_more;
    int64_t only = principal_sees (self, event->principal, err);
    if (only < 0)
        return -1;
    query_t query = db_query (self->db, "SELECT id, uid, name, kind, address, event, state, at_ms, due_ms, tries, text, facts, ended_ms FROM news "
                              "WHERE (:before = 0 OR id < :before) AND (:only = 0 OR principal = :only) AND (:state IS NULL OR state = :state) "
                              "ORDER BY id DESC LIMIT :limit");
    query_int (&query, ":before", event_int (event, "after"));
    query_int (&query, ":only", only);
    query_text (&query, ":state", event_text (event, "state"));
    query_int (&query, ":limit", PAGE_MAX);
    if (cells_page (query, view_of, PAGE_MAX, all, &has_more, err) < 0)
        return -1;
    engine_answer (self, event, "outbox-page", json_pack ("{s:O, s:b}", "news", all, "has_more", has_more));
    return 0;
}

static int note_retry (engine_t *self, const event_t *event, int64_t id, err_t *err)
{
    query_t query = db_query (self->db, "SELECT count (*) FROM news WHERE state = 'given-up' AND (:id = 0 OR id = :id) AND principal <> :by");
    query_int (&query, ":id", id);
    query_int (&query, ":by", event->principal);
    int64_t count = query_step (&query) ? query_get_int (&query, 0) : 0;
    if (query_end (&query, err) < 0)
        return -1;
    if (count == 0)
        return 0;
    AUTO_FREE char *subject = id ? mem_printf ("%lld", (long long) id) : mem_strdup (""), *detail = mem_printf ("%lld of other users", (long long) count);
    return audit_done (self, event, subject, detail, err);
}

/* What was given up is tried again, for as long as it was at first; id 0: all of it that is one's own, or an admin's any. */
int news_outbox_on_retry (engine_t *self, const event_t *event, err_t *err)
{
    int64_t only = principal_sees (self, event->principal, err), id = event_int (event, "id");
    if (only < 0 || (only == 0 && note_retry (self, event, id, err) < 0))
        return -1;
    query_t query = db_query (self->db, "UPDATE news SET state = 'waiting', due_ms = :now, ended_ms = NULL, tries = 0, at_ms = :now WHERE state = 'given-up' "
                              "AND (:id = 0 OR id = :id) AND (:only = 0 OR principal = :only)");
    query_int (&query, ":now", self->wall_ms);
    query_int (&query, ":id", id);
    query_int (&query, ":only", only);
    int count = query_run (&query, err);
    if (count < 0)
        return -1;
    if (count == 0 && id)
        return err_set (err, ERR_NOT_FOUND, "there are no news %lld of yours that were given up: farmctl news outbox shows which there are", (long long) id);
    self->news_at = self->boot_ms;
    engine_answer (self, event, "news-retried", json_pack ("{s:i}", "count", count));
    return 0;
}
