/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libzcp: buffers that the kernel can send without a copy, and messages.
 */
#ifndef ZCP_POOL_H
#define ZCP_POOL_H

#include <zcp/zcp.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DOC: Pools and messages
 *
 * A *pool* hands out buffers of memory that is a file as well (a memfd), so
 * that a job can send them by reference. A *messenger* sends them: small ones
 * by send(2), large ones as jobs, in one order on each link. What it has taken
 * comes back to the pool by itself when the peer's TCP has acknowledged it.
 *
 * Nothing here starts a thread, unless messages may linger (&struct
 * zcp_msg_opts). Who sends or allocates also reads the events
 * that give buffers back, whenever it needs some; a program that waits for
 * other things polls zcp_msg_fd() and calls zcp_msg_reap().
 *
 * Results, structures and NULL are as described in <zcp/zcp.h>.
 *
 * Threads: every function but those that open and close may be called by any
 * threads at the same time, also for the same pool, messenger or link.
 *
 * fork(2): a pool and its messengers belong to the process that opened them.
 * The buffers are not in the memory of a child, and there these functions
 * return -EPERM, except those that close, which free what the child has of
 * the handle. The parent notices nothing.
 */

struct zcp_pool;
struct zcp_msg;
struct zcp_msg_link;

/*
 * ZCP_POOL_DEBUG: find wrong use. A buffer that is used while it is on its way
 * or after it has been freed, and one that is freed twice, end the program:
 * buffers of whole pages by SIGSEGV at the access, smaller ones by a line on
 * stderr and SIGABRT when the pool gets or hands out the buffer. The environment
 * variable ZCP_POOL_DEBUG=1 does the same. Costs a system call for each use.
 */
#define ZCP_POOL_DEBUG (1U << 0)

/**
 * struct zcp_pool_opts - What a pool is to be like
 * @size: sizeof(struct zcp_pool_opts).
 * @limit: Bytes of memory it may hold; 0 for 256 MiB. At least what one buffer
 *	of @max_bytes needs, else the largest buffers cannot be had; at most
 *	2^36. Address space of up to 38 times that is taken; with the default
 *	buckets, of 76 MiB at least.
 * @min_bytes: The smallest bucket, a power of two of 16 to 4 MiB; 0 for 16.
 * @max_bytes: The largest, a power of two of @min_bytes to 4 MiB; 0 for 4 MiB.
 * @flags: ZCP_POOL_*, or 0.
 * @reserved: Must be 0.
 *
 * Since: 0.3
 */
struct zcp_pool_opts {
	size_t size;
	uint64_t limit;
	uint32_t min_bytes;
	uint32_t max_bytes;
	uint32_t flags;
	uint32_t reserved;
};

/**
 * struct zcp_pool_stats - What a pool has done, and what it holds
 * @size: In: sizeof(struct zcp_pool_stats). The rest is output.
 * @hits: Allocations from memory that it had.
 * @misses: Allocations that made it take more memory.
 * @refusals: Allocations it refused, at the limit or for want of memory.
 * @outstanding: Buffers that are not in it: the program's, and those on their
 *	way.
 * @in_flight: Of these, those that a messenger has and has not given back.
 * @high_water: Most bytes it ever held.
 * @reserved_bytes: Bytes of memory it holds.
 * @used_bytes: Bytes of the buckets of the buffers that are outstanding. What
 *	is between @used_bytes and @reserved_bytes is free, or between buffers.
 * @limit: Bytes it may hold.
 * @renewed: Buffers that came back without an acknowledgment and got new
 *	memory, because packets may still be sent from the old.
 * @threads: Threads that have buffers of their own at hand.
 * @reserved: 0.
 *
 * While others use the pool the numbers are those of slightly different
 * moments.
 *
 * Since: 0.3
 */
struct zcp_pool_stats {
	size_t size;
	uint64_t hits;
	uint64_t misses;
	uint64_t refusals;
	uint64_t outstanding;
	uint64_t in_flight;
	uint64_t high_water;
	uint64_t reserved_bytes;
	uint64_t used_bytes;
	uint64_t limit;
	uint64_t renewed;
	uint32_t threads;
	uint32_t reserved;
};

/**
 * zcp_pool_open() - Make a pool
 * @pool: Out: the pool; NULL on failure.
 * @opts: Options, or NULL.
 *
 * No memory is taken before buffers are.
 *
 * Return: 0, or -EINVAL for sizes that cannot be, -EOPNOTSUPP for a flag that
 * is not defined, -ENOMEM, -EMFILE or what else memfd_create(2), ftruncate(2)
 * and mmap(2) say.
 * Since: 0.3
 */
ZCP_API int zcp_pool_open(struct zcp_pool **pool, const struct zcp_pool_opts *opts);

/**
 * zcp_pool_close() - Free a pool
 * @pool: The pool, or NULL. No thread may be using it, nor use it again.
 *
 * Return: 0, or -EBUSY when buffers are outstanding or a messenger has it;
 * nothing has happened then.
 * Since: 0.3
 */
ZCP_API int zcp_pool_close(struct zcp_pool *pool);

/**
 * zcp_pool_alloc() - Get a buffer
 * @pool: The pool.
 * @len: Bytes needed, at least 1.
 * @buf: Out: the buffer; NULL on failure. It begins at a multiple of its
 *	bucket's size, up to a page. What is in it is not defined.
 *
 * Before the pool takes more memory it looks for buffers that have come back.
 *
 * Return: 0, or -EMSGSIZE when @len is more than the largest bucket, -EAGAIN
 * at the pool's limit: try again when buffers have come back, -ENOMEM when the
 * system has no memory, -EPERM in a child.
 * Since: 0.3
 */
ZCP_API int zcp_pool_alloc(struct zcp_pool *pool, size_t len, void **buf);

/**
 * zcp_pool_free() - Give a buffer back
 * @pool: The pool.
 * @buf: The buffer, or NULL. By any thread.
 *
 * Return: 0, or -EINVAL when that is not where a buffer of this pool begins,
 * -ENOMEM when this thread uses the pool for the first time and there is no memory
 * for what it keeps at hand (the buffer is still the caller's), -EPERM in a child.
 * Since: 0.3
 */
ZCP_API int zcp_pool_free(struct zcp_pool *pool, void *buf);

/**
 * zcp_pool_locate() - The file that a buffer is
 * @pool: The pool.
 * @buf: The buffer.
 * @fd: Out: a descriptor, which belongs to the pool. May be NULL.
 * @offset: Out: where in the file the buffer begins, in bytes. May be NULL.
 * @bytes: Out: its length, which is that of its bucket. May be NULL.
 *
 * For jobs of one's own: zcp_segment_file(). Such a buffer is not to be freed
 * before its job is acknowledged.
 *
 * Return: 0, or -EINVAL when that is not where a buffer of this pool begins,
 * -EPERM in a child.
 * Since: 0.3
 */
ZCP_API int zcp_pool_locate(const struct zcp_pool *pool, const void *buf, int *fd, uint64_t *offset,
			    size_t *bytes);

/**
 * zcp_pool_trim() - Give free memory back to the system
 * @pool: The pool.
 * @keep: Bytes that it may go on holding, used ones included.
 * @bytes: Out: bytes given back. May be NULL.
 *
 * Memory is held in slabs of 64 KiB and more; those of which no buffer is
 * used are given back, until no more than @keep bytes are held. Each other
 * thread that has used the pool keeps a few free buffers at hand, whose slabs
 * stay; this thread's do not.
 *
 * Return: 0, or -EPERM in a child.
 * Since: 0.3
 */
ZCP_API int zcp_pool_trim(struct zcp_pool *pool, uint64_t keep, uint64_t *bytes);

/**
 * zcp_pool_get_stats() - What a pool has done, and what it holds
 * @pool: The pool.
 * @stats: In: @size. Out: the rest.
 *
 * Return: 0, or -EPERM in a child.
 * Since: 0.3
 */
ZCP_API int zcp_pool_get_stats(struct zcp_pool *pool, struct zcp_pool_stats *stats);

/*
 * ZCP_MSG_NONBLOCK: zcp_send_msg() and zcp_msg_flush() do not wait for room, only
 * for other threads' calls for the same link. When the socket has taken a part of a
 * message and no job takes the rest, that stays in the library: it goes by the next
 * call for the link, zcp_msg_flush() or zcp_msg_wait(). Until it has gone, and the
 * kernel takes no more, these return -EAGAIN.
 * ZCP_MSG_LOCAL: send by reference also by devices that are made of software
 * (loopback, veth, bridges, tunnels …). What such a device delivers on the same
 * machine is still the buffer, and stays so until the receiver reads it, which
 * is after the acknowledgment: a receiver that lags gets the bytes of the
 * message that has the buffer by then. For programs that know when the
 * receiver has read, and for measurements.
 */
#define ZCP_MSG_NONBLOCK (1U << 0)
#define ZCP_MSG_LOCAL (1U << 1)

/* A threshold: by reference never. */
#define ZCP_MSG_NEVER UINT64_MAX

/**
 * struct zcp_msg_opts - How a messenger sends
 * @size: sizeof(struct zcp_msg_opts).
 * @path: The device; NULL for "/dev/zcp".
 * @threshold: Messages of so many bytes and more go by reference; 0 for what
 *	zcp_msg_threshold_get() says. Messages shorter than a page never do.
 * @window: Bytes of the pool's memory that a link may have on their way, not
 *	acknowledged, before zcp_send_msg() waits; 0 for 4 MiB. One message may
 *	always be.
 * @flags: ZCP_MSG_NONBLOCK, ZCP_MSG_LOCAL, or 0.
 * @linger_us: How long a message may wait in the library for others of its link,
 *	in microseconds, 0 to 1,000,000; 0: not at all. See below. Since 0.8.
 *
 * With @linger_us messages of a link leave together, by one system call: when
 * 2 MiB, half of @window or 48 buffers have come together (zcp_info.max_segments
 * less 16 where that is below 64, and no message waits for another where it is
 * 16 or less), by zcp_msg_flush() or zcp_msg_wait(),
 * or else by a thread that the messenger has for that, when the first of them has
 * waited for half of the time at least and all of it at most (and until the
 * thread runs). It blocks all signals. What goes wrong then is what the next call
 * for the link returns; and what has not left when the link is removed is lost.
 *
 * Since: 0.3
 */
struct zcp_msg_opts {
	size_t size;
	const char *path;
	uint64_t threshold;
	uint64_t window;
	uint32_t flags;
	uint32_t linger_us;
};

/**
 * struct zcp_msg_stats - What a messenger has done
 * @size: In: sizeof(struct zcp_msg_stats). The rest is output.
 * @messages: Messages taken.
 * @bytes: Their bytes.
 * @copied: Messages that were sent by send(2), or as copies by jobs.
 * @referenced: Messages that went by reference.
 * @jobs: Jobs submitted.
 * @open: Jobs that have not ended.
 * @failed: Jobs that ended without an acknowledgment of all bytes.
 * @threshold: Messages of so many bytes and more go by reference.
 *
 * Since: 0.3
 */
struct zcp_msg_stats {
	size_t size;
	uint64_t messages;
	uint64_t bytes;
	uint64_t copied;
	uint64_t referenced;
	uint64_t jobs;
	uint64_t open;
	uint64_t failed;
	uint64_t threshold;
};

/**
 * zcp_msg_open() - Make a messenger
 * @msg: Out: the messenger; NULL on failure.
 * @pool: Where its buffers are from and go back to. Several may have the same
 *	one. It must stay open until the messenger is closed.
 * @opts: Options, or NULL.
 *
 * It has a context of its own, whose events nobody else reads.
 *
 * Return: 0, or as zcp_ctx_open(); -ERANGE for @linger_us, -EAGAIN when the thread
 * for it cannot be started; -EPERM in a child.
 * Since: 0.3
 */
ZCP_API int zcp_msg_open(struct zcp_msg **msg, struct zcp_pool *pool,
			 const struct zcp_msg_opts *opts);

/**
 * zcp_msg_close() - End a messenger and its links
 * @msg: The messenger, or NULL. No thread may be using it, nor use it again.
 *
 * As zcp_msg_link_remove() for each link. All buffers are back in the pool then.
 *
 * Since: 0.3
 */
ZCP_API void zcp_msg_close(struct zcp_msg *msg);

/**
 * zcp_msg_fd() - A descriptor for poll(2) and epoll(7)
 * @msg: The messenger.
 *
 * It is readable while buffers wait to be given back by zcp_msg_reap(). It
 * belongs to the messenger: do not read or close it.
 *
 * Return: The descriptor.
 * Since: 0.3
 */
ZCP_API int zcp_msg_fd(const struct zcp_msg *msg);

/**
 * zcp_msg_reap() - Give back to the pool what has been acknowledged
 * @msg: The messenger.
 * @timeout_ms: How long to wait for the first one, in milliseconds; 0: not at
 *	all, negative: without limit.
 *
 * Optional: zcp_send_msg() and zcp_pool_alloc() do it when they need to.
 *
 * Return: The number of jobs whose end was learned of while it ran, by this
 * thread or another; 0 when there was none in time, or no open job to wait for;
 * -EINTR when a signal arrived first.
 * Since: 0.3
 */
ZCP_API int zcp_msg_reap(struct zcp_msg *msg, int timeout_ms);

/**
 * zcp_msg_get_stats() - What a messenger has done
 * @msg: The messenger.
 * @stats: In: @size. Out: the rest.
 *
 * Return: 0, or -errno.
 * Since: 0.3
 */
ZCP_API int zcp_msg_get_stats(struct zcp_msg *msg, struct zcp_msg_stats *stats);

/**
 * zcp_msg_link_add() - Send messages by a connected TCP socket
 * @msg: The messenger.
 * @sock: The socket. It stays the caller's and may be closed; the connection
 *	stays until the link is removed. Nobody else may write to it meanwhile.
 * @link: Out: the link; NULL on failure.
 *
 * Return: 0, or as zcp_link_add().
 * Since: 0.3
 */
ZCP_API int zcp_msg_link_add(struct zcp_msg *msg, int sock, struct zcp_msg_link **link);

/**
 * zcp_msg_link_remove() - End a link
 * @link: The link, or NULL. No thread may be using it, nor use it again.
 *
 * What is still on its way is cancelled: zcp_msg_wait() before, if it is to
 * arrive. The buffers are back in the pool then.
 *
 * Since: 0.3
 */
ZCP_API void zcp_msg_link_remove(struct zcp_msg_link *link);

/*
 * ZCP_MSG_MORE: another message for the same link follows at once. The library
 * may keep this one until then, so that several leave by one system call; the
 * last one is sent without the flag, or followed by zcp_msg_flush().
 */
#define ZCP_MSG_MORE (1U << 2)

/**
 * zcp_send_msg() - Send a message
 * @link: The link.
 * @buf: What zcp_pool_alloc() of the messenger's pool gave, or any memory.
 * @len: Bytes of it to send, at least 1.
 * @flags: ZCP_MSG_MORE, ZCP_MSG_NONBLOCK, or 0.
 *
 * On success a buffer of the pool is the library's, which gives it back to the
 * pool by itself; do not touch or free it. Other memory has been copied and is
 * the caller's again. On failure everything is still the caller's, and no byte
 * of the message has been sent, unless the connection has ended.
 *
 * Messages arrive whole and in the order of the calls. Below the threshold the
 * bytes are copied into the socket: by send(2) when no job is open on this
 * link. Above it they are sent by reference, by a job, and the buffer comes
 * back when the peer has acknowledged it.
 *
 * It waits while the window is full, for room in the send queue, and at a limit of
 * the kernel or the pool's while jobs of the messenger are open; with
 * %ZCP_MSG_NONBLOCK it returns -EAGAIN instead. Memory that is not the pool's needs
 * a buffer for what cannot leave at once, and is refused for want of one with this
 * flag even if all of it could. With &zcp_msg_opts.linger_us each
 * message may be kept as with %ZCP_MSG_MORE, but not for longer than that.
 *
 * Return: 0; -EAGAIN at the window, the pool's limit or a limit of the kernel;
 * -EINTR when a signal arrived before anything could leave; -ENOMEM; -EINVAL when
 * @buf is in the pool but not where a buffer begins, or is shorter than @len;
 * -EMSGSIZE when other memory is longer than 16 of the pool's largest buffers, or as
 * many as the kernel's zcp_info.max_segments was when the messenger was opened, if
 * that is less; -EPIPE, -ECONNRESET, -ESHUTDOWN … when the connection has ended,
 * -ECANCELED when somebody has cancelled a job, by which messages that had been taken
 * are lost too; -EPERM in a child.
 * Since: 0.3
 */
ZCP_API int zcp_send_msg(struct zcp_msg_link *link, void *buf, size_t len, uint32_t flags);

/**
 * zcp_msg_flush() - Send what was kept for %ZCP_MSG_MORE, or lingers
 * @link: The link.
 *
 * Return: 0, or as zcp_send_msg().
 * Since: 0.3
 */
ZCP_API int zcp_msg_flush(struct zcp_msg_link *link);

/**
 * zcp_msg_wait() - Wait until no job of a link is open
 * @link: The link.
 * @timeout_ms: How long at most, in milliseconds; negative: without limit.
 *
 * What is kept leaves before: the time is for all of it, also with
 * %ZCP_MSG_NONBLOCK. What went by send(2) may still be in the send queue.
 *
 * Return: 0 when nothing is kept and every job has been acknowledged; -EAGAIN when
 * the time is over, and jobs are open or something could not leave; -EINTR; the
 * -errno of the first job that failed, or of a call that had found the connection
 * ended before.
 * Since: 0.3
 */
ZCP_API int zcp_msg_wait(struct zcp_msg_link *link, int timeout_ms);

/**
 * zcp_msg_threshold_get() - From which size on messages go by reference here
 * @bytes: Out: the threshold in bytes, or %ZCP_MSG_NEVER.
 *
 * The environment variable ZCP_MSG_THRESHOLD, or what zcp_msg_threshold_set()
 * has stored, or 64 KiB. The value is bytes, or "never".
 *
 * Return: 0; -EINVAL when the variable or file has no such value, with the
 * default in @bytes.
 * Since: 0.3
 */
ZCP_API int zcp_msg_threshold_get(uint64_t *bytes);

/**
 * zcp_msg_threshold_set() - Store the threshold of this host
 * @bytes: The threshold in bytes, or %ZCP_MSG_NEVER.
 * @path: Out: where it has been stored, or would have been: room for
 *	@path_len bytes. May be NULL.
 * @path_len: Room at @path.
 *
 * Root stores it in /etc/zcp/message.conf, others in
 * $XDG_CONFIG_HOME/zcp/message.HOSTNAME.conf (XDG_CONFIG_HOME is ~/.config if it
 * is not set), which goes first for them.
 *
 * Return: 0, or the -errno of what failed.
 * Since: 0.3
 */
ZCP_API int zcp_msg_threshold_set(uint64_t bytes, char *path, size_t path_len);

#ifdef __cplusplus
}
#endif

#endif /* ZCP_POOL_H */
