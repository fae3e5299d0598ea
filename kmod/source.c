// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sources: which files can be sent, and getting their pages. Pages that are in
 * the page cache come from a batched look-up; everything else, the verdict on
 * errors included, comes from the file system's own splice_read().
 *
 * Nothing here writes to a page, and nothing holds a lock while it reads.
 */
#include <linux/dax.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pipe_fs_i.h>
#include <linux/shmem_fs.h>
#include <linux/splice.h>
#include <linux/swap.h>

#include "compat/compat.h"
#include "limit.h"
#include "source.h"

#define ZREAD_MEM_SHIFT	6	/* all windows: this part of memory, as a power */

/* Jobs that read from a disk. */
atomic_t zsource_readers = ATOMIC_INIT(0);

/**
 * zsource_check() - Can zcp send this file?
 * @file: the file
 *
 * It must be a regular file that is open for reading and that has a page
 * cache, its own or that of the file system below it. Files that make their
 * content up as they are read (/proc, /sys …) have none.
 *
 * Return: 0, -EISDIR, -EINVAL, -EACCES or -EOPNOTSUPP.
 */
int zsource_check(struct file *file)
{
	const struct address_space_operations *aops = file->f_mapping->a_ops;
	struct inode *inode = file_inode(file);
	unsigned long magic = inode->i_sb->s_magic;

	if (S_ISDIR(inode->i_mode))
		return -EISDIR;
	if (!S_ISREG(inode->i_mode))
		return -EINVAL;
	if (!(file->f_mode & FMODE_READ))
		return -EACCES;
	if (!file->f_op->splice_read || !(file->f_mode & FMODE_LSEEK))
		return -EOPNOTSUPP;
	/* /sys and its like borrow the operations of ramfs, without a use. */
	if (aops == &ram_aops)
		return magic == RAMFS_MAGIC ? 0 : -EOPNOTSUPP;
	if (aops->read_folio || IS_DAX(inode) || magic == TMPFS_MAGIC ||
	    magic == OVERLAYFS_SUPER_MAGIC)
		return 0;
	return -EOPNOTSUPP;
}

/**
 * zsource_is_cached() - May the page cache answer for this file?
 * @file: a file that zsource_check() accepts
 *
 * Only where buffered reads are plain page-cache reads, so that a look-up
 * sees what an mmap reader would see.
 */
bool zsource_is_cached(struct file *file)
{
	struct inode *inode = file_inode(file);

	if ((file->f_flags & O_DIRECT) || IS_DAX(inode) ||
	    IS_ENCRYPTED(inode) || zcp_file_has_hsm(file))
		return false;

	switch (inode->i_sb->s_magic) {
	case EXT4_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case TMPFS_MAGIC:
	case RAMFS_MAGIC:
	case EROFS_SUPER_MAGIC_V1:
	case SQUASHFS_MAGIC:
	case ISOFS_SUPER_MAGIC:
	case MSDOS_SUPER_MAGIC:
		return true;
	}
	return false;
}

static bool zfolio_is_usable(struct folio *folio)
{
	if (!folio_test_uptodate(folio))
		return false;
	if (unlikely(folio_test_hwpoison(folio)))
		return false;
	return !(folio_test_large(folio) &&
		 folio_test_has_hwpoisoned(folio));
}

/*
 * Take one folio into the batch. Returns false when the batch ends before it:
 * its content is not here, or reading on has to be triggered, which this
 * caller may not do.
 */
static bool zbatch_take(struct zbatch *batch, const struct zread *rd,
			struct folio *folio)
{
	if (!zfolio_is_usable(folio))
		return false;

	if (folio_test_readahead(folio) && !folio_test_writeback(folio) &&
	    !rd->nocache) {
		if (!rd->ra)
			return false;
		if (rd->file->f_mapping->a_ops->readahead) {
			DEFINE_READAHEAD(ractl, rd->file, rd->ra,
					 rd->file->f_mapping,
					 folio->index);

			page_cache_async_ra(&ractl, folio,
					    folio_nr_pages(folio));
		}
	}
	batch->folios[batch->nr++] = folio;
	return true;
}

/* The pages of the batch as runs: from @pos, within @len and the file's size. */
static void zbatch_cut(struct zbatch *batch, const struct zread *rd)
{
	loff_t size, end, pos = rd->pos;
	unsigned int i;

	/*
	 * The size is read after the folios were seen up to date: bytes that
	 * a truncation took from the file in between are not sent.
	 */
	smp_rmb();
	size = i_size_read(file_inode(rd->file));
	end = min_t(loff_t, rd->pos + rd->len, size);

	batch->bytes = 0;
	for (i = 0; i < batch->nr; i++) {
		struct folio *folio = batch->folios[i];
		struct page *page;
		size_t skip, n;

		if (pos >= end)
			break;
		skip = pos - folio_pos(folio);
		n = min_t(u64, folio_size(folio) - skip, end - pos);
		/* Some kernels look for its section in flags that change. */
		page = data_race(folio_page(folio, skip >> PAGE_SHIFT));
		batch->bv[i].bv_page = page;
		batch->bv[i].bv_offset = offset_in_page(skip);
		batch->bv[i].bv_len = n;
		batch->bytes += n;
		pos += n;
	}
	while (batch->nr > i)
		folio_put(batch->folios[--batch->nr]);
}

/**
 * zsource_lookup() - Take up-to-date pages from the page cache
 * @rd: the position; @rd->len must not be 0
 * @batch: filled in; zbatch_release() lets the pages go
 *
 * Return: bytes found, 0 when the first page is not there or not usable, or
 * when @rd->pos is at the end of the file.
 */
size_t zsource_lookup(const struct zread *rd, struct zbatch *batch)
{
	pgoff_t index = rd->pos >> PAGE_SHIFT;
	pgoff_t last = (rd->pos + rd->len - 1) >> PAGE_SHIFT;
	struct folio_batch fbatch;
	bool open = true;

	batch->nr = 0;
	batch->bytes = 0;

	while (open && index <= last &&
	       batch->nr + ZCP_FOLIO_BATCH_MAX <= batch->max) {
		unsigned int i, n;

		folio_batch_init(&fbatch);
		n = zcp_get_folios_contig(rd->file->f_mapping, &index, last,
					  &fbatch);
		for (i = 0; i < n; i++) {
			if (open)
				open = zbatch_take(batch, rd, fbatch.folios[i]);
			if (!open)
				folio_put(fbatch.folios[i]);
		}
		if (!n)
			open = false;
	}

	if (batch->nr)
		zbatch_cut(batch, rd);
	return batch->bytes;
}

/**
 * zsource_window() - How far ahead of the send queue to read
 * @file: the file
 *
 * What the device asks for, or what the parameter says if that is more and
 * memory permits: all jobs that read share a part of it.
 *
 * Return: pages.
 */
pgoff_t zsource_window(const struct file *file)
{
	struct backing_dev_info *bdi = file_inode(file)->i_sb->s_bdi;
	unsigned long share = totalram_pages() >> ZREAD_MEM_SHIFT;
	unsigned long want = READ_ONCE(zcp_readahead_kb) >> (PAGE_SHIFT - 10);

	share /= max(atomic_read(&zsource_readers), 1);
	return max3(bdi->ra_pages, bdi->io_pages, min(want, share));
}

/**
 * zsource_ra_init() - Begin to read a file
 * @ra: the readahead state, of the job alone
 * @file: the file
 *
 * Files that are opened for random access, and devices that want none, keep
 * their way.
 */
void zsource_ra_init(struct file_ra_state *ra, struct file *file)
{
	file_ra_state_init(ra, file->f_mapping);
	if (ra->ra_pages && !(file->f_mode & FMODE_RANDOM))
		ra->ra_pages = zsource_window(file);
}

/*
 * All pages that will be wanted, at once: who knows that need not begin with a few, and wait for
 * the disk some times until they are many, nor read what comes after them. No more than the
 * window are begun.
 */
static unsigned long zread_pages(const struct zread *rd)
{
	u64 left = min_t(u64, rd->left, (u64)INT_MAX << PAGE_SHIFT);

	return DIV_ROUND_UP_ULL(offset_in_page(rd->pos) + left, PAGE_SIZE);
}

/**
 * zsource_wait() - Have the page at a position read, and wait for it
 * @rd: the position; @rd->len must not be 0
 *
 * Return: true when a look-up is worth it; false when the file system has to
 * be asked, for the page or for what is wrong with it.
 */
bool zsource_wait(const struct zread *rd)
{
	struct address_space *mapping = rd->file->f_mapping;
	pgoff_t next, index = rd->pos >> PAGE_SHIFT;
	struct folio_batch fbatch;
	struct folio *folio;
	bool usable;

	folio_batch_init(&fbatch);
	next = index;
	if (!zcp_get_folios_contig(mapping, &next, index, &fbatch)) {
		DEFINE_READAHEAD(ractl, rd->file, rd->ra, mapping, index);

		if (!rd->ra || !mapping->a_ops->readahead)
			return false;
		page_cache_sync_ra(&ractl, zread_pages(rd));
		next = index;
		if (!zcp_get_folios_contig(mapping, &next, index, &fbatch))
			return false;
	}
	folio = fbatch.folios[0];
	usable = !folio_wait_locked_killable(folio) && zfolio_is_usable(folio);
	folio_put(folio);
	return usable;
}

/**
 * zsource_read() - Take pages from the page cache, after waiting for them
 * @rd: the position; @rd->len must not be 0
 * @batch: filled in; zbatch_release() lets the pages go
 *
 * Return: bytes found, 0 when the file system has to be asked, or when
 * @rd->pos is at the end of the file.
 */
size_t zsource_read(const struct zread *rd, struct zbatch *batch)
{
	size_t n = zsource_lookup(rd, batch);

	if (n || rd->pos >= i_size_read(file_inode(rd->file)) || !zsource_wait(rd))
		return n;
	return zsource_lookup(rd, batch);
}

/**
 * zbatch_release() - Let the pages of a batch go
 * @batch: the batch
 * @used: tell the page cache that they were used
 */
void zbatch_release(struct zbatch *batch, bool used)
{
	unsigned int i;

	for (i = 0; i < batch->nr; i++) {
		if (used)
			folio_mark_accessed(batch->folios[i]);
		folio_put(batch->folios[i]);
	}
	batch->nr = 0;
	batch->bytes = 0;
}

/**
 * struct zsplice - What the actor of a splice has to know
 * @push: where and how
 * @cached: the file's reads are plain page-cache reads
 * @more: bytes follow after this splice
 * @skip: bytes that are read only for alignment, and dropped
 * @want: bytes this splice still asks for
 * @sent: bytes that entered the send queue
 * @error: of the socket
 */
struct zsplice {
	struct zpush *push;
	bool cached;
	bool more;
	size_t skip;
	size_t want;
	size_t sent;
	int error;
};

/*
 * Did the file system copy bytes into this page for us? Pages of a page cache
 * have a mapping. Where reads are plain page-cache reads, a page without one
 * has lost it by truncation, or holds the zeros of a hole: nobody's copy.
 */
static bool zpage_is_private(const struct zsplice *sp, struct page *page)
{
	unsigned long mapping;

	if (sp->cached)
		return false;
	mapping = (unsigned long)READ_ONCE(page_folio(page)->mapping);
	return !mapping || (mapping & 3);
}

/*
 * Collect up to @max runs of one kind from the pipe, as far as they are wanted,
 * without taking them out.
 */
static unsigned int zsplice_collect(struct pipe_inode_info *pipe,
				    const struct zsplice *sp,
				    struct bio_vec *bv, unsigned int max,
				    size_t *bytes, bool *private, int *error)
{
	unsigned int mask = pipe->ring_size - 1;
	unsigned int head = pipe->head;
	unsigned int i, nr = 0;

	*bytes = 0;
	for (i = pipe->tail; i != head && nr < max && *bytes < sp->want; i++) {
		struct pipe_buffer *buf = &pipe->bufs[i & mask];
		bool own;

		*error = pipe_buf_confirm(pipe, buf);
		if (*error)
			break;
		if (!buf->len)
			continue;
		own = zpage_is_private(sp, buf->page);
		if (nr && own != *private)
			break;
		*private = own;
		bv[nr].bv_page = buf->page;
		bv[nr].bv_offset = buf->offset;
		bv[nr].bv_len = min_t(size_t, buf->len, sp->want - *bytes);
		*bytes += bv[nr].bv_len;
		nr++;
	}
	return nr;
}

/* Take @bytes that were sent, and empty buffers, out of the pipe. */
static void zsplice_consume(struct pipe_inode_info *pipe, size_t bytes)
{
	unsigned int mask = pipe->ring_size - 1;
	unsigned int tail = pipe->tail;

	while (tail != pipe->head) {
		struct pipe_buffer *buf = &pipe->bufs[tail & mask];
		size_t n = min_t(size_t, bytes, buf->len);

		buf->offset += n;
		buf->len -= n;
		bytes -= n;
		if (buf->len)
			break;
		pipe_buf_release(pipe, buf);
		tail++;
	}
	pipe->tail = tail;
}

static int zsplice_actor(struct pipe_inode_info *pipe, struct splice_desc *sd)
{
	struct zsplice *sp = sd->u.data;
	struct bio_vec bv[16];
	size_t done, bytes;
	bool private = false;
	unsigned int nr;
	int error = 0;

	done = min(sp->skip, sd->total_len);
	zsplice_consume(pipe, done);
	sp->skip -= done;

	while (done < sd->total_len && sp->want) {
		bool more;
		ssize_t n;

		nr = zsplice_collect(pipe, sp, bv, ARRAY_SIZE(bv), &bytes,
				     &private, &error);
		if (!nr)
			break;
		more = sp->more || bytes < sp->want;
		n = zpush_pages(sp->push, bv, nr, bytes, private, more);
		if (n < 0) {
			error = n;
			sp->error = n;
			break;
		}
		zsplice_consume(pipe, n);
		sp->want -= n;
		sp->sent += n;
		done += n;
		if (n < bytes)
			break;
	}
	return done ? done : error;
}

static int zsplice_no_actor(struct pipe_inode_info *pipe,
			    struct splice_desc *sd)
{
	return 0;
}

/**
 * zsource_prime() - Let this worker have its pipe
 * @file: any file that zsource_check() accepts
 *
 * A task keeps the pipe of its first splice. A worker makes it here, while it
 * has no submitter's credentials and memory cgroup, so that none of them is
 * charged for as long as the worker lives. Nothing is read.
 */
void zsource_prime(struct file *file)
{
	struct splice_desc sd = {};

	if (!current->splice_pipe)
		splice_direct_to_actor(file, &sd, zsplice_no_actor);
}

/**
 * zsource_splice() - Send what the file system itself reads
 * @rd: the position; waits for the disk
 * @push: where and how
 * @more: bytes follow after @rd->len
 * @send_failed: out: a negative result is the socket's, not the file's
 *
 * Return: bytes that entered the send queue, 0 at the end of the file, or a
 * negative errno.
 */
ssize_t zsource_splice(const struct zread *rd, struct zpush *push, bool more,
		       bool *send_failed)
{
	loff_t max = file_inode(rd->file)->i_sb->s_maxbytes, pos = rd->pos;
	struct zsplice sp = {
		.push = push,
		.cached = zsource_is_cached(rd->file),
		.more = more,
		.want = rd->len,
	};
	struct splice_desc sd = { .u.data = &sp };
	ssize_t ret;

	*send_failed = false;
	/* Behind where any file ends, and where reading would be refused. */
	if (pos >= max)
		return 0;
	sp.want = min_t(u64, sp.want, max - pos);
	ret = rw_verify_area(READ, rd->file, &pos, sp.want);
	if (ret)
		return ret;

	/* The send queue takes any number of bytes, a disk whole blocks. */
	if (rd->file->f_flags & O_DIRECT)
		sp.skip = offset_in_page(pos);
	sd.pos = pos - sp.skip;
	sd.total_len = sp.want + sp.skip;
	if (rd->file->f_flags & O_DIRECT)
		sd.total_len = min_t(u64, PAGE_ALIGN(sd.total_len), max - sd.pos);
	sd.len = sd.total_len;

	ret = splice_direct_to_actor(rd->file, &sd, zsplice_actor);
	if (sp.sent)
		return sp.sent;
	*send_failed = sp.error;
	if (sp.error)
		return sp.error;
	return min_t(ssize_t, ret, 0);
}
