/* SPDX-License-Identifier: GPL-2.0-only */
/* Ring records to facts: pure, and wary of what the bytes say. It must not know where records come from, nor which
 * targets there are. */
#ifndef POOLSCOPE_SOURCE_PROBE_EVENT_H
#define POOLSCOPE_SOURCE_PROBE_EVENT_H

#include "../fact.h"

#include "poolscope/event.h"

#define PROBE_EVENT_MAX_FACTS 3

/* Is it a whole record of a known kind? 0 or -EINVAL. */
int probe_event_check(const void *data, size_t size);
/* Of a checked record: the probe it is counted under. Not of EVENT_STACK, which comes with another. */
enum probe probe_event_probe(const void *data);
/* Of a checked record: fills at most PROBE_EVENT_MAX_FACTS and returns how many, or -EINVAL if it makes no
 * sense. A FACT_TARGET_GONE comes last. */
int probe_event_facts(const void *data, uint32_t target, uint64_t page_size,
		      struct fact ret_facts[PROBE_EVENT_MAX_FACTS]);

#endif
