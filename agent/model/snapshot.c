/* SPDX-License-Identifier: GPL-2.0-only */
/* Frees a snapshot: everything in it is its own.
 * It must not know the model. */
#include "snapshot.h"

void snapshot_free(struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	for (size_t i = 0; i < snapshot->n_targets; i++) {
		struct snapshot_target *target = &snapshot->targets[i];

		for (size_t j = 0; j < target->n_pools; j++) {
			free(target->pools[j].history);
			free(target->pools[j].limits);
		}
		free(target->limits);
		free(target->unmatched);
		free(target->pools);
		free(target->threads_list);
		free(target->history);
	}
	for (size_t i = 0; i < snapshot->n_groups; i++)
		free(snapshot->groups[i].pools);
	free(snapshot->targets);
	free(snapshot->groups);
	free(snapshot);
}
