/* http_private.h - what http.c (drives a request) and http_request.c (what libcurl calls meanwhile) share. */
#ifndef FARM_HTTP_PRIVATE_H
#define FARM_HTTP_PRIVATE_H

#include <stdbool.h>

#include "common/http.h"
#include "common/url.h"

enum { AHEAD_MAX = 64 * 1024 };

struct http {
    CURLM *multi;                       /* keeps the connections */
    bool is_guest;                      /* it is another one's */
    CURL *easy;                         /* the request on its way; NULL: none */
    struct curl_slist *headers;
    http_request_t request;             /* its pointers may be gone, but for the body's */
    http_answer_t *answer;              /* while headers arrive */
    bool has_answer, is_done, is_paused;
    const char *flaw;                   /* why our own callbacks have given up */
    guard_t guard;
    CURLcode outcome;
    size_t header_bytes, body_at;       /* body_at: of what was sent */
    curl_off_t sent;
    int64_t until_ms, progress_ms;
    buffer_t ahead;                     /* arrived, not yet read */
    size_t ahead_at;
    char host [HTTP_HOST_MAX], error [CURL_ERROR_SIZE];
};

/* Give self->easy the request. */
void http_request_set (http_t *self, const http_request_t *request);

#endif
