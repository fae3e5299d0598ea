// SPDX-License-Identifier: GPL-2.0-only
/*
 * zcpctl doctor: what this system has, and what to do about the rest.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "command.h"
#include "cve.h"
#include "nic.h"
#include "print.h"
#include "zcpctl.h"

/* Below this a fast path with a long way cannot be kept busy. */
#define WMEM_MIN (1 << 20)

static int cmd_doctor(int argc, char **argv);

/* clang-format off */
static const struct opt options[] = {
	OPT_JSON("an array of objects: level, check, found, advice"),
	OPT_HELP,
	OPT_END,
};

/* clang-format on */

const struct command doctor_command = {
	.name = "doctor",
	.args = "[--json]",
	.help = "check this system and say what to do about each finding",
	.options = options,
	.run = cmd_doctor,
	.details =
		"Checked are the module, the device and this user's access to it, fixes this kernel\n"
		"should have for bugs that write to the page cache, the network devices that are\n"
		"up, and the limit on TCP's send memory. A finding is ok, warn or fail. Exit status\n"
		"is 0 when nothing is fail.\n",
};

enum severity {
	OK,
	WARN,
	FAIL,
};

struct doctor {
	struct printer printer;
	unsigned int count[FAIL + 1];
};

/* One finding: @advice is what to do, or NULL. */
__attribute__((format(printf, 5, 6))) static void find(struct doctor *d, enum severity level,
						       const char *check, const char *advice,
						       const char *format, ...)
{
	static const char *const names[] = { [OK] = "ok", [WARN] = "warn", [FAIL] = "fail" };
	struct printer *p = &d->printer;
	char found[384];
	va_list ap;

	va_start(ap, format);
	vsnprintf(found, sizeof(found), format, ap);
	va_end(ap);
	d->count[level]++;
	print_object(p, NULL);
	print_string(p, "level", "%-4s", names[level]);
	print_string(p, "check", "  %s: ", check);
	print_string(p, "found", "%s\n", found);
	print_string(p, "advice", advice ? "      -> %s\n" : NULL, advice);
	print_end(p);
}

static void check_module(struct doctor *d)
{
	char version[64];

	if (access(ZCP_MODULE_DIR, F_OK)) {
		find(d, FAIL, "module", "sudo modprobe zcp (or insmod zcp.ko)",
		     "zcp is not loaded");
		return;
	}
	module_version(version, sizeof(version));
	if (strcmp(version, zcp_version()))
		find(d, WARN, "module", "install module and tools from one release",
		     "zcp %s is loaded, this zcpctl is %s", version[0] ? version : "(no version)",
		     zcp_version());
	else
		find(d, OK, "module", NULL, "zcp %s is loaded", version);
}

static void check_device(struct doctor *d)
{
	const char *advice =
		"sudo udevadm trigger " ZCP_DEVICE " where there is a group zcp; else run as root";
	struct zcp_ctx *ctx;
	char member[160];
	struct stat st;
	int ret;

	if (stat(ZCP_DEVICE, &st)) {
		find(d, FAIL, "device", "sudo modprobe zcp (or insmod zcp.ko)", "%s: %s",
		     ZCP_DEVICE, strerror(errno));
		return;
	}
	if (!S_ISCHR(st.st_mode)) {
		find(d, FAIL, "device", "sudo rm " ZCP_DEVICE ", then load the module again",
		     "%s is not a device", ZCP_DEVICE);
		return;
	}
	ret = zcp_ctx_open(&ctx, NULL);
	if (!ret) {
		zcp_ctx_close(ctx);
		find(d, OK, "device", NULL, "%s can be opened by uid %u", ZCP_DEVICE, geteuid());
	} else if (ret == -EACCES || ret == -EPERM) {
		if (member_advice(member, sizeof(member)))
			advice = member;
		find(d, FAIL, "device", advice,
		     "%s (mode %04o, uid %u, gid %u) cannot be opened by uid %u: %s", ZCP_DEVICE,
		     st.st_mode & 07777, st.st_uid, st.st_gid, geteuid(), strerror(-ret));
	} else {
		find(d, FAIL, "device", "load the module again; then see the kernel log (dmesg)",
		     "%s cannot be opened: %s", ZCP_DEVICE, strerror(-ret));
	}
}

static void check_fix(struct doctor *d, size_t fix, const struct kernel *k, const char *release)
{
	const char *cve = fix_cve(fix);
	const char *gap = cve ? " " : "";
	char since[64];

	fix_version(fix, k, since, sizeof(since));
	cve = cve ? cve : "";
	switch (fix_check(fix, k)) {
	case FIX_PRESENT:
		find(d, OK, "kernel", NULL, "%s%s\"%s\" is fixed since %s", cve, gap,
		     fix_title(fix), since);
		break;
	case FIX_MISSING:
		find(d, FAIL, "kernel", "update the kernel and reboot",
		     "%s%s\"%s\" is fixed in %s, not in this kernel", cve, gap, fix_title(fix),
		     since);
		break;
	case FIX_NOWHERE:
		find(d, WARN, "kernel",
		     "keep nfnetlink_queue and openvswitch from users, or take a newer line",
		     "%s%s\"%s\" is in no package of this line up to %s", cve, gap, fix_title(fix),
		     since);
		break;
	case FIX_UNKNOWN:
		find(d, WARN, "kernel", "check your vendor's advisories",
		     "%s%s\"%s\": not known for kernel %s", cve, gap, fix_title(fix), release);
		break;
	}
}

static void check_kernel(struct doctor *d)
{
	struct utsname uts;
	struct kernel k;
	bool known = false;

	uname(&uts);
	if (kernel_parse(uts.release, uts.version, &k)) {
		find(d, WARN, "kernel", "check your vendor's advisories",
		     "version %s is not understood", uts.release);
		return;
	}
	for (size_t i = 0; i < nr_fixes; i++)
		known |= fix_check(i, &k) != FIX_UNKNOWN;
	for (size_t i = 0; known && i < nr_fixes; i++)
		check_fix(d, i, &k, uts.release);
	if (!known)
		find(d, WARN, "kernel",
		     "check your vendor's advisories for CVE-2026-31431 and its kin",
		     "nothing is known of kernel %s and the page-cache-write bugs of 2026",
		     uts.release);
}

static void cure_feature(char *buf, size_t size, const struct nic *nic,
			 const struct nic_feature *feature, const char *option)
{
	if (feature->available)
		snprintf(buf, size, "ethtool -K %s %s on", nic->name, option);
	else
		snprintf(buf, size,
			 "%s cannot switch it on: zcp sends there by copies, as all others do",
			 nic->name);
}

static void check_nic(const struct nic *nic, int error, void *arg)
{
	struct doctor *d = arg;
	char cure[128];

	if (error) {
		find(d, WARN, "nic", "zcpctl caps HOST:PORT tells what a route has",
		     "%s: features are not known: %s", nic->name, strerror(error));
		return;
	}
	if (!nic->sg.on) {
		cure_feature(cure, sizeof(cure), nic, &nic->sg, "sg");
		find(d, WARN, "nic", cure, "%s: no scatter/gather, so bytes are copied (no-sg)",
		     nic->name);
	}
	if (!nic->csum4.on && !nic->csum6.on) {
		cure_feature(cure, sizeof(cure), nic, &nic->csum4, "tx");
		find(d, WARN, "nic", cure, "%s: no checksums, so bytes are copied (no-csum)",
		     nic->name);
		return;
	}
	if (!nic->csum4.on || !nic->csum6.on) {
		cure_feature(cure, sizeof(cure), nic, nic->csum4.on ? &nic->csum6 : &nic->csum4,
			     "tx");
		find(d, WARN, "nic", cure,
		     "%s: no checksums of %s, so its bytes are copied (no-csum)", nic->name,
		     nic->csum4.on ? "IPv6" : "IPv4");
	}
	if (!nic->sg.on)
		return;
	if (!nic->tso.on) {
		cure_feature(cure, sizeof(cure), nic, &nic->tso, "tso");
		find(d, OK, "nic", nic->tso.available ? cure : NULL,
		     "%s: scatter/gather and checksums, but no segmentation: zero-copy at more CPU time",
		     nic->name);
		return;
	}
	find(d, OK, "nic", NULL, "%s: scatter/gather, checksums, segmentation", nic->name);
}

static void check_nics(struct doctor *d)
{
	unsigned int before = d->count[OK] + d->count[WARN];
	int ret = nic_walk(check_nic, d);

	if (ret)
		find(d, WARN, "nic", NULL, "network devices cannot be listed: %s", strerror(-ret));
	else if (d->count[OK] + d->count[WARN] == before)
		find(d, WARN, "nic", "ip link set DEVICE up",
		     "no network device but loopback is up");
}

static void check_wmem(struct doctor *d)
{
	FILE *f = fopen("/proc/sys/net/ipv4/tcp_wmem", "re");
	unsigned long max = 0;

	if (!f)
		return;
	if (fscanf(f, "%*u %*u %lu", &max) != 1)
		max = 0;
	fclose(f);
	if (!max)
		return;
	if (max < WMEM_MIN)
		find(d, WARN, "tcp", "sysctl -w net.ipv4.tcp_wmem=\"4096 16384 4194304\"",
		     "a connection may queue only %lu bytes (net.ipv4.tcp_wmem)", max);
	else
		find(d, OK, "tcp", NULL, "a connection may queue %lu bytes (net.ipv4.tcp_wmem)",
		     max);
}

static int cmd_doctor(int argc, char **argv)
{
	struct doctor d = { 0 };
	bool json;
	int ret;

	ret = only_json(argc, argv, &doctor_command, 0, &json);
	if (ret >= 0)
		return ret;
	print_init(&d.printer, stdout, json);
	print_array(&d.printer, NULL);
	check_module(&d);
	check_device(&d);
	check_kernel(&d);
	check_nics(&d);
	check_wmem(&d);
	print_end(&d.printer);
	print_text(&d.printer, "%u ok, %u to look at, %u to mend\n", d.count[OK], d.count[WARN],
		   d.count[FAIL]);
	return d.count[FAIL] ? FAILED : DONE;
}
