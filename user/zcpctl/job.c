// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jobs named on the command line.
 */
#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "job.h"
#include "zcpctl.h"

int job_argument(int argc, char **argv, bool *json, uint64_t *id)
{
	int ret = only_json(argc, argv, 1, json);

	if (ret >= 0)
		return ret;
	if (!parse_number(argv[optind], id))
		return usage_error(argv[0], "\"%s\" is not the id of a job", argv[optind]);
	return -1;
}

int no_such_job(uint64_t id, int error)
{
	if (error != ENOENT)
		return fail("job %llu: %s", (unsigned long long)id, strerror(error));
	return fail("no such job in this process: %llu; %s", (unsigned long long)id,
		    "jobs of other processes are not visible to this version");
}
