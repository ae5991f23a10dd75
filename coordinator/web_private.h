/* web_private.h - what the files of the HTTP service share. */
#ifndef FARM_WEB_PRIVATE_H
#define FARM_WEB_PRIVATE_H

#include <microhttpd.h>
#include <stdbool.h>

#include "common/mem.h"
#include "coordinator/denials.h"
#include "coordinator/hook_signature.h"
#include "coordinator/web.h"

enum { WEB_CONNECTIONS_MAX = 64, WEB_UNANSWERED_MAX = 128, WEB_WAIT_MS = 5000, WEB_STATUSES = 600, WEB_BODY_MS = 60000,
       WEB_BODIES_MAX = 16 * 1024 * 1024, HOOK_BODY_MAX = 1024 * 1024, WEB_BUCKETS = 256 };
#define HOOK_PREFIX "/hooks/"

typedef enum { ROUTE_NONE, ROUTE_HEALTH, ROUTE_READY, ROUTE_METRICS, ROUTE_HOOK, WEB_ROUTES } web_route;

/* How often something may be: what is in it grows with the time. */
typedef struct { int64_t empty_at; } web_bucket_t;      /* boot clock; 0: it was never used, and is full */

/* A request, until it is over. */
typedef struct web_call {
    struct web *web;
    struct MHD_Connection *connection;
    web_route route;
    uint64_t id;                        /* 0: the gateway was not asked */
    int64_t deadline;                   /* boot clock: of the body, then of the answer */
    bool is_waiting;                    /* the connection is suspended */
    int status;                         /* 0: none yet */
    char type [64];
    buffer_t body;                      /* of the answer */
    char hook [64];                     /* of a hook: the schedule's name, */
    hook_headers_t headers;             /* what it is signed with; owned */
    buffer_t sent;                      /* and its body */
    bool is_too_large;
    struct web_call *next;              /* of those that wait */
} web_call_t;

struct web {
    struct MHD_Daemon *daemon;
    int poll_fd;                        /* libmicrohttpd's epoll */
    char endpoint [80];
    zsock_t *pipe;                      /* to the gateway; borrowed */
    bool is_ending;
    uint64_t last_id;
    int unanswered;                     /* that the gateway was asked and has not answered, whoever still waits */
    web_call_t *waiting;
    const seal_t *seal;                 /* borrowed */
    size_t body_bytes;                  /* of bodies that are held */
    web_bucket_t refusals, buckets [WEB_BUCKETS];       /* refused hooks; and those that were signed, by name */
    zsock_t *outlet;
    denials_t *denials;                 /* all that were refused */
    uint64_t counts [WEB_ROUTES] [WEB_STATUSES];
};

/* -- a request (web_call.c): libmicrohttpd's handlers; the first argument is the web_t */
enum MHD_Result web_on_request (void *argument, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                const char *data, size_t *data_size, void **call);
void web_on_completed (void *argument, struct MHD_Connection *connection, void **call, enum MHD_RequestTerminationCode code);
/* The gateway has answered; the request goes on. NULL or "" for a body is none. */
void web_answer (web_t *self, uint64_t id, int status, const char *type, const char *body);
/* Whoever has waited for long enough, or all, hear that there is no answer. */
void web_expire (web_t *self, bool is_all);
/* Ask the gateway once more, for a request that waits; and let one go on with a text. */
void web_ask_again (web_call_t *call, const char *verb, const char *first, const char *second);
void web_go_on (web_call_t *call, int status, const char *text);
/* The gateway has told a hook's sealed secret, "" for none, and its branch. */
void web_on_secret (web_t *self, uint64_t id, const char *sealed, const char *branch);

/* -- hooks (web_hook.c): is it one's path, its headers, a part of its body, its secret; and free what it holds */
bool hook_is_path (const char *path);
void hook_begin (web_call_t *call, const char *path);
bool hook_take_body (web_call_t *call, const char *data, size_t size);
void hook_on_secret (web_call_t *call, const char *sealed, const char *branch);
void hook_end (web_call_t *call);

#endif
