// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file system of one file; zcp_fuse.h says what each function is for.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <linux/fuse.h>

#include "zcp_fuse.h"
#include "zcp_test.h"

#define NODE_FILE	2
#define REQUEST_MAX	(256 * ZT_KIB)
#define VALID_SECONDS	1000000

static void zf_reply(struct zf_fs *fs, uint64_t unique, int error, const void *data, size_t len)
{
	struct fuse_out_header out = {
		.len = sizeof(out) + (error ? 0 : len), .error = -error, .unique = unique,
	};
	struct iovec iov[] = { { &out, sizeof(out) }, { (void *)data, error ? 0 : len } };

	/* ENOENT: it was interrupted, and nobody waits any more. */
	if (writev(fs->dev, iov, 2) < 0 && errno != ENOENT && errno != ENODEV)
		zt_die("reply to a FUSE request: errno %d", errno);
}

static void zf_reply_read(struct zf_fs *fs, uint64_t unique, uint64_t off, uint32_t len, int error)
{
	char *buf;

	if (off >= fs->size)
		len = 0;
	else if (len > fs->size - off)
		len = fs->size - off;
	buf = malloc(len + 1);
	zt_need(buf);
	zt_pattern(buf, fs->seed, off, len);
	zf_reply(fs, unique, error, buf, len);
	free(buf);
}

static void zf_read(struct zf_fs *fs, const struct fuse_in_header *in)
{
	const struct fuse_read_in *arg = (const void *)(in + 1);
	bool late, hold;

	pthread_mutex_lock(&fs->lock);
	fs->reads++;
	fs->uid = in->uid;
	late = arg->offset + arg->size > fs->hold_from;
	hold = late && !fs->error;
	if (hold) {
		zt_need(fs->nr_held < ZF_HELD);
		fs->held[fs->nr_held].unique = in->unique;
		fs->held[fs->nr_held].off = arg->offset;
		fs->held[fs->nr_held].len = arg->size;
		fs->nr_held++;
		pthread_cond_broadcast(&fs->more);
	}
	pthread_mutex_unlock(&fs->lock);
	if (!hold)
		zf_reply_read(fs, in->unique, arg->offset, arg->size, late ? fs->error : 0);
}

static struct fuse_attr zf_attr(const struct zf_fs *fs, uint64_t node)
{
	return (struct fuse_attr) {
		.ino = node,
		.size = node == NODE_FILE ? fs->size : 0,
		.mode = node == NODE_FILE ? S_IFREG | 0444 : S_IFDIR | 0755,
		.nlink = 1,
		.blksize = ZT_PAGE,
	};
}

static void zf_reply_write(struct zf_fs *fs, uint64_t unique, uint32_t opcode, uint32_t len)
{
	struct fuse_attr_out attr = { .attr_valid = VALID_SECONDS, .attr = zf_attr(fs, NODE_FILE) };
	struct fuse_write_out written = { .size = len };

	if (opcode == FUSE_WRITE)
		zf_reply(fs, unique, 0, &written, sizeof(written));
	else
		zf_reply(fs, unique, 0, &attr, sizeof(attr));
}

/* The times, which come by FUSE_SETATTR, are written after the bytes. */
static void zf_write(struct zf_fs *fs, const struct fuse_in_header *in)
{
	const struct fuse_write_in *arg = (const void *)(in + 1);
	uint32_t len = in->opcode == FUSE_WRITE ? arg->size : 0;
	bool hold;

	pthread_mutex_lock(&fs->lock);
	hold = fs->hold_writes;
	if (hold) {
		zt_need(fs->nr_held_writes < ZF_HELD);
		fs->held_writes[fs->nr_held_writes].unique = in->unique;
		fs->held_writes[fs->nr_held_writes].opcode = in->opcode;
		fs->held_writes[fs->nr_held_writes].len = len;
		fs->nr_held_writes++;
		pthread_cond_broadcast(&fs->more);
	}
	pthread_mutex_unlock(&fs->lock);
	if (!hold)
		zf_reply_write(fs, in->unique, in->opcode, len);
}

/* False when the file system has ended. */
static bool zf_answer(struct zf_fs *fs, const struct fuse_in_header *in)
{
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
		.max_write = ZT_PAGE, .max_background = ZF_HELD,
		.max_readahead = 128 * ZT_KIB,
		.flags = FUSE_ASYNC_READ | (fs->writeback ? FUSE_WRITEBACK_CACHE : 0),
	};
	struct fuse_entry_out entry = { .nodeid = NODE_FILE, .entry_valid = VALID_SECONDS,
					.attr_valid = VALID_SECONDS };
	struct fuse_attr_out attr = { .attr_valid = VALID_SECONDS };
	/* A test that dies closes its files before its server's descriptor is. */
	struct fuse_open_out open = { .open_flags = fs->writeback ? 0 : FOPEN_NOFLUSH };

	switch (in->opcode) {
	case FUSE_INIT:
		zf_reply(fs, in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		entry.attr = zf_attr(fs, NODE_FILE);
		zf_reply(fs, in->unique, strcmp((const char *)(in + 1), "file") ? ENOENT : 0,
			 &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		attr.attr = zf_attr(fs, in->nodeid);
		zf_reply(fs, in->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		zf_reply(fs, in->unique, 0, &open, sizeof(open));
		break;
	case FUSE_READ:
		zf_read(fs, in);
		break;
	case FUSE_WRITE:
	case FUSE_SETATTR:
		zf_write(fs, in);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		zf_reply(fs, in->unique, 0, NULL, 0);
		break;
	case FUSE_DESTROY:
		zf_reply(fs, in->unique, 0, NULL, 0);
		return false;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		zf_reply(fs, in->unique, EOPNOTSUPP, NULL, 0);
	}
	return true;
}

static void *zf_main(void *arg)
{
	struct zf_fs *fs = arg;
	char *buf = malloc(REQUEST_MAX);
	ssize_t n;

	zt_need(buf);
	for (;;) {
		n = read(fs->dev, buf, REQUEST_MAX);
		if (n < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
			continue;
		/* ENODEV: unmounted. */
		if (n <= 0 || !zf_answer(fs, (const struct fuse_in_header *)buf))
			break;
	}
	free(buf);
	return NULL;
}

static int zf_mount_as(struct zf_fs *fs, const char *parent, uint64_t seed, uint64_t size,
		       bool writeback)
{
	char options[100];
	int ret;

	memset(fs, 0, sizeof(*fs));
	snprintf(fs->dir, sizeof(fs->dir), "%s/fuse", parent);
	fs->seed = seed;
	fs->size = size;
	fs->writeback = writeback;
	fs->hold_from = UINT64_MAX;
	pthread_mutex_init(&fs->lock, NULL);
	pthread_cond_init(&fs->more, NULL);
	fs->dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fs->dev < 0)
		return -errno;
	zt_need(!mkdir(fs->dir, 0755) || errno == EEXIST);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other",
		 fs->dev);
	if (mount("zcp-test", fs->dir, "fuse", 0, options)) {
		ret = -errno;
		close(fs->dev);
		return ret;
	}
	zt_need(!pthread_create(&fs->thread, NULL, zf_main, fs));
	return 0;
}

int zf_mount(struct zf_fs *fs, const char *parent, uint64_t seed, uint64_t size)
{
	return zf_mount_as(fs, parent, seed, size, false);
}

int zf_mount_writeback(struct zf_fs *fs, const char *parent, uint64_t seed, uint64_t size)
{
	return zf_mount_as(fs, parent, seed, size, true);
}

int zf_unmount(struct zf_fs *fs, int flags)
{
	if (umount2(fs->dir, flags))
		return -errno;
	zt_need(!pthread_join(fs->thread, NULL));
	close(fs->dev);
	return 0;
}

static int zf_open_for(struct zf_fs *fs, int access)
{
	char path[104];
	int fd;

	snprintf(path, sizeof(path), "%s/file", fs->dir);
	fd = open(path, access | O_CLOEXEC);
	zt_need(fd >= 0);
	return fd;
}

int zf_open(struct zf_fs *fs)
{
	return zf_open_for(fs, O_RDONLY);
}

int zf_open_to_write(struct zf_fs *fs)
{
	return zf_open_for(fs, O_WRONLY);
}

void zf_hold(struct zf_fs *fs, uint64_t from)
{
	pthread_mutex_lock(&fs->lock);
	fs->hold_from = from;
	fs->error = 0;
	pthread_mutex_unlock(&fs->lock);
}

/* Waits until a number of those that are held is not 0. */
static void zf_wait(struct zf_fs *fs, const unsigned int *nr, const char *what)
{
	struct timespec until;
	int ret = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ZT_PATIENCE;
	pthread_mutex_lock(&fs->lock);
	while (!*nr && !ret)
		ret = pthread_cond_timedwait(&fs->more, &fs->lock, &until);
	pthread_mutex_unlock(&fs->lock);
	if (ret)
		zt_die("no %s in %d seconds", what, ZT_PATIENCE);
}

void zf_wait_held(struct zf_fs *fs)
{
	zf_wait(fs, &fs->nr_held, "read");
}

uint64_t zf_first_held(struct zf_fs *fs)
{
	uint64_t first = UINT64_MAX;
	unsigned int i;

	pthread_mutex_lock(&fs->lock);
	for (i = 0; i < fs->nr_held; i++) {
		if (fs->held[i].off < first)
			first = fs->held[i].off;
	}
	pthread_mutex_unlock(&fs->lock);
	return first;
}

void zf_release(struct zf_fs *fs, int error)
{
	unsigned int i;

	pthread_mutex_lock(&fs->lock);
	fs->error = error;
	if (!error)
		fs->hold_from = UINT64_MAX;
	for (i = 0; i < fs->nr_held; i++)
		zf_reply_read(fs, fs->held[i].unique, fs->held[i].off, fs->held[i].len, error);
	fs->nr_held = 0;
	pthread_mutex_unlock(&fs->lock);
}

void zf_hold_writes(struct zf_fs *fs)
{
	pthread_mutex_lock(&fs->lock);
	fs->hold_writes = true;
	pthread_mutex_unlock(&fs->lock);
}

void zf_wait_held_write(struct zf_fs *fs)
{
	zf_wait(fs, &fs->nr_held_writes, "write");
}

void zf_release_writes(struct zf_fs *fs)
{
	unsigned int i;

	pthread_mutex_lock(&fs->lock);
	fs->hold_writes = false;
	for (i = 0; i < fs->nr_held_writes; i++)
		zf_reply_write(fs, fs->held_writes[i].unique, fs->held_writes[i].opcode,
			       fs->held_writes[i].len);
	fs->nr_held_writes = 0;
	pthread_mutex_unlock(&fs->lock);
}

unsigned int zf_reads(struct zf_fs *fs, uint32_t *uid)
{
	unsigned int reads;

	pthread_mutex_lock(&fs->lock);
	reads = fs->reads;
	*uid = fs->uid;
	pthread_mutex_unlock(&fs->lock);
	return reads;
}
