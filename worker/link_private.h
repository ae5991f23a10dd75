/* link_private.h - what the files of the link share: link.c (the loop, and its end), link_line.c (the connection), link_says.c and
 * link_hears.c. */
#ifndef FARM_LINK_PRIVATE_H
#define FARM_LINK_PRIVATE_H

#include "worker/held.h"
#include "worker/link.h"
#include "worker/restorer.h"
#include "worker/sweeper.h"

/* The way to its end: it was told to, and its attempts may still end; they are being stopped. */
typedef enum { STAGE_WORKS, STAGE_DRAINS, STAGE_ENDS } link_stage;

struct link {
    link_settings_t settings;
    connection_t *connection;
    char instance [33];
    int64_t seq, hello_seq;         /* hello_seq 0: answered */
    bool is_welcome;                /* on this connection */
    int64_t heartbeat_ms, lease_ms; /* as the coordinator says */
    int64_t beat_at, heard_at;      /* boot clock */
    int64_t patient_from;           /* the same: when something was heard last, or it was dialled */
    zlistx_t *held;                 /* held_t */
    restorer_t *restorer;           /* NULL: never needed yet */
    sweeper_t *sweeper;             /* the same */
    connection_change said;         /* what was logged last of the connection, so that it is said once */
    char *refusal;                  /* the coordinator's last answer to hello, if it was no */
    bool is_unfit;                  /* and was said to be */
    link_stage stage;
    int64_t stage_until;            /* boot clock */
};

/* The first after NULL, then one after the other, NULL at the end. One walk at a time: the list has one cursor. */
held_t *link_next_held (link_t *self, held_t *held);
held_t *link_find (link_t *self, int64_t job, int64_t attempt);
/* Slots in use. */
int link_count_busy (link_t *self);
/* Attempts whose thread runs. */
size_t link_count_threads (link_t *self);

/* -- link_says.c */

/* Takes header. What cannot be sent is dropped: it is said again. */
void link_say (link_t *self, const char *verb, json_t *header);
void link_say_hello (link_t *self);
/* A heartbeat, or hello where there was no welcome yet. */
void link_beat (link_t *self);
void link_send_report (link_t *self, held_t *held);

/* -- link_line.c */

/* When it is time to dial anew, on the boot clock; INT64_MAX: never, libzmq or the connection will try. */
int64_t link_dial_at (link_t *self);
void link_dial_anew (link_t *self);
/* Something was heard. */
void link_hear (link_t *self);
/* What became of the connection. */
void link_take_changes (link_t *self);

/* -- link_hears.c */

/* All that the coordinator has said. */
void link_take_messages (link_t *self);

#endif
