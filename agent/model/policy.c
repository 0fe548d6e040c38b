/* SPDX-License-Identifier: GPL-2.0-only */
/* What the user asked for: the built-in policy, and putting rules in front of others. It must not
 * know where a rule came from (file, line, option). */
#include "policy.h"

#include <errno.h>
#include <string.h>

/* Without any config a process is judged at 90 % of memory.max and of pids.max. */
static const enum limit_kind builtin_kinds[] = { LIMIT_RESIDENT_BYTES, LIMIT_THREADS };

int policy_new_builtin(struct policy **ret_policy)
{
	_cleanup_(policy_freep) struct policy *policy = calloc(1, sizeof(*policy));

	if (!policy)
		return -ENOMEM;
	policy->entries = calloc(1, sizeof(*policy->entries));
	if (!policy->entries)
		return -ENOMEM;
	policy->n_entries = 1;
	policy->entries[0].max_pools = 32;
	for (size_t i = ARRAY_SIZE(builtin_kinds); i-- > 0;) {
		const struct limit_rule rule = {
			.kind = builtin_kinds[i],
			.value = 9000,
			.is_percent = true,
			.warn_ratio = 0.8,
			.clear_for_ns = 60 * NSEC_PER_SEC,
			.source = LIMIT_SOURCE_BUILTIN,
		};
		int r = policy_entry_prepend_limit(&policy->entries[0], &rule);

		if (r < 0)
			return r;
	}
	*ret_policy = TAKE_PTR(policy);
	return 0;
}

int policy_entry_prepend_limit(struct policy_entry *entry, const struct limit_rule *rule)
{
	struct limit_rule *limits = reallocarray(entry->limits, entry->n_limits + 1, sizeof(*limits));

	if (!limits)
		return -ENOMEM;
	memmove(limits + 1, limits, entry->n_limits * sizeof(*limits));
	limits[0] = *rule;
	entry->limits = limits;
	entry->n_limits++;
	return 0;
}

void policy_free(struct policy *policy)
{
	if (!policy)
		return;
	for (size_t i = 0; i < policy->n_entries; i++) {
		free(policy->entries[i].limits);
		free(policy->entries[i].rules);
	}
	free(policy->entries);
	free(policy);
}
