/* SPDX-License-Identifier: GPL-2.0-only */
/* How often it is sampled who runs: several times a second, as long as that is cheap. It must not know what a sample
 * means. */
#include "../boottime.h"
#include "sampler.h"

#include <errno.h>

/* A pass looks at every task of the machine: where that takes more than this part of one core, there are fewer. */
#define SAMPLE_SHARE 1000

uint64_t sampler_run(struct probes *probes, const struct fact_sink *sink)
{
	uint64_t now_ns = boottime(), begin_ns = thread_cputime(), pause_ns;

	if (probes_running(probes, sink) == -EOPNOTSUPP)
		return UINT64_MAX;
	pause_ns = (thread_cputime() - begin_ns) * SAMPLE_SHARE;
	return now_ns + (pause_ns > SAMPLE_NS ? pause_ns : SAMPLE_NS);
}
