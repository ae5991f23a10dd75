/* secret_options.c - see secret_options.h. */
#include "farmctl/secret_options.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"

/* The fields of one option; owned. */
typedef struct {
    char *id, *file, *variable, *type;
} wish_t;

static void wish_free (wish_t *self)
{
    free (self->id);
    free (self->file);
    free (self->variable);
    free (self->type);
}

static char **place_of (wish_t *self, const char *name, size_t size)
{
    static const char *const names [] = { "id", "src", "source", "env", "type" };
    char **const places [] = { &self->id, &self->file, &self->file, &self->variable, &self->type };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen (names [i]) == size && strncmp (names [i], name, size) == 0)
            return places [i];
    return NULL;
}

static int read_field (wish_t *self, const char *option, const char *field, size_t size, err_t *err)
{
    const char *equals = memchr (field, '=', size);
    char **place = equals ? place_of (self, field, (size_t) (equals - field)) : NULL;
    if (!place || *place)
        return err_set (err, ERR_USAGE, "--secret %s: %s \"%.*s\"; give id=NAME,src=FILE or id=NAME,env=VARIABLE", option,
                        place ? "given twice:" : "there is no", (int) size, field);
    *place = mem_strndup (equals + 1, size - (size_t) (equals + 1 - field));
    return 0;
}

static int read_fields (wish_t *self, const char *option, err_t *err)
{
    for (const char *at = option; at; ) {
        const char *comma = strchr (at, ',');
        if (read_field (self, option, at, comma ? (size_t) (comma - at) : strlen (at), err) < 0)
            return -1;
        at = comma ? comma + 1 : NULL;
    }
    return self->id ? 0 : err_set (err, ERR_USAGE, "--secret %s: its id is missing: id=NAME,src=FILE", option);
}

/* docker's rules for what is not said. */
static int complete (wish_t *self, const char *option, err_t *err)
{
    bool is_env = self->type && strcmp (self->type, "env") == 0;
    if (self->type && !is_env && strcmp (self->type, "file") != 0)
        return err_set (err, ERR_USAGE, "--secret %s: type is file or env, not \"%s\"", option, self->type);
    if (is_env && !self->variable)
        self->variable = take (&self->file);
    if (self->file && self->variable)
        return err_set (err, ERR_USAGE, "--secret %s: it comes from a file or from the environment: give src or env", option);
    bool is_nowhere = !self->file && !self->variable;
    if (is_nowhere && (is_env || (!self->type && getenv (self->id))))
        self->variable = mem_strdup (self->id);
    else if (is_nowhere)
        self->file = mem_strdup (self->id);
    return 0;
}

static int add (secrets_t *out, const char *id, const void *data, size_t size, err_t *err)
{
    secret_t *item = secrets_add (out, id, size, err);
    if (!item)
        return err_wrap (err, "--secret");
    if (size)
        memcpy (item->data, data, size);
    return 0;
}

/* Anything that can be read to its end, a pipe too. room has one byte more than a secret may have. */
static int read_file (const char *path, uint8_t *room, size_t *size, err_t *err)
{
    AUTO_CLOSE int fd = open (path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : 0;
    for (*size = 0; fd >= 0 && *size <= SECRET_BYTES_MAX; *size += (size_t) got) {
        got = read (fd, room + *size, SECRET_BYTES_MAX + 1 - *size);
        if (got < 0 && errno == EINTR)
            got = 0;
        else if (got <= 0)
            break;
    }
    return got < 0 ? err_set (err, ERR_USAGE, "%s: %s", path, strerror (errno)) : 0;
}

static int add_file (secrets_t *out, const wish_t *wish, err_t *err)
{
    uint8_t *room = secret_memory (SECRET_BYTES_MAX + 1);
    size_t size = 0;
    int rc = read_file (wish->file, room, &size, err);
    rc = rc < 0 ? err_wrap (err, "--secret %s: read", wish->id) : add (out, wish->id, room, size, err);
    sodium_free (room);
    return rc;
}

static int add_variable (secrets_t *out, const wish_t *wish, err_t *err)
{
    const char *value = getenv (wish->variable);
    if (!value)
        return err_set (err, ERR_USAGE, "--secret %s: %s is not in the environment: export it, or give src=FILE", wish->id, wish->variable);
    return add (out, wish->id, value, strlen (value), err);
}

static int read_one (secrets_t *out, const char *option, err_t *err)
{
    __attribute__ ((cleanup (wish_free))) wish_t wish = { .id = NULL };
    if (read_fields (&wish, option, err) < 0 || complete (&wish, option, err) < 0 || secret_check_id (wish.id, err) < 0)
        return -1;
    return wish.variable ? add_variable (out, &wish, err) : add_file (out, &wish, err);
}

int secret_options_read (const option_list_t *list, secrets_t *out, err_t *err)
{
    if (list->count)
        secret_guard_process ();
    for (size_t i = 0; i < list->count; i++)
        if (read_one (out, list->items [i], err) < 0)
            return -1;
    return 0;
}

json_t *secret_options_ids (const secrets_t *secrets)
{
    json_t *ids = secrets->count ? json_array () : NULL;
    for (size_t i = 0; i < secrets->count; i++)
        json_array_append_new (ids, json_string (secrets->items [i].id));
    return ids;
}
