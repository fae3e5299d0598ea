// SPDX-License-Identifier: GPL-2.0-only
/*
 * zcpctl show: where a job is.
 */
#include "job.h"
#include "print.h"
#include "zcpctl.h"

const char show_help[] =
	"  --json      one object\n"
	"  -h, --help  print this\n"
	"\n"
	"Jobs belong to the process that submitted them, and this version shows only those\n"
	"of its own.\n";

static void print_job(struct printer *p, const struct zcp_status *s)
{
	print_object(p, NULL);
	print_number(p, "job", "job:            %s\n", s->job);
	print_number(p, "user_data", "user data:      %s\n", s->user_data);
	print_number(p, "link", "link:           %s\n", s->link);
	print_string(p, "state", "state:          %s\n", zcp_state_name(s->state));
	print_string(p, "mode", "mode:           %s\n", zcp_mode_name(s->mode));
	print_string(p, "wait", "wait:           %s\n", zcp_complete_name(s->complete));
	print_bool(p, "nocache", "no cache:       %s\n", s->job_flags & ZCP_JOB_NOCACHE);
	print_number(p, "rate", s->rate ? "rate:           %s bytes/s\n" : NULL, s->rate);
	print_number(p, "errno", "errno:          %s\n", s->error);
	print_number(p, "segment", "segment:        %s", s->segment);
	print_number(p, "segments", " of %s\n", s->nr_segments);
	print_number(p, "position", "position:       %s\n", s->position);
	print_number(p, "bytes_total", "bytes, total:   %s\n", s->bytes_total);
	print_number(p, "bytes_sent", "sent:           %s\n", s->bytes_sent);
	print_number(p, "bytes_acked", "acked:          %s\n", s->bytes_acked);
	print_number(p, "bytes_zerocopy", "zero-copied:    %s\n", s->bytes_zerocopy);
	print_number(p, "bytes_copied", "copied:         %s", s->bytes_copied);
	print_string(p, "copy_reason", " (%s)\n", zcp_reason_name(s->copy_reason));
	print_number(p, "bytes_dropped",
		     s->job_flags & ZCP_JOB_NOCACHE ? "dropped:        %s\n" : NULL,
		     s->bytes_dropped);
	print_ns(p, "sent_ns", "sent after:     %s s\n", s->sent_ns);
	print_ns(p, "acked_ns", "acked after:    %s s\n", s->acked_ns);
	print_ns(p, "end_ns", "ended after:    %s s\n", s->end_ns);
	print_object(p, "copied");
	for (uint32_t i = 0; i < ZCP_REASON_COUNT; i++)
		if (s->copied[i])
			print_number(p, zcp_reason_name(i), NULL, s->copied[i]);
	print_end(p);
	print_end(p);
}

int cmd_show(int argc, char **argv)
{
	struct zcp_status status = { .size = sizeof(status) };
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
	ret = zcp_job_status(ctx, id, &status);
	zcp_ctx_close(ctx);
	if (ret)
		return no_such_job(id, -ret);
	print_init(&p, stdout, json);
	print_job(&p, &status);
	return DONE;
}
