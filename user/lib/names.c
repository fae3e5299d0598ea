// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Names of the numbers in <linux/zcp.h>.
 */
#include "internal.h"

#define COUNT(names) (sizeof(names) / sizeof((names)[0]))

/* clang-format off */
static const char *const states[] = {
	[ZCP_STATE_QUEUED] = "queued",
	[ZCP_STATE_RUNNING] = "running",
	[ZCP_STATE_BLOCKED] = "blocked",
	[ZCP_STATE_SENT] = "sent",
	[ZCP_STATE_DONE] = "done",
	[ZCP_STATE_FAILED] = "failed",
	[ZCP_STATE_CANCELLED] = "cancelled",
};

static const char *const reasons[] = {
	[ZCP_REASON_NONE] = "none",
	[ZCP_REASON_ASKED] = "asked",
	[ZCP_REASON_INLINE] = "inline",
	[ZCP_REASON_SMALL] = "small",
	[ZCP_REASON_NO_SG] = "no-sg",
	[ZCP_REASON_NO_CSUM] = "no-csum",
	[ZCP_REASON_FS] = "fs",
	[ZCP_REASON_IPSEC] = "ipsec",
	[ZCP_REASON_NO_ROUTE] = "no-route",
};

static const char *const limits[] = {
	[ZCP_LIMIT_NONE] = "none",
	[ZCP_LIMIT_LINKS] = "links",
	[ZCP_LIMIT_JOBS] = "jobs",
	[ZCP_LIMIT_USER_LINKS] = "user-links",
	[ZCP_LIMIT_USER_JOBS] = "user-jobs",
	[ZCP_LIMIT_INLINE] = "inline",
};

static const char *const modes[] = {
	[ZCP_MODE_AUTO] = "auto",
	[ZCP_MODE_ZEROCOPY] = "zerocopy",
	[ZCP_MODE_COPY] = "copy",
};

static const char *const completes[] = {
	[ZCP_COMPLETE_ACKED] = "acked",
	[ZCP_COMPLETE_SENT] = "sent",
};

static const char *const features[] = {
	"nocache",
	"rate",
	"header",
	"submit-events",
};

/* clang-format on */

_Static_assert(ZCP_FEATURE_NOCACHE == 1ULL << 0 && ZCP_FEATURE_RATE == 1ULL << 1 &&
		       ZCP_FEATURE_HEADER == 1ULL << 2 && ZCP_FEATURE_SUBMIT_EVENTS == 1ULL << 3,
	       "features are named in the order of their bits");
_Static_assert(COUNT(reasons) == ZCP_REASON_COUNT, "a name for every reason");

static const char *name_of(const char *const *names, size_t count, uint32_t value)
{
	return value < count && names[value] ? names[value] : "unknown";
}

static int parse(const char *const *names, size_t count, const char *name, uint32_t *value)
{
	if (!name || !value)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (names[i] && !strcmp(names[i], name)) {
			*value = i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *zcp_state_name(uint32_t state)
{
	return name_of(states, COUNT(states), state);
}

int zcp_state_parse(const char *name, uint32_t *state)
{
	return parse(states, COUNT(states), name, state);
}

const char *zcp_reason_name(uint32_t reason)
{
	return name_of(reasons, COUNT(reasons), reason);
}

const char *zcp_limit_name(uint32_t limit)
{
	return name_of(limits, COUNT(limits), limit);
}

const char *zcp_mode_name(uint32_t mode)
{
	return name_of(modes, COUNT(modes), mode);
}

int zcp_mode_parse(const char *name, uint32_t *mode)
{
	return parse(modes, COUNT(modes), name, mode);
}

const char *zcp_complete_name(uint32_t complete)
{
	return name_of(completes, COUNT(completes), complete);
}

int zcp_complete_parse(const char *name, uint32_t *complete)
{
	return parse(completes, COUNT(completes), name, complete);
}

const char *zcp_feature_name(uint64_t feature)
{
	for (size_t i = 0; i < COUNT(features); i++)
		if (feature == 1ULL << i)
			return features[i];
	return "unknown";
}
