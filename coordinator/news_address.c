/* news_address.c - see subscribers.h: addresses that news may go to. An address ends up in a mail's headers and in SMTP, so it has only what
 * needs no quotes there: no white space, no control character, no angle bracket. */
#include <fnmatch.h>
#include <string.h>
#include <strings.h>

#include "common/inside.h"
#include "common/mem.h"
#include "common/url.h"
#include "coordinator/subscribers.h"

/* RFC 5321, 4.5.3.1; the characters are those of an atom (RFC 5322, 3.2.3) */
enum { LOCAL_MAX = 64, DOMAIN_MAX = 253, LABEL_MAX = 63 };
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static bool is_atoms (const char *text, size_t size)
{
    bool is_good = size > 0 && size <= LOCAL_MAX && text [0] != '.' && text [size - 1] != '.';
    for (size_t i = 0; is_good && i < size; i++)
        is_good = strchr (LETTERS ".!#$%&'*+/=?^_`{|}~-", text [i]) && !(i > 0 && text [i] == '.' && text [i - 1] == '.');
    return is_good;
}

static bool is_domain (const char *text)
{
    if (!*text || strlen (text) > DOMAIN_MAX)
        return false;
    for (;;) {
        size_t size = strspn (text, LETTERS "-");
        if (size == 0 || size > LABEL_MAX || text [0] == '-' || text [size - 1] == '-')
            return false;
        if (!text [size])
            return true;
        if (text [size] != '.')
            return false;
        text += size + 1;
    }
}

bool news_mail_is_allowed (const char *const *patterns, const char *address)
{
    for (size_t i = 0; patterns && patterns [i]; i++)
        if (fnmatch (patterns [i], address, FNM_NOESCAPE | FNM_CASEFOLD) == 0)
            return true;
    return !patterns || !patterns [0];
}

int news_check_mail (const engine_settings_t *settings, const char *address, err_t *err)
{
    const char *at = strrchr (address, '@');
    if (!at || !is_atoms (address, (size_t) (at - address)) || !is_domain (at + 1))
        return err_set (err, ERR_USAGE, "\"%.100s\" is no mail address that news can go to: NAME@DOMAIN, without quotes and in ASCII (a domain as xn--…)", address);
    if (!settings->has_mail)
        return err_set (err, ERR_USAGE, "the coordinator has no mail server: mail/server and mail/from in its settings say which (docs/news.md)");
    if (!news_mail_is_allowed (settings->mail_allow, address))
        return err_set (err, ERR_USAGE, "the farm sends no mail to %s: mail/allow in the coordinator's settings says where to", address);
    return 0;
}

int news_check_hook (const engine_settings_t *settings, const char *url, err_t *err)
{
    origin_t origin;
    err_t why;
    bool has_scheme = strncasecmp (url, "https://", 8) == 0 || strncasecmp (url, "http://", 7) == 0;     /* libcurl makes do with less */
    if (!has_scheme || strchr (url, '#') || url_origin (url, &origin, &why) < 0)
        return err_set (err, ERR_USAGE, "\"%.100s\" is no address for a hook: https://HOST/PATH, without user, password and fragment", url);
    AUTO_FREE char *host = origin_name (&origin);
    if (!origin_is_allowed (&origin, settings->hook_plain_http))
        return err_set (err, ERR_USAGE, "a hook at %s would be called without TLS: take https, or have an admin list %s under hook/plain-http in the "
                        "coordinator's settings", host, host);
    if (place_of_text (origin.host) != PLACE_OUTSIDE && !origin_is_listed (&origin, settings->hook_inside))
        return err_set (err, ERR_USAGE, "%s is an address inside (loopback, link-local or private): an admin can list %s under hook/inside in the "
                        "coordinator's settings", origin.host, host);
    return 0;
}
