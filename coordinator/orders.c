/* orders.c - see orders.h. A worker is not told: it goes on with what it has, and is given nothing new. */
#include "coordinator/orders.h"

#include <string.h>

#include "common/label.h"
#include "common/mem.h"
#include "coordinator/audit.h"
#include "coordinator/boards.h"
#include "coordinator/view.h"

static int check_labels (const json_t *labels, err_t *err)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *) labels, name, value) {
        if (strcmp (name, "name") == 0)
            return err_set (err, ERR_USAGE, "the label name is the worker's own: choose another one");
        if (label_check (name, json_is_null (value) ? "" : json_string_value (value), err) < 0)
            return -1;
    }
    return 0;
}

/* One that is there would be known again with its next heartbeat. */
static int check_mode (const board_t *board, board_mode mode, err_t *err)
{
    if (mode == MODE_FORGOTTEN && board->is_online && board->peer)
        return err_set (err, ERR_USAGE, "worker %s is connected: stop it before it is forgotten, or pause it", board->name);
    return 0;
}

/* What was ordered, and why: of a worker that is forgotten nothing else keeps that. */
static int note (engine_t *self, const event_t *event, const char *name, const char *what, err_t *err)
{
    const char *comment = event_text (event, "comment");
    bool is_said = comment && *comment;
    AUTO_FREE char *detail = mem_printf ("%s%s%s", what, is_said ? ": " : "", is_said ? comment : "");
    return audit_done (self, event, name, detail, err);
}

int orders_on_order (engine_t *self, const event_t *event, err_t *err)
{
    const char *name = event_text (event, "name"), *mode_name = event_text (event, "mode");
    const json_t *labels = json_object_get (event->header, "labels");
    board_mode mode = mode_name ? board_mode_of (mode_name) : MODES;
    board_t *board = board_of_name (self, name);
    if (!board || board->mode == MODE_FORGOTTEN)
        return err_set (err, ERR_NOT_FOUND, "there is no worker %s: farmctl worker ls shows them all", name);
    if (check_mode (board, mode, err) < 0 || check_labels (labels, err) < 0)
        return -1;
    json_t *view = mode == MODE_FORGOTTEN ? view_worker (self, name, err) : NULL;      /* its last */
    if (board_order (self, board, mode, labels, event_text (event, "comment"), err) < 0) {
        json_decref (view);
        return -1;
    }
    if (!view)
        view = view_worker (self, name, err);
    if (!view)
        return -1;
    if (note (self, event, name, mode_name ? mode_name : "labels", err) < 0) {
        json_decref (view);
        return -1;
    }
    engine_tell (self, "worker %s: %s", name, mode_name ? mode_name : "labels changed");
    engine_answer (self, event, "worker-state", json_pack ("{s:o}", "worker", view));
    return 0;
}
