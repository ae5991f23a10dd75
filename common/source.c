/* source.c - see source.h. What names of refs are is git-check-ref-format(1)'s to say; we take fewer. */
#include "common/source.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
static const char path_letters [] = LETTERS "/._~+@%:,=-", ref_letters [] = LETTERS "/._+@%,=#!-", folder_letters [] = LETTERS "/._~+@%:,= -";

/* -- parts ------------------------------------------------------------------------------------------------------ */

static bool is_made_of (const char *text, const char *letters)
{
    return text [strspn (text, letters)] == 0;
}

/* user@host:path, where no '/' comes before the colon. */
static bool is_short_form (const char *text)
{
    const char *at = strchr (text, '@'), *colon = at ? strchr (at, ':') : NULL, *slash = strchr (text, '/');
    return colon && at > text && colon > at + 1 && (!slash || slash > colon);
}

bool source_is_transport (const char *text, size_t size)
{
    static const char *const transports [] = { "https", "http", "ssh", "git", "file" };
    for (size_t i = 0; i < sizeof transports / sizeof *transports; i++)
        if (strlen (transports [i]) == size && strncmp (text, transports [i], size) == 0)
            return true;
    return false;
}

bool source_is_meant (const char *text)
{
    return strstr (text, "://") || is_short_form (text);
}

bool source_is_commit (const char *ref)
{
    size_t size = strspn (ref, "0123456789abcdef");
    return ref [size] == 0 && (size == 40 || size == 64);
}

static int set_host (source_t *out, const char *text, size_t size, err_t *err)
{
    if (size == 0 || size > SOURCE_HOST_MAX)
        return err_set (err, ERR_USAGE, "it names no host");
    for (size_t i = 0; i < size; i++)
        out->host [i] = (char) tolower ((unsigned char) text [i]);
    out->host [size] = 0;
    bool is_v6 = out->host [0] == '[' && out->host [size - 1] == ']' && strspn (out->host + 1, "0123456789abcdef:.") == size - 2;
    if (!is_v6 && (!is_made_of (out->host, LETTERS ".-") || !isalnum ((unsigned char) out->host [0])))
        return err_set (err, ERR_USAGE, "its host is no name and no address");
    return 0;
}

static int set_port (source_t *out, const char *text, size_t size, err_t *err)
{
    if (size == 0 || size > 5 || strspn (text, "0123456789") < size || (out->port = atoi (text)) < 1 || out->port > 65535)
        return err_set (err, ERR_USAGE, "its port is no number from 1 to 65535");
    return 0;
}

/* "host", "host:port", "[::1]:port" */
static int set_place (source_t *out, const char *text, size_t size, err_t *err)
{
    const char *bracket = *text == '[' ? memchr (text, ']', size) : NULL;
    const char *colon = memchr (bracket ? bracket : text, ':', size - (bracket ? (size_t) (bracket - text) : 0));
    size_t host = colon ? (size_t) (colon - text) : size;
    if (set_host (out, text, host, err) < 0)
        return -1;
    return colon ? set_port (out, colon + 1, size - host - 1, err) : 0;
}

bool source_climbs (const char *path)
{
    for (const char *at = path; at; at = strchr (at, '/') ? strchr (at, '/') + 1 : NULL)
        if (strncmp (at, "..", 2) == 0 && (at [2] == 0 || at [2] == '/'))
            return true;
    return false;
}

static int set_path (source_t *out, const char *text, err_t *err)
{
    if (strchr (text, '?'))
        return err_set (err, ERR_USAGE, "it has a '?': an address of a context has no query, where a secret could stand");
    if (!*text || strcmp (text, "/") == 0 || !is_made_of (text, path_letters) || *text == '-' || source_climbs (text))
        return err_set (err, ERR_USAGE, "its path is none: letters, digits and / . _ ~ + @ %% : , = -, and no \"..\"");
    snprintf (out->path, sizeof out->path, "%s", text);
    return 0;
}

/* Has it a part that is none? One '/' may end it. */
static bool has_idle_part (const char *path)
{
    for (const char *at = path + (*path == '/'); *at; ) {
        size_t size = strcspn (at, "/");
        if (size == 0 || (size == 1 && *at == '.'))
            return true;
        at += size + (at [size] == '/');
    }
    return false;
}

/* Does "%20" in it stand for a blank, and nothing for what can stand there itself, for what divides or for a control character? */
static bool is_plain (const char *path)
{
    for (const char *at = path; (at = strchr (at, '%')); at += 3) {
        unsigned value = 0;
        if (!isxdigit ((unsigned char) at [1]) || !isxdigit ((unsigned char) at [2]) || sscanf (at + 1, "%2x", &value) != 1)
            return false;
        if (value < ' ' || value == 0x7f || value == '\\' || strchr (path_letters, (int) value))
            return false;
    }
    return true;
}

/* Of a path elsewhere. What may be fetched, and with which key, goes by it (coordinator/source_rules.c), so the same place has no second one: git decodes
 * what it is given for ssh:// and git://, a server what comes over http. */
static int check_name (const source_t *self, err_t *err)
{
    if (has_idle_part (self->path))
        return err_set (err, ERR_USAGE, "its path has a part that is empty or \".\": leave it out");
    if (!is_plain (self->path))
        return err_set (err, ERR_USAGE, "its path has a '%%' that is not needed: write what stands behind it as it is; only what cannot stand there, as a blank, is written "
                        "as %%20");
    return 0;
}

/* -- what stands behind '#' ------------------------------------------------------------------------------------- */

static int set_ref (source_t *out, const char *text, size_t size, err_t *err)
{
    if (size > SOURCE_REF_MAX)
        return err_set (err, ERR_USAGE, "its ref is longer than %d bytes", SOURCE_REF_MAX);
    snprintf (out->ref, sizeof out->ref, "%.*s", (int) size, text);
    size_t end = strlen (out->ref);
    if (end == 0)
        return 0;
    bool is_odd = strstr (out->ref, "..") || strstr (out->ref, "//") || strstr (out->ref, "/.") || strstr (out->ref, "@{") || strchr ("-+./", *out->ref)
                  || strchr ("./", out->ref [end - 1]) || (end > 4 && strcmp (out->ref + end - 5, ".lock") == 0) || strstr (out->ref, ".lock/");
    if (is_odd || !is_made_of (out->ref, ref_letters) || strcmp (out->ref, "@") == 0)
        return err_set (err, ERR_USAGE, "\"%s\" is no name of a branch, a tag or a commit", out->ref);
    return 0;
}

static int set_folder (source_t *out, const char *text, err_t *err)
{
    while (*text == '/')
        text++;
    size_t size = strlen (text);
    while (size > 0 && text [size - 1] == '/')
        size--;
    if (size > SOURCE_FOLDER_MAX)
        return err_set (err, ERR_USAGE, "the folder's name is longer than %d bytes", SOURCE_FOLDER_MAX);
    snprintf (out->folder, sizeof out->folder, "%.*s", (int) size, text);
    if (strcmp (out->folder, ".") == 0)
        *out->folder = 0;
    if (!is_made_of (out->folder, folder_letters) || *out->folder == ':' || source_climbs (out->folder))
        return err_set (err, ERR_USAGE, "the folder behind ':' is none: letters, digits, blanks and / . _ ~ + @ %% : , = -, and no \"..\"");
    return 0;
}

static int set_sha256 (source_t *out, const char *text, size_t size, err_t *err)
{
    if (size != 64 || strspn (text, "0123456789abcdef") < 64)
        return err_set (err, ERR_USAGE, "#sha256= takes the 64 digits, in lower case, that sha256sum prints of the archive");
    snprintf (out->sha256, sizeof out->sha256, "%.64s", text);
    return 0;
}

static int set_fragment (source_t *out, const char *text, err_t *err)
{
    const char *colon = strchr (text, ':');
    size_t size = colon ? (size_t) (colon - text) : strlen (text);
    bool is_pin = strncmp (text, "sha256=", 7) == 0;
    if (is_pin ? set_sha256 (out, text + 7, size - 7, err) < 0 : set_ref (out, text, size, err) < 0)
        return -1;
    return colon ? set_folder (out, colon + 1, err) : 0;
}

/* -- the whole -------------------------------------------------------------------------------------------------- */

static bool looks_like_archive (const char *path)
{
    static const char *const ends [] = { ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.zst", ".tar.bz2", ".zip" };
    size_t size = strlen (path);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (size > strlen (ends [i]) && strcmp (path + size - strlen (ends [i]), ends [i]) == 0)
            return true;
    return false;
}

static int check_kind (const source_t *self, err_t *err)
{
    if (*self->sha256 && strcmp (self->transport, "https") != 0 && strcmp (self->transport, "http") != 0)
        return err_set (err, ERR_USAGE, "an archive is fetched over https");
    if (!*self->sha256 && looks_like_archive (self->path))
        return err_set (err, ERR_USAGE, "an archive has to be pinned, for nobody could tell whether it changed: add #sha256= and what sha256sum prints of it");
    return 0;
}

/* Of ssh the user is a name for the machine over there, and may be given. Elsewhere it is where passwords and tokens are put. */
static int check_user (const source_t *self, const char *text, size_t size, err_t *err)
{
    bool is_ssh = strcmp (self->transport, "ssh") == 0;
    if (!is_ssh || memchr (text, ':', size))
        return err_set (err, ERR_USAGE, "there is a user or a password in it, which the farm does not take and has not kept: take it out; an admin gives "
                        "the coordinator what it needs for a host (git/keys, git/helpers)");
    AUTO_FREE char *user = mem_strndup (text, size);
    if (size == 0 || !is_made_of (user, LETTERS "._-") || *user == '-')
        return err_set (err, ERR_USAGE, "its user is no name");
    return 0;
}

static int read_url (source_t *out, const char *text, err_t *err)
{
    const char *place = strstr (text, "://") + 3;
    size_t scheme = (size_t) (place - 3 - text);
    if (!source_is_transport (text, scheme))
        return err_set (err, ERR_USAGE, "it begins with none of https://, ssh://, git://, file://");
    snprintf (out->transport, sizeof out->transport, "%.*s", (int) scheme, text);
    size_t size = strcspn (place, "/?");
    const char *at = memrchr (place, '@', size);
    if (at && check_user (out, place, (size_t) (at - place), err) < 0)
        return -1;
    if (set_path (out, place + size, err) < 0)
        return -1;
    size -= at ? (size_t) (at + 1 - place) : 0;
    bool is_file = strcmp (out->transport, "file") == 0;
    if ((is_file || strcmp (out->transport, "ssh") == 0) && strchr (out->path, '%'))
        return err_set (err, ERR_USAGE, "a path of %s:// has no '%%' in it", out->transport);
    if (is_file)
        return size == 0 ? 0 : err_set (err, ERR_USAGE, "file:// names a path of the coordinator's machine, and no host: file:///srv/repo.git");
    return check_name (out, err) < 0 ? -1 : set_place (out, at ? at + 1 : place, size, err);
}

static int read_short_form (source_t *out, const char *text, err_t *err)
{
    const char *at = strchr (text, '@'), *colon = strchr (at, ':');
    strcpy (out->transport, "ssh");
    if (check_user (out, text, (size_t) (at - text), err) < 0 || set_host (out, at + 1, (size_t) (colon - at - 1), err) < 0)
        return -1;
    return set_path (out, colon + 1, err) < 0 ? -1 : check_name (out, err);
}

static int read_address (source_t *out, const char *text, err_t *err)
{
    if (strlen (text) > SOURCE_URL_MAX)
        return err_set (err, ERR_USAGE, "it is longer than %d bytes", SOURCE_URL_MAX);
    if (*text == '-' || !source_is_meant (text))
        return err_set (err, ERR_USAGE, "it is no address of a repository");
    snprintf (out->url, sizeof out->url, "%s", text);
    return strstr (text, "://") ? read_url (out, text, err) : read_short_form (out, text, err);
}

int source_parse (source_t *out, const char *text, err_t *err)
{
    const char *hash = strchr (text, '#');
    AUTO_FREE char *address = mem_strndup (text, hash ? (size_t) (hash - text) : strlen (text));
    *out = (source_t) { .port = 0 };
    if (read_address (out, address, err) < 0 || (hash && set_fragment (out, hash + 1, err) < 0) || check_kind (out, err) < 0)
        return err_wrap (err, "context");
    return 0;
}

/* -- as JSON ---------------------------------------------------------------------------------------------------- */

static const char *text_of (const json_t *json, const char *field)
{
    const char *text = json_string_value (json_object_get (json, field));
    return text ? text : "";
}

int source_read (source_t *out, const json_t *json, err_t *err)
{
    const char *ref = text_of (json, "ref"), *sha256 = text_of (json, "sha256");
    *out = (source_t) { .port = 0 };
    if (read_address (out, text_of (json, "url"), err) < 0 || set_ref (out, ref, strlen (ref), err) < 0 || set_folder (out, text_of (json, "folder"), err) < 0
        || (*sha256 && set_sha256 (out, sha256, strlen (sha256), err) < 0) || check_kind (out, err) < 0)
        return err_wrap (err, "context");
    return 0;
}

json_t *source_json (const source_t *self)
{
    json_t *json = json_pack ("{s:s}", "url", self->url);
    const struct { const char *name, *text; } fields [] = { { "ref", self->ref }, { "folder", self->folder }, { "sha256", self->sha256 } };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (*fields [i].text)
            json_object_set_new (json, fields [i].name, json_string (fields [i].text));
    return json;
}

char *source_text (const source_t *self)
{
    const char *pin = *self->sha256 ? "sha256=" : "", *what = *self->sha256 ? self->sha256 : self->ref;
    return mem_printf ("%s%s%s%s%s%s", self->url, *what || *self->folder ? "#" : "", pin, what, *self->folder ? ":" : "", self->folder);
}

/* -- submodules ------------------------------------------------------------------------------------------------- */

/* How far the part of a URL goes that names the machine: nothing climbs above it. */
static size_t root_of (const char *url)
{
    const char *place = strstr (url, "://");
    const char *root = place ? strchr (place + 3, '/') : strchr (url, ':');
    return root ? (size_t) (root - url) + 1 : strlen (url);
}

/* As git submodule has it: "../" takes a part off, "./" none. */
static int resolve (const char *base, const char *relative, buffer_t *out, err_t *err)
{
    size_t root = root_of (base), size = strlen (base);
    while (size > root && base [size - 1] == '/')
        size--;
    for (bool goes_on = true; goes_on; ) {
        goes_on = strncmp (relative, "../", 3) == 0;
        if (goes_on) {
            if (size <= root)
                return err_set (err, ERR_USAGE, "the submodule's address leads out of %s", base);
            while (size > root && base [size - 1] != '/')
                size--;
            size -= size > root;
            relative += 3;
        } else if (strncmp (relative, "./", 2) == 0) {
            goes_on = true;
            relative += 2;
        }
    }
    bool needs_slash = size > 0 && base [size - 1] != '/' && base [size - 1] != ':';
    buffer_printf (out, "%.*s%s%s", (int) size, base, needs_slash ? "/" : "", relative);
    return 0;
}

int source_of_submodule (const source_t *self, const char *url, source_t *out, err_t *err)
{
    AUTO_BUFFER buffer_t text = { 0 };
    bool is_relative = strncmp (url, "./", 2) == 0 || strncmp (url, "../", 3) == 0;
    *out = (source_t) { .port = 0 };
    if (is_relative && resolve (self->url, url, &text, err) < 0)
        return -1;
    return read_address (out, is_relative ? (const char *) text.data : url, err);
}
