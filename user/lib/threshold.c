// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * From which size on messages go by reference: what this host has measured.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <limits.h>

#include "msg.h"

#define THRESHOLD_DEFAULT (64 << 10)
#define SYSTEM_DIR "/etc/zcp"
#define SYSTEM_FILE SYSTEM_DIR "/message.conf"
#define NEVER "never"
#define KEY "threshold"

static int parse(const char *text, uint64_t *bytes)
{
	unsigned long long n;
	char *end;

	if (!strcmp(text, NEVER)) {
		*bytes = ZCP_MSG_NEVER;
		return 0;
	}
	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || *end || !n)
		return -EINVAL;
	*bytes = n;
	return 0;
}

/* The directory of this user's settings; a setuid program has none. */
static int user_dir(char *path, size_t size)
{
	const char *base = secure_getenv("XDG_CONFIG_HOME");
	const char *more = "";
	int n;

	if (!base || *base != '/') {
		base = secure_getenv("HOME");
		more = "/.config";
	}
	if (!base || *base != '/')
		return -ENOENT;
	n = snprintf(path, size, "%s%s/zcp", base, more);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* One file for each host, as home directories are shared. */
static int user_file(char *path, size_t size)
{
	char host[256] = "";
	int ret, n;

	ret = user_dir(path, size);
	if (ret)
		return ret;
	gethostname(host, sizeof(host) - 1);
	if (!*host || strchr(host, '/'))
		return -ENOENT;
	n = strlen(path);
	ret = snprintf(path + n, size - n, "/message.%s.conf", host);
	return ret < 0 || (size_t)ret >= size - n ? -ENAMETOOLONG : 0;
}

/* 0, -ENOENT when there is no such file or line, -EINVAL when it is wrong. */
static int load(const char *path, uint64_t *bytes)
{
	char line[128], key[32], value[64];
	int ret = -ENOENT;
	FILE *in;

	in = fopen(path, "re");
	if (!in)
		return -ENOENT;
	while (fgets(line, sizeof(line), in)) {
		if (sscanf(line, " %31[^ \t\n=] = %63s", key, value) != 2 || strcmp(key, KEY))
			continue;
		ret = parse(value, bytes);
	}
	fclose(in);
	return ret;
}

static int find(uint64_t *bytes)
{
	const char *env = secure_getenv("ZCP_MSG_THRESHOLD");
	char path[PATH_MAX];
	int ret;

	if (env)
		return parse(env, bytes);
	if (!user_file(path, sizeof(path))) {
		ret = load(path, bytes);
		if (ret != -ENOENT)
			return ret;
	}
	ret = load(SYSTEM_FILE, bytes);
	return ret == -ENOENT ? 0 : ret;
}

int zcp_msg_threshold_get(uint64_t *bytes)
{
	int saved = errno;
	int ret;

	if (!bytes)
		return -EINVAL;
	*bytes = THRESHOLD_DEFAULT;
	ret = find(bytes);
	errno = saved;
	return ret;
}

static int make_dir(const char *path)
{
	char parent[PATH_MAX];
	char *slash;

	/* ~/.config may not be there yet either. */
	strcpy(parent, path);
	slash = strrchr(parent, '/');
	*slash = '\0';
	if (mkdir(parent, 0755) && errno != EEXIST)
		return -errno;
	if (mkdir(path, 0755) && errno != EEXIST)
		return -errno;
	return 0;
}

/* So that who reads it meanwhile sees the old or the new one. */
static int store(const char *path, uint64_t bytes)
{
	char fresh[PATH_MAX + 8];
	FILE *out;
	int ret;

	snprintf(fresh, sizeof(fresh), "%s.new", path);
	out = fopen(fresh, "we");
	if (!out)
		return -errno;
	fputs("# Written by zcpctl bench message --tune.\n", out);
	if (bytes == ZCP_MSG_NEVER)
		fprintf(out, "%s = %s\n", KEY, NEVER);
	else
		fprintf(out, "%s = %llu\n", KEY, (unsigned long long)bytes);
	ret = ferror(out) ? -EIO : 0;
	if (fclose(out))
		ret = -errno;
	if (!ret && rename(fresh, path))
		ret = -errno;
	if (ret)
		unlink(fresh);
	return ret;
}

int zcp_msg_threshold_set(uint64_t bytes, char *path, size_t path_len)
{
	char dir[PATH_MAX], file[PATH_MAX] = SYSTEM_FILE;
	int saved = errno;
	int ret = 0;

	if (!bytes || (path && !path_len))
		return -EINVAL;
	strcpy(dir, SYSTEM_DIR);
	if (geteuid()) {
		ret = user_dir(dir, sizeof(dir));
		if (!ret)
			ret = user_file(file, sizeof(file));
	}
	if (path)
		snprintf(path, path_len, "%s", ret ? "" : file);
	if (!ret)
		ret = make_dir(dir);
	if (!ret)
		ret = store(file, bytes);
	errno = saved;
	return ret;
}
