/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Transmission: what the path of a socket does to pages, and pushing bytes
 * into it with the account of how they travel.
 */
#ifndef ZCP_TRANSMIT_H
#define ZCP_TRANSMIT_H

#include <linux/bvec.h>
#include <linux/net.h>
#include <linux/zcp.h>
#include <net/sock.h>

struct zlink;

/**
 * struct zcount - How bytes travelled
 * @zerocopy: by reference
 * @copied: copied, by enum zcp_reason
 * @refused: enum zcp_reason of a copy that mode zerocopy forbade
 */
struct zcount {
	u64 zerocopy;
	u64 copied[ZCP_REASON_COUNT];
	u32 refused;
};

/**
 * struct zbatch - Pages on their way from a file to a socket
 * @nr: number of folios, and of elements of @bv
 * @max: room for them
 * @bytes: total length
 * @bv: one element for each folio, in the order of the file
 * @folios: the folios, with a reference each
 */
struct zbatch {
	unsigned int nr;
	unsigned int max;
	size_t bytes;
	struct bio_vec *bv;
	struct folio **folios;
};

/**
 * struct zpush - Where bytes go, and how
 * @sock: the socket
 * @link: the link, whose connection the bytes are for; NULL: whatever the socket has
 * @count: the account
 * @mode: enum zcp_mode
 * @small: copy, because that is cheaper
 * @flags: MSG_DONTWAIT, or 0 in a caller that may wait
 * @follow: another job follows at once
 * @held: the last bytes were announced to have successors
 * @refused: after -EOPNOTSUPP the enum zcp_reason of the copy that mode
 *	zerocopy forbids
 * @job: id of the job, 0 for none; for the tracepoint
 */
struct zpush {
	struct socket *sock;
	const struct zlink *link;
	u64 job;
	struct zcount *count;
	u32 mode;
	bool small;
	bool follow;
	bool held;
	int flags;
	u32 refused;
};

/* Has a call of somebody the socket's lock, which it may keep for long? */
static inline bool zsock_is_owned(const struct sock *sk)
{
	/* Who has it may come or go at any time. */
	return data_race(sock_owned_by_user_nocheck(sk));
}

u32 zpath_reason(struct sock *sk);
void zpath_look(struct sock *sk, struct zcp_link *reply);
void zpath_describe(struct sock *sk, struct zcp_link *reply);
int zsock_check(struct socket *sock);

ssize_t zpush_pages(struct zpush *push, struct bio_vec *bv, unsigned int nr,
		    size_t bytes, bool private_copy, bool more);
ssize_t zpush_data(struct zpush *push, const void *data, size_t len, bool more);
ssize_t zpush_user(struct zpush *push, const void __user *data, size_t len,
		   bool more);

void zcount_add(struct zcount *sum, const struct zcount *count);
u64 zcount_copied(const struct zcount *count);
u32 zcount_reason(const struct zcount *count);
u32 zcount_reasons(const struct zcount *count);

#endif /* ZCP_TRANSMIT_H */
