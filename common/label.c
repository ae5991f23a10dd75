/* label.c - see label.h. */
#include "common/label.h"

#include <string.h>

/* Asked of each requirement for each worker again and again: no table of the C library's is built for it. */
static bool is_of_letters (const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char c = text [i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '-' && c <= '9') || c == '_'))
            return false;                       /* '-', '.' and '/' stand before the digits */
    }
    return true;
}

/* The part of text up to end. */
static int take_part (const char *text, size_t size, bool may_be_empty, char out [LABEL_PART_MAX + 1])
{
    if (size > LABEL_PART_MAX || (size == 0 && !may_be_empty) || !is_of_letters (text, size))
        return -1;
    memcpy (out, text, size);
    out [size] = 0;
    return 0;
}

static int refuse (const char *text, err_t *err)
{
    return err_set (err, ERR_USAGE, "label \"%.140s\": give NAME=VALUE, each of at most %d letters, digits, '.', '_', '-' and '/'",
                    text, LABEL_PART_MAX);
}

int label_check (const char *name, const char *value, err_t *err)
{
    char part [LABEL_PART_MAX + 1];
    bool is_good = take_part (name, strlen (name), false, part) == 0 && take_part (value, strlen (value), true, part) == 0;
    return is_good ? 0 : refuse (name, err);
}

int label_parse (const char *text, char name [LABEL_PART_MAX + 1], char value [LABEL_PART_MAX + 1], err_t *err)
{
    size_t size = strcspn (text, "=");
    const char *behind = text [size] ? text + size + 1 : "";
    if (take_part (text, size, false, name) == 0 && take_part (behind, strlen (behind), true, value) == 0)
        return 0;
    return refuse (text, err);
}

int label_set (json_t *labels, const char *text, err_t *err)
{
    char name [LABEL_PART_MAX + 1], value [LABEL_PART_MAX + 1];
    if (label_parse (text, name, value, err) < 0)
        return -1;
    json_object_set_new (labels, name, json_string (value));
    return json_object_size (labels) <= LABELS_MAX ? 0 : err_set (err, ERR_USAGE, "more than %d labels", LABELS_MAX);
}

/* -- requirements ----------------------------------------------------------------------------------------------- */

typedef struct {
    char name [LABEL_PART_MAX + 1], value [LABEL_PART_MAX + 1];
    bool is_negated, has_value;
} requirement_t;

static int parse (const char *text, requirement_t *out)
{
    *out = (requirement_t) { .is_negated = text [0] == '!' };
    text += out->is_negated;
    size_t size = strcspn (text, "=!");
    if (take_part (text, size, false, out->name) < 0)
        return -1;
    const char *behind = text + size;
    if (!*behind)
        return 0;
    bool is_unequal = *behind == '!';
    if (out->is_negated || (is_unequal && behind [1] != '='))
        return -1;
    out->is_negated = is_unequal;
    out->has_value = true;
    behind += 1 + is_unequal;
    return take_part (behind, strlen (behind), true, out->value);
}

int requirement_check (const char *text, err_t *err)
{
    requirement_t parsed;
    if (parse (text, &parsed) == 0)
        return 0;
    return err_set (err, ERR_USAGE, "requirement \"%.140s\": give NAME=VALUE, NAME!=VALUE, NAME or !NAME, names and values of at "
                    "most %d letters, digits, '.', '_', '-' and '/'", text, LABEL_PART_MAX);
}

bool requirement_holds (const char *text, const json_t *labels)
{
    requirement_t wanted;
    if (parse (text, &wanted) < 0)
        return false;
    const char *value = json_string_value (json_object_get (labels, wanted.name));
    bool is_met = value && (!wanted.has_value || strcmp (value, wanted.value) == 0);
    return is_met != wanted.is_negated;
}
