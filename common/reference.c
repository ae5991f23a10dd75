/* reference.c - image references. Grammar: github.com/distribution/reference, reference.go. */
#include "common/reference.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static int is_lower_alnum (char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static size_t span_alnum (const char *text, size_t size, const char *others)
{
    size_t at = 0;
    while (at < size && (isalnum ((unsigned char) text [at]) || strchr (others, text [at])))
        at++;
    return at;
}

/* "[" hex digits, colons and dots "]": its length, 0 when it is none. */
static size_t address_size (const char *text, size_t size)
{
    size_t at = 1;
    while (at < size && (isxdigit ((unsigned char) text [at]) || text [at] == ':' || text [at] == '.'))
        at++;
    return at > 2 && at < size && text [at] == ']' ? at + 1 : 0;
}

/* Labels between dots, none empty, none with a dash at an end: the length, 0 when it is none. */
static size_t name_size (const char *text, size_t size)
{
    size_t at = 0;
    for (;;) {
        size_t label = span_alnum (text + at, size - at, "-");
        if (label == 0 || text [at] == '-' || text [at + label - 1] == '-')
            return 0;
        at += label;
        if (at == size || text [at] != '.')
            return at;
        at++;
    }
}

/* host = name or address, [":" port]; IPv6 in brackets */
static int is_host (const char *text, size_t size)
{
    if (size == 0 || size >= REFERENCE_HOST_MAX)
        return 0;
    size_t name = text [0] == '[' ? address_size (text, size) : name_size (text, size);
    if (name == 0 || name == size)
        return name > 0;
    if (text [name] != ':' || name + 1 == size || size - name > 6)
        return 0;
    unsigned long port = 0;
    for (size_t i = name + 1; i < size; i++) {
        if (!isdigit ((unsigned char) text [i]))
            return 0;
        port = 10 * port + (unsigned long) (text [i] - '0');
    }
    return port > 0 && port < 65536;
}

/* path-component = alnum+ (separator alnum+)*, separator = "." | "_" | "__" | "-"+ */
static int is_component (const char *text, size_t size)
{
    size_t at = 0;
    while (at < size) {
        size_t start = at;
        while (at < size && is_lower_alnum (text [at]))
            at++;
        if (at == start)
            return 0;
        if (at == size)
            return 1;
        size_t dashes = strspn (text + at, "-");
        if (dashes)
            at += dashes;
        else if (text [at] == '.')
            at++;
        else if (text [at] == '_')
            at += text [at + 1] == '_' ? 2 : 1;
        else
            return 0;
    }
    return 0;       /* ended with a separator, or empty */
}

static int check_path (const char *path, const char *text, err_t *err)
{
    for (const char *c = path; *c; c++)
        if (isupper ((unsigned char) *c))
            return err_set (err, ERR_USAGE, "\"%s\": the repository's name must be lower case", text);
    for (const char *at = path; ; ) {
        size_t size = strcspn (at, "/");
        char part [REFERENCE_PATH_MAX];
        memcpy (part, at, size);
        part [size] = 0;
        if (!is_component (part, size))
            return err_set (err, ERR_USAGE, "\"%s\" is no image reference: write REGISTRY/NAME:TAG, as in "
                            "registry.lan:5000/team/app:1.4", text);
        if (at [size] == 0)
            return 0;
        at += size + 1;
    }
}

static int take_tag (reference_t *self, const char *tag, const char *text, err_t *err)
{
    size_t size = strlen (tag);
    int is_good = size > 0 && size < REFERENCE_TAG_MAX && tag [0] != '.' && tag [0] != '-';
    for (size_t i = 0; is_good && i < size; i++)
        is_good = isalnum ((unsigned char) tag [i]) || strchr ("._-", tag [i]);
    if (!is_good)
        return err_set (err, ERR_USAGE, "\"%s\": a tag has 1 to 128 letters, digits, '_', '.' and '-', and starts with "
                        "none of the last two", text);
    strcpy (self->tag, tag);
    return 0;
}

static int hex_digits (const char *text)
{
    return (int) strspn (text, "0123456789abcdef");
}

int reference_is_digest (const char *text)
{
    if (!text)
        return 0;
    size_t size = strlen (text);
    if (strncmp (text, "sha256:", 7) == 0)
        return size == 7 + 64 && hex_digits (text + 7) == 64;
    return strncmp (text, "sha512:", 7) == 0 && size == 7 + 128 && hex_digits (text + 7) == 128;
}

/* Docker's rule of what is a host; moves *rest behind it. */
static int take_host (reference_t *self, const char **rest, const char *text, err_t *err)
{
    const char *slash = strchr (*rest, '/');
    size_t size = slash ? (size_t) (slash - *rest) : 0;
    int is_explicit = slash && (memchr (*rest, '.', size) || memchr (*rest, ':', size)
                                || (size == 9 && memcmp (*rest, "localhost", 9) == 0));
    if (!is_explicit) {
        strcpy (self->host, "docker.io");
        return 0;
    }
    if (!is_host (*rest, size))
        return err_set (err, ERR_USAGE, "\"%s\": \"%.*s\" is no registry (HOST or HOST:PORT)", text,
                        (int) (size < 200 ? size : 200), *rest);
    memcpy (self->host, *rest, size);
    self->host [size] = 0;
    if (strcmp (self->host, "index.docker.io") == 0)
        strcpy (self->host, "docker.io");
    *rest = slash + 1;
    return 0;
}

int reference_parse (reference_t *self, const char *text, err_t *err)
{
    memset (self, 0, sizeof *self);
    if (!text || !*text || strlen (text) >= REFERENCE_MAX)
        return err_set (err, ERR_USAGE, "an image reference has 1 to %d characters", REFERENCE_MAX - 1);
    char copy [REFERENCE_MAX];
    strcpy (copy, text);
    char *at = strchr (copy, '@');
    if (at) {
        *at++ = 0;
        if (!reference_is_digest (at))
            return err_set (err, ERR_USAGE, "\"%s\": behind the @ stands a digest, sha256: and 64 hex digits", text);
        strcpy (self->digest, at);
    }
    char *slash = strrchr (copy, '/');
    char *colon = strrchr (slash ? slash : copy, ':');
    if (colon) {
        *colon++ = 0;
        if (take_tag (self, colon, text, err) < 0)
            return -1;
    }
    const char *rest = copy;
    if (take_host (self, &rest, text, err) < 0)
        return -1;
    int is_short = strcmp (self->host, "docker.io") == 0 && !strchr (rest, '/');
    if (strlen (rest) + (is_short ? strlen ("library/") : 0) >= REFERENCE_PATH_MAX)
        return err_set (err, ERR_USAGE, "\"%s\": the repository's name is too long", text);
    strcpy (self->path, is_short ? "library/" : "");
    strcat (self->path, rest);
    return check_path (self->path, text, err);
}

void reference_format (const reference_t *self, char text [REFERENCE_MAX])
{
    snprintf (text, REFERENCE_MAX, "%s/%s%s%s%s%s", self->host, self->path, self->tag [0] ? ":" : "", self->tag,
              self->digest [0] ? "@" : "", self->digest);
}
