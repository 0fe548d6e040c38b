/* SPDX-License-Identifier: GPL-2.0-only */
/* What tests of the lives of targets ask of groups, beside a scripted target. Include after cmocka.h. */
#ifndef POOLSCOPE_TESTS_GROUP_FACTS_H
#define POOLSCOPE_TESTS_GROUP_FACTS_H

#include "model_facts.h"

static inline const struct snapshot_group *group(const struct snapshot *snapshot, const char *name)
{
	for (size_t i = 0; i < snapshot->n_groups; i++) {
		if (!strcmp(snapshot->groups[i].name, name))
			return &snapshot->groups[i];
	}
	fail_msg("there is no group \"%s\"", name);
	return NULL;
}

static inline const struct snapshot_group_pool *group_pool(const struct snapshot_group *of, const char *name)
{
	const struct snapshot_group_pool *found = NULL;

	for (size_t i = 0; i < of->n_pools; i++) {
		if (strcmp(of->pools[i].name, name) != 0)
			continue;
		assert_null(found); /* names are unique */
		found = &of->pools[i];
	}
	assert_non_null(found);
	return found;
}

static inline void gone(struct script *s, uint32_t target, enum target_end how, int code)
{
	feed(s, (struct fact){.kind = FACT_TARGET_GONE, .target = target, .gone = {how, code, 0}});
}

#endif
