/* SPDX-License-Identifier: GPL-2.0-only */
/* Sentences about the size of a pool: what its bound really allows, and what would fit the CPU quota. They must not know
 * where they are shown. */
#include <stdio.h>

#include "escape.h"
#include "format.h"
#include "pool_words.h"

#define NAME_SIZE 80

/* What a bound of the pool really allows: each of its workers may have a team of threads beside itself. */
bool pool_team_words(const struct snapshot_target *target, const struct snapshot_pool *pool, bool utf8, char *ret_text,
		     size_t size)
{
	const struct snapshot_pool *parent;
	char name[NAME_SIZE], above[NAME_SIZE], largest[48] = "";
	const char *each = " of ";

	if (pool->parent < 0 || (size_t)pool->parent >= target->n_pools || pool->team_bound == UNKNOWN_U64)
		return false;
	parent = &target->pools[pool->parent];
	/* Without it the bound would be a multiple of nothing that is shown. */
	if (pool->teams > 1 && pool->threads != pool->teams * pool->team_threads)
		each = ", the largest of ";
	if (pool->team_threads_peak > pool->team_threads)
		snprintf(largest, sizeof(largest), " (largest so far: %s)", format_count(FORMAT_BUFFER, pool->team_threads_peak));
	snprintf(ret_text, size, "%s below %s: %s%s%s%s; at most %s threads, when each of %s workers has one",
		 escape_text(pool->name, sizeof(pool->name), utf8, name, sizeof(name)),
		 escape_text(parent->name, sizeof(parent->name), utf8, above, sizeof(above)),
		 format_counted(FORMAT_BUFFER, pool->teams, "team"), each,
		 format_count(FORMAT_BUFFER, pool->team_threads),
		 largest, format_count(FORMAT_BUFFER, pool->team_bound), format_count(FORMAT_BUFFER, parent->capacity));
	return true;
}

bool pool_process_words(const struct snapshot_target *target, const struct snapshot_pool *pool, bool utf8, char *ret_text,
			size_t size)
{
	char name[NAME_SIZE];

	if (!pool->has_processes)
		return false;
	snprintf(ret_text, size, "%s: %s of at most %s processes; %s not done",
		 escape_text(pool->name, sizeof(pool->name), utf8, name, sizeof(name)),
		 format_count(FORMAT_BUFFER, pool->processes), format_count(FORMAT_BUFFER, pool->processes_max),
		 format_counted(FORMAT_BUFFER, pool->processes_pending, "task"));
	return true;
}

bool pool_fit_words(const struct snapshot_target *target, const struct snapshot_pool *pool, bool utf8, char *ret_text,
		    size_t size)
{
	const struct snapshot_fit *fit = &pool->fit;
	char name[NAME_SIZE];

	if (!fit->size)
		return false;
	snprintf(ret_text, size, "%s: %s %s = %s, but the cgroup's CPU quota is %.3g: %s would fit (%s)",
		 escape_text(pool->name, sizeof(pool->name), utf8, name, sizeof(name)),
		 format_count(FORMAT_BUFFER, fit->size), fit->unit, fit->formula, target->cgroup.cpu_quota_cores,
		 format_count(FORMAT_BUFFER, fit->fits), fit->setting);
	return true;
}
