// SPDX-License-Identifier: GPL-2.0-only
/* Tracepoints: submit, push, block, wake, ack, done. */
#include <linux/module.h>

#define CREATE_TRACE_POINTS
#include "trace.h"
