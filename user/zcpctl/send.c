// SPDX-License-Identifier: GPL-2.0-only
/*
 * zcpctl send: one file to one TCP server.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "net.h"
#include "print.h"
#include "progress.h"
#include "reason.h"
#include "send.h"
#include "spread.h"
#include "zcpctl.h"

static int cmd_send(int argc, char **argv);

/* clang-format off */
static const struct opt options[] = {
	OPT("offset", 'o', "N", "where to start in the file, in bytes (0)"),
	OPT("length", 'l', "N", "how many bytes; the file must have them (to its end)"),
	OPT("mode", 'm', "auto|zerocopy|copy",
	  "zerocopy: fail where bytes would be copied (auto)"),
	OPT("header", 'H', "STR|@FILE", "send this, or what is in FILE, before the file"),
	OPT("trailer", 'T', "STR|@FILE", "and this after it"),
	OPT("wait", 'w', "sent|acked",
	  "until all bytes are in the socket, or until the\n"
	  "receiver's TCP has acknowledged them (acked)"),
	OPT("rate", 'r', "RATE",
	  "send at most RATE bytes per second; with k, M, G or T\n"
	  "for powers of 1000, Ki, Mi, Gi or Ti of 1024; up to 1Ti"),
	OPT("nocache", 'n', NULL,
	  "leave the page cache as it is found: what had to be read\n"
	  "is dropped when it is acknowledged"),
	OPT("streams", 's', "N",
	  "send parts of the file over N connections, 1 to 64, to\n"
	  "zcpctl recv --streams, which joins them (1)"),
	OPT("interval", 'i', "SEC", "a line of progress every SEC seconds, 0.01 to 86400"),
	OPT_JSON("one JSON object per line; the last one is the result"),
	OPT("quiet", 'q', NULL, "no progress and no result, only errors"),
	OPT_HELP,
	OPT_END,
};

/* clang-format on */

const struct command send_command = {
	.name = "send",
	.args = "[OPTION]... FILE HOST:PORT",
	.help = "send a file to a TCP server",
	.options = options,
	.operand = OPERAND_FILE,
	.run = cmd_send,
	.details =
		"The bytes go out as they are: nc, socat or any server can receive them. HOST may\n"
		"be a name or an address, an IPv6 address in brackets. On a terminal a progress bar\n"
		"is shown. The connection is closed at the end, or reset when the transfer failed, so\n"
		"that a receiver cannot mistake a part for the whole. Ctrl-C cancels the transfer.\n"
		"With --wait sent it is closed, and zcpctl ends, when the receiver's TCP has\n"
		"acknowledged all bytes or the receiver has closed its side; what the receiver\n"
		"writes until then is thrown away. A connection that breaks before is a failure.\n"
		"\n"
		"With two streams and more each begins with a header of 64 bytes for zcpctl recv,\n"
		"which is not counted in the result. The rate is that of all streams together.\n",
};

/* What zcp paces at most: the module refuses more. */
#define RATE_MAX (1ULL << 40)

/* How often to look at what is acknowledged. */
#define DRAIN_MS 10

static int parse(int argc, char **argv, struct request *r)
{
	uint64_t streams = 1;
	int status;
	int opt;

	r->length = ZCP_TO_EOF;
	while ((opt = next_option(argc, argv, &send_command)) != -1) {
		bool good = true;

		if (option_stop(opt, &status))
			return status;
		switch (opt) {
		case 'o':
			good = parse_number(optarg, &r->offset);
			break;
		case 'l':
			good = parse_number(optarg, &r->length) && r->length != ZCP_TO_EOF;
			break;
		case 'm':
			good = !zcp_mode_parse(optarg, &r->mode);
			break;
		case 'H':
			r->header_arg = optarg;
			break;
		case 'T':
			r->trailer_arg = optarg;
			break;
		case 'w':
			good = !zcp_complete_parse(optarg, &r->complete);
			break;
		case 'r':
			good = parse_amount(optarg, &r->rate) && r->rate && r->rate <= RATE_MAX;
			break;
		case 'n':
			r->flags |= ZCP_JOB_NOCACHE;
			break;
		case 's':
			good = parse_number(optarg, &streams) && streams && streams <= STREAM_MAX;
			break;
		case 'i':
			good = parse_interval(optarg, &r->progress.interval_ns);
			break;
		case 'j':
			r->json = true;
			break;
		case 'q':
			r->quiet = true;
			break;
		}
		if (!good)
			return bad_value(&send_command);
	}
	if (argc - optind != 2)
		return usage_error("send", "needs a FILE and a HOST:PORT");
	r->streams = streams;
	if (r->streams > 1 && (r->header_arg || r->trailer_arg))
		return usage_error("send", "--streams takes no --header and no --trailer");
	/* What may have to be sent again cannot be dropped. */
	if ((r->flags & ZCP_JOB_NOCACHE) && r->complete != ZCP_COMPLETE_ACKED)
		return usage_error("send", "--nocache needs --wait acked");
	r->file = argv[optind];
	r->target = argv[optind + 1];
	if (net_parse(r->target, true, &r->address))
		return usage_error("send", "\"%s\" is not HOST:PORT or [IPV6]:PORT", r->target);
	return -1;
}

int problem(struct outcome *o, int error, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(o->problem, sizeof(o->problem), format, ap);
	va_end(ap);
	o->result.error = error;
	return -error;
}

int send_unconnected(struct outcome *o, int error, const char *text)
{
	return problem(o, error, "%s",
		       error == ECANCELED ? "interrupted before anything was sent" : text);
}

static int read_extra(const char *arg, struct extra *extra, uint32_t max, struct outcome *o)
{
	size_t n;
	FILE *f;
	int ret = 0;

	if (!arg)
		return 0;
	if (arg[0] != '@') {
		extra->data = strdup(arg);
		extra->len = strlen(arg);
		return extra->data ? 0 : problem(o, ENOMEM, "%s", strerror(ENOMEM));
	}
	f = fopen(arg + 1, "re");
	if (!f)
		return problem(o, errno, "cannot open %s: %s", arg + 1, strerror(errno));
	/* One byte more than fits tells a file that is too long. */
	extra->data = malloc((size_t)max + 1);
	if (!extra->data) {
		ret = problem(o, ENOMEM, "%s", strerror(ENOMEM));
		goto out;
	}
	errno = 0;
	while (extra->len <= max) {
		n = fread(extra->data + extra->len, 1, max + 1 - extra->len, f);
		if (!n)
			break;
		extra->len += n;
	}
	if (ferror(f))
		ret = problem(o, errno ? errno : EIO, "cannot read %s: %s", arg + 1,
			      strerror(errno ? errno : EIO));
out:
	fclose(f);
	return ret;
}

/* An older module has refusals for them that do not name the reason. */
static int check_features(const struct request *r, const struct zcp_info *info, struct outcome *o)
{
	const char *option = NULL;
	uint64_t missing = 0;

	if ((r->flags & ZCP_JOB_NOCACHE) && !(info->features & ZCP_FEATURE_NOCACHE)) {
		missing = ZCP_FEATURE_NOCACHE;
		option = "--nocache";
	} else if (r->rate && !(info->features & ZCP_FEATURE_RATE)) {
		missing = ZCP_FEATURE_RATE;
		option = "--rate";
	}
	if (!missing)
		return 0;
	o->result.missing = missing;
	return problem(o, EOPNOTSUPP,
		       "the loaded module is too old for %s: it has no feature \"%s\"", option,
		       zcp_feature_name(missing));
}

/* The device is asked first: without it nobody is called. */
static int prepare(struct request *r, struct outcome *o)
{
	struct zcp_info info = { .size = sizeof(info) };
	struct zcp_ctx *ctx;
	char text[256];
	int ret;

	ret = zcp_ctx_open(&ctx, NULL);
	if (ret) {
		device_problem(-ret, text, sizeof(text));
		o->result.stage = ZCP_STAGE_OPEN;
		return problem(o, -ret, "%s", text);
	}
	ret = zcp_ctx_info(ctx, &info);
	zcp_ctx_close(ctx);
	if (ret)
		return problem(o, -ret, "cannot ask %s: %s", ZCP_DEVICE, strerror(-ret));
	ret = check_features(r, &info, o);
	if (!ret)
		ret = read_extra(r->header_arg, &r->header, info.max_inline, o);
	if (!ret)
		ret = read_extra(r->trailer_arg, &r->trailer, info.max_inline, o);
	if (!ret && r->header.len + r->trailer.len > info.max_inline)
		ret = problem(o, E2BIG, "header and trailer may have %u bytes together",
			      info.max_inline);
	return ret;
}

static int on_progress(const struct zcp_status *status, void *arg)
{
	struct request *r = arg;

	if (interrupted)
		return 1;
	progress_update(&r->progress, status);
	return 0;
}

/* Why mode zerocopy was refused; none when it was not. */
static uint32_t refusal(const struct request *r, const struct zcp_result *res, int error)
{
	if (error != EOPNOTSUPP || r->mode != ZCP_MODE_ZEROCOPY)
		return ZCP_REASON_NONE;
	/* A header is copied in any mode, which is no reason to refuse. */
	if (res->copy_reason == ZCP_REASON_NONE || res->copy_reason == ZCP_REASON_INLINE)
		return res->path_reason;
	return res->copy_reason;
}

/* The line for a transfer that libzcp says has failed. */
static int explain(const struct request *r, struct outcome *o, int sock, int error)
{
	const struct zcp_result *res = &o->result;
	uint32_t reason = refusal(r, res, error);
	char why[128], cure[96], layer[96] = "it is not plain TCP";

	if (error == EOPNOTSUPP && sock >= 0)
		net_layer(sock, layer, sizeof(layer));
	if (reason != ZCP_REASON_NONE) {
		reason_explain(reason, res->path_ifname, why, sizeof(why));
		reason_cure(reason, res->path_ifname, cure, sizeof(cure));
		return problem(o, error, "zerocopy refused: %s; use --mode auto%s%s", why,
			       cure[0] ? ", or try: " : "", cure);
	}
	switch (res->stage) {
	case ZCP_STAGE_OPEN:
		device_problem(error, o->problem, sizeof(o->problem));
		return -error;
	case ZCP_STAGE_LINK:
		if (error == EAGAIN)
			return problem(o, error, "too many links: limit \"%s\"; see zcpctl info",
				       zcp_limit_name(res->limit));
		return problem(o, error, "zcp cannot use this connection: %s",
			       error == EOPNOTSUPP ? layer : strerror(error));
	case ZCP_STAGE_SUBMIT:
		if (error == EAGAIN)
			return problem(o, error, "too many jobs: limit \"%s\"; see zcpctl info",
				       zcp_limit_name(res->limit));
		if (error == EOPNOTSUPP && (r->flags & ZCP_JOB_NOCACHE))
			return problem(o, error,
				       "zcp cannot send %s with --nocache: its file system %s",
				       r->file, "has no page cache, or fills it in its own way");
		if (error == EOPNOTSUPP)
			return problem(o, error,
				       "zcp cannot send %s: its file system has no page cache",
				       r->file);
		if (error == ENODATA)
			return problem(o, error,
				       "%s does not have the %llu bytes asked for at offset %llu; "
				       "without --length what it has is sent",
				       r->file, (unsigned long long)r->length,
				       (unsigned long long)r->offset);
		return problem(o, error, "cannot send %s: %s", r->file, strerror(error));
	}
	if (res->state == ZCP_STATE_CANCELLED)
		return problem(o, error, "%s after %llu bytes",
			       interrupted ? "interrupted" : "cancelled by another process",
			       (unsigned long long)res->bytes_sent);
	if (error == ENODATA)
		return problem(o, error, "%s ended after %llu of the %llu bytes asked for", r->file,
			       (unsigned long long)(res->position - r->offset),
			       (unsigned long long)r->length);
	return problem(o, error, "sending failed after %llu bytes: %s",
		       (unsigned long long)res->bytes_sent,
		       error == EOPNOTSUPP ? layer : strerror(error));
}

static int open_file(const char *file, struct outcome *o)
{
	struct stat st;
	int fd;

	/* Not to wait for the other end of a FIFO. */
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return problem(o, errno, "cannot open %s: %s", file, strerror(errno));
	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	if (S_ISDIR(st.st_mode))
		return problem(o, EISDIR, "%s is a directory", file);
	return problem(o, EINVAL, "%s is not a regular file", file);
}

/*
 * Until the receiver's TCP has acknowledged the end, or none of the receiver's bytes
 * can come any more: 0, or -errno. Nothing wakes who waits for the first.
 */
static int drain(int sock)
{
	struct pollfd pfd = { .fd = sock, .events = POLLIN };
	char unread[4096];
	int left = 0;
	int error;
	ssize_t n;
	int ret;

	for (;;) {
		n = recv(sock, unread, sizeof(unread), MSG_DONTWAIT);
		error = n < 0 && errno != EAGAIN && errno != EINTR ? errno : 0;
		if (!n || ioctl(sock, SIOCOUTQ, &left) || !left)
			return 0;
		if (error)
			return -error;
		if (interrupted)
			return -EINTR;
		ret = n < 0 ? await(&pfd, 1, DRAIN_MS) : 0;
		if (ret)
			return ret;
	}
}

int send_end(const struct request *r, int sock, struct outcome *o)
{
	int ret = 0;

	shutdown(sock, SHUT_WR);
	/* Who closes with something unread resets: what TCP has not sent is lost then. */
	if (r->complete != ZCP_COMPLETE_ACKED)
		ret = drain(sock);
	if (!ret) {
		close(sock);
		return 0;
	}
	net_reset(sock);
	if (ret == -EINTR) {
		o->result.state = ZCP_STATE_CANCELLED;
		return problem(o, ECANCELED, "interrupted before all bytes were acknowledged");
	}
	o->result.state = ZCP_STATE_FAILED;
	return problem(o, -ret, "the connection broke before all bytes were acknowledged: %s",
		       strerror(-ret));
}

static int send_one(struct request *r, int fd, struct outcome *o)
{
	struct zcp_send_opts opts = {
		.size = sizeof(opts),
		.progress = on_progress,
		.arg = r,
		.mode = r->mode,
		.complete = r->complete,
		.interval_ms = progress_tick_ms(&r->progress),
		.header = r->header.data,
		.header_len = r->header.len,
		.trailer = r->trailer.data,
		.trailer_len = r->trailer.len,
		.flags = r->flags,
		.rate = r->rate,
	};
	char text[256];
	int sock;
	int ret;

	sock = net_connect_by(&r->address, await_or_cancel, text, sizeof(text));
	if (sock < 0)
		return send_unconnected(o, -sock, text);
	net_peer(sock, o->peer);
	ret = zcp_send_file(sock, fd, r->offset, r->length, &opts, &o->result);
	progress_end(&r->progress);
	if (ret) {
		explain(r, o, sock, -ret);
		net_reset(sock);
		return ret;
	}
	return send_end(r, sock, o);
}

static int send_parts(struct request *r, int fd, struct outcome *o)
{
	char text[sizeof(o->problem)];
	const struct part *part;
	int ret;

	ret = spread_send(r, fd, o);
	if (!ret || o->problem[0])
		return ret;
	explain(r, o, -1, -ret);
	part = o->failed;
	if (part && part->status.state != ZCP_STATE_CANCELLED) {
		memcpy(text, o->problem, sizeof(text));
		problem(o, -ret, "stream %u of %u: %.340s", part->stream.index + 1, r->streams,
			text);
	}
	return ret;
}

static int transfer(struct request *r, struct outcome *o)
{
	int ret;
	int fd;

	fd = open_file(r->file, o);
	if (fd < 0)
		return fd;
	ret = prepare(r, o);
	if (!ret)
		ret = r->streams > 1 ? send_parts(r, fd, o) : send_one(r, fd, o);
	close(fd);
	return ret;
}

static void print_parts(const struct request *r, const struct outcome *o, struct printer *p)
{
	print_array(p, "streams");
	for (uint32_t i = 0; o->parts && i < r->streams; i++) {
		const struct zcp_status *st = &o->parts[i].status;

		print_object(p, NULL);
		print_number(p, "job", NULL, st->job);
		print_string(p, "state", NULL, zcp_state_name(st->state));
		print_number(p, "errno", NULL, st->error);
		print_number(p, "offset", NULL, o->parts[i].stream.offset);
		print_number(p, "length", NULL, o->parts[i].stream.length);
		print_number(p, "bytes", NULL, st->bytes_sent);
		print_number(p, "bytes_zerocopy", NULL, st->bytes_zerocopy);
		print_number(p, "bytes_copied", NULL, st->bytes_copied);
		print_string(p, "copy_reason", NULL, zcp_reason_name(st->copy_reason));
		print_number(p, "bytes_acked", NULL, st->bytes_acked);
		print_number(p, "bytes_dropped", NULL, st->bytes_dropped);
		print_ns(p, "sent_ns", NULL, st->sent_ns);
		print_ns(p, "acked_ns", NULL, st->acked_ns);
		print_ns(p, "end_ns", NULL, st->end_ns);
		print_end(p);
	}
	print_end(p);
}

static void print_outcome(const struct request *r, const struct outcome *o, struct printer *p)
{
	const struct zcp_result *res = &o->result;
	uint32_t state = res->state;
	uint64_t ns = r->complete == ZCP_COMPLETE_ACKED ? res->acked_ns : res->sent_ns;

	if (!ns)
		ns = res->end_ns;
	if (!state)
		state = res->error == ECANCELED ? ZCP_STATE_CANCELLED : ZCP_STATE_FAILED;
	print_object(p, NULL);
	if (r->streams > 1)
		print_parts(r, o, p);
	print_number(p, "job", NULL, res->job);
	print_string(p, "state", "%s: ", zcp_state_name(state));
	print_number(p, "errno", NULL, res->error);
	print_string(p, "error", NULL, o->problem[0] ? o->problem : NULL);
	print_number(p, "bytes", "%s bytes", res->bytes_sent);
	print_seconds(p, "seconds", ns ? " in %s s" : NULL, ns);
	print_rate(p, "bits_per_second", ", %s Gbit/s", bits_per_second(res->bytes_sent, ns));
	print_number(p, "bytes_zerocopy", ", %s zero-copied", res->bytes_zerocopy);
	print_number(p, "bytes_copied", ", %s copied", res->bytes_copied);
	print_string(p, "copy_reason", " (%s)", zcp_reason_name(res->copy_reason));
	print_number(p, "bytes_acked", ", %s acked", res->bytes_acked);
	print_number(p, "bytes_dropped", r->flags & ZCP_JOB_NOCACHE ? ", %s dropped" : NULL,
		     res->bytes_dropped);
	if (r->streams > 1)
		print_text(p, ", %u streams", r->streams);
	print_ns(p, "sent_ns", NULL, res->sent_ns);
	print_ns(p, "acked_ns", NULL, res->acked_ns);
	print_ns(p, "end_ns", NULL, res->end_ns);
	print_string(p, "file", NULL, r->file);
	print_string(p, "peer", NULL, o->peer[0] ? o->peer : r->target);
	print_string(p, "mode", NULL, zcp_mode_name(r->mode));
	print_string(p, "wait", NULL, zcp_complete_name(r->complete));
	print_number(p, "rate", NULL, r->rate);
	print_bool(p, "nocache", NULL, r->flags & ZCP_JOB_NOCACHE);
	print_string(p, "ifname", NULL, res->path_ifname[0] ? res->path_ifname : NULL);
	print_text(p, "\n");
	print_end(p);
}

static int cmd_send(int argc, char **argv)
{
	struct outcome o = { .result.size = sizeof(o.result) };
	struct request r = { 0 };
	struct printer p;
	int ret;

	ret = parse(argc, argv, &r);
	if (ret >= 0)
		return ret;
	print_init(&p, stdout, r.json);
	r.progress.printer = &p;
	r.progress.bar = isatty(STDERR_FILENO) && !r.quiet;
	if (r.quiet)
		r.progress.interval_ns = 0;

	catch_signals();
	ret = transfer(&r, &o);
	if (ret)
		fail("%s", o.problem);
	/* In text a transfer that never began has no result to tell. */
	if (r.json || (!r.quiet && o.result.state))
		print_outcome(&r, &o, &p);
	free(o.parts);
	free(r.header.data);
	free(r.trailer.data);
	return ret ? FAILED : DONE;
}
