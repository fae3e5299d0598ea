// SPDX-License-Identifier: GPL-2.0-only
/*
 * zcpctl caps: what zero-copy needs, and what the route to a host has.
 */
#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "net.h"
#include "print.h"
#include "reason.h"
#include "zcpctl.h"

static int cmd_caps(int argc, char **argv);

/* clang-format off */
static const struct opt options[] = {
	OPT_JSON("one object"),
	OPT_HELP,
	OPT_END,
};

/* clang-format on */

const struct command caps_command = {
	.name = "caps",
	.args = "[--json] HOST:PORT",
	.help = "say what zero-copy needs and the route there has",
	.options = options,
	.run = cmd_caps,
	.details =
		"A connection is made to HOST:PORT and closed again; nothing is sent. What counts\n"
		"is the device the route leaves by. A veth device says yes to everything and cannot\n"
		"know what is behind it.\n"
		"\n"
		"A zcpctl recv there takes this for a transfer without bytes: it empties its FILE,\n"
		"and ends if it has --once. With --streams it does neither.\n",
};

/* Returns an error of zcp's about the connection, or 0. */
static int ask(int sock, struct zcp_link *link)
{
	struct zcp_ctx *ctx;
	int ret;

	ret = open_context(&ctx);
	if (ret)
		return ret;
	ret = zcp_link_add(ctx, sock, 0, link);
	zcp_ctx_close(ctx);
	/* Not plain TCP is an answer, not a failure to ask. */
	if (ret && ret != -EOPNOTSUPP)
		fail("zcp cannot use this connection: %s", strerror(-ret));
	return ret;
}

static void print_caps(struct printer *p, const struct zcp_link *l, const char *peer, bool plain)
{
	char why[128], cure[96];

	print_object(p, NULL);
	print_string(p, "peer", "peer:             %s\n", peer);
	print_string(p, "ifname", "device:           %s\n",
		     l->path_ifname[0] ? l->path_ifname : NULL);
	print_number(p, "ifindex", NULL, l->path_ifindex);
	print_text(p, "zero-copy needs\n");
	print_bool(p, "plain_tcp", "  plain TCP:      %s\n", plain);
	if (plain) {
		reason_explain(l->path_reason, l->path_ifname, why, sizeof(why));
		reason_cure(l->path_reason, l->path_ifname, cure, sizeof(cure));
		print_bool(p, "route", "  a route:        %s\n", l->path_ifindex);
		print_bool(p, "sg", "  scatter/gather: %s\n", l->path_caps & ZCP_PATH_SG);
		print_bool(p, "csum", "  checksums:      %s\n", l->path_caps & ZCP_PATH_CSUM);
		print_bool(p, "no_ipsec", "  no IPsec:       %s\n",
			   !(l->path_caps & ZCP_PATH_IPSEC));
		print_text(p, "it also helps\n");
		print_bool(p, "tso", "  segmentation:   %s\n", l->path_caps & ZCP_PATH_TSO);
		print_number(p, "mss", "  segment size:   %s bytes\n", l->mss);
		print_string(p, "auto_mode", "mode auto would:  %s", zcp_mode_name(l->path_mode));
		print_string(p, "copy_reason", NULL, zcp_reason_name(l->path_reason));
		print_string(p, "why", ", %s\n", why);
		print_string(p, "cure", cure[0] ? "try:              %s\n" : NULL,
			     cure[0] ? cure : NULL);
	} else {
		print_text(p,
			   "zcp sends only on TCP sockets without kTLS or another layer on them\n");
	}
	print_end(p);
}

static int cmd_caps(int argc, char **argv)
{
	struct zcp_link link = { .size = sizeof(link) };
	struct net_address address;
	char peer[NET_NAME_MAX];
	char problem[256];
	struct printer p;
	bool json;
	int sock;
	int ret;

	ret = only_json(argc, argv, &caps_command, 1, &json);
	if (ret >= 0)
		return ret;
	if (net_parse(argv[optind], true, &address))
		return usage_error("caps", "\"%s\" is not HOST:PORT or [IPV6]:PORT", argv[optind]);
	sock = net_connect(&address, problem, sizeof(problem));
	if (sock < 0)
		return fail("%s", problem);
	net_peer(sock, peer);
	ret = ask(sock, &link);
	close(sock);
	if (ret && ret != -EOPNOTSUPP)
		return FAILED;
	print_init(&p, stdout, json);
	print_caps(&p, &link, peer, !ret);
	return DONE;
}
