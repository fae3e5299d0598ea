/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file system of one file, whose reads and writes can be held up, and reads made
 * to fail: what a disk or server that does not answer is for zcp. It speaks the
 * protocol of /dev/fuse, in a thread of the test.
 */
#ifndef ZCP_FUSE_H
#define ZCP_FUSE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define ZF_HELD		64

/**
 * struct zf_fs - The file system
 * @dir: Where it is mounted; the file is called "file".
 * @dev: The descriptor of /dev/fuse.
 * @size: Of the file.
 * @seed: Of its bytes; see zt_pattern().
 * @writeback: The kernel keeps what is written, until it writes it back.
 * @thread: Answers requests.
 * @lock: Of all that follows.
 * @more: Something has changed.
 * @hold_from: Reads of bytes from here on are held,
 * @error: or fail with this errno, if it is not 0.
 * @held: Those that are.
 * @nr_held: Their number.
 * @reads: Reads that came.
 * @uid: Who asked for the last one.
 * @hold_writes: Writes are held, and times that go with them.
 * @held_writes: Those that are.
 * @nr_held_writes: Their number.
 */
struct zf_fs {
	char dir[96];
	int dev;
	uint64_t size;
	uint64_t seed;
	bool writeback;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	uint64_t hold_from;
	int error;
	struct {
		uint64_t unique;
		uint64_t off;
		uint32_t len;
	} held[ZF_HELD];
	unsigned int nr_held;
	unsigned int reads;
	uint32_t uid;
	bool hold_writes;
	struct {
		uint64_t unique;
		uint32_t opcode;
		uint32_t len;
	} held_writes[ZF_HELD];
	unsigned int nr_held_writes;
};

/* 0, or -errno when the kernel has no FUSE. Mounted below @parent, which exists. */
int zf_mount(struct zf_fs *fs, const char *parent, uint64_t seed, uint64_t size);
/* The same, of one that is written to late, and where who closes a file waits for that. */
int zf_mount_writeback(struct zf_fs *fs, const char *parent, uint64_t seed, uint64_t size);
/* 0 or -errno of umount(2); the thread ends with the file system. */
int zf_unmount(struct zf_fs *fs, int flags);
/* The file, opened for reading. */
int zf_open(struct zf_fs *fs);
/* For writing: what is written is forgotten here. */
int zf_open_to_write(struct zf_fs *fs);
void zf_hold(struct zf_fs *fs, uint64_t from);
/* Waits until a read is held up. */
void zf_wait_held(struct zf_fs *fs);
/* Where the first of those begins. */
uint64_t zf_first_held(struct zf_fs *fs);
/* Holds no more, and answers what was held, and what comes: with bytes or that errno. */
void zf_release(struct zf_fs *fs, int error);
/* From here on closing any descriptor of a file that was written to waits. */
void zf_hold_writes(struct zf_fs *fs);
void zf_wait_held_write(struct zf_fs *fs);
void zf_release_writes(struct zf_fs *fs);
/* Reads so far, and who asked for the last one. */
unsigned int zf_reads(struct zf_fs *fs, uint32_t *uid);

#endif /* ZCP_FUSE_H */
