/* fuzz_url.c - addresses: one, another, a Location, and a host of registry/plain-http, in a line each.
 *
 * covers: common/url.c */
#include <stdlib.h>
#include <string.h>

#include "common/url.h"
#include "fuzz.h"

static bool read_origin (const char *url, origin_t *origin)
{
    err_t err = { 0 };
    if (url_origin (url, origin, &err) < 0) {
        MUST (err.code == ERR_REGISTRY);
        return false;
    }
    MUST (origin->host [0] && origin->port >= 0 && origin->port <= 65535 && !strpbrk (origin->host, " \t\r\n/?#@\\"));
    return true;
}

/* The origin, written as a URL, is of the same origin. */
static void check_origin (const origin_t *origin)
{
    origin_t again;
    AUTO_FREE char *url = mem_printf ("%s://%s:%d/v2/", origin->is_https ? "https" : "http", origin->host, origin->port);
    MUST (read_origin (url, &again) && origin_equal (origin, &again) && origin_is_same_site (origin, &again));
}

static void check_resolve (const char *base, const char *location)
{
    err_t err = { 0 };
    origin_t origin;
    AUTO_FREE char *url = url_resolve (base, location, &err);
    MUST (url || err.code == ERR_REGISTRY);
    if (!url || !read_origin (url, &origin))
        return;
    AUTO_BUFFER buffer_t longer = { 0 };
    buffer_text (&longer, url);
    url_add_query (&longer, "digest", location);
    MUST (longer.size > strlen (url) && !strpbrk ((char *) longer.data + strlen (url), " \r\n#\"\\"));
}

FUZZ_TARGET (url)
{
    origin_t one, other;
    fuzz_input_t input = { data, size };
    AUTO_FREE char *a = fuzz_line (&input, NULL);
    AUTO_FREE char *b = fuzz_line (&input, NULL);
    AUTO_FREE char *location = fuzz_line (&input, NULL);
    AUTO_FREE char *plain = fuzz_rest (&input, NULL);
    const char *const hosts [] = { plain, NULL };
    bool is_one = read_origin (a, &one), is_other = read_origin (b, &other);
    if (is_one)
        check_origin (&one);
    if (is_one && is_other)
        MUST (origin_is_same_site (&one, &other) == origin_is_same_site (&other, &one));
    if (is_one)
        MUST (origin_is_allowed (&one, hosts) || !one.is_https);
    check_resolve (a, location);
    AUTO_FREE char *registry = url_of_registry (plain, hosts);
    read_origin (registry, &other);
}
