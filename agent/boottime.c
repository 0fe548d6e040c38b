/* SPDX-License-Identifier: GPL-2.0-only */
/* The clock of all facts, and that of their cost. It must not know what the times are for. */
#include "boottime.h"

#include <time.h>

#include "base.h"

/* A clock has no context argument, and a look that is not shared would put memory calls on its wrong side. */
static uint64_t *shared;

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

uint64_t realtime(void)
{
	return clock_ns(CLOCK_REALTIME);
}

uint64_t thread_cputime(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t boottime(void)
{
	uint64_t time_ns = clock_ns(CLOCK_BOOTTIME);

	if (shared)
		__atomic_store_n(shared, time_ns + 1, __ATOMIC_SEQ_CST);
	return time_ns;
}

void boottime_share(uint64_t *where)
{
	shared = where;
	if (where)
		boottime();
}
