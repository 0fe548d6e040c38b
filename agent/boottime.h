/* SPDX-License-Identifier: GPL-2.0-only */
/* The clock of all facts, and that of their cost. It must not know what the times are for. */
#ifndef POOLSCOPE_BOOTTIME_H
#define POOLSCOPE_BOOTTIME_H

#include <stdint.h>

/* CLOCK_BOOTTIME in nanoseconds. Every time that a reading or a decision of the agent bears is taken here: see
 * boottime_share(). */
uint64_t boottime(void);

/* CLOCK_REALTIME in nanoseconds: for dates alone. */
uint64_t realtime(void);

/* CPU time of this thread, in nanoseconds: what something costs. A system call, where the others are not. */
uint64_t thread_cputime(void);

/* From now on each boottime() writes its result plus one there too; NULL: no more. The probes give memory calls that
 * time (bpf/filter.h, clock_ns), because their own look at the clock would cost the target as much as the rest of the
 * record. What matters of it stays exact: a call that was reported before a reading bears no later time than the
 * reading, one that was reported after it bears a later one. Between two looks the ring's order rules. */
void boottime_share(uint64_t *where);

#endif
