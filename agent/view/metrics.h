/* SPDX-License-Identifier: GPL-2.0-only */
/* The snapshot as Prometheus metrics: the text format 0.0.4 and OpenMetrics 1.0.0.
 * It must not know HTTP, files or clocks; the agent's own figures are handed in. */
#ifndef POOLSCOPE_VIEW_METRICS_H
#define POOLSCOPE_VIEW_METRICS_H

#include "../model/snapshot.h"

enum metrics_format { METRICS_TEXT, METRICS_OPENMETRICS, METRICS_FORMAT_COUNT };

/* The agent itself: the process_ metrics without prefix. */
struct self_stat {
	double cpu_seconds, start_time_seconds; /* NAN: not known; the start is CLOCK_REALTIME */
	uint64_t resident_bytes, open_fds;	/* UNKNOWN_U64: not known */
};

struct metrics_options {
	bool mapped;		      /* pool_memory_mapped_bytes too: four series more a pool */
	bool faults;		      /* pool_page_faults_total too: one series more a pool */
	const struct self_stat *self; /* NULL: no process_ metrics */
};

/* Renders snapshot.groups and the counters of the agent. A figure that is not known has no sample, and
 * a family without samples is left out. Label values are made UTF-8 as view/utf8.h has it. The caller
 * frees *ret_text (NUL-terminated; *ret_size does not count the NUL). 0 or -ENOMEM. */
int metrics_render(const struct snapshot *snapshot, enum metrics_format format,
		   const struct metrics_options *options, char **ret_text, size_t *ret_size);

#endif
