/* doctor.h - farm-worker doctor: what isolation this host gives builds, whether it can build at all, and what to do about either. */
#ifndef FARM_DOCTOR_H
#define FARM_DOCTOR_H

#include "worker/options.h"
#include "worker/spawner.h"

/* Tries everything, next to a worker that may run here, and prints a line for each thing (with --json one document). 0: this machine can
 * build, whatever could be better; ERR_NO_WORKER: something has to be done first. Forks: before threads are started. */
int doctor_run (const options_t *options, spawner_t *spawner, err_t *err);

#endif
