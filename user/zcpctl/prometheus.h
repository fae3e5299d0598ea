/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Statistics in the text exposition format of Prometheus.
 */
#ifndef ZCPCTL_PROMETHEUS_H
#define ZCPCTL_PROMETHEUS_H

#include <stdio.h>

#include <zcp/monitor.h>

void prometheus_stats(FILE *out, const struct zcp_stats *stats);

#endif /* ZCPCTL_PROMETHEUS_H */
