/* SPDX-License-Identifier: GPL-2.0-only */
/* The clocks, read by the app alone: facts carry their time. It must not know what the time is for. */
#ifndef POOLSCOPE_APP_CLOCK_H
#define POOLSCOPE_APP_CLOCK_H

#include <time.h>

#include "../base.h"

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

#endif
