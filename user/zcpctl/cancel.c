// SPDX-License-Identifier: GPL-2.0-only
/*
 * zcpctl cancel: end a job.
 */
#include "job.h"
#include "print.h"
#include "zcpctl.h"

const char cancel_help[] =
	"  --json      one object: how far the job got\n"
	"  -h, --help  print this\n"
	"\n"
	"Jobs belong to the process that submitted them, and this version cancels only\n"
	"those of its own.\n";

int cmd_cancel(int argc, char **argv)
{
	struct zcp_cancel reply = { .size = sizeof(reply) };
	struct zcp_ctx *ctx;
	struct printer p;
	uint64_t id;
	bool json;
	int ret;

	ret = job_argument(argc, argv, &json, &id);
	if (ret >= 0)
		return ret;
	if (open_context(&ctx))
		return FAILED;
	ret = zcp_job_cancel(ctx, id, &reply);
	zcp_ctx_close(ctx);
	if (ret)
		return no_such_job(id, -ret);
	print_init(&p, stdout, json);
	print_object(&p, NULL);
	print_number(&p, "job", "job %s", reply.job);
	print_string(&p, "state", ": %s", zcp_state_name(reply.state));
	print_number(&p, "bytes_sent", " after %s bytes", reply.bytes_sent);
	print_bool(&p, "cancelled", ", cancelled by this: %s\n", reply.cancelled);
	print_end(&p);
	return DONE;
}
