/* SPDX-License-Identifier: GPL-2.0-only */
/* Pacing: how many bytes a job with a rate may send by now. */
#ifndef ZCP_PACE_H
#define ZCP_PACE_H

#include <linux/bits.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/types.h>

#define ZPACE_MAX_RATE	BIT_ULL(40)	/* bytes per second: ABI */

/**
 * struct zpace - The bucket of a job that has a rate
 * @rate: bytes per second, 0 for none
 * @bytes: that may be sent now, as of @at
 * @at: when @bytes was right; 0 before the first byte
 *
 * The bucket holds what the rate gives in 2 ms, and a page at least. What a
 * job could not use because the connection was slower is not kept beyond that.
 * Belongs to the runner of the job's link.
 */
struct zpace {
	u64 rate;
	u64 bytes;
	ktime_t at;
};

static inline u64 zpace_burst(const struct zpace *pace)
{
	return max_t(u64, pace->rate / 500, PAGE_SIZE);
}

/**
 * zpace_room() - Bytes that may be sent now
 * @pace: a bucket with a rate
 * @now: what time it is
 * @want: bytes there are to send
 * @wait: out, with 0 bytes: nanoseconds until it is worth a turn
 *
 * Return: bytes; 0 while the bucket is less than half full, unless that is
 * enough for all of @want.
 */
static inline u64 zpace_room(struct zpace *pace, ktime_t now, u64 want, u64 *wait)
{
	u64 burst = zpace_burst(pace), half = min(want, burst / 2);
	u64 full_ns = div64_u64(burst * NSEC_PER_SEC, pace->rate);
	u64 ns, gained;

	if (!pace->at) {
		pace->at = now;
		pace->bytes = burst / 2;
	}
	ns = ktime_to_ns(ktime_sub(now, pace->at));
	gained = ns < full_ns ? div64_u64(ns * pace->rate, NSEC_PER_SEC) : burst;
	if (pace->bytes + gained >= burst) {
		pace->bytes = burst;
		pace->at = now;
	} else {
		/* What is less than a byte stays in the time. */
		pace->bytes += gained;
		pace->at = ktime_add_ns(pace->at, div64_u64(gained * NSEC_PER_SEC,
							    pace->rate));
	}
	if (pace->bytes >= half)
		return pace->bytes;
	*wait = div64_u64((half - pace->bytes) * NSEC_PER_SEC, pace->rate) + 1;
	return 0;
}

static inline void zpace_use(struct zpace *pace, u64 bytes)
{
	pace->bytes -= min(bytes, pace->bytes);
}

#endif /* ZCP_PACE_H */
