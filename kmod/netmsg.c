// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages: what is told of jobs, links, contexts and namespaces. A function
 * that returns -EMSGSIZE has left a message that is to be cancelled.
 *
 * Whoever asks holds the structures, and nothing that they hold: the file of a
 * job and the socket of a link are looked at under zlink.lock, and no reference
 * to them is taken. So nobody who looks delays what a close(2) or an UNLINK
 * has promised to let go.
 */
#include <linux/dcache.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/tcp.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "context.h"
#include "job.h"
#include "link.h"
#include "netlink.h"
#include "runq.h"
#include "slab.h"
#include "stats.h"

static int znl_put_copied(struct sk_buff *skb, int attr, u32 reason, u64 bytes)
{
	struct nlattr *nest = nla_nest_start(skb, attr);

	if (!nest)
		return -EMSGSIZE;
	if (nla_put_u32(skb, ZCP_NL_A_COPIED_REASON, reason) ||
	    nla_put_u64_64bit(skb, ZCP_NL_A_COPIED_BYTES, bytes,
			      ZCP_NL_A_COPIED_PAD))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

/* The file of the current segment, or the first there is; under zlink.lock. */
static struct file *zjob_file(const struct zjob *job)
{
	u32 i;

	if (job->seg < job->nr_segs && job->segs[job->seg].file)
		return job->segs[job->seg].file;
	for (i = 0; i < job->nr_segs; i++) {
		if (job->segs[i].file)
			return job->segs[i].file;
	}
	return NULL;
}

/*
 * The path, or the name alone, of a job's file. Neither d_path() nor the
 * format %pD sleeps. A path that is too long is not told.
 */
static const char *zjob_name_file(const struct zjob *job, char *name,
				  size_t size, char *path)
{
	const char *found = NULL;
	struct file *file;

	spin_lock(&job->link->lock);
	file = zjob_file(job);
	if (file && path) {
		found = d_path(&file->f_path, path, PATH_MAX);
		if (IS_ERR(found))
			found = NULL;
	} else if (file) {
		scnprintf(name, size, "%pD", file);
		found = name;
	}
	spin_unlock(&job->link->lock);
	return found;
}

static int znl_put_job_numbers(struct sk_buff *skb, const struct zcp_status *st)
{
	const struct {
		int attr;
		u32 value;
	} small[] = {
		{ ZCP_NL_A_JOB_LINK, st->link },
		{ ZCP_NL_A_JOB_STATE, st->state },
		{ ZCP_NL_A_JOB_MODE, st->mode },
		{ ZCP_NL_A_JOB_COMPLETE, st->complete },
		{ ZCP_NL_A_JOB_FLAGS, st->job_flags },
		{ ZCP_NL_A_JOB_ERROR, st->error },
		{ ZCP_NL_A_JOB_COPY_REASON, st->copy_reason },
		{ ZCP_NL_A_JOB_NR_SEGMENTS, st->nr_segments },
		{ ZCP_NL_A_JOB_SEGMENT, st->segment },
	};
	const struct {
		int attr;
		u64 value;
	} large[] = {
		{ ZCP_NL_A_JOB_POSITION, st->position },
		{ ZCP_NL_A_JOB_BYTES_TOTAL, st->bytes_total },
		{ ZCP_NL_A_JOB_BYTES_SENT, st->bytes_sent },
		{ ZCP_NL_A_JOB_BYTES_ACKED, st->bytes_acked },
		{ ZCP_NL_A_JOB_BYTES_ZEROCOPY, st->bytes_zerocopy },
		{ ZCP_NL_A_JOB_BYTES_COPIED, st->bytes_copied },
		{ ZCP_NL_A_JOB_BYTES_DROPPED, st->bytes_dropped },
		{ ZCP_NL_A_JOB_RATE, st->rate },
		{ ZCP_NL_A_JOB_SUBMIT_NS, st->submit_ns },
		{ ZCP_NL_A_JOB_SENT_NS, st->sent_ns },
		{ ZCP_NL_A_JOB_ACKED_NS, st->acked_ns },
		{ ZCP_NL_A_JOB_END_NS, st->end_ns },
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(small); i++) {
		if (nla_put_u32(skb, small[i].attr, small[i].value))
			return -EMSGSIZE;
	}
	for (i = 0; i < ARRAY_SIZE(large); i++) {
		if (nla_put_u64_64bit(skb, large[i].attr, large[i].value,
				      ZCP_NL_A_JOB_PAD))
			return -EMSGSIZE;
	}
	for (i = 0; i < ZCP_REASON_COUNT; i++) {
		if (st->copied[i] &&
		    znl_put_copied(skb, ZCP_NL_A_JOB_COPIED, i, st->copied[i]))
			return -EMSGSIZE;
	}
	return 0;
}

/**
 * znl_put_job() - Tell of a job
 * @skb: the message
 * @ctx: the job's context
 * @job: the job
 * @state: the state to tell, 0 for the one it is in
 * @reader: who is told
 *
 * Return: 0 or -EMSGSIZE.
 */
int znl_put_job(struct sk_buff *skb, struct zctx *ctx, const struct zjob *job,
		u32 state, const struct zreader *reader)
{
	char name[NAME_MAX + 1];
	struct zcp_status st;
	const char *file;

	zjob_status(job, &st);
	if (state)
		st.state = state;
	file = zjob_name_file(job, name, sizeof(name), reader->path);

	if (nla_put_u64_64bit(skb, ZCP_NL_A_JOB_ID, job->id, ZCP_NL_A_JOB_PAD) ||
	    nla_put_u64_64bit(skb, ZCP_NL_A_JOB_CONTEXT, ctx->id,
			      ZCP_NL_A_JOB_PAD) ||
	    znl_put_job_numbers(skb, &st) ||
	    nla_put_u32(skb, ZCP_NL_A_JOB_UID,
			from_kuid_munged(reader->users, ctx->user->uid)) ||
	    nla_put_u32(skb, ZCP_NL_A_JOB_PID,
			pid_nr_ns(ctx->pid, reader->pids)) ||
	    nla_put_string(skb, ZCP_NL_A_JOB_COMM, ctx->comm) ||
	    (file && nla_put_string(skb, ZCP_NL_A_JOB_FILE, file)))
		return -EMSGSIZE;
	return 0;
}

/**
 * struct zsockinfo - What is told of the socket of a link
 * @family: AF_INET or AF_INET6
 * @addr_len: bytes of an address
 * @local: the local address
 * @peer: the peer's address
 * @local_port: in network order
 * @peer_port: in network order
 * @path: the path_* members and @mss
 * @rtt: in µs
 * @rtt_var: in µs
 * @cwnd: in segments
 * @retrans: segments
 * @queue: bytes
 * @notsent: bytes
 * @inflight: bytes of the link's jobs
 * @nr_jobs: jobs of the link
 */
struct zsockinfo {
	u32 family;
	u32 addr_len;
	struct in6_addr local;
	struct in6_addr peer;
	__be16 local_port;
	__be16 peer_port;
	struct zcp_link path;
	u32 rtt;
	u32 rtt_var;
	u32 cwnd;
	u32 retrans;
	u32 queue;
	u32 notsent;
	u64 inflight;
	u32 nr_jobs;
};

static void zsock_addresses(const struct sock *sk, struct zsockinfo *info)
{
	info->family = sk->sk_family;
	info->local_port = inet_sk(sk)->inet_sport;
	info->peer_port = inet_sk(sk)->inet_dport;
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6) {
		info->addr_len = sizeof(struct in6_addr);
		info->local = sk->sk_v6_rcv_saddr;
		info->peer = sk->sk_v6_daddr;
		return;
	}
#endif
	info->addr_len = sizeof(struct in_addr);
	memcpy(&info->local, &inet_sk(sk)->inet_saddr, sizeof(struct in_addr));
	memcpy(&info->peer, &inet_sk(sk)->inet_daddr, sizeof(struct in_addr));
}

/*
 * Bytes of a link's jobs that are not acknowledged, under zlink.lock. What
 * zlink.inflight says is of the last turn; acknowledgments may have come since.
 */
static u64 zlink_open_bytes(const struct zlink *link)
{
	s32 open;

	if (!link->sk)
		return 0;
	open = link->last_seq - zlink_una(link);
	return open > 0 ? min_t(u64, open, link->inflight) : 0;
}

/*
 * Without the lock of the socket, which its sender may hold for long: each
 * number by itself is right, and together they are of about the same moment.
 * False when the link has no socket any more.
 */
static bool zlink_look_at_sock(struct zlink *link, struct zsockinfo *info)
{
	const struct tcp_sock *tp;
	u32 end, una, nxt;

	spin_lock(&link->lock);
	if (!link->sk) {
		spin_unlock(&link->lock);
		return false;
	}
	tp = tcp_sk(link->sk);
	zsock_addresses(link->sk, info);
	zpath_look(link->sk, &info->path);
	/* What was acknowledged first: it cannot overtake the others. */
	una = READ_ONCE(tp->snd_una);
	nxt = READ_ONCE(tp->snd_nxt);
	end = READ_ONCE(tp->write_seq);
	info->queue = max_t(s32, end - una, 0);
	info->notsent = max_t(s32, end - nxt, 0);
	info->rtt = READ_ONCE(tp->srtt_us) >> 3;
	info->rtt_var = READ_ONCE(tp->mdev_us) >> 2;
	info->cwnd = tcp_snd_cwnd(tp);
	info->retrans = READ_ONCE(tp->total_retrans);
	info->inflight = zlink_open_bytes(link);
	info->nr_jobs = link->nr_jobs;
	spin_unlock(&link->lock);
	return true;
}

/**
 * znl_put_link() - Tell of a link
 * @skb: the message
 * @ctx: the link's context
 * @link: the link
 *
 * Return: 0, -EMSGSIZE, or -ENOENT for a link that is closed.
 */
int znl_put_link(struct sk_buff *skb, struct zctx *ctx, struct zlink *link)
{
	struct zsockinfo info = {};

	if (!zlink_look_at_sock(link, &info))
		return -ENOENT;
	if (nla_put_u32(skb, ZCP_NL_A_LINK_ID, link->id) ||
	    nla_put_u64_64bit(skb, ZCP_NL_A_LINK_CONTEXT, ctx->id,
			      ZCP_NL_A_LINK_PAD) ||
	    nla_put_u32(skb, ZCP_NL_A_LINK_FLAGS, link->flags) ||
	    nla_put_u32(skb, ZCP_NL_A_LINK_FAMILY, info.family) ||
	    nla_put(skb, ZCP_NL_A_LINK_LOCAL_ADDR, info.addr_len, &info.local) ||
	    nla_put_be16(skb, ZCP_NL_A_LINK_LOCAL_PORT, info.local_port) ||
	    nla_put(skb, ZCP_NL_A_LINK_PEER_ADDR, info.addr_len, &info.peer) ||
	    nla_put_be16(skb, ZCP_NL_A_LINK_PEER_PORT, info.peer_port) ||
	    nla_put_u32(skb, ZCP_NL_A_LINK_IFINDEX, info.path.path_ifindex) ||
	    nla_put_string(skb, ZCP_NL_A_LINK_IFNAME, info.path.path_ifname) ||
	    nla_put_u32(skb, ZCP_NL_A_LINK_PATH_CAPS, info.path.path_caps) ||
	    nla_put_u32(skb, ZCP_NL_A_LINK_PATH_MODE, info.path.path_mode) ||
	    nla_put_u32(skb, ZCP_NL_A_LINK_PATH_REASON, info.path.path_reason) ||
	    nla_put_u32(skb, ZCP_NL_A_LINK_MSS, info.path.mss) ||
	    nla_put_u32(skb, ZCP_NL_A_LINK_RTT, info.rtt) ||
	    nla_put_u32(skb, ZCP_NL_A_LINK_RTT_VAR, info.rtt_var) ||
	    nla_put_u32(skb, ZCP_NL_A_LINK_CWND, info.cwnd) ||
	    nla_put_u32(skb, ZCP_NL_A_LINK_RETRANS, info.retrans) ||
	    nla_put_u32(skb, ZCP_NL_A_LINK_QUEUE, info.queue) ||
	    nla_put_u32(skb, ZCP_NL_A_LINK_NOTSENT, info.notsent) ||
	    nla_put_u64_64bit(skb, ZCP_NL_A_LINK_INFLIGHT, info.inflight,
			      ZCP_NL_A_LINK_PAD) ||
	    nla_put_u32(skb, ZCP_NL_A_LINK_NR_JOBS, info.nr_jobs))
		return -EMSGSIZE;
	return 0;
}

/**
 * struct zgauges - What there is in a namespace now
 * @contexts: contexts
 * @links: links
 * @inflight: bytes of jobs
 */
struct zgauges {
	u32 contexts;
	u32 links;
	u64 inflight;
};

/* Those in the network namespace with this cookie, or all for 0. */
static void zgauges_add_links(struct zgauges *g, struct zctx *ctx, u64 cookie)
{
	struct zlink *link;
	u64 id = 0;

	while (!fatal_signal_pending(current) && (link = zctx_next_link(ctx, id))) {
		id = (u64)link->id + 1;
		if (!cookie || link->net_cookie == cookie) {
			spin_lock(&link->lock);
			g->inflight += zlink_open_bytes(link);
			spin_unlock(&link->lock);
			g->links++;
		}
		zlink_put(link);
		cond_resched();
	}
}

/*
 * By a walk: a context does not hold the namespace that could count it. Nobody reads
 * what it has found for who is killed meanwhile.
 */
static void zgauges_read(struct zgauges *g, u64 cookie)
{
	struct zctx *ctx;
	u64 id = 0;

	memset(g, 0, sizeof(*g));
	while (!fatal_signal_pending(current) && (ctx = zctx_next(id))) {
		id = (u64)ctx->id + 1;
		if (ctx->net_cookie == cookie)
			g->contexts++;
		zgauges_add_links(g, ctx, cookie);
		zctx_put(ctx);
		cond_resched();
	}
}

/**
 * znl_put_context() - Tell of a context
 * @skb: the message
 * @ctx: the context
 * @reader: who is told
 *
 * Return: 0 or -EMSGSIZE.
 */
int znl_put_context(struct sk_buff *skb, struct zctx *ctx,
		    const struct zreader *reader)
{
	struct zgauges gauges = {};

	zgauges_add_links(&gauges, ctx, 0);
	if (nla_put_u64_64bit(skb, ZCP_NL_A_CONTEXT_ID, ctx->id,
			      ZCP_NL_A_CONTEXT_PAD) ||
	    nla_put_u32(skb, ZCP_NL_A_CONTEXT_UID,
			from_kuid_munged(reader->users, ctx->user->uid)) ||
	    nla_put_u32(skb, ZCP_NL_A_CONTEXT_PID,
			pid_nr_ns(ctx->pid, reader->pids)) ||
	    nla_put_string(skb, ZCP_NL_A_CONTEXT_COMM, ctx->comm) ||
	    nla_put_u32(skb, ZCP_NL_A_CONTEXT_NR_LINKS,
			atomic_read(&ctx->nr_links)) ||
	    nla_put_u32(skb, ZCP_NL_A_CONTEXT_NR_JOBS,
			atomic_read(&ctx->nr_jobs)) ||
	    nla_put_u32(skb, ZCP_NL_A_CONTEXT_NR_EVENTS,
			READ_ONCE(ctx->nr_events)) ||
	    nla_put_u64_64bit(skb, ZCP_NL_A_CONTEXT_INFLIGHT,
			      gauges.inflight, ZCP_NL_A_CONTEXT_PAD) ||
	    nla_put_u64_64bit(skb, ZCP_NL_A_CONTEXT_INLINE_BYTES,
			      atomic64_read(&ctx->inline_bytes),
			      ZCP_NL_A_CONTEXT_PAD))
		return -EMSGSIZE;
	return 0;
}

static int znl_put_counters(struct sk_buff *skb, const struct zstats *st,
			    const struct zgauges *gauges)
{
	u64 copied = zcount_copied(&st->count);
	const struct {
		int attr;
		u64 value;
	} large[] = {
		{ ZCP_NL_A_STATS_JOBS_SUBMITTED, st->submitted },
		{ ZCP_NL_A_STATS_JOBS_DONE, st->done },
		{ ZCP_NL_A_STATS_JOBS_FAILED, st->failed },
		{ ZCP_NL_A_STATS_JOBS_CANCELLED, st->cancelled },
		{ ZCP_NL_A_STATS_XFERS, st->xfers },
		{ ZCP_NL_A_STATS_BYTES_SENT, st->count.zerocopy + copied },
		{ ZCP_NL_A_STATS_BYTES_ZEROCOPY, st->count.zerocopy },
		{ ZCP_NL_A_STATS_BYTES_COPIED, copied },
		{ ZCP_NL_A_STATS_INFLIGHT, gauges->inflight },
		{ ZCP_NL_A_STATS_MEMORY, zslab_held() },
		{ ZCP_NL_A_STATS_EVENTS_LOST, st->lost },
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(large); i++) {
		if (nla_put_u64_64bit(skb, large[i].attr, large[i].value,
				      ZCP_NL_A_STATS_PAD))
			return -EMSGSIZE;
	}
	/* All of them, so that a counter is there before it counts. */
	for (i = ZCP_REASON_NONE + 1; i < ZCP_REASON_COUNT; i++) {
		if (znl_put_copied(skb, ZCP_NL_A_STATS_COPIED, i,
				   st->count.copied[i]))
			return -EMSGSIZE;
	}
	return 0;
}

/**
 * znl_put_stats() - Tell what is and was done in a namespace
 * @skb: the message
 * @net: the namespace
 *
 * The sums are taken from what they are the sums of, so that they are right
 * whenever they are read.
 *
 * Return: 0 or -EMSGSIZE.
 */
int znl_put_stats(struct sk_buff *skb, struct net *net)
{
	struct zgauges gauges;
	struct zstats st;

	zgauges_read(&gauges, net->net_cookie);
	zstats_read(net, &st);
	if (znl_put_counters(skb, &st, &gauges) ||
	    nla_put_u32(skb, ZCP_NL_A_STATS_CONTEXTS, gauges.contexts) ||
	    nla_put_u32(skb, ZCP_NL_A_STATS_LINKS, gauges.links) ||
	    nla_put_u32(skb, ZCP_NL_A_STATS_JOBS_ACTIVE,
			st.submitted - st.done - st.failed - st.cancelled) ||
	    nla_put_u32(skb, ZCP_NL_A_STATS_WORKERS,
			atomic_read(&zrunq_active)))
		return -EMSGSIZE;
	return 0;
}
