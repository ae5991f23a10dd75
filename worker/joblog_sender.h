/* joblog_sender.h - the file of a log, and what of it is on the way to the coordinator. One thread uses it, without waiting. */
#ifndef FARM_JOBLOG_SENDER_H
#define FARM_JOBLOG_SENDER_H

#include "worker/connection.h"
#include "worker/joblog.h"

typedef struct sender sender_t;

int sender_new (sender_t **out, const joblog_settings_t *settings, err_t *err);
void sender_destroy (sender_t **self);

/* Add a line, with its line feed. */
void sender_add (sender_t *self, const void *line, size_t size);

/* Add a line that says how many were left out since the last that had room, if any were. */
void sender_tell_left_out (sender_t *self);

/* Take answers and send what can be sent. */
void sender_work (sender_t *self);

/* The coordinator has all of it, or does not want it any more. */
bool sender_is_done (const sender_t *self);

int sender_poll_items (sender_t *self, zmq_pollitem_t items [CONNECTION_ITEMS]);
int64_t sender_due_ms (const sender_t *self);       /* call sender_work then, on the boot clock; INT64_MAX: not by itself */

#endif
