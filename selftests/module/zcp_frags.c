// SPDX-License-Identifier: GPL-2.0-only
/*
 * For tests: are packets that carry pages of files marked as shared? It looks at
 * the queues of TCP sockets, and at what the devices of a network namespace send.
 */
#include <linux/atomic.h>
#include <linux/if_ether.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/nsproxy.h>
#include <linux/pagemap.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <linux/uaccess.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "zcp_frags.h"

/**
 * struct zwire - An open device
 * @tap: Sees what is sent in the namespace of the opener.
 * @net: That namespace, with a reference.
 * @skbs: These and the following are those of struct zfrags.
 * @with_file: Packets with a page of a file.
 * @bare: Those of them that are not marked.
 * @frags: Pages of files.
 */
struct zwire {
	struct packet_type tap;
	struct net *net;
	atomic64_t skbs;
	atomic64_t with_file;
	atomic64_t bare;
	atomic64_t frags;
};

static bool zfrag_is_file(const skb_frag_t *frag)
{
	struct page *page = skb_frag_page(frag);
	struct folio *folio;

	if (!page)
		return false;
	folio = page_folio(page);
	if (folio_test_slab(folio) || folio_test_anon(folio))
		return false;
	return folio_test_uptodate(folio) && folio_mapping(folio);
}

/* A packet, without those that are chained to it. */
static void zfrags_one(const struct sk_buff *skb, struct zfrags *look)
{
	const struct skb_shared_info *info = skb_shinfo(skb);
	unsigned int i, n = 0;

	for (i = 0; i < info->nr_frags; i++)
		n += zfrag_is_file(&info->frags[i]);
	look->skbs++;
	look->frags += n;
	if (!n)
		return;
	look->with_file++;
	if (!(info->flags & SKBFL_SHARED_FRAG))
		look->bare++;
}

static void zfrags_skb(const struct sk_buff *skb, struct zfrags *look)
{
	const struct sk_buff *next;

	zfrags_one(skb, look);
	skb_walk_frags(skb, next)
		zfrags_one(next, look);
}

static void zfrags_send(struct sock *sk, struct zfrags *look)
{
	struct sk_buff *skb;

	for (skb = tcp_rtx_queue_head(sk); skb; skb = skb_rb_next(skb))
		zfrags_skb(skb, look);
	skb_queue_walk(&sk->sk_write_queue, skb)
		zfrags_skb(skb, look);
}

static void zfrags_receive(struct sock *sk, struct zfrags *look)
{
	struct sk_buff *skb;

	skb_queue_walk(&sk->sk_receive_queue, skb)
		zfrags_skb(skb, look);
	for (skb = skb_rb_first(&tcp_sk(sk)->out_of_order_queue); skb; skb = skb_rb_next(skb))
		zfrags_skb(skb, look);
}

static int zfrags_queue(struct zfrags *look)
{
	struct socket *sock;
	int ret = 0;

	sock = sockfd_lookup(look->fd, &ret);
	if (!sock)
		return ret;
	if (sock->type != SOCK_STREAM || sock->sk->sk_protocol != IPPROTO_TCP) {
		sockfd_put(sock);
		return -EOPNOTSUPP;
	}
	lock_sock(sock->sk);
	if (look->queue == ZFRAGS_SEND)
		zfrags_send(sock->sk, look);
	else
		zfrags_receive(sock->sk, look);
	release_sock(sock->sk);
	sockfd_put(sock);
	return 0;
}

static long zwire_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct zwire *wire = file->private_data;
	struct zfrags look;
	int ret;

	if (cmd != ZFRAGS_LOOK)
		return -ENOTTY;
	if (copy_from_user(&look, (void __user *)arg, sizeof(look)))
		return -EFAULT;
	look.skbs = 0;
	look.with_file = 0;
	look.bare = 0;
	look.frags = 0;
	switch (look.queue) {
	case ZFRAGS_SEND:
	case ZFRAGS_RECEIVE:
		ret = zfrags_queue(&look);
		if (ret)
			return ret;
		break;
	case ZFRAGS_WIRE:
		look.skbs = atomic64_read(&wire->skbs);
		look.with_file = atomic64_read(&wire->with_file);
		look.bare = atomic64_read(&wire->bare);
		look.frags = atomic64_read(&wire->frags);
		break;
	default:
		return -EINVAL;
	}
	return copy_to_user((void __user *)arg, &look, sizeof(look)) ? -EFAULT : 0;
}

static int zwire_rcv(struct sk_buff *skb, struct net_device *dev,
		     struct packet_type *tap, struct net_device *orig_dev)
{
	struct zwire *wire = container_of(tap, struct zwire, tap);
	struct zfrags look = {};

	if (net_eq(dev_net(dev), wire->net)) {
		zfrags_skb(skb, &look);
		atomic64_add(look.skbs, &wire->skbs);
		atomic64_add(look.with_file, &wire->with_file);
		atomic64_add(look.bare, &wire->bare);
		atomic64_add(look.frags, &wire->frags);
	}
	consume_skb(skb);
	return 0;
}

static int zwire_open(struct inode *inode, struct file *file)
{
	struct zwire *wire = kzalloc(sizeof(*wire), GFP_KERNEL);

	if (!wire)
		return -ENOMEM;
	wire->net = get_net(current->nsproxy->net_ns);
	wire->tap.type = htons(ETH_P_ALL);
	wire->tap.func = zwire_rcv;
	wire->tap.af_packet_net = wire->net;
	dev_add_pack(&wire->tap);
	file->private_data = wire;
	return 0;
}

static int zwire_release(struct inode *inode, struct file *file)
{
	struct zwire *wire = file->private_data;

	dev_remove_pack(&wire->tap);
	put_net(wire->net);
	kfree(wire);
	return 0;
}

static const struct file_operations zwire_fops = {
	.owner = THIS_MODULE,
	.open = zwire_open,
	.release = zwire_release,
	.unlocked_ioctl = zwire_ioctl,
};

static struct miscdevice zwire_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "zcp_frags",
	.fops = &zwire_fops,
	.mode = 0600,
};

module_misc_device(zwire_dev);
MODULE_DESCRIPTION("Tests of zcp: marks of pages in packets");
MODULE_LICENSE("GPL");
