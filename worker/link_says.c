/* link_says.c - hello, heartbeats and reports. */
#include "worker/link_private.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"

void link_say (link_t *self, const char *verb, json_t *header)
{
    err_t err;
    msg_t *message = msg_new (verb, header, NULL, 0);
    if (connection_send (self->connection, &message, &err) < 0)
        log_debug ("link", "%s: %s", verb, err.text);
}

static json_t *list_attempts (link_t *self)
{
    json_t *list = json_array ();
    for (held_t *held = link_next_held (self, NULL); held; held = link_next_held (self, held))
        if (held->report || !held->has_ended)
            json_array_append_new (list, json_pack ("{s:I, s:I}", "job", (json_int_t) held->job, "attempt",
                                                    (json_int_t) held->attempt));
    return list;
}

void link_say_hello (link_t *self)
{
    self->is_welcome = false;
    self->hello_seq = ++self->seq;
    self->beat_at = clock_boot_ms () + self->heartbeat_ms;
    link_say (self, "hello", json_pack ("{s:I, s:s, s:s, s:s, s:O, s:o}", "seq", (json_int_t) self->hello_seq, "program",
                                   "farm-worker", "version", PACKAGE_VERSION, "instance", self->instance, "worker",
                                   self->settings.worker, "attempts", list_attempts (self)));
}

/* Each attempt makes room at its end; where none runs, a disk that is too full for new ones would stay so. */
static void make_room (link_t *self, const health_t *health)
{
    if (!health_is_disk_low (health, &self->settings.health) || link_count_threads (self) > 0)
        return;
    err_t err = { 0 };
    if (!self->sweeper)
        self->sweeper = sweeper_new (&self->settings.parts, &err);
    if (self->sweeper)
        sweeper_ask (self->sweeper);
    else
        log_warn ("link", "make room on the disk: %s; it is tried again", err.text);
}

/* How the machine is. A reason to take no new job is logged when it comes and when it goes. */
static void describe_health (link_t *self, json_t *header)
{
    health_t health;
    health_read (&health, &self->settings.health);
    health.cache_bytes = cache_bytes (self->settings.parts.cache);
    AUTO_FREE char *unfit = health_why_unfit (&health, &self->settings.health);
    json_object_set_new (header, "health", health_json (&health));
    if (unfit)
        json_object_set_new (header, "unfit", json_string (unfit));
    if (unfit && !self->is_unfit)
        log_warn ("link", "no new jobs for now: %s", unfit);
    if (!unfit && self->is_unfit)
        log_info ("link", "new jobs are taken again");
    self->is_unfit = unfit != NULL;
    make_room (self, &health);
}

static void describe_stop (const link_t *self, json_t *header)
{
    int64_t left = self->stage == STAGE_DRAINS ? self->stage_until - clock_boot_ms () : 0;
    AUTO_FREE char *why = left > 0 ? mem_printf ("it was told to end; what it has may go on for %lld s", (long long) (left + 999) / 1000)
                                   : mem_strdup ("it was told to end");
    json_object_set_new (header, "unfit", json_string (why));
    json_object_set_new (header, "stopping", json_true ());
}

/* What it works on, and how it is. */
static json_t *describe (link_t *self)
{
    json_t *header = json_pack ("{s:o}", "attempts", list_attempts (self));
    if (self->settings.health.root)
        describe_health (self, header);
    if (self->stage != STAGE_WORKS)
        describe_stop (self, header);
    return header;
}

void link_beat (link_t *self)
{
    self->beat_at = clock_boot_ms () + self->heartbeat_ms;
    if (!self->is_welcome)
        link_say_hello (self);
    else
        link_say (self, "heartbeat", describe (self));
}

void link_send_report (link_t *self, held_t *held)
{
    held_send (held, self->connection, ++self->seq);
}
