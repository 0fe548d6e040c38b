/* SPDX-License-Identifier: GPL-2.0-only */
/* Frees a snapshot, where everything is its own, and words what is kept in parts.
 * It must not know the model. */
#include "snapshot.h"

#include <stdio.h>
#include <string.h>

bool snapshot_doing(const struct snapshot_target *target, const struct snapshot_thread *thread, char *ret_text,
		    size_t size)
{
	const struct snapshot_function *function;

	if (thread->function >= target->n_functions)
		return false;
	function = &target->functions[thread->function];
	if (*function->file && thread->line)
		snprintf(ret_text, size, "%s (%s:%u)", function->name, function->file, thread->line);
	else if (*function->file)
		snprintf(ret_text, size, "%s (%s)", function->name, function->file);
	else
		snprintf(ret_text, size, "%s", function->name);
	return true;
}

const char *snapshot_role(const struct snapshot_target *target)
{
	if (target->runtime.role != PROCESS_ROLE_NONE)
		return process_role_name(target->runtime.role);
	for (size_t i = 0; i < target->n_pools; i++) {
		/* Its rule says so (runtime_rules.h): a kind of its own for the first thread. */
		if (!strcmp(target->pools[i].name, "main") && strcmp(target->pools[i].kind, "threads") != 0)
			return target->pools[i].kind;
	}
	return "";
}

uint64_t snapshot_blame_total(const struct snapshot_pool *pool)
{
	uint64_t total = pool->blame_other;

	if (pool->blame_other == UNKNOWN_U64 || pool->blame_unseen == UNKNOWN_U64)
		return UNKNOWN_U64;
	total += pool->blame_unseen;
	for (size_t i = 0; i < pool->n_blame; i++)
		total += pool->blame[i].bytes;
	return total;
}

void snapshot_free(struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	for (size_t i = 0; i < snapshot->n_targets; i++) {
		struct snapshot_target *target = &snapshot->targets[i];

		for (size_t j = 0; j < target->n_pools; j++) {
			free(target->pools[j].history);
			free(target->pools[j].limits);
			free(target->pools[j].blame);
		}
		free(target->limits);
		free(target->unmatched);
		free(target->pools);
		free(target->threads_list);
		free(target->functions);
		free(target->history);
	}
	for (size_t i = 0; i < snapshot->n_groups; i++)
		free(snapshot->groups[i].pools);
	free(snapshot->targets);
	free(snapshot->groups);
	free(snapshot);
}
