/* challenge.c - see challenge.h. The grammar's catch: a comma stands between challenges as well as between parameters of
 * one. A name with '=' behind it is a parameter, any other is the scheme of the next challenge. */
#include "common/challenge.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum { NAME_MAX_SIZE = 64 };

typedef struct {
    const char *at;
    challenge_t *current;               /* what parameters belong to; NULL: a scheme that we do not speak */
    challenge_t bearer, basic, *first_bearer, *first_basic;
} parser_t;

static bool is_token (char c)
{
    return isalnum ((unsigned char) c) || (c && strchr ("!#$%&'*+-.^_`|~", c));
}

static void skip (parser_t *self, const char *characters)
{
    self->at += strspn (self->at, characters);
}

/* A token; false where there is none, or a longer one than fits. */
static bool take_token (parser_t *self, char *out, size_t capacity)
{
    size_t size = 0;
    while (is_token (self->at [size]))
        size++;
    if (size == 0 || size >= capacity)
        return false;
    memcpy (out, self->at, size);
    out [size] = 0;
    self->at += size;
    return true;
}

static bool take_quoted (parser_t *self, char *out, size_t capacity)
{
    size_t size = 0;
    for (self->at++; *self->at && *self->at != '"'; self->at++) {
        if (*self->at == '\\' && self->at [1])
            self->at++;
        if (size + 1 >= capacity)
            return false;
        out [size++] = *self->at;
    }
    out [size] = 0;
    return *self->at++ == '"';
}

/* Realms are URLs, and some registries forget to quote them. */
static bool take_bare (parser_t *self, char *out, size_t capacity)
{
    size_t size = strcspn (self->at, ", \t\"");
    if (size >= capacity)
        return false;
    memcpy (out, self->at, size);
    out [size] = 0;
    self->at += size;
    return true;
}

/* The first of a name counts. */
static void keep (challenge_t *self, const char *name, const char *value)
{
    char *out = strcasecmp (name, "realm") == 0 ? self->realm
              : strcasecmp (name, "service") == 0 ? self->service
              : strcasecmp (name, "scope") == 0 ? self->scope : NULL;
    if (out && !*out)
        strcpy (out, value);
}

static bool take_parameter (parser_t *self, const char *name)
{
    char value [CHALLENGE_VALUE_MAX];
    self->at++;
    skip (self, " \t");
    bool is_good = *self->at == '"' ? take_quoted (self, value, sizeof value) : take_bare (self, value, sizeof value);
    if (is_good && self->current)
        keep (self->current, name, value);
    return is_good;
}

static void begin_challenge (parser_t *self, const char *scheme)
{
    self->current = NULL;
    if (strcasecmp (scheme, "Bearer") == 0 && !self->first_bearer)
        self->current = self->first_bearer = &self->bearer;
    else if (strcasecmp (scheme, "Basic") == 0 && !self->first_basic)
        self->current = self->first_basic = &self->basic;
}

static bool parse (parser_t *self)
{
    for (skip (self, " \t,"); *self->at; skip (self, " \t,")) {
        char name [NAME_MAX_SIZE];
        if (!take_token (self, name, sizeof name))
            return false;
        const char *behind = self->at;
        skip (self, " \t");
        if (*self->at != '=') {
            self->at = behind;
            begin_challenge (self, name);
        } else if (!take_parameter (self, name))
            return false;
    }
    return true;
}

int challenge_parse (challenge_t *self, const char *header, err_t *err)
{
    parser_t parser = { .at = header, .bearer.scheme = CHALLENGE_BEARER, .basic.scheme = CHALLENGE_BASIC };
    *self = (challenge_t) { .scheme = CHALLENGE_NONE };
    if (!*header)
        return err_set (err, ERR_REGISTRY, "it wants a login and does not say of which kind (no WWW-Authenticate)");
    if (!parse (&parser))
        return err_set (err, ERR_REGISTRY, "it wants a login by \"%.200s\", which cannot be understood", header);
    if (!parser.first_bearer && !parser.first_basic)
        return err_set (err, ERR_REGISTRY, "it wants a login of a kind that is not known: \"%.200s\"", header);
    if (parser.first_bearer && !*parser.bearer.realm && !parser.first_basic)
        return err_set (err, ERR_REGISTRY, "it wants a token and does not say where that is to be had: \"%.200s\"", header);
    *self = parser.first_bearer && *parser.bearer.realm ? parser.bearer : parser.basic;
    return 0;
}
