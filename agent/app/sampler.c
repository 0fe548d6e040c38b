/* SPDX-License-Identifier: GPL-2.0-only */
/* How often it is sampled who runs: several times a second, as long as that is cheap. It must not know what a sample
 * means. */
#include "../boottime.h"
#include "sampler.h"

#include <errno.h>
#include <time.h>

/* A pass looks at every task of the machine: where that takes more than this part of one core, there are fewer. */
#define SAMPLE_SHARE 1000

static uint64_t cpu_time_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

uint64_t sampler_run(struct probes *probes, const struct fact_sink *sink)
{
	uint64_t now_ns = boottime(), begin_ns = cpu_time_ns(), pause_ns;

	if (probes_running(probes, sink) == -EOPNOTSUPP)
		return UINT64_MAX;
	pause_ns = (cpu_time_ns() - begin_ns) * SAMPLE_SHARE;
	return now_ns + (pause_ns > SAMPLE_NS ? pause_ns : SAMPLE_NS);
}
