// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unloads the module and loads it again, many times.
 *
 * usage: reload FILE TIMES
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DIR	"/sys/module/zcp"

int main(int argc, char **argv)
{
	int times, file;

	if (argc != 3)
		errx(2, "usage: reload FILE TIMES");
	times = atoi(argv[2]);
	file = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (file < 0)
		err(1, "%s", argv[1]);
	for (int i = 1; i <= times; i++) {
		if (syscall(SYS_delete_module, "zcp", O_NONBLOCK))
			err(1, "unloading it, %d", i);
		if (!access(DIR, F_OK))
			errx(1, "it is unloaded, and " DIR " is there, %d", i);
		if (syscall(SYS_finit_module, file, "", 0))
			err(1, "loading it, %d", i);
		if (access(DIR, F_OK))
			errx(1, "it is loaded, and there is no " DIR ", %d", i);
	}
	printf("%d times\n", times);
	return 0;
}
