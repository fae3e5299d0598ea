// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transmission. Whether pages stay uncopied is decided at the egress device:
 * TCP takes them by reference whatever the device can do, and software
 * segmentation or checksumming copies them later. So the account is kept from
 * the device's features, read again for each push because routes and features
 * change.
 */
#include <linux/netdevice.h>
#include <linux/tcp.h>
#include <net/inet_connection_sock.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "compat/compat.h"
#include "link.h"
#include "trace.h"
#include "transmit.h"

#define ZCSUM_V4	(NETIF_F_HW_CSUM | NETIF_F_IP_CSUM)
#define ZCSUM_V6	(NETIF_F_HW_CSUM | NETIF_F_IPV6_CSUM)

static netdev_features_t zpath_csum(const struct dst_entry *dst)
{
	return dst->ops->family == AF_INET ? ZCSUM_V4 : ZCSUM_V6;
}

static bool zpath_encrypts(const struct dst_entry *dst)
{
#ifdef CONFIG_XFRM
	return dst->xfrm;
#else
	return false;
#endif
}

static u32 zpath_cached_reason(struct sock *sk)
{
	u32 reason = ZCP_REASON_NONE;
	netdev_features_t features;
	struct dst_entry *dst;

	rcu_read_lock();
	dst = rcu_dereference(sk->sk_dst_cache);
	if (!dst) {
		reason = ZCP_REASON_NO_ROUTE;
	} else if (zpath_encrypts(dst)) {
		reason = ZCP_REASON_IPSEC;
	} else {
		features = READ_ONCE(zcp_dst_dev(dst)->features);
		if (!(features & NETIF_F_SG))
			reason = ZCP_REASON_NO_SG;
		else if (!(features & zpath_csum(dst)))
			reason = ZCP_REASON_NO_CSUM;
	}
	rcu_read_unlock();
	return reason;
}

/**
 * zpath_reason() - Why pages sent to a socket now would be copied
 * @sk: the socket
 *
 * A socket that has lost its route (after a timeout, say) is made to look it
 * up again, as its next packet would. May sleep.
 *
 * Return: %ZCP_REASON_NONE when they would not, else the enum zcp_reason.
 */
u32 zpath_reason(struct sock *sk)
{
	u32 reason = zpath_cached_reason(sk);

	if (unlikely(reason == ZCP_REASON_NO_ROUTE)) {
		lock_sock(sk);
		if ((1 << sk->sk_state) & (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT))
			inet_csk(sk)->icsk_af_ops->rebuild_header(sk);
		release_sock(sk);
		reason = zpath_cached_reason(sk);
	}
	return reason;
}

/**
 * zpath_look() - Fill in what the route of a socket can do, as it is
 * @sk: the socket
 * @reply: the path_* members and @mss are written
 */
void zpath_look(struct sock *sk, struct zcp_link *reply)
{
	netdev_features_t features, tso;
	struct net_device *dev;
	struct dst_entry *dst;

	reply->path_reason = zpath_cached_reason(sk);
	reply->path_mode = reply->path_reason == ZCP_REASON_NONE ?
			   ZCP_MODE_ZEROCOPY : ZCP_MODE_COPY;
	reply->path_caps = 0;
	reply->path_ifindex = 0;
	memset(reply->path_ifname, 0, sizeof(reply->path_ifname));
	reply->mss = READ_ONCE(tcp_sk(sk)->mss_cache);

	rcu_read_lock();
	dst = rcu_dereference(sk->sk_dst_cache);
	if (dst) {
		dev = zcp_dst_dev(dst);
		features = READ_ONCE(dev->features);
		tso = dst->ops->family == AF_INET ? NETIF_F_TSO : NETIF_F_TSO6;
		if (features & NETIF_F_SG)
			reply->path_caps |= ZCP_PATH_SG;
		if (features & zpath_csum(dst))
			reply->path_caps |= ZCP_PATH_CSUM;
		if (features & tso)
			reply->path_caps |= ZCP_PATH_TSO;
		if (zpath_encrypts(dst))
			reply->path_caps |= ZCP_PATH_IPSEC;
		reply->path_ifindex = dev->ifindex;
		strscpy(reply->path_ifname, dev->name,
			sizeof(reply->path_ifname));
	}
	rcu_read_unlock();
}

/**
 * zpath_describe() - Fill in what the route of a socket can do
 * @sk: the socket; one that has lost its route looks it up. May sleep
 * @reply: the path_* members and @mss are written
 */
void zpath_describe(struct sock *sk, struct zcp_link *reply)
{
	zpath_reason(sk);
	zpath_look(sk, reply);
}

/* No upper layer protocol, and nobody else's sendmsg(). */
static bool zsock_is_plain(struct sock *sk)
{
	return READ_ONCE(sk->sk_prot)->sendmsg == tcp_sendmsg &&
	       !READ_ONCE(inet_csk(sk)->icsk_ulp_ops);
}

/**
 * zsock_check() - Can zcp send to this socket?
 * @sock: the socket
 *
 * Only plain TCP: a layer above it (kTLS, MPTCP, sockmap …) has its own
 * sendmsg(), and its bytes are not the bytes that TCP acknowledges.
 *
 * Return: 0, -EOPNOTSUPP, or -ENOTCONN.
 */
int zsock_check(struct socket *sock)
{
	struct sock *sk = sock->sk;

	if (!sk || sock->type != SOCK_STREAM ||
	    (sk->sk_family != AF_INET && sk->sk_family != AF_INET6) ||
	    sk->sk_protocol != IPPROTO_TCP)
		return -EOPNOTSUPP;
	if (!zsock_is_plain(sk))
		return -EOPNOTSUPP;
	if (!((1 << READ_ONCE(sk->sk_state)) &
	      (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT)))
		return -ENOTCONN;
	return 0;
}

/**
 * struct zload - What one push gives to the socket
 * @bv: pages, by reference; NULL: the iterator of @msg, to be copied
 * @nr: number of elements of @bv
 * @bytes: total length
 * @msg: with the flags of both
 */
struct zload {
	struct bio_vec *bv;
	unsigned int nr;
	size_t bytes;
	struct msghdr msg;
};

/* Security modules are asked as for send(2), which is the only way to ask them. */
static int zsock_may_send(struct socket *sock)
{
#ifdef CONFIG_SECURITY_NETWORK
	struct msghdr none = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE };

	iov_iter_kvec(&none.msg_iter, ITER_SOURCE, NULL, 0, 0);
	return sock_sendmsg(sock, &none);
#else
	return 0;
#endif
}

/* Who ends a connection, and may begin another on the socket, has its lock. */
static bool zpush_is_stale(const struct zpush *push)
{
	return push->link && test_bit(ZLINK_BROKEN, &push->link->bits);
}

/*
 * Bytes go straight to TCP, under the lock of the look at what is above it: who
 * puts a layer there (kTLS, say) takes that lock too, and from then on not a byte
 * is sent that the layer has not seen. Waiting lets go of the lock, so it looks
 * again.
 */
static ssize_t zpush_load(struct zpush *push, struct zload *load)
{
	struct sock *sk = push->sock->sk;
	bool wait = !(push->flags & MSG_DONTWAIT);
	ssize_t ret;
	long timeo;

	/* Before anything asks a layer, which takes a lock of its own for that. */
	if (!zsock_is_plain(sk))
		return -EOPNOTSUPP;
	ret = zsock_may_send(push->sock);
	if (ret < 0)
		return ret;
	load->msg.msg_flags |= MSG_DONTWAIT | MSG_NOSIGNAL;
	lock_sock(sk);
	timeo = sock_sndtimeo(sk, !wait);
	do {
		if (!zsock_is_plain(sk))
			ret = -EOPNOTSUPP;
		else if (zpush_is_stale(push))
			ret = -ECONNABORTED;
		else if (load->bv)
			ret = zcp_send_pages(sk, load->bv, load->nr, load->bytes,
					     load->msg.msg_flags);
		else
			ret = tcp_sendmsg_locked(sk, &load->msg, load->bytes);
		if (ret != -EAGAIN || !wait)
			break;
		ret = sk_stream_wait_memory(sk, &timeo);
		/* TCP itself says best what has ended the connection. */
	} while (!ret || ret == -EPIPE);
	release_sock(sk);
	return ret;
}

/**
 * zpush_pages() - Push pages of a file
 * @push: where and how
 * @bv: the pages
 * @nr: number of elements of @bv
 * @bytes: their total length
 * @private_copy: the file system made these pages for us: already a copy
 * @more: further bytes follow
 *
 * Return: bytes that entered the send queue, or a negative errno; -EOPNOTSUPP
 * when mode zerocopy forbids the copy this would be, or the socket got a
 * layer above TCP.
 */
ssize_t zpush_pages(struct zpush *push, struct bio_vec *bv, unsigned int nr,
		    size_t bytes, bool private_copy, bool more)
{
	struct zload load = {
		.nr = nr,
		.bytes = bytes,
		.msg.msg_flags = more ? MSG_MORE : 0,
	};
	struct sock *sk = push->sock->sk;
	u32 reason;
	ssize_t ret;

	if (!zsock_is_plain(sk))
		return -EOPNOTSUPP;

	if (push->mode == ZCP_MODE_COPY)
		reason = ZCP_REASON_ASKED;
	else if (push->mode == ZCP_MODE_AUTO && push->small)
		reason = ZCP_REASON_SMALL;
	else if (private_copy)
		reason = ZCP_REASON_FS;
	else
		reason = zpath_reason(sk);

	if (push->mode == ZCP_MODE_ZEROCOPY && reason != ZCP_REASON_NONE) {
		push->refused = reason;
		return -EOPNOTSUPP;
	}

	if (reason == ZCP_REASON_ASKED || reason == ZCP_REASON_SMALL)
		iov_iter_bvec(&load.msg.msg_iter, ITER_SOURCE, bv, nr, bytes);
	else
		load.bv = bv;
	ret = zpush_load(push, &load);
	if (ret > 0) {
		push->held = more;
		if (reason == ZCP_REASON_NONE)
			push->count->zerocopy += ret;
		else
			push->count->copied[reason] += ret;
	}
	trace_zcp_push(push->job, bytes, ret, reason);
	return ret;
}

/* Bytes that the iterator of @load gives are copied. */
static ssize_t zpush_copy(struct zpush *push, struct zload *load, bool more)
{
	ssize_t ret;

	load->msg.msg_flags = more ? MSG_MORE : 0;
	ret = zpush_load(push, load);
	if (ret > 0) {
		push->held = more;
		push->count->copied[ZCP_REASON_INLINE] += ret;
	}
	trace_zcp_push(push->job, load->bytes, ret, ZCP_REASON_INLINE);
	return ret;
}

/**
 * zpush_data() - Push bytes from kernel memory
 * @push: where and how
 * @data: the bytes
 * @len: their number
 * @more: further bytes follow
 *
 * Return: bytes that entered the send queue, or a negative errno.
 */
ssize_t zpush_data(struct zpush *push, const void *data, size_t len, bool more)
{
	struct kvec vec = { .iov_base = (void *)data, .iov_len = len };
	struct zload load = { .bytes = len };

	iov_iter_kvec(&load.msg.msg_iter, ITER_SOURCE, &vec, 1, len);
	return zpush_copy(push, &load, more);
}

/**
 * zpush_user() - Push bytes from the caller's memory
 * @push: where and how
 * @data: the bytes
 * @len: their number
 * @more: further bytes follow
 *
 * Return: bytes that entered the send queue, or a negative errno.
 */
ssize_t zpush_user(struct zpush *push, const void __user *data, size_t len,
		   bool more)
{
	struct zload load = { .bytes = len };

	if (!access_ok(data, len))
		return -EFAULT;
	iov_iter_ubuf(&load.msg.msg_iter, ITER_SOURCE, (void __user *)data, len);
	return zpush_copy(push, &load, more);
}

/**
 * zcount_add() - Add one account to another
 * @sum: the account that grows
 * @count: what is added
 */
void zcount_add(struct zcount *sum, const struct zcount *count)
{
	u32 i;

	sum->zerocopy += count->zerocopy;
	for (i = 0; i < ZCP_REASON_COUNT; i++)
		sum->copied[i] += count->copied[i];
}

/**
 * zcount_copied() - All bytes that were copied
 * @count: the account
 */
u64 zcount_copied(const struct zcount *count)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < ZCP_REASON_COUNT; i++)
		sum += count->copied[i];
	return sum;
}

/**
 * zcount_reason() - The reason for which most bytes were copied
 * @count: the account
 *
 * Return: that reason, or the one of a copy that mode zerocopy forbade.
 */
u32 zcount_reason(const struct zcount *count)
{
	u32 i, most = ZCP_REASON_NONE;

	if (count->refused)
		return count->refused;
	for (i = 0; i < ZCP_REASON_COUNT; i++) {
		if (count->copied[i] > count->copied[most])
			most = i;
	}
	return most;
}

/**
 * zcount_reasons() - All reasons that occurred, as a bit mask
 * @count: the account
 */
u32 zcount_reasons(const struct zcount *count)
{
	u32 i, mask = 0;

	for (i = 0; i < ZCP_REASON_COUNT; i++) {
		if (count->copied[i])
			mask |= 1U << i;
	}
	return mask;
}
