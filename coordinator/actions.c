/* actions.c - what is to be done once the transaction is committed: gathered in engine->pending, then handed over. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/mem.h"
#include "coordinator/engine_private.h"

static action_t *append (actions_t *list, action_t action)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 64;
        list->items = mem_resize (list->items, list->capacity * sizeof *list->items);
    }
    list->items [list->count] = action;
    return &list->items [list->count++];
}

static action_t *add_action (engine_t *self, action_type type, json_t *header)
{
    return append (&self->pending, (action_t) { .type = type, .header = header ? header : json_object () });
}

/* An image that is not handed out any more (engine_wind_down) is after the next start: its job is verifying. */
void engine_act (engine_t *self, action_type type, json_t *header)
{
    if (self->winds_down && type == ACTION_VERIFY)
        json_decref (header);
    else
        add_action (self, type, header);
}

void engine_tell (engine_t *self, const char *format, ...)
{
    char text [512];
    va_list args;
    va_start (args, format);
    vsnprintf (text, sizeof text, format, args);
    va_end (args);
    json_t *line = json_string (text);          /* NULL when it was cut within a character */
    if (line)
        engine_act (self, ACTION_TELL, json_pack ("{s:o}", "text", line));
}

void engine_count (engine_t *self, const char *name, double value, const char *label, const char *second, const char *third)
{
    engine_act (self, ACTION_COUNT, json_pack ("{s:[s, f, s?, s?, s?]}", "sample", name, value, label, second, third));
}

void engine_send (engine_t *self, uint64_t peer, const char *verb, json_t *header)
{
    action_t *action = add_action (self, ACTION_SEND, header);
    action->peer = peer;
    snprintf (action->verb, sizeof action->verb, "%s", verb);
}

static void answer (engine_t *self, uint64_t peer, int64_t seq, const char *verb, json_t *header)
{
    if (!header)
        header = json_object ();
    if (seq > 0)
        json_object_set_new (header, "re", json_integer (seq));
    engine_send (self, peer, verb, header);
}

void engine_answer (engine_t *self, const event_t *event, const char *verb, json_t *header)
{
    answer (self, event->peer, event_int (event, "seq"), verb, header);
}

void engine_refuse (engine_t *self, uint64_t peer, int64_t seq, const err_t *err)
{
    if (peer)
        answer (self, peer, seq, "error", json_pack ("{s:s, s:s}", "code", err_name (err->code), "text", err->text));
}

/* -- fields of events ------------------------------------------------------------------------------------------- */

int64_t event_int (const event_t *self, const char *field)
{
    return json_integer_value (json_object_get (self->header, field));
}

const char *event_text (const event_t *self, const char *field)
{
    return json_string_value (json_object_get (self->header, field));
}

/* -- the list --------------------------------------------------------------------------------------------------- */

void actions_cut (actions_t *self, size_t count)
{
    while (self->count > count)
        json_decref (self->items [--self->count].header);
}

void actions_clear (actions_t *self)
{
    actions_cut (self, 0);
}

void actions_free (actions_t *self)
{
    actions_clear (self);
    free (self->items);
    *self = (actions_t) { 0 };
}

void engine_hand_over (engine_t *self, actions_t *to)
{
    for (size_t i = 0; i < self->pending.count; i++)
        append (to, self->pending.items [i]);
    self->pending.count = 0;
}
