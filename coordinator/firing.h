/* firing.h - one time of a schedule, and its row in table firings: the outcome so far. What becomes of it: firings.h. */
#ifndef FARM_FIRING_H
#define FARM_FIRING_H

#include "coordinator/schedule.h"

typedef struct {
    int64_t schedule, scheduled_ms;
    bool is_by_hand;
    char request [33];                      /* that of its build, so the same time again is the same build */
} firing_t;

/* The request of a time that the clock has brought; one by hand has that of who asked. */
void firing_make_request (const schedule_t *schedule, int64_t scheduled_ms, char out [33]);

/* Take it down. 1; 0: that time has been fired; -1. times: how many one row stands for, of those that were missed. */
int firing_insert (engine_t *self, const firing_t *firing, const char *outcome, int64_t times, const char *text, err_t *err);
/* It has come to this. build 0: to none. text NULL: as it is. */
int firing_settle (engine_t *self, const firing_t *firing, const char *outcome, int64_t build, const char *text, err_t *err);
/* What it is built from, as of its schedule's spec. */
int firing_note_inputs (engine_t *self, const firing_t *firing, const json_t *spec, err_t *err);
/* What was fetched for it, while it is being looked at. */
int firing_note_fetched (engine_t *self, const firing_t *firing, const json_t *fetched, err_t *err);

/* From a row of schedule, scheduled_ms, is_by_hand, request. Returns 1. */
int firing_read (const query_t *row, firing_t *out);
/* 1 when it is being looked at; 0: it was dropped, and its schedule may be gone; -1. *fetched, where it was: to the caller. */
int firing_find_looking (engine_t *self, int64_t schedule, int64_t scheduled_ms, firing_t *out, json_t **fetched, err_t *err);

/* Of the firings of a schedule that have not ended: how many, how many of them wait, and the build of one that has one, else 0. */
typedef struct { int count, waiting; int64_t build; } open_firings_t;
int firing_find_open (engine_t *self, int64_t schedule, open_firings_t *out, err_t *err);

/* Those of a schedule that wait or are being looked at: skipped. */
int firing_drop_waiting (engine_t *self, int64_t schedule, const char *why, err_t *err);
/* Those of a schedule that are too old to be shown. */
int firing_forget_old (engine_t *self, int64_t schedule, err_t *err);

#endif
