/* web_private.h - what the files of the HTTP service share. */
#ifndef FARM_WEB_PRIVATE_H
#define FARM_WEB_PRIVATE_H

#include <microhttpd.h>
#include <stdbool.h>

#include "common/mem.h"
#include "coordinator/web.h"

enum { WEB_CONNECTIONS_MAX = 64, WEB_UNANSWERED_MAX = 128, WEB_WAIT_MS = 5000, WEB_STATUSES = 600 };

typedef enum { ROUTE_NONE, ROUTE_HEALTH, ROUTE_READY, ROUTE_METRICS, WEB_ROUTES } web_route;

/* A request, until it is over. */
typedef struct web_call {
    struct web *web;
    struct MHD_Connection *connection;
    web_route route;
    uint64_t id;                        /* 0: the gateway was not asked */
    int64_t deadline;                   /* boot clock */
    bool is_waiting;                    /* the connection is suspended */
    int status;                         /* 0: none yet */
    char type [64];
    buffer_t body;                      /* of the answer */
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

#endif
