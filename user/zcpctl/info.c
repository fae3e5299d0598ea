// SPDX-License-Identifier: GPL-2.0-only
/*
 * zcpctl info: what the loaded module can do.
 */
#include <string.h>

#include "command.h"
#include "print.h"
#include "zcpctl.h"

static int cmd_info(int argc, char **argv);

/* clang-format off */
static const struct opt options[] = {
	OPT_JSON("one object"),
	OPT_HELP,
	OPT_END,
};

/* clang-format on */

const struct command info_command = {
	.name = "info",
	.args = "[--json]",
	.help = "show what the loaded module can do, and its limits",
	.options = options,
	.run = cmd_info,
	.details =
		"The limits but that of inline bytes per job are parameters of the module, which the\n"
		"administrator sets when it is loaded or at any time later, in\n" ZCP_MODULE_DIR
		"/parameters. Those of bytes in flight are in MiB there.\n",
};

/* A bit mask as names: an array in JSON, words in text. */
static void print_names(struct printer *p, const char *key, const char *title, uint32_t mask,
			const char *(*name)(uint32_t bit))
{
	print_text(p, "%s", title);
	print_array(p, key);
	for (uint32_t bit = 0; bit < 32; bit++)
		if (mask & 1U << bit)
			print_string(p, NULL, " %s", name(bit));
	print_end(p);
	print_text(p, "\n");
}

static void print_features(struct printer *p, uint64_t features)
{
	print_text(p, "features:              ");
	print_array(p, "features");
	for (uint64_t bit = 1; bit; bit <<= 1)
		if (features & bit)
			print_string(p, NULL, " %s", zcp_feature_name(bit));
	print_end(p);
	print_text(p, features ? "\n" : " -\n");
}

static void print_info(struct printer *p, const struct zcp_info *i)
{
	char version[64];

	module_version(version, sizeof(version));
	print_object(p, NULL);
	print_string(p, "module_version", "module version:         %s\n",
		     version[0] ? version : NULL);
	print_string(p, "library_version", "library version:        %s\n", zcp_version());
	print_names(p, "modes", "modes:                 ", i->modes, zcp_mode_name);
	print_names(p, "reasons", "reasons to copy:       ", i->reasons, zcp_reason_name);
	print_features(p, i->features);
	print_number(p, "max_links", "links per context:      %s\n", i->max_links);
	print_number(p, "max_jobs", "jobs per context:       %s\n", i->max_jobs);
	print_number(p, "max_user_links", "links per user:         %s\n", i->max_user_links);
	print_number(p, "max_user_jobs", "jobs per user:          %s\n", i->max_user_jobs);
	print_number(p, "max_segments", "segments per job:       %s\n", i->max_segments);
	print_number(p, "max_batch", "jobs per call:          %s\n", i->max_batch);
	print_number(p, "max_inline", "inline bytes per job:   %s\n", i->max_inline);
	print_number(p, "max_inline_total", "... per context:        %s\n", i->max_inline_total);
	print_number(p, "max_inflight", "bytes in flight:        %s\n", i->max_inflight);
	print_number(p, "max_user_inflight", "... per user:           %s\n", i->max_user_inflight);
	print_number(p, "small_bytes", "copied in auto, below:  %s bytes\n", i->small_bytes);
	print_number(p, "quota_bytes", "bytes per turn:         %s\n", i->quota_bytes);
	print_number(p, "event_size", "bytes of an event:      %s\n", i->event_size);
	print_number(p, "feature_bits", NULL, i->features);
	print_number(p, "link_flags", NULL, i->link_flags);
	print_number(p, "submit_flags", NULL, i->submit_flags);
	print_number(p, "job_flags", NULL, i->job_flags);
	print_number(p, "segment_flags", NULL, i->segment_flags);
	print_number(p, "cancel_flags", NULL, i->cancel_flags);
	print_number(p, "status_flags", NULL, i->status_flags);
	print_number(p, "xfer_flags", NULL, i->xfer_flags);
	print_end(p);
}

static int cmd_info(int argc, char **argv)
{
	struct zcp_info info = { .size = sizeof(info) };
	struct zcp_ctx *ctx;
	struct printer p;
	bool json;
	int ret;

	ret = only_json(argc, argv, &info_command, 0, &json);
	if (ret >= 0)
		return ret;
	if (open_context(&ctx))
		return FAILED;
	ret = zcp_ctx_info(ctx, &info);
	zcp_ctx_close(ctx);
	if (ret)
		return fail("cannot ask %s: %s", ZCP_DEVICE, strerror(-ret));
	print_init(&p, stdout, json);
	print_info(&p, &info);
	return DONE;
}
