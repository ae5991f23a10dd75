/* track.h - keeps up with a build until it ends: its state by `watch`, the logs of its attempts by `read-log`. Goes on
 * over a restart of the coordinator. */
#ifndef FARM_TRACK_H
#define FARM_TRACK_H

#include "farmctl/agent_offer.h"
#include "farmctl/client.h"
#include "farmctl/log_reader.h"

/* The coordinator does not answer; says that it is about to end; answers again. */
typedef enum { CONTACT_LOST, CONTACT_CLOSING, CONTACT_BACK } contact_t;

/* What the caller wants to hear. job and attempt are parts of a build as docs/protocol.md shows it, borrowed. */
typedef struct {
    /* at the first sight of the build and at each later one */
    void (*on_build) (void *argument, const json_t *build);
    /* is this attempt's log to be read? Asked once, when the attempt is first seen */
    bool (*wants_log) (void *argument, const json_t *build, const json_t *job, int64_t attempt);
    void (*on_line) (void *argument, const json_t *job, int64_t attempt, const log_line_t *line);
    /* there is no log of this attempt, and there will be none: it was removed */
    void (*on_missing) (void *argument, const json_t *job, int64_t attempt);
    void (*on_contact) (void *argument, contact_t contact);
    void *argument;
    agent_offer_t *agents;      /* that the build may ask meanwhile; borrowed; NULL: none */
    int64_t deadline_ms;        /* boot clock; 0: none */
    bool is_once;               /* read what is there now, do not wait for the end */
} track_t;

/* Returns the build (to the caller) when it has ended and its logs are read. NULL: ERR_NETWORK when the coordinator was
 * not there at the beginning, ERR_NOT_FOUND, ERR_TIMEOUT at the deadline, ERR_INTERRUPTED. */
json_t *track_build (const track_t *self, client_t *client, int64_t id, err_t *err);

/* Has it ended: published, failed or cancelled? */
bool track_is_ended (const json_t *build);

/* Its state for the eye: "fetching" as long as the coordinator fetches its context. */
const char *track_shown_state (const json_t *build);

/* Fields of a build, a job or an attempt; "" or 0 where absent. */
const char *track_text (const json_t *object, const char *field);
int64_t track_int (const json_t *object, const char *field);

#endif
