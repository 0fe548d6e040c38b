/* SPDX-License-Identifier: GPL-2.0-only */
/* Residency: reads a target's page tables and tells how many anonymous pages each span holds. It must not
 * know whose the spans are. */
#ifndef POOLSCOPE_SOURCE_RESIDENCY_H
#define POOLSCOPE_SOURCE_RESIDENCY_H

#include "../fact.h"

struct residency;

/* Opens /proc/PID/pagemap through any living thread and keeps it open. method: NULL picks by trial,
 * else "scan" (PAGEMAP_SCAN, Linux 6.7+) or "pagemap". -ESRCH, -EACCES, ... */
int residency_new(uint32_t target, uint32_t pid, const char *procfs, const char *method,
		  struct residency **ret_residency, struct explain *explain);
void residency_free(struct residency *residency);
DEFINE_CLEANUP(struct residency *, residency_free)

/* One pass over the spans, changed ones first, then the rest in rotation from where the last pass
 * stopped, until cpu_budget_ns of this thread's CPU time is spent (0: no bound). At least one span
 * is read. Emits FACT_RESIDENT, and, where the method can see it, one with `outside` for pages in
 * no span. *ret_whole: every span was read in this pass. */
int residency_pass(struct residency *residency, const struct span *spans, size_t n_spans,
		   uint64_t cpu_budget_ns, const struct fact_sink *sink, bool *ret_whole);
const char *residency_method(const struct residency *residency); /* "scan" or "pagemap" */

#endif
