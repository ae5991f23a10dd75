/* url.c - see url.h. */
#include "common/url.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* -- origins ------------------------------------------------------------------------------------------------------- */

static void parts_free (CURLU **parts)
{
    curl_url_cleanup (*parts);
}
#define AUTO_PARTS __attribute__ ((cleanup (parts_free)))

static void text_free (char **text)
{
    curl_free (*text);
}
#define AUTO_CURL __attribute__ ((cleanup (text_free)))

static bool has_odd_characters (const char *text)
{
    for (const unsigned char *c = (const unsigned char *) text; *c; c++)
        if (*c <= ' ' || *c == 0x7f || *c == '\\')
            return true;
    return false;
}

static int read_host (origin_t *out, const char *host, const char *url, err_t *err)
{
    size_t size = strlen (host);
    if (size == 0 || size >= sizeof out->host)
        return err_set (err, ERR_REGISTRY, "\"%.200s\" has no usable host", url);
    for (size_t i = 0; i <= size; i++)
        out->host [i] = (char) (host [i] >= 'A' && host [i] <= 'Z' ? host [i] - 'A' + 'a' : host [i]);
    return 0;
}

int url_origin (const char *url, origin_t *out, err_t *err)
{
    AUTO_PARTS CURLU *parts = curl_url ();
    AUTO_CURL char *scheme = NULL;
    AUTO_CURL char *host = NULL;
    AUTO_CURL char *port = NULL;
    memset (out, 0, sizeof *out);
    if (strlen (url) >= URL_MAX || has_odd_characters (url)
        || curl_url_set (parts, CURLUPART_URL, url, CURLU_DISALLOW_USER) != CURLUE_OK
        || curl_url_get (parts, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK
        || curl_url_get (parts, CURLUPART_HOST, &host, 0) != CURLUE_OK
        || curl_url_get (parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        return err_set (err, ERR_REGISTRY, "\"%.200s\" is no address that can be used", url);
    out->is_https = strcasecmp (scheme, "https") == 0;
    if (!out->is_https && strcasecmp (scheme, "http") != 0)
        return err_set (err, ERR_REGISTRY, "\"%.200s\" is neither http nor https", url);
    out->port = atoi (port);
    return read_host (out, host, url, err);
}

bool origin_equal (const origin_t *a, const origin_t *b)
{
    return a->is_https == b->is_https && a->port == b->port && strcmp (a->host, b->host) == 0;
}

/* -- sites --------------------------------------------------------------------------------------------------------- */

static bool is_address (const char *host)
{
    const char *last = strrchr (host, '.');
    last = last ? last + 1 : host;
    return host [0] == '[' || last [strspn (last, "0123456789")] == 0;
}

/* May names below this domain belong to different owners? One part ("lan"), or a country's "co.uk". */
static bool is_shared_domain (const char *domain)
{
    static const char *const generic [] = { "ac", "co", "com", "edu", "gob", "gov", "ne", "net", "or", "org" };
    const char *dot = strchr (domain, '.');
    if (!dot || !dot [1])
        return true;
    if (strchr (dot + 1, '.') || strlen (dot + 1) != 2)
        return false;
    for (size_t i = 0; i < sizeof generic / sizeof *generic; i++)
        if (strlen (generic [i]) == (size_t) (dot - domain) && strncmp (domain, generic [i], strlen (generic [i])) == 0)
            return true;
    return false;
}

static bool is_below (const char *host, const char *domain)
{
    size_t size = strlen (host), tail = strlen (domain);
    return size > tail + 1 && host [size - tail - 1] == '.' && strcmp (host + size - tail, domain) == 0;
}

bool origin_is_same_site (const origin_t *a, const origin_t *b)
{
    if (strcmp (a->host, b->host) == 0)
        return true;
    if (is_address (a->host) || is_address (b->host))
        return false;
    if (is_below (a->host, b->host))
        return !is_shared_domain (b->host);
    if (is_below (b->host, a->host))
        return !is_shared_domain (a->host);
    const char *first = strchr (a->host, '.'), *second = strchr (b->host, '.');
    return first && second && strcmp (first, second) == 0 && !is_shared_domain (first + 1);
}

/* -- registries ---------------------------------------------------------------------------------------------------- */

static int own_port (const origin_t *self)
{
    return self->is_https ? 443 : 80;
}

/* Is `entry`, "host[:port]" of the list, this host and port? */
static bool is_entry (const char *entry, const origin_t *self)
{
    const char *colon = strrchr (entry, ':');
    bool has_port = colon && strspn (colon + 1, "0123456789") == strlen (colon + 1) && colon [1];
    size_t size = has_port ? (size_t) (colon - entry) : strlen (entry);
    return (has_port ? atoi (colon + 1) : own_port (self)) == self->port && strlen (self->host) == size
           && strncasecmp (entry, self->host, size) == 0;
}

bool origin_is_listed (const origin_t *self, const char *const *hosts)
{
    for (; hosts && *hosts; hosts++)
        if (is_entry (*hosts, self))
            return true;
    return false;
}

bool origin_is_allowed (const origin_t *self, const char *const *plain_http_hosts)
{
    return self->is_https || origin_is_listed (self, plain_http_hosts);
}

char *origin_name (const origin_t *self)
{
    return self->port == own_port (self) ? mem_strdup (self->host) : mem_printf ("%s:%d", self->host, self->port);
}

char *url_of_registry (const char *host, const char *const *plain_http_hosts)
{
    origin_t origin;
    const char *address = strcmp (host, "docker.io") == 0 ? "registry-1.docker.io" : host;
    AUTO_FREE char *plain = mem_printf ("http://%s", address);
    if (url_origin (plain, &origin, NULL) == 0 && origin_is_allowed (&origin, plain_http_hosts))
        return take (&plain);
    return mem_printf ("https://%s", address);
}

/* -- other parts --------------------------------------------------------------------------------------------------- */

char *url_resolve (const char *base, const char *location, err_t *err)
{
    AUTO_PARTS CURLU *parts = curl_url ();
    AUTO_CURL char *found = NULL;
    if (!*location || strlen (location) >= URL_MAX || has_odd_characters (location)
        || curl_url_set (parts, CURLUPART_URL, base, 0) != CURLUE_OK
        || curl_url_set (parts, CURLUPART_URL, location, 0) != CURLUE_OK
        || curl_url_get (parts, CURLUPART_URL, &found, 0) != CURLUE_OK) {
        err_set (err, ERR_REGISTRY, "the registry sends us on to \"%.200s\", which is no address", location);
        return NULL;
    }
    return mem_strdup (found);
}

void url_add_query (buffer_t *url, const char *name, const char *value)
{
    AUTO_CURL char *escaped = curl_easy_escape (NULL, value, 0);
    bool is_first = !url->data || !strchr ((const char *) url->data, '?');
    buffer_printf (url, "%c%s=%s", is_first ? '?' : '&', name, escaped ? escaped : "");
}
