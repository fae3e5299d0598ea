// SPDX-License-Identifier: GPL-2.0-only
/* One synchronous transfer: what a drop-in for sendfile(2) needs. */
#include <linux/file.h>
#include <linux/fsnotify.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <net/sock.h>

#include "compat/compat.h"
#include "limit.h"
#include "slab.h"
#include "source.h"
#include "stats.h"
#include "transmit.h"
#include "xfer.h"

#define ZXFER_STEP	(1024 * 1024)	/* bytes looked up at a time */
#define ZXFER_PAGES	32		/* what is taken without an allocation */

struct zxfer {
	struct file *file;
	struct zpush push;
	struct zbatch *batch;
	struct file_ra_state ra;
	struct zcount count;
	loff_t pos;
	u64 left;
	bool more;
	struct zbatch small;
	struct bio_vec bv[ZXFER_PAGES];
	struct folio *folios[ZXFER_PAGES];
};

/* Small transfers are many: theirs is on the stack. */
static struct zbatch *zxfer_batch(struct zxfer *x, u64 bytes)
{
	BUILD_BUG_ON(ZCP_FOLIO_BATCH_MAX > ZXFER_PAGES);

	if (bytes > ZCP_FOLIO_BATCH_MAX * PAGE_SIZE)
		return zbatch_new();
	x->small = (struct zbatch) {
		.max = ZXFER_PAGES,
		.bv = x->bv,
		.folios = x->folios,
	};
	return &x->small;
}

/* One step: from the page cache, or what the file system reads. */
static ssize_t zxfer_step(struct zxfer *x)
{
	struct zread rd = { .file = x->file, .pos = x->pos, .ra = &x->ra };
	loff_t size = i_size_read(file_inode(x->file));
	bool cached = zsource_is_cached(x->file);
	bool send_failed;
	u64 left = x->left;
	ssize_t n;

	if (cached) {
		if (x->pos >= size)
			return 0;
		left = min_t(u64, left, size - x->pos);
		rd.len = min_t(u64, left, ZXFER_STEP);
		rd.left = left;
		if (zsource_read(&rd, x->batch)) {
			n = zpush_pages(&x->push, x->batch->bv, x->batch->nr,
					x->batch->bytes, false,
					x->more || x->batch->bytes < left);
			zbatch_release(x->batch, true);
			return n;
		}
	}
	rd.len = min_t(u64, left, 16 * PAGE_SIZE);
	n = zsource_splice(&rd, &x->push, x->more || rd.len < left,
			   &send_failed);
	if (n > 0)
		x->ra.prev_pos = rd.pos + n - 1;
	return n;
}

/*
 * What goes before the file: 1 when all of it was sent, 0 when only a part, or a
 * negative errno. How it was sent is no matter of the reply.
 */
static int zxfer_header(struct zxfer *x, struct zcp_xfer *req)
{
	const u8 __user *data = u64_to_user_ptr(req->header);
	struct zcount count = {};
	ssize_t n = 0;

	x->push.count = &count;
	while (req->header_done < req->header_len) {
		n = zpush_user(&x->push, data + req->header_done,
			       req->header_len - req->header_done,
			       x->left || x->more);
		if (n <= 0)
			break;
		req->header_done += n;
	}
	x->push.count = &x->count;
	if (req->header_done == req->header_len)
		return 1;
	return req->header_done ? 0 : n;
}

static int zxfer_run(struct zxfer *x)
{
	u64 done = 0;
	ssize_t n = 0;

	while (x->left) {
		n = zxfer_step(x);
		if (n <= 0)
			break;
		x->pos += n;
		x->left -= n;
		done += n;
		if (signal_pending(current)) {
			n = -EINTR;
			break;
		}
		cond_resched();
	}
	return done || n >= 0 ? 0 : n;
}

/* Header and file. What was sent is not undone: then there is no error. */
static int zxfer_send(struct zxfer *x, struct zcp_xfer *req)
{
	int ret = 1;

	if (req->header_len) {
		/* Not when the file could not follow. */
		if (x->left && x->push.mode == ZCP_MODE_ZEROCOPY)
			x->push.refused = zpath_reason(x->push.sock->sk);
		if (x->push.refused)
			return -EOPNOTSUPP;
		ret = zxfer_header(x, req);
	}
	if (ret > 0)
		ret = zxfer_run(x);
	if (x->push.held && !x->more)
		zcp_flush(x->push.sock);
	return req->header_done ? 0 : ret;
}

static int zxfer_check(const struct zcp_xfer *req)
{
	if (req->flags & ~(ZCP_XFER_NONBLOCK | ZCP_XFER_MORE))
		return -EOPNOTSUPP;
	if (req->mode > ZCP_MODE_COPY)
		return -EOPNOTSUPP;
	if (req->offset > LLONG_MAX || req->count > LLONG_MAX - req->offset)
		return -EINVAL;
	if (req->header_len > ZCP_MAX_INLINE)
		return -EINVAL;
	return 0;
}

/**
 * zxfer() - Send a range of a file, in the caller's context
 * @req: the request; its outputs are filled in
 *
 * Return: 0 when anything was sent or the file has ended, or a negative errno.
 */
int zxfer(struct zcp_xfer *req)
{
	bool wait = !(req->flags & ZCP_XFER_NONBLOCK);
	struct zxfer x;
	int ret;

	req->done = 0;
	req->header_done = 0;
	req->bytes_zerocopy = 0;
	req->bytes_copied = 0;
	req->copy_reason = ZCP_REASON_NONE;
	ret = zxfer_check(req);
	if (ret)
		return ret;

	/* All but the arrays, which are filled before they are read. */
	memset(&x, 0, offsetof(struct zxfer, small));
	x.batch = zxfer_batch(&x, req->count);
	if (!x.batch)
		return -ENOMEM;

	x.push.sock = sockfd_lookup(req->out_fd, &ret);
	if (!x.push.sock)
		goto out_batch;
	ret = zsock_check(x.push.sock);
	/* A connection that has ended says so by itself, as for sendfile(2). */
	if (ret == -ENOTCONN && READ_ONCE(x.push.sock->sk->sk_shutdown))
		ret = 0;
	if (ret)
		goto out_sock;

	x.file = fget(req->in_fd);
	if (!x.file) {
		ret = -EBADF;
		goto out_sock;
	}
	ret = zsource_check(x.file);
	if (ret)
		goto out_file;

	x.pos = req->offset;
	x.left = req->count;
	ret = rw_verify_area(READ, x.file, &x.pos,
			     min_t(u64, x.left, MAX_RW_COUNT));
	if (ret)
		goto out_file;

	if (x.push.sock->file->f_flags & O_NONBLOCK)
		wait = false;
	x.more = req->flags & ZCP_XFER_MORE;
	x.push.count = &x.count;
	x.push.mode = req->mode;
	x.push.small = x.left < READ_ONCE(zcp_small_bytes);
	x.push.flags = wait ? 0 : MSG_DONTWAIT;
	zsource_ra_init(&x.ra, x.file);
	x.ra.prev_pos = x.pos ? x.pos - 1 : -1;

	ret = zxfer_send(&x, req);
	if (ret == -EOPNOTSUPP && x.push.refused)
		req->copy_reason = x.push.refused;
	else
		req->copy_reason = zcount_reason(&x.count);
	req->done = req->count - x.left;
	req->offset = x.pos;
	req->bytes_zerocopy = x.count.zerocopy;
	req->bytes_copied = zcount_copied(&x.count);
	if (req->done) {
		/* A read, also when the page cache was only looked at. */
		file_accessed(x.file);
		fsnotify_access(x.file);
	}
	if (req->done || req->header_done) {
		x.count.copied[ZCP_REASON_INLINE] += req->header_done;
		zstats_xfer(sock_net(x.push.sock->sk), &x.count);
	}

out_file:
	fput(x.file);
out_sock:
	sockfd_put(x.push.sock);
out_batch:
	if (x.batch != &x.small)
		zbatch_free(x.batch);
	return ret;
}
