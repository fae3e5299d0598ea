// SPDX-License-Identifier: GPL-2.0-only
/* Statistics of network namespaces. */
#include <linux/netdevice.h>
#include <linux/u64_stats_sync.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "stats.h"

/**
 * struct zstats_cpu - What one CPU has counted
 * @submitted: jobs accepted
 * @ended: jobs that ended, by state from %ZCP_STATE_DONE
 * @xfers: synchronous transfers that moved bytes
 * @lost: notifications that could not be delivered
 * @zerocopy: bytes by reference
 * @copied: bytes copied, by enum zcp_reason
 * @syncp: for machines that cannot read 64 bits at once
 */
struct zstats_cpu {
	u64_stats_t submitted;
	u64_stats_t ended[3];
	u64_stats_t xfers;
	u64_stats_t lost;
	u64_stats_t zerocopy;
	u64_stats_t copied[ZCP_REASON_COUNT];
	struct u64_stats_sync syncp;
};

/* Made and freed with the namespace, or with the module. */
struct zstats_net {
	struct zstats_cpu __percpu *cpu;
};

static unsigned int zstats_net_id;

static struct zstats_cpu __percpu *zstats_of(struct net *net)
{
	struct zstats_net *sn = net_generic(net, zstats_net_id);

	return sn->cpu;
}

static struct zstats_cpu *zstats_begin(struct net *net)
{
	struct zstats_cpu *cpu = get_cpu_ptr(zstats_of(net));

	u64_stats_update_begin(&cpu->syncp);
	return cpu;
}

static void zstats_end(struct net *net, struct zstats_cpu *cpu)
{
	u64_stats_update_end(&cpu->syncp);
	put_cpu_ptr(zstats_of(net));
}

/**
 * zstats_job_new() - A job was accepted
 * @net: where its socket lives
 */
void zstats_job_new(struct net *net)
{
	struct zstats_cpu *cpu = zstats_begin(net);

	u64_stats_inc(&cpu->submitted);
	zstats_end(net, cpu);
}

/**
 * zstats_job_end() - A job has ended
 * @net: where its socket lives
 * @state: its final state
 */
void zstats_job_end(struct net *net, u8 state)
{
	struct zstats_cpu *cpu = zstats_begin(net);

	u64_stats_inc(&cpu->ended[state - ZCP_STATE_DONE]);
	zstats_end(net, cpu);
}

static void zstats_add_bytes(struct zstats_cpu *cpu, const struct zcount *count)
{
	u32 i;

	u64_stats_add(&cpu->zerocopy, count->zerocopy);
	for (i = 0; i < ZCP_REASON_COUNT; i++) {
		if (count->copied[i])
			u64_stats_add(&cpu->copied[i], count->copied[i]);
	}
}

/**
 * zstats_bytes() - Bytes of a job have entered the send queue
 * @net: where its socket lives
 * @count: how they travel
 */
void zstats_bytes(struct net *net, const struct zcount *count)
{
	struct zstats_cpu *cpu = zstats_begin(net);

	zstats_add_bytes(cpu, count);
	zstats_end(net, cpu);
}

/**
 * zstats_xfer() - A synchronous transfer has moved bytes
 * @net: where its socket lives
 * @count: how they travel
 */
void zstats_xfer(struct net *net, const struct zcount *count)
{
	struct zstats_cpu *cpu = zstats_begin(net);

	u64_stats_inc(&cpu->xfers);
	zstats_add_bytes(cpu, count);
	zstats_end(net, cpu);
}

/**
 * zstats_lost() - A notification could not be delivered
 * @net: whose it was
 */
void zstats_lost(struct net *net)
{
	struct zstats_cpu *cpu = zstats_begin(net);

	u64_stats_inc(&cpu->lost);
	zstats_end(net, cpu);
}

static void zstats_read_cpu(const struct zstats_cpu *cpu, struct zstats *one)
{
	unsigned int start, i;

	do {
		start = u64_stats_fetch_begin(&cpu->syncp);
		one->done = u64_stats_read(&cpu->ended[0]);
		one->failed = u64_stats_read(&cpu->ended[1]);
		one->cancelled = u64_stats_read(&cpu->ended[2]);
		one->xfers = u64_stats_read(&cpu->xfers);
		one->lost = u64_stats_read(&cpu->lost);
		one->count.zerocopy = u64_stats_read(&cpu->zerocopy);
		for (i = 0; i < ZCP_REASON_COUNT; i++)
			one->count.copied[i] = u64_stats_read(&cpu->copied[i]);
	} while (u64_stats_fetch_retry(&cpu->syncp, start));
}

static u64 zstats_read_submitted(const struct zstats_cpu *cpu)
{
	unsigned int start;
	u64 submitted;

	do {
		start = u64_stats_fetch_begin(&cpu->syncp);
		submitted = u64_stats_read(&cpu->submitted);
	} while (u64_stats_fetch_retry(&cpu->syncp, start));
	return submitted;
}

/**
 * zstats_read() - Add up what all CPUs have counted
 * @net: the namespace
 * @sum: out: the statistics; @submitted is never less than the jobs that ended
 */
void zstats_read(struct net *net, struct zstats *sum)
{
	struct zstats_cpu __percpu *stats = zstats_of(net);
	struct zstats one = {};
	int cpu;

	memset(sum, 0, sizeof(*sum));
	for_each_possible_cpu(cpu) {
		zstats_read_cpu(per_cpu_ptr(stats, cpu), &one);
		sum->done += one.done;
		sum->failed += one.failed;
		sum->cancelled += one.cancelled;
		sum->xfers += one.xfers;
		sum->lost += one.lost;
		zcount_add(&sum->count, &one.count);
	}
	/* A job was counted as submitted, on whatever CPU, before it ended. */
	smp_rmb();
	for_each_possible_cpu(cpu)
		sum->submitted += zstats_read_submitted(per_cpu_ptr(stats, cpu));
}

static int __net_init zstats_net_init(struct net *net)
{
	struct zstats_net *sn = net_generic(net, zstats_net_id);

	sn->cpu = netdev_alloc_pcpu_stats(struct zstats_cpu);
	return sn->cpu ? 0 : -ENOMEM;
}

static void __net_exit zstats_net_exit(struct net *net)
{
	struct zstats_net *sn = net_generic(net, zstats_net_id);

	free_percpu(sn->cpu);
}

static struct pernet_operations zstats_net_ops = {
	.init = zstats_net_init,
	.exit = zstats_net_exit,
	.id = &zstats_net_id,
	.size = sizeof(struct zstats_net),
};

int zstats_init(void)
{
	return register_pernet_subsys(&zstats_net_ops);
}

void zstats_exit(void)
{
	unregister_pernet_subsys(&zstats_net_ops);
}
