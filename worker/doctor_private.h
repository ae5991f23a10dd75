/* doctor_private.h - what the files of doctor.h share: doctor.c reports, and tries builder, disk and farm; doctor_host.c tries the host. */
#ifndef FARM_DOCTOR_PRIVATE_H
#define FARM_DOCTOR_PRIVATE_H

#include <jansson.h>

#include "worker/doctor.h"

typedef enum { GOOD, POOR, BAD } verdict_t;

typedef struct {
    const options_t *options;
    spawner_t *spawner;
    json_t *checks;             /* {name, verdict, text, advice} */
    int bad, poor;
} doctor_t;

/* advice NULL: nothing is to be done. */
void doctor_say (doctor_t *self, const char *name, verdict_t verdict, const char *advice, const char *format, ...) __attribute__ ((format (printf, 5, 6)));
const char *doctor_text (const doctor_t *self, const char *path);         /* of the settings */

void doctor_check_host (doctor_t *self);

#endif
