/* label.h - words about a worker ("ssd=yes", "room=attic"), and what a build requires of them.
 *
 * A name has 1 to 63 letters, digits, '.', '_', '-' and '/', a value 0 to 63 of the same. */
#ifndef FARM_LABEL_H
#define FARM_LABEL_H

#include <jansson.h>
#include <stdbool.h>

#include "common/err.h"

enum { LABEL_PART_MAX = 63, LABEL_TEXT_MAX = 2 * LABEL_PART_MAX + 2, LABELS_MAX = 64 };

/* What a worker says of itself: that it gives RUN steps the host's network, or none. A build that asks for such a network requires it. */
#define LABEL_NETWORK_HOST "network-host"
#define LABEL_NETWORK_NONE "network-none"
/* And that its builder cannot give an image a time that was asked for; a build that asks for one requires that it is not there. */
#define LABEL_NO_TIMESTAMP "no-timestamp"

/* Are these a label's name and value? ERR_USAGE. */
int label_check (const char *name, const char *value, err_t *err);

/* "NAME=VALUE", or "NAME" for "NAME=", into *name and *value. ERR_USAGE. */
int label_parse (const char *text, char name [LABEL_PART_MAX + 1], char value [LABEL_PART_MAX + 1], err_t *err);

/* Put "NAME=VALUE" into an object of strings. ERR_USAGE, also for more than LABELS_MAX of them. */
int label_set (json_t *labels, const char *text, err_t *err);

/* A requirement: NAME=VALUE, NAME!=VALUE (holds for a worker without the label too), NAME (there is such a label), !NAME. */
int requirement_check (const char *text, err_t *err);

/* Do these labels (an object of strings) meet a requirement that has been checked? */
bool requirement_holds (const char *text, const json_t *labels);

#endif
