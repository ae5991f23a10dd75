/* fuzz_spec.c - what a submit asks for: JSON that fits its schema.
 *
 * covers: coordinator/spec.c common/schema.c */
#include <string.h>

#include "common/mem.h"
#include "common/schema.h"
#include "coordinator/spec.h"
#include "fuzz.h"

/* What an assignment carries has to fit the same schema, and to be normal. */
static void check (const json_t *spec, const char *repository)
{
    err_t err = { 0 };
    AUTO_JSON json_t *again = NULL;
    char same [REFERENCE_MAX];
    reference_t reference;
    MUST (schema_check (schema_messages (), "_spec", spec, &err) == 0);
    MUST (spec_normalise (spec, &again, same, &err) == 0);
    MUST (json_equal (spec, again) && strcmp (repository, same) == 0 && spec_same_inputs (spec, again));
    MUST (reference_parse (&reference, repository, &err) == 0 && !reference.tag [0] && !reference.digest [0]);
    AUTO_FREE char *tags = spec_tag_set (spec);
    MUST (tags);
}

FUZZ_TARGET (spec)
{
    err_t err = { 0 };
    char repository [REFERENCE_MAX];
    AUTO_JSON json_t *spec = json_loadb ((const char *) data, size, JSON_REJECT_DUPLICATES, NULL);
    AUTO_JSON json_t *normal = NULL;
    if (!spec || schema_check (schema_messages (), "_spec", spec, NULL) < 0)
        return;
    if (spec_normalise (spec, &normal, repository, &err) == 0)
        check (normal, repository);
    else
        MUST (err.code == ERR_USAGE);
}
