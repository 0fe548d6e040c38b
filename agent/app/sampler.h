/* SPDX-License-Identifier: GPL-2.0-only */
/* How often it is sampled who runs: several times a second, as long as that is cheap. It must not know what a sample
 * means. */
#ifndef POOLSCOPE_APP_SAMPLER_H
#define POOLSCOPE_APP_SAMPLER_H

#include "../source/probes.h"

#define SAMPLE_NS (NSEC_PER_SEC / 4)

/* One sample of all targets. Returns the boottime at which the next is due; UINT64_MAX: none can be had here. */
uint64_t sampler_run(struct probes *probes, const struct fact_sink *sink);

#endif
