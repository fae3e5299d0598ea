/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Why bytes are copied, in words, and what can be done about it.
 */
#ifndef ZCPCTL_REASON_H
#define ZCPCTL_REASON_H

#include <stddef.h>
#include <stdint.h>

/*
 * Both write one phrase without a full stop. @ifname may be empty. What can be
 * done may be nothing: an empty string.
 */
void reason_explain(uint32_t reason, const char *ifname, char *buf, size_t size);
void reason_cure(uint32_t reason, const char *ifname, char *buf, size_t size);

#endif /* ZCPCTL_REASON_H */
