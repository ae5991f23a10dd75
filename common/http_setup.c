/* http_setup.c - what every libcurl handle of the farm is set to, and what is said of its end (http.h). */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/http.h"
#include "common/url.h"

enum { CONNECT_MS_MAX = 10000 };

static void init_once (void)
{
    curl_global_init (CURL_GLOBAL_DEFAULT);
}

void http_init (void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once (&once, init_once);
}

static char *find_file (const char *folder, const char *host, const char *name)
{
    AUTO_FREE char *path = mem_printf ("%s/%s/%s", folder ? folder : "/etc/docker/certs.d", host, name);
    return file_exists (path) ? take (&path) : NULL;
}

void http_certs_find (http_certs_t *self, const char *certs_folder, const char *host)
{
    self->ca_file = find_file (certs_folder, host, "ca.crt");
    self->client_certificate = find_file (certs_folder, host, "client.cert");
    self->client_key = find_file (certs_folder, host, "client.key");
}

void http_certs_free (http_certs_t *self)
{
    free (self->ca_file);
    free (self->client_certificate);
    free (self->client_key);
    *self = (http_certs_t) { 0 };
}

void http_prepare (CURL *easy, const char *url, const http_certs_t *certs, int timeout_ms)
{
    int connect_ms = timeout_ms < CONNECT_MS_MAX ? timeout_ms : CONNECT_MS_MAX;
    curl_easy_setopt (easy, CURLOPT_URL, url);
    curl_easy_setopt (easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt (easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
    curl_easy_setopt (easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt (easy, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
    curl_easy_setopt (easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt (easy, CURLOPT_USERAGENT, "archfarm");
    curl_easy_setopt (easy, CURLOPT_CONNECTTIMEOUT_MS, (long) connect_ms);
    if (certs && certs->ca_file)
        curl_easy_setopt (easy, CURLOPT_CAINFO, certs->ca_file);
    if (certs && certs->client_certificate)
        curl_easy_setopt (easy, CURLOPT_SSLCERT, certs->client_certificate);
    if (certs && certs->client_key)
        curl_easy_setopt (easy, CURLOPT_SSLKEY, certs->client_key);
}

void http_name_host (char host [HTTP_HOST_MAX], const char *url)
{
    origin_t origin;
    if (url_origin (url, &origin, NULL) < 0)
        snprintf (host, HTTP_HOST_MAX, "the registry");
    else if (origin.port == (origin.is_https ? 443 : 80))
        snprintf (host, HTTP_HOST_MAX, "%s", origin.host);
    else
        snprintf (host, HTTP_HOST_MAX, "%s:%d", origin.host, origin.port);
}

/* OpenSSL's words where no TLS record begins what the other end says; libcurl has no code of its own for it. */
bool http_is_without_tls (CURLcode outcome, const char *why)
{
    return outcome == CURLE_SSL_CONNECT_ERROR && (strstr (why, "wrong version number") || strstr (why, "packet length too long"));
}

int http_without_tls (const char *host, err_t *err)
{
    return err_set (err, ERR_REGISTRY_DENIED, "%s does not speak TLS: if it is meant to be without, list %s under "
                    "registry/plain-http in the settings of %s", host, host, program_invocation_short_name);
}
