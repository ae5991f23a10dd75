/* secret_options.h - the options --secret of a command line, as docker buildx reads them, and what they name, read into locked memory. */
#ifndef FARM_SECRET_OPTIONS_H
#define FARM_SECRET_OPTIONS_H

#include <jansson.h>

#include "common/secret.h"
#include "farmctl/options.h"

/* Each of "id=NAME,src=FILE", "id=NAME,env=VARIABLE", "id=NAME" (the variable of that name, else the file), with type=file|env. What is to be
 * kept secret is in *out, the caller frees it also after an error; the process guards its memory from then on. ERR_USAGE. */
int secret_options_read (const option_list_t *list, secrets_t *out, err_t *err);

/* Their ids, as a spec has them; NULL for none. */
json_t *secret_options_ids (const secrets_t *secrets);

#endif
