/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Jobs named on the command line.
 */
#ifndef ZCPCTL_JOB_H
#define ZCPCTL_JOB_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The command line of a verb with a job's id. Returns -1 to go on, else an
 * exit code.
 */
int job_argument(int argc, char **argv, bool *json, uint64_t *id);

/* What to say when a job is not there; returns FAILED. */
int no_such_job(uint64_t id, int error);

#endif /* ZCPCTL_JOB_H */
