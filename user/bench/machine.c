// SPDX-License-Identifier: GPL-2.0-only
/*
 * What this machine takes for the things that ways to send differ in. A virtual
 * machine can make some of them many times dearer than they are elsewhere.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define TRIES 5
#define CALLS 2000
#define BYTES (4 << 20)
#define CLOCK_NS 50000000

static char *map(void)
{
	char *p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die_errno(errno, "mmap");
	return p;
}

static void call(char *to, char *from)
{
	(void)to;
	(void)from;
	for (int i = 0; i < CALLS; i++)
		syscall(SYS_getppid);
}

static void fault(char *to, char *from)
{
	size_t page = sysconf(_SC_PAGESIZE);

	(void)from;
	madvise(to, BYTES, MADV_DONTNEED);
	for (size_t i = 0; i < BYTES; i += page)
		*(volatile char *)(to + i) = 1;
}

static void copy(char *to, char *from)
{
	memcpy(to, from, BYTES);
	/* Not to be left out. */
	__asm__ volatile("" : : "r"(to) : "memory");
}

/* Nanoseconds, of the best of some tries. */
static double best(void (*work)(char *to, char *from), char *to, char *from)
{
	uint64_t start, ns, least = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		start = now_ns();
		work(to, from);
		ns = now_ns() - start;
		if (ns < least)
			least = ns;
	}
	return least;
}

/*
 * Nanoseconds of the shortest step of CPU time. The scheduler counts by the same clock: when that
 * is of ticks, those who wake often wait for those who run for long.
 */
static double cpu_clock_step(void)
{
	uint64_t start = now_ns(), before, now, least = UINT64_MAX;
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	before = t.tv_sec * 1000000000ULL + t.tv_nsec;
	while (now_ns() - start < CLOCK_NS) {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
		now = t.tv_sec * 1000000000ULL + t.tv_nsec;
		if (now != before && now - before < least)
			least = now - before;
		before = now;
	}
	return least;
}

void machine_pin(bool last)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(last ? sysconf(_SC_NPROCESSORS_ONLN) - 1 : 0, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		die_errno(errno, "sched_setaffinity");
}

void machine_describe(char *buf, size_t size)
{
	double pages = BYTES / sysconf(_SC_PAGESIZE);
	char *a = map(), *b = map();

	memset(b, 1, BYTES);
	snprintf(buf, size,
		 "%ld CPUs; call %.2f us, fault %.2f us, copy %.1f GB/s, CPU time by %.1f us",
		 sysconf(_SC_NPROCESSORS_ONLN), best(call, a, b) / 1e3 / CALLS,
		 best(fault, a, b) / 1e3 / pages, BYTES / best(copy, a, b), cpu_clock_step() / 1e3);
	munmap(a, BYTES);
	munmap(b, BYTES);
}
