/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The process that receives.
 */
#ifndef ZCP_BENCH_RECEIVER_H
#define ZCP_BENCH_RECEIVER_H

/* A connection for commands; not one of a suite's modes. */
#define PEER_CONTROL 0xff

/*
 * Commands, one byte each. RESUME is answered with itself, CPU with the CPU
 * seconds of the machine as a double. Who does not read the answers is closed.
 */
#define CONTROL_RESUME 'R'
#define CONTROL_CPU 'C'

/*
 * Takes connections from @listener. @control is a connection for commands, or
 * -1; when it ends, so does this process.
 */
__attribute__((noreturn)) void receiver_run(int listener, int control);

#endif /* ZCP_BENCH_RECEIVER_H */
