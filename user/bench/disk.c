// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files on a real disk, or on one that dm-delay makes slow.
 *
 * The mount is in a mount namespace of this process and the slow device is to
 * go with its last user, so that nothing is left when the program is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "disk.h"
#include "method.h"

#define LABEL "zcp-bench"
#define SLOW "zcp-bench-slow"
#define SLOW_DEVICE "/dev/mapper/" SLOW
#define SUPERBLOCK 1024
#define EXT4_MAGIC 0xef53
#define WRITE_BYTES (4 << 20)
#define PAGE 4096
/* Left free, for what the file system itself needs. */
#define SPARE (64ULL << 20)
#define DROP_TRIES 100
#define GO_TRIES 100
#define NO_PROGRAM 127

static char dir[200];

/* Exit status of a program, NO_PROGRAM when there is none. */
static int run_program(const char *const *argv)
{
	int status;
	pid_t pid;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)argv, environ))
		return NO_PROGRAM;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die_errno(errno, "%s", argv[0]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

#define program(...) run_program((const char *const[]){ __VA_ARGS__, NULL })

static bool cannot(const char *why)
{
	result_left_out("all cases", why);
	return false;
}

static uint64_t device_size(void)
{
	uint64_t size = 0;
	int fd = open(opt.disk, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size))
		die_errno(errno, "%s", opt.disk);
	close(fd);
	return size;
}

/* Whether there is an ext4 of ours. */
static bool is_made(void)
{
	struct {
		uint8_t before[0x38];
		uint16_t magic;
		uint8_t between[0x78 - 0x3a];
		char label[16];
	} super;
	int fd = open(opt.disk, O_RDONLY | O_CLOEXEC);
	bool made;

	if (fd < 0)
		die_errno(errno, "%s", opt.disk);
	made = pread(fd, &super, sizeof(super), SUPERBLOCK) == sizeof(super) &&
	       super.magic == EXT4_MAGIC && !strncmp(super.label, LABEL, sizeof(super.label));
	close(fd);
	return made;
}

/*
 * With all of it written now, and not by the kernel while speeds are measured. Returns why
 * it is not made, or NULL.
 */
static const char *make(void)
{
	int status;

	say("  making a file system on %s", opt.disk);
	status = program("mkfs.ext4", "-q", "-F", "-L", LABEL, "-N", "4096", "-J", "size=16", "-E",
			 "lazy_itable_init=0,lazy_journal_init=0", opt.disk);
	if (status == NO_PROGRAM)
		return "it needs mkfs.ext4 (e2fsprogs)";
	return status ? "mkfs.ext4 fails, see what it says" : NULL;
}

/* Known once somebody has asked for it, if there is one. */
static bool has_delay(void)
{
	FILE *targets = popen("dmsetup targets 2>/dev/null", "re");
	char line[128];
	bool has = false;

	while (targets && fgets(line, sizeof(line), targets))
		has |= !strncmp(line, "delay ", 6);
	if (targets)
		pclose(targets);
	return has;
}

/* Why there is no slow disk, or NULL. */
static const char *slow_make(unsigned int delay_ms)
{
	char table[256];
	int status;

	snprintf(table, sizeof(table), "0 %llu delay %s 0 %u %s 0 0",
		 (unsigned long long)device_size() / 512, opt.disk, delay_ms, opt.disk);
	/* Without udev, which may not be there; then the node has to be asked for. */
	status = program("dmsetup", "create", SLOW, "--noudevsync", "--noudevrules", "--table",
			 table);
	if (status == NO_PROGRAM)
		return "it needs dmsetup";
	if (status && !has_delay())
		return "this kernel lacks dm-delay (CONFIG_DM_DELAY)";
	if (status || program("dmsetup", "mknodes", SLOW))
		return "dmsetup cannot make a slow disk, see what it says";
	return NULL;
}

static void own_namespace(void)
{
	if (unshare(CLONE_NEWNS))
		die_errno(errno, "a mount namespace");
	/* In a chroot this does not work, and then others see the mount. */
	mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL);
}

bool disk_open(unsigned int delay_ms)
{
	const char *device = delay_ms ? SLOW_DEVICE : opt.disk;
	const char *why = NULL;
	int error;

	if (!opt.disk)
		return cannot("it needs a block device to overwrite (--disk)");
	if (geteuid())
		return cannot("it needs root");
	if (!is_made())
		why = make();
	if (!why && delay_ms)
		why = slow_make(delay_ms);
	if (why)
		return cannot(why);
	own_namespace();
	snprintf(dir, sizeof(dir), "%s/zcp-bench-disk", opt.dir);
	if (mkdir(dir, 0700) && errno != EEXIST)
		die_errno(errno, "%s", dir);
	error = mount(device, dir, "ext4", MS_NOATIME, NULL) ? errno : 0;
	if (delay_ms) {
		program("dmsetup", "remove", "--deferred", "--noudevsync", SLOW);
		unlink(SLOW_DEVICE);
	}
	if (error)
		die_errno(error, "mounting %s", device);
	return true;
}

static void pause_ms(long ms)
{
	struct timespec pause = { .tv_nsec = ms * 1000000 };

	nanosleep(&pause, NULL);
}

static bool slow_is_there(void)
{
	char name[64];
	bool there = false;
	glob_t found;

	if (glob("/sys/block/dm-*/dm/name", 0, NULL, &found))
		return false;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		FILE *f = fopen(found.gl_pathv[i], "re");

		there |= f && fgets(name, sizeof(name), f) && !strcmp(name, SLOW "\n");
		if (f)
			fclose(f);
	}
	globfree(&found);
	return there;
}

void disk_close(void)
{
	if (umount(dir))
		die_errno(errno, "unmounting %s", dir);
	rmdir(dir);
	/* It goes a little later, and until then the disk is in use. */
	for (int try = 0; try < GO_TRIES && slow_is_there(); try++)
		pause_ms(50);
}

static void path_of(struct file *f, const char *name)
{
	if (snprintf(f->path, sizeof(f->path), "%s/%s", dir, name) >= (int)sizeof(f->path))
		die("%s: the name is too long", dir);
}

uint64_t disk_room(const char *name)
{
	struct statvfs fs;
	struct stat st;
	struct file f;
	uint64_t room;

	if (statvfs(dir, &fs))
		die_errno(errno, "%s", dir);
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	path_of(&f, name);
	if (!stat(f.path, &st))
		room += st.st_size;
	return room > SPARE ? room - SPARE : 0;
}

/* Its first and its last bytes tell whether it is what it should be. */
static bool is_good(int fd, uint64_t size, uint64_t first)
{
	uint8_t wanted[PAGE], found[PAGE];
	size_t n = size < PAGE ? size : PAGE;
	struct stat st;

	if (fstat(fd, &st) || (uint64_t)st.st_size != size)
		return false;
	file_fill(wanted, first, n);
	if (pread(fd, found, n, 0) != (ssize_t)n || memcmp(found, wanted, n))
		return false;
	file_fill(wanted, first + size - n, n);
	return pread(fd, found, n, size - n) == (ssize_t)n && !memcmp(found, wanted, n);
}

/* It gets its name when it is complete. */
static void write_file(const char *path, uint64_t size, uint64_t first)
{
	char *buf = allocate_pages(WRITE_BYTES);
	char new[sizeof(((struct file *)0)->path) + 8];
	ssize_t n;
	int fd;

	snprintf(new, sizeof(new), "%s.new", path);
	unlink(path);
	fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		die_errno(errno, "%s", new);
	for (uint64_t at = 0; at < size; at += n) {
		n = size - at < WRITE_BYTES ? size - at : WRITE_BYTES;
		file_fill(buf, first + at, n);
		n = write(fd, buf, n);
		if (n <= 0)
			die_errno(n ? errno : EIO, "%s: writing", new);
	}
	if (fsync(fd) || close(fd) || rename(new, path))
		die_errno(errno, "%s", new);
	free(buf);
}

void disk_file(struct file *f, const char *name, uint64_t size, uint64_t first)
{
	path_of(f, name);
	f->size = size;
	f->fd = open(f->path, O_RDONLY | O_CLOEXEC);
	if (f->fd >= 0 && is_good(f->fd, size, first))
		return;
	if (f->fd >= 0)
		close(f->fd);
	write_file(f->path, size, first);
	f->fd = open(f->path, O_RDONLY | O_CLOEXEC);
	if (f->fd < 0)
		die_errno(errno, "%s", f->path);
}

void disk_file_close(struct file *f)
{
	close(f->fd);
	f->fd = -1;
}

double disk_resident(const struct file *f)
{
	size_t pages = (f->size + PAGE - 1) / PAGE;
	unsigned char *in = allocate(pages);
	size_t resident = 0;
	void *map;

	map = mmap(NULL, f->size, PROT_READ, MAP_SHARED, f->fd, 0);
	if (map == MAP_FAILED || mincore(map, f->size, in))
		die_errno(errno, "%s: mincore", f->path);
	munmap(map, f->size);
	for (size_t i = 0; i < pages; i++)
		resident += in[i] & 1;
	free(in);
	return (double)resident / pages;
}

static void drop_clean(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "3", 1) != 1)
		die_errno(errno, "/proc/sys/vm/drop_caches");
	close(fd);
}

/*
 * A receiver's CPU hands packets that it has read to the CPU they came from,
 * which frees them, and lets go of the file's pages, when it receives next. So
 * each CPU gets a packet.
 */
static void flush_packets(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cpu_set_t all, one;
	char byte = 0;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (sock < 0 || bind(sock, (struct sockaddr *)&address, sizeof(address)) ||
	    getsockname(sock, (struct sockaddr *)&address, &len) ||
	    connect(sock, (struct sockaddr *)&address, sizeof(address)) ||
	    sched_getaffinity(0, sizeof(all), &all))
		die_errno(errno, "a packet for each CPU");
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		if (send(sock, &byte, 1, 0) != 1 || recv(sock, &byte, 1, 0) != 1)
			die_errno(errno, "a packet for CPU %d", cpu);
	}
	sched_setaffinity(0, sizeof(all), &all);
	close(sock);
}

void disk_drop(const struct file *f, int nr)
{
	double resident = 1;
	int left = nr;

	for (int try = 0; left && try < DROP_TRIES; try++) {
		if (try)
			pause_ms(20);
		flush_packets();
		sync();
		for (int i = 0; i < nr; i++)
			posix_fadvise(f[i].fd, 0, 0, POSIX_FADV_DONTNEED);
		drop_clean();
		left = 0;
		for (int i = 0; i < nr; i++) {
			resident = disk_resident(&f[i]);
			left += resident > 0;
		}
	}
	if (left)
		die("%d files stay in the page cache, the last one by %.2g %%", left,
		    100 * resident);
}

void disk_read(const struct file *f)
{
	char *buf = allocate_pages(WRITE_BYTES);
	ssize_t n;

	for (uint64_t at = 0; at < f->size; at += n) {
		n = pread(f->fd, buf, WRITE_BYTES, at);
		if (n <= 0)
			die_errno(n ? errno : EIO, "%s: reading", f->path);
	}
	free(buf);
}
