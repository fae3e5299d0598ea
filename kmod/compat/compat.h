/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The only place that knows kernels differ. Each ZCP_HAVE_x is the result of
 * compiling kmod/compat/probes/x.c against the kernel that is built for, so
 * that backports are seen as what they are.
 */
#ifndef ZCP_COMPAT_H
#define ZCP_COMPAT_H

#include "probed.h"

#include <linux/bvec.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/net.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <linux/version.h>
#include <net/dst.h>
#include <net/genetlink.h>
#include <net/tcp.h>

#ifdef ZCP_HAVE_FOLIO_BATCH_H
#include <linux/folio_batch.h>
#else
#include <linux/pagevec.h>
#endif

/* Keeps a cache visible by its name; old kernels merge those that are alike. */
#ifndef SLAB_NO_MERGE
#define SLAB_NO_MERGE		0
#endif

/* What a multicast group of generic netlink wants of its subscribers: 6.7. */
#ifndef GENL_MCAST_CAP_NET_ADMIN
#define GENL_MCAST_CAP_NET_ADMIN	GENL_UNS_ADMIN_PERM
#endif

/* Folios that one struct folio_batch holds: the array's size is not named alike. */
#define ZCP_FOLIO_BATCH_MAX	ARRAY_SIZE(((struct folio_batch *)0)->folios)

static inline struct net_device *zcp_dst_dev(const struct dst_entry *dst)
{
#ifdef ZCP_HAVE_DST_DEV_RCU
	return dst_dev_rcu(dst);
#else
	return dst->dev;
#endif
}

/*
 * A file whose reads a hierarchical storage manager must see with their range
 * (FAN_PRE_ACCESS): the page cache alone must not answer for it.
 */
static inline bool zcp_file_has_hsm(const struct file *file)
{
#ifdef ZCP_HAVE_FSNOTIFY_HSM
	return FMODE_FSNOTIFY_HSM(file->f_mode);
#else
	return false;
#endif
}

/**
 * zcp_get_folios_contig() - filemap_get_folios_contig(), where it is safe
 * @mapping: the page cache
 * @index: in and out: where to begin, and where to go on
 * @last: the last page that is wanted
 * @fbatch: an empty batch
 *
 * Before 6.12 a walk that goes on to a next entry can meet a large folio in
 * its middle and take the entry for a folio. There, mappings that may have
 * large folios are asked for one folio at a time.
 *
 * Return: number of folios, at most %ZCP_FOLIO_BATCH_MAX.
 */
static inline unsigned int
zcp_get_folios_contig(struct address_space *mapping, pgoff_t *index,
		      pgoff_t last, struct folio_batch *fbatch)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
	if (mapping_large_folio_support(mapping))
		last = *index;
#endif
	return filemap_get_folios_contig(mapping, index, last, fbatch);
}

/* The attributes of the request that a dump answers. */
static inline struct nlattr **zcp_genl_dump_attrs(struct netlink_callback *cb)
{
#ifdef ZCP_HAVE_GENL_INFO_DUMP
	return genl_info_dump(cb)->attrs;
#else
	return genl_dumpit_info(cb)->attrs;
#endif
}

static inline void
zcp_hrtimer_setup(struct hrtimer *timer,
		  enum hrtimer_restart (*function)(struct hrtimer *timer))
{
#ifdef ZCP_HAVE_HRTIMER_SETUP
	hrtimer_setup(timer, function, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
#else
	hrtimer_init(timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	timer->function = function;
#endif
}

/*
 * Sends what TCP holds back because more was announced, and did not come. Takes the
 * socket's lock; TCP's own function, as that of a layer which the socket may have got
 * takes a lock that is held while its sender waits for room.
 */
static inline void zcp_flush(struct socket *sock)
{
#ifdef ZCP_HAVE_SPLICE_EOF
	if (tcp_prot.splice_eof)
		tcp_prot.splice_eof(sock);
#endif
}

/**
 * zcp_send_pages() - Give pages to a TCP socket by reference
 * @sk: the socket, locked
 * @bv: the pages; an element lies within one folio
 * @nr: number of elements
 * @bytes: their total length
 * @flags: MSG_DONTWAIT, MSG_NOSIGNAL, MSG_MORE
 *
 * The stack takes its own references and marks the fragments as shared.
 *
 * Return: bytes taken, possibly fewer than @bytes, or a negative errno.
 */
ssize_t zcp_send_pages(struct sock *sk, struct bio_vec *bv,
		       unsigned int nr, size_t bytes, int flags);

#endif /* ZCP_COMPAT_H */
