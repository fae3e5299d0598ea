/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What test_preload.c is linked with --wrap for.
 */
#ifndef ZCP_TEST_WRAP_H
#define ZCP_TEST_WRAP_H

int __real_open64(const char *path, int flags, ...);
int __real_ioctl(int fd, unsigned long cmd, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_ioctl(int fd, unsigned long cmd, ...);

#endif /* ZCP_TEST_WRAP_H */
