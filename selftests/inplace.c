// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel does to packets in place never reaches the files they were made
 * of: editing (act_pedit), encrypting and decrypting (ESP, MACsec, TLS), and what
 * a receiver does with the pages it was sent. Each test says by what arrives, or
 * by a counter of the kernel's, that the thing was really done.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <linux/tcp.h>
#include <linux/tls.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

#ifndef SOL_TLS
#define SOL_TLS	282
#endif

#define SEED	1
#define LEN	(512 * ZT_KIB)
#define KEY16	"0x00112233445566778899aabbccddeeff"
#define KEY20	KEY16 "01020304"
#define GCM	"aead 'rfc4106(gcm(aes))' " KEY20 " 128"

#define HOPS	3	/* the sender, a router, the receiver */

FIXTURE(inplace) {
	struct zt_box box;
	struct zt_conn conn;
	int ns[HOPS];
	int ctx;
	int file;
};

static void enter(int ns)
{
	zt_need(!setns(ns, CLONE_NEWNET));
}

static int this_ns(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	zt_need(fd >= 0);
	return fd;
}

FIXTURE_SETUP(inplace)
{
	int i;

	zt_box_open(&self->box, 65536);
	for (i = 0; i < HOPS; i++)
		self->ns[i] = -1;
	self->ns[0] = this_ns();
	self->ctx = zt_open(O_NONBLOCK);
	self->conn.tx = -1;
	self->conn.rx = -1;
	self->file = zt_file(&self->box, SEED, LEN);
}

FIXTURE_TEARDOWN(inplace)
{
	int i;

	close(self->ctx);
	zt_close(&self->conn);
	close(self->file);
	for (i = 0; i < HOPS; i++)
		if (self->ns[i] >= 0)
			close(self->ns[i]);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

/* Where the page cache differs from what was written; -1 for nowhere. */
static ssize_t changed(int file)
{
	char *buf = malloc(LEN);
	ssize_t at;

	zt_need(buf && pread(file, buf, LEN, 0) == LEN);
	at = zt_mismatch(buf, LEN, SEED, 0);
	free(buf);
	return at;
}

static void link_hops(FIXTURE_DATA(inplace) *self, int a, int b)
{
	/* The ends are e0 towards the sender, and e1 towards the receiver. */
	enter(self->ns[a]);
	zt_need(!zt_run("ip link add e1 type veth peer name e0 netns /proc/%d/fd/%d",
			getpid(), self->ns[b]));
	zt_need(!zt_run("ip addr add 10.0.%d.1/24 dev e1; ip link set e1 up", b));
	enter(self->ns[b]);
	zt_need(!zt_run("ip addr add 10.0.%d.2/24 dev e0; ip link set e0 up; ip link set lo up",
			b));
}

/* A line of @hops namespaces; this thread is in the first one. */
static void build(FIXTURE_DATA(inplace) *self, int hops)
{
	int i;

	for (i = 1; i < hops; i++) {
		zt_need(!unshare(CLONE_NEWNET));
		self->ns[i] = this_ns();
	}
	for (i = 1; i < hops; i++)
		link_hops(self, i - 1, i);
	if (hops == 3) {
		zt_need(!zt_run("ip route add default via 10.0.2.1"));
		enter(self->ns[1]);
		zt_need(!zt_run("sysctl -qw net.ipv4.ip_forward=1"));
		enter(self->ns[0]);
		zt_need(!zt_run("ip route add default via 10.0.1.2"));
	}
	enter(self->ns[0]);
}

/* A connection over the line, to @address in the last namespace. */
static void connect_hops(FIXTURE_DATA(inplace) *self, int hops, const char *address)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int listener;

	zt_need(inet_pton(AF_INET, address, &sin.sin_addr) == 1);
	enter(self->ns[hops - 1]);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	zt_need(!bind(listener, (struct sockaddr *)&sin, len) && !listen(listener, 1));
	enter(self->ns[0]);
	zt_connect_to(&self->conn, listener, 0);
	close(listener);
}

#define LACKS_PEDIT \
	"tc filter add failed: needs tc (iproute2) and the modules act_pedit, cls_u32, sch_ingress"

/* Packets of 1 KiB and more are edited, 4 bytes at two places. */
static int edit(const char *device, const char *hook)
{
	const char *munge = "action pedit munge offset 200 u8 set 1 munge offset 900 u8 set 1";
	unsigned int bit;
	int ret;

	zt_run("modprobe -qa act_pedit cls_u32 sch_ingress");
	ret = zt_run("tc qdisc add dev %s clsact", device);
	for (bit = 0x400; !ret && bit <= 0x8000; bit <<= 1)
		ret = zt_run("tc filter add dev %s %s protocol ip pref %u u32 %s %#x %#x at 2 %s",
			     device, hook, bit, "match u16", bit, bit, munge);
	return ret;
}

/* Sends the file, and returns how many words arrived that are not the file's. */
static size_t deliver(struct __test_metadata *_metadata, FIXTURE_DATA(inplace) *self,
		      struct zcp_event *event)
{
	size_t off, n = 0;
	struct zt_sink sink;
	char want[8];

	zt_sink_start(&sink, self->conn.rx, LEN);
	zt_submit_range(self->ctx, zt_link(self->ctx, self->conn.tx), self->file, 0, LEN);
	zt_event(self->ctx, event);
	EXPECT_EQ(ZCP_STATE_DONE, event->state) TH_LOG("error %u", event->error);
	zt_sink_join(&sink);
	zt_need(sink.len == LEN);
	for (off = 0; off < LEN; off += 8) {
		zt_pattern(want, SEED, off, 8);
		n += !!memcmp(sink.buf + off, want, 8);
	}
	zt_sink_free(&sink);
	return n;
}

static void altered(struct __test_metadata *_metadata, FIXTURE_DATA(inplace) *self)
{
	struct zcp_event event;

	EXPECT_GT(deliver(_metadata, self, &event), 0) TH_LOG("nothing was edited");
	EXPECT_EQ(LEN, event.bytes_zerocopy);
	EXPECT_EQ(-1, changed(self->file));
}

TEST_F_TIMEOUT(inplace, pedit_egress, 240)
{
	zt_connect(&self->conn, 0, 0);
	if (edit("lo", "egress"))
		SKIP(return, LACKS_PEDIT);
	altered(_metadata, self);
}

TEST_F_TIMEOUT(inplace, pedit_ingress, 240)
{
	zt_connect(&self->conn, 0, 0);
	if (edit("lo", "ingress"))
		SKIP(return, LACKS_PEDIT);
	altered(_metadata, self);
}

/* Over veth and a router, which edits what it has received and what it sends. */
TEST_F_TIMEOUT(inplace, pedit_forwarded, 240)
{
	int failed;

	build(self, 3);
	connect_hops(self, 3, "10.0.2.2");
	enter(self->ns[1]);
	failed = edit("e0", "ingress") || edit("e1", "egress");
	enter(self->ns[0]);
	if (failed)
		SKIP(return, LACKS_PEDIT);
	altered(_metadata, self);
}

#define LACKS_ESP	"ip xfrm failed: the kernel lacks esp4, or the algorithm"

/* An ESP state: of SRC, DST, SPI and MODE with an algorithm and its keys */
static int add_state(const char *src, const char *dst, uint32_t spi, const char *how)
{
	zt_run("modprobe -qa esp4 xfrm_user");
	return zt_run("ip xfrm state add src %s dst %s proto esp spi %#x mode %s", src, dst, spi,
		      how);
}

/* What this end does with what the sender sends to the receiver. */
static int secure(const char *direction, const char *how)
{
	const char *pair = "src 10.0.1.1 dst 10.0.1.2";

	if (add_state("10.0.1.1", "10.0.1.2", 0x100, how) ||
	    add_state("10.0.1.2", "10.0.1.1", 0x200, how))
		return -1;
	return zt_run("ip xfrm policy add %s dir %s tmpl %s proto esp mode %.*s", pair, direction,
		      pair, (int)strcspn(how, " "), how);
}

/* Two hops, and ESP from the first to the second; this thread is in the first. */
static int build_esp(FIXTURE_DATA(inplace) *self, const char *how)
{
	int failed;

	build(self, 2);
	failed = secure("out", how);
	enter(self->ns[1]);
	failed = failed || secure("in", how);
	enter(self->ns[0]);
	return failed;
}

/* Encrypted and decrypted on the way: all is as sent, and the account says why. */
static void encrypted(struct __test_metadata *_metadata, FIXTURE_DATA(inplace) *self,
		      const char *how)
{
	struct zcp_link link = { .size = sizeof(link) };
	struct zcp_event event;

	if (build_esp(self, how))
		SKIP(return, LACKS_ESP);
	connect_hops(self, 2, "10.0.1.2");
	link.fd = self->conn.tx;
	ASSERT_EQ(0, ioctl(self->ctx, ZCP_IOC_LINK, &link));
	EXPECT_EQ(ZCP_REASON_IPSEC, link.path_reason);
	EXPECT_EQ(ZCP_MODE_COPY, link.path_mode);
	EXPECT_TRUE(link.path_caps & ZCP_PATH_IPSEC);
	ASSERT_EQ(0, zt_unlink(self->ctx, link.link, NULL));
	EXPECT_EQ(0, deliver(_metadata, self, &event));
	EXPECT_EQ(LEN, event.bytes_copied);
	EXPECT_EQ(ZCP_REASON_IPSEC, event.copy_reason);
	EXPECT_EQ(1U << ZCP_REASON_IPSEC, event.copy_reasons);
	EXPECT_EQ(-1, changed(self->file));
}

TEST_F_TIMEOUT(inplace, esp_transport_cbc, 240)
{
	encrypted(_metadata, self,
		  "transport auth 'hmac(sha256)' " KEY16 " enc 'cbc(aes)' " KEY16);
}

TEST_F_TIMEOUT(inplace, esp_tunnel_gcm, 240)
{
	encrypted(_metadata, self, "tunnel " GCM);
}

/* Mode zerocopy says no rather than copy. */
TEST_F_TIMEOUT(inplace, esp_refuses_zerocopy, 240)
{
	struct zcp_segment seg = zt_range(self->file, 0, LEN);
	struct zcp_xfer xfer = {
		.size = sizeof(xfer), .mode = ZCP_MODE_ZEROCOPY, .in_fd = self->file,
		.count = LEN,
	};
	struct zcp_submit submit = { .size = sizeof(submit), .nr_jobs = 1 };
	struct zcp_job job;

	if (build_esp(self, "transport " GCM))
		SKIP(return, LACKS_ESP);
	connect_hops(self, 2, "10.0.1.2");
	job = zt_job(zt_link(self->ctx, self->conn.tx), &seg, 1);
	job.mode = ZCP_MODE_ZEROCOPY;
	submit.jobs = (uintptr_t)&job;
	submit.job_size = sizeof(job);
	EXPECT_EQ(-1, ioctl(self->ctx, ZCP_IOC_SUBMIT, &submit));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(ZCP_REASON_IPSEC, submit.reason);
	xfer.out_fd = self->conn.tx;
	EXPECT_EQ(-1, ioctl(self->ctx, ZCP_IOC_XFER, &xfer));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(ZCP_REASON_IPSEC, xfer.copy_reason);
	EXPECT_EQ(0, xfer.done);
}

/* Packets that the one ESP state of this namespace found to be false. */
static unsigned long false_packets(void)
{
	FILE *f = popen("ip -s xfrm state | sed -n 's/.* failed \\([0-9]*\\).*/\\1/p' | tail -n 1",
			"re");
	unsigned long n = 0;

	zt_need(f && fscanf(f, "%lu", &n) == 1);
	pclose(f);
	return n;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	zt_need(!getsockname(fd, (struct sockaddr *)&sin, &len));
	return ntohs(sin.sin_port);
}

/* GCM decrypts a packet before it knows that its tag is wrong. */
static void wait_decrypted(struct __test_metadata *_metadata)
{
	unsigned int i;

	for (i = 0; i < 100 && !false_packets(); i++)
		zt_sleep_ms(100);
	EXPECT_GT(false_packets(), 0) TH_LOG("nothing was decrypted");
}

/*
 * A packet of the file's pages becomes one of ESP on its way, by act_pedit, and
 * the sender's own copy is gone when it arrives: nothing but the mark tells ESP
 * that these pages are not for decrypting in place.
 */
TEST_F_TIMEOUT(inplace, esp_forged, 240)
{
	/* TCP makes one packet of it: that is not half of the window. */
	enum { PAYLOAD = 7 * 4096, TOTAL = 20 + 32 + PAYLOAD };
	struct zcp_event event;
	uint32_t link;

	zt_connect(&self->conn, 0, 0);
	link = zt_link(self->ctx, self->conn.tx);
	zt_run("modprobe -qa act_pedit act_csum cls_u32 sch_ingress sch_netem");
	if (zt_run("tc qdisc add dev lo root netem delay 700ms; tc qdisc add dev lo clsact") ||
	    zt_run("tc filter add dev lo egress protocol ip u32 %s %u 0xffff at 2 %s %s",
		   "match u16", TOTAL, "action pedit ex munge ip protocol set 50 pipe",
		   "action csum iph"))
		SKIP(return, LACKS_PEDIT " and act_csum");
	/* The ports are the packet's SPI. */
	if (add_state("127.0.0.1", "127.0.0.1",
		      port_of(self->conn.tx) << 16 | port_of(self->conn.rx), "transport " GCM))
		SKIP(return, LACKS_ESP);
	zt_wait_state(self->ctx, zt_submit_range(self->ctx, link, self->file, 0, PAYLOAD),
		      ZCP_STATE_SENT);
	ASSERT_EQ(0, zt_unlink(self->ctx, link, NULL));
	zt_reset(self->conn.tx);
	self->conn.tx = -1;
	wait_decrypted(_metadata);
	EXPECT_EQ(-1, changed(self->file));
	zt_event(self->ctx, &event);
}

/* The receiver takes the stream for ESP in TCP, and decrypts the file's pages. */
TEST_F_TIMEOUT(inplace, esp_in_tcp, 240)
{
	enum { CIPHER = 8 * ZT_PAGE };
	struct {
		uint16_t len;
		uint32_t spi;
		uint32_t seq;
		char iv[8];
	} __attribute__((packed)) head = {
		htons(sizeof(head) + CIPHER), htonl(0x100), htonl(1), {},
	};
	struct zcp_segment seg[] = {
		zt_inline(&head, sizeof(head)), zt_range(self->file, 0, CIPHER),
	};
	struct zcp_event event;
	struct zcp_job job;
	char how[256];
	int i;

	zt_connect(&self->conn, 0, 0);
	if (setsockopt(self->conn.rx, IPPROTO_TCP, TCP_ULP, "espintcp", 8))
		SKIP(return, "TCP_ULP espintcp: errno %d, the kernel lacks CONFIG_INET_ESPINTCP",
		     errno);
	/* ESP looks for a route anew, and takes such addresses for forged. */
	zt_need(!zt_run("sysctl -qw net.ipv4.conf.all.route_localnet=1"));
	zt_need(!zt_run("sysctl -qw net.ipv4.conf.all.accept_local=1"));
	snprintf(how, sizeof(how), "transport " GCM " encap espintcp %u %u 0.0.0.0",
		 port_of(self->conn.tx), port_of(self->conn.rx));
	zt_need(!add_state("127.0.0.1", "127.0.0.1", 0x100, how));
	job = zt_job(zt_link(self->ctx, self->conn.tx), seg, ARRAY_SIZE(seg));
	for (i = 1; i <= 8; i++) {
		head.seq = htonl(i);
		zt_submit(self->ctx, &job);
		zt_event(self->ctx, &event);
		EXPECT_EQ(ZCP_STATE_DONE, event.state);
		EXPECT_EQ(CIPHER, event.bytes_zerocopy);
	}
	wait_decrypted(_metadata);
	EXPECT_EQ(-1, changed(self->file));
}

/* The device encrypts what it is given, the peer's decrypts what it receives. */
TEST_F_TIMEOUT(inplace, macsec, 240)
{
	struct zcp_event event;
	char peer[64], sa[96];
	int i;

	build(self, 2);
	zt_run("modprobe -q macsec");
	for (i = 0; i < 2; i++) {
		enter(self->ns[i]);
		if (zt_run("ip link add link e%d macsec0 address 02:00:00:00:00:0%d %s", !i, i + 1,
			   "type macsec encrypt on"))
			SKIP(return, "ip link add type macsec failed: the kernel lacks macsec");
		snprintf(peer, sizeof(peer), "port 1 address 02:00:00:00:00:0%d", 2 - i);
		snprintf(sa, sizeof(sa), "sa 0 pn 1 on key 01 %s", &KEY16[2]);
		zt_need(!zt_run("ip macsec add macsec0 tx %s", sa));
		zt_need(!zt_run("ip macsec add macsec0 rx %s", peer));
		zt_need(!zt_run("ip macsec add macsec0 rx %s %s", peer, sa));
		zt_need(!zt_run("ip addr add 10.1.0.%d/24 dev macsec0", i + 1));
		zt_need(!zt_run("ip link set macsec0 up"));
	}
	connect_hops(self, 2, "10.1.0.2");
	EXPECT_EQ(0, deliver(_metadata, self, &event));
	EXPECT_EQ(-1, changed(self->file));
}

/* The receiver takes the stream for TLS records, and decrypts the file's pages. */
TEST_F_TIMEOUT(inplace, tls_receiver, 240)
{
	enum { RECORD = 16 * 1024 };
	struct tls12_crypto_info_aes_gcm_128 key = {
		.info = { .version = TLS_1_2_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128 },
	};
	unsigned char head[5 + 8] = { 23, 3, 3, (RECORD + 24) >> 8, (RECORD + 24) & 0xff };
	char tag[16] = "", buf[RECORD];
	struct zcp_segment seg[] = {
		zt_inline(head, sizeof(head)), zt_range(self->file, 0, RECORD),
		zt_inline(tag, sizeof(tag)),
	};
	struct zcp_event event;
	struct zcp_job job;

	zt_connect(&self->conn, 0, 0);
	if (setsockopt(self->conn.rx, IPPROTO_TCP, TCP_ULP, "tls", 3) ||
	    setsockopt(self->conn.rx, SOL_TLS, TLS_RX, &key, sizeof(key)))
		SKIP(return, "TLS_RX: errno %d, the kernel lacks %s", errno, "the module tls");
	job = zt_job(zt_link(self->ctx, self->conn.tx), seg, ARRAY_SIZE(seg));
	zt_submit(self->ctx, &job);
	EXPECT_EQ(-1, recv(self->conn.rx, buf, sizeof(buf), 0));
	EXPECT_EQ(EBADMSG, errno);
	EXPECT_EQ(-1, changed(self->file));
	/* With what it could not read left unread, the peer resets the connection. */
	close(self->conn.rx);
	self->conn.rx = -1;
	zt_event(self->ctx, &event);
}

/*
 * The receiver splices the pages into a pipe whose buffers had been written to
 * before, and writes: what follows goes into pages of its own.
 */
TEST_F_TIMEOUT(inplace, receiver_pipe, 240)
{
	static char junk[64 * ZT_KIB];
	struct zcp_event event;
	size_t left = LEN;
	int p[2];

	zt_connect(&self->conn, 0, 0);
	zt_need(!pipe2(p, O_CLOEXEC));
	memset(junk, 'j', sizeof(junk));
	zt_need(write(p[1], junk, sizeof(junk)) == sizeof(junk));
	zt_need(read(p[0], junk, sizeof(junk)) == sizeof(junk));
	zt_submit_range(self->ctx, zt_link(self->ctx, self->conn.tx), self->file, 0, LEN);
	while (left) {
		/* An odd number, so that each buffer has room behind it. */
		ssize_t n = splice(self->conn.rx, NULL, p[1], NULL, left < 999 ? left : 999, 0);

		zt_need(n > 0);
		left -= n;
		zt_need(write(p[1], "overwritten", 11) == 11);
		for (n += 11; n > 0; ) {
			ssize_t got = read(p[0], junk, n);

			zt_need(got > 0);
			n -= got;
		}
	}
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	EXPECT_EQ(LEN, event.bytes_zerocopy);
	EXPECT_EQ(-1, changed(self->file));
	close(p[0]);
	close(p[1]);
}

/* The receiver maps what it was sent: never the file's pages, never for writing. */
TEST_F_TIMEOUT(inplace, receiver_mmap, 240)
{
	enum { SOME = 64 * 1024 };
	struct tcp_zerocopy_receive zc = { .length = SOME };
	socklen_t len = sizeof(zc);
	struct zcp_event event;
	char *map;

	zt_connect(&self->conn, 0, 0);
	zt_submit_range(self->ctx, zt_link(self->ctx, self->conn.tx), self->file, 0, SOME);
	zt_event(self->ctx, &event);
	EXPECT_EQ(SOME, event.bytes_zerocopy);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, SOME, PROT_READ | PROT_WRITE, MAP_SHARED,
				   self->conn.rx, 0));
	map = mmap(NULL, SOME, PROT_READ, MAP_SHARED, self->conn.rx, 0);
	if (map == MAP_FAILED)
		SKIP(return, "mmap of a socket: errno %d, the kernel lacks it", errno);
	EXPECT_EQ(-1, mprotect(map, SOME, PROT_READ | PROT_WRITE));
	zc.address = (uintptr_t)map;
	zt_need(!getsockopt(self->conn.rx, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &zc, &len));
	EXPECT_EQ(0, zc.length);
	munmap(map, SOME);
	EXPECT_EQ(-1, changed(self->file));
}

TEST_HARNESS_MAIN
