// SPDX-License-Identifier: GPL-2.0-only
/*
 * zcpctl list: the jobs of a context.
 */
#include <errno.h>
#include <string.h>

#include "print.h"
#include "zcpctl.h"

const char list_help[] =
	"  --json      an array of objects\n"
	"  -h, --help  print this\n"
	"\n"
	"Jobs belong to the process that submitted them, and this version shows only those\n"
	"of its own: the list is empty unless zcpctl is used as part of another program.\n";

static void print_row(struct printer *p, const struct zcp_status *status)
{
	print_object(p, NULL);
	print_number(p, "job", "%10s", status->job);
	print_string(p, "state", "  %-9s", zcp_state_name(status->state));
	print_string(p, "mode", "  %-8s", zcp_mode_name(status->mode));
	print_number(p, "link", "  %4s", status->link);
	print_number(p, "bytes_total", "  %15s", status->bytes_total);
	print_number(p, "bytes_sent", "  %15s", status->bytes_sent);
	print_number(p, "bytes_acked", "  %15s", status->bytes_acked);
	print_bool(p, "nocache", NULL, status->job_flags & ZCP_JOB_NOCACHE);
	print_number(p, "bytes_dropped", NULL, status->bytes_dropped);
	print_number(p, "rate", "  %13s\n", status->rate);
	print_end(p);
}

int cmd_list(int argc, char **argv)
{
	struct zcp_status status = { .size = sizeof(status) };
	struct zcp_ctx *ctx;
	struct printer p;
	uint64_t from = 0;
	bool json;
	int ret;

	ret = only_json(argc, argv, 0, &json);
	if (ret >= 0)
		return ret;
	if (open_context(&ctx))
		return FAILED;
	print_init(&p, stdout, json);
	print_text(&p, "%10s  %-9s  %-8s  %4s  %15s  %15s  %15s  %13s\n", "JOB", "STATE", "MODE",
		   "LINK", "TOTAL", "SENT", "ACKED", "RATE");
	print_array(&p, NULL);
	while (!(ret = zcp_job_next(ctx, from, &status))) {
		print_row(&p, &status);
		from = status.job + 1;
	}
	print_end(&p);
	zcp_ctx_close(ctx);
	if (ret != -ENOENT)
		return fail("cannot walk the jobs: %s", strerror(-ret));
	return DONE;
}
