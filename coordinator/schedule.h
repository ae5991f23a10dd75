/* schedule.h - one schedule: its row, and the times that are due. Whose it is, when, what is built, and what the last success was. */
#ifndef FARM_SCHEDULE_H
#define FARM_SCHEDULE_H

#include "common/digest.h"
#include "coordinator/cron.h"
#include "coordinator/engine_private.h"

typedef struct {
    int64_t id, principal;
    int64_t next_ms;                        /* wall clock; 0: it is not active */
    int64_t success_build;                  /* 0: none that counts */
    char name [64], cron [CRON_TEXT_MAX], zone [ZONE_NAME_MAX], state [8], catch_up [8], overlap [12];
    bool if_changed;
    json_t *spec;                           /* NULL: its row cannot be read any more */
    char success_inputs [OCI_DIGEST_SIZE];
    json_t *success_bases;                  /* NULL: not known */
    char success_commit [65];               /* "": of no repository */
} schedule_t;

void schedule_free (schedule_t *self);
#define AUTO_SCHEDULE __attribute__ ((cleanup (schedule_free)))

/* ERR_NOT_FOUND where there is none. *out is freed before it is filled. */
int schedule_find (engine_t *self, const char *name, schedule_t *out, err_t *err);
int schedule_load (engine_t *self, int64_t id, schedule_t *out, err_t *err);

/* The first time behind one (wall clock). ERR_USAGE: its times or its zone are none (any more). */
int schedule_next (const schedule_t *self, int64_t after_ms, int64_t *next_ms, err_t *err);
/* A time in its zone: "2026-03-29T03:00+02:00". */
void schedule_say_time (const schedule_t *self, int64_t at_ms, char out [32]);

/* Of the times from next_ms to now: the latest, and how many come before it, at most MISSED_MAX. */
enum { MISSED_MAX = 1000 };
int schedule_due (const schedule_t *self, int64_t now_ms, int64_t *latest_ms, int64_t *before, err_t *err);

/* The spec of the build of one time: tags filled in (`build`: its number to be; commit: NULL where it has none, or none is known). To the caller;
 * NULL: ERR_USAGE. */
json_t *schedule_fill (const schedule_t *self, int64_t scheduled_ms, int64_t build, const char *commit, err_t *err);
/* Does a tag name the commit, so that it has to be known before the build? */
bool schedule_names_commit (const schedule_t *self);
/* What stands for a commit where tags are only checked; NULL: the context has none. */
const char *schedule_any_commit (const json_t *spec);
/* Can its tags be filled in, and are they good then? A spec that fits its schema. */
int schedule_check_tags (const json_t *spec, err_t *err);

/* Where its images go: HOST/PATH of its first tag. The caller frees. */
char *schedule_repository (const schedule_t *self);

/* One text for the same context and options. */
void schedule_inputs (const json_t *spec, char out [OCI_DIGEST_SIZE]);

/* state: "active" (next_ms is its next time), "paused" or "ended", with the reason. */
int schedule_set_state (engine_t *self, int64_t id, const char *state, int64_t next_ms, const char *reason, err_t *err);

#endif
