/* http.h - HTTP requests on libcurl: bounded, without redirects, without anything of libcurl's that is guessed from the
 * environment of the user (.netrc). One http_t serves one thread and one request at a time; it keeps connections. Several that
 * share their connections may have a request on its way each. */
#ifndef FARM_HTTP_H
#define FARM_HTTP_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/inside.h"
#include "common/mem.h"

enum { HTTP_HEADERS_MAX = 64 * 1024, HTTP_VALUE_MAX = 8192, HTTP_HOST_MAX = 272 };

/* Certificates for one host: files, NULL where there are none. The system's authorities hold as well. */
typedef struct {
    char *ca_file, *client_certificate, *client_key;
} http_certs_t;

/* certs_folder (NULL: /etc/docker/certs.d) / host / {ca.crt,client.cert,client.key}. host: "registry.lan:5000" */
void http_certs_find (http_certs_t *self, const char *certs_folder, const char *host);
void http_certs_free (http_certs_t *self);

/* Gives the next part of a body: bytes (0 at its end), or -1 to give the request up. */
typedef ssize_t (http_read_fn) (void *data, size_t size, void *argument);

typedef struct {
    const char *method, *url;
    const char *const *headers;             /* "Name: value", NULL behind the last; NULL: none */
    const void *body;                       /* NULL: none, or by `read` */
    size_t body_size;
    http_read_fn *read;                     /* a body of body_bytes, in parts */
    void *read_argument;
    int64_t body_bytes;
    const http_certs_t *certs;              /* NULL: the system's authorities */
    bool is_guarded;                        /* somebody else has named this URL: it may lie outside, */
    place_t may_reach;                      /* or in this place */
    int timeout_ms;                         /* without progress; required */
    int total_ms;                           /* in all; 0: no limit */
} http_request_t;

/* Headers of an answer that somebody looks at; "" where missing. A value that does not fit is an error. */
typedef struct {
    int status;
    int64_t content_length;                 /* -1: not said */
    int retry_after_s;                      /* -1: not said */
    place_t place;                          /* where it came from */
    char content_type [256];                /* without parameters */
    char digest [256];                      /* Docker-Content-Digest */
    char location [HTTP_VALUE_MAX];
    char challenge [HTTP_VALUE_MAX];        /* WWW-Authenticate; several of them joined by ", " */
} http_answer_t;

typedef struct http http_t;

http_t *http_new (void);
/* One that shares the connections of another, in the same thread, and is destroyed before it. */
http_t *http_new_beside (http_t *other);
void http_destroy (http_t **self);

/* Send a request with its body and wait for the answer's headers, of any status; an answer not yet read is dropped.
 * ERR_NETWORK for what may pass (refused, no progress, connection lost), ERR_PROTOCOL for what would be the same again
 * (a certificate that is not trusted, nonsense for HTTP, headers too long), ERR_REGISTRY_DENIED where TLS is not spoken, or the
 * guard has refused (common/inside.h).
 * Texts say the host and what to look at. */
int http_open (http_t *self, const http_request_t *request, http_answer_t *answer, err_t *err);

/* The address that the guard has refused, then; "" where it has not. */
const char *http_refused (const http_t *self);

/* The same in two steps, so that several requests are on their way at once. Waiting for one drives all that share its
 * connections. What the request points at may go after the first step, but for its body; answer after the second. */
void http_begin (http_t *self, const http_request_t *request, http_answer_t *answer);
int http_wait (http_t *self, err_t *err);

/* Some of the answer's body: bytes, 0 at its end, -1 with an error as above. Nothing is read ahead beyond 64 KiB. */
ssize_t http_read (http_t *self, void *data, size_t size, err_t *err);

/* All of it, added to out. ERR_PROTOCOL when it is longer than max_bytes. */
int http_read_all (http_t *self, size_t max_bytes, buffer_t *out, err_t *err);

/* For who drives libcurl by himself. Any thread, any number of times. */
void http_init (void);
/* What every handle of ours is set to: the URL, http and https alone, no redirects, no signals, no .netrc, the
 * certificates (NULL: the system's), and how long a connection may take to come about. Copies what it is given. */
void http_prepare (CURL *easy, const char *url, const http_certs_t *certs, int timeout_ms);
/* The host of a URL for a message: with its port, unless that is the scheme's own. */
void http_name_host (char host [HTTP_HOST_MAX], const char *url);
/* Did the other end answer TLS with something else? why: libcurl's words for the outcome. */
bool http_is_without_tls (CURLcode outcome, const char *why);
/* Then: ERR_REGISTRY_DENIED, as it would be the same again, with what to do. Returns -1. */
int http_without_tls (const char *host, err_t *err);

#endif
