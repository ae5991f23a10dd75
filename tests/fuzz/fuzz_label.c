/* fuzz_label.c - labels of workers, and what builds require of them.
 *
 * covers: common/label.c */
#include <string.h>

#include "common/label.h"
#include "common/mem.h"
#include "fuzz.h"

static bool holds (const char *format, const char *name, const char *value, const json_t *labels)
{
    AUTO_FREE char *text = mem_printf (format, name, value);
    MUST (requirement_check (text, NULL) == 0);
    return requirement_holds (text, labels);
}

/* A label that is there meets what asks for it, and nothing that asks for its absence. */
static void check (const char *text)
{
    err_t err = { 0 };
    char name [LABEL_PART_MAX + 1], value [LABEL_PART_MAX + 1];
    AUTO_JSON json_t *labels = json_object ();
    if (label_parse (text, name, value, &err) < 0) {
        MUST (err.code == ERR_USAGE && label_set (labels, text, NULL) < 0);
        return;
    }
    MUST (label_check (name, value, NULL) == 0 && label_set (labels, text, NULL) == 0);
    MUST (strcmp (json_string_value (json_object_get (labels, name)), value) == 0);
    MUST (holds ("%s=%s", name, value, labels) && !holds ("%s!=%s", name, value, labels));
    MUST (holds ("%s", name, NULL, labels) && !holds ("!%s", name, NULL, labels));
    json_object_clear (labels);
    MUST (!holds ("%s=%s", name, value, labels) && holds ("%s!=%s", name, value, labels));
    MUST (!holds ("%s", name, NULL, labels) && holds ("!%s", name, NULL, labels));
}

FUZZ_TARGET (label)
{
    err_t err = { 0 };
    fuzz_input_t input = { data, size };
    AUTO_JSON json_t *labels = json_pack ("{s:s, s:s}", "ssd", "yes", "room", "attic");
    AUTO_FREE char *text = fuzz_rest (&input, NULL);
    check (text);
    if (requirement_check (text, &err) < 0)
        MUST (err.code == ERR_USAGE && !requirement_holds (text, labels));
    else
        requirement_holds (text, labels);
}
