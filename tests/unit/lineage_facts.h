/* SPDX-License-Identifier: GPL-2.0-only */
/* For tests of who made whom: threads by their makers, and pools above pools. */
#ifndef POOLSCOPE_TESTS_LINEAGE_FACTS_H
#define POOLSCOPE_TESTS_LINEAGE_FACTS_H

#include "model_facts.h"

static inline void born_of(struct script *s, uint32_t number, uint32_t creator, const char *module, const char *symbol)
{
	struct fact fact = thread_fact(FACT_THREAD_BORN, number, "app");

	fact.thread.creator = tid(creator);
	feed(s, fact);
	routine(s, number, module, symbol);
}

static inline const char *parent_of(const struct snapshot_target *target, const char *name)
{
	int32_t parent = pool(target, name)->parent;

	return parent < 0 ? "none" : target->pools[parent].name;
}

#endif
