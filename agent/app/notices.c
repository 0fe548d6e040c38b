/* SPDX-License-Identifier: GPL-2.0-only */
/* What the log tells once: limits that were asked for and watch nothing, processes and names that found no room, programs
 * whose memory is not traced. It must not know how a limit is judged: the snapshot says it. */
#include "notices.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "../edge/log.h"

/* More are forgotten from the front: a notice said twice is better than a table that a target makes grow. */
#define NOTICES_MAX 256

struct notices {
	char told[NOTICES_MAX][192];
	size_t count, next;
	uint64_t unwatched; /* processes that found no room, as told last */
	bool names_told;    /* that there are too many */
};

int notices_new(struct notices **ret_notices)
{
	struct notices *notices = calloc(1, sizeof(*notices));

	if (!notices)
		return -ENOMEM;
	*ret_notices = notices;
	return 0;
}

void notices_free(struct notices *notices)
{
	free(notices);
}

/* True the first time. Of all processes of one name it is told once. */
static bool is_news(struct notices *notices, const char *process, const char *event, const char *pool,
		    const char *limit)
{
	char key[sizeof(notices->told[0])];

	snprintf(key, sizeof(key), "%s\n%s\n%s\n%s", limit, event, pool, process);
	for (size_t i = 0; i < notices->count; i++)
		if (!strcmp(notices->told[i], key))
			return false;
	memcpy(notices->told[notices->next], key, sizeof(key));
	notices->next = (notices->next + 1) % NOTICES_MAX;
	notices->count += notices->count < NOTICES_MAX;
	return true;
}

static void tell_not_judged(struct notices *notices, const struct snapshot_target *target,
			    const struct snapshot_pool *pool, const struct snapshot_limit *limits, size_t n_limits)
{
	const char *process = target->info.name, *name = pool ? pool->name : "";

	for (size_t i = 0; i < n_limits; i++) {
		const char *limit = limit_kind_name(limits[i].kind);

		if (!snapshot_limit_wants_bound(&limits[i]) || !is_news(notices, process, "not_judged", name, limit))
			continue;
		log_event(LOG_LEVEL_WARN, "limit_not_judged", "process", process, "pool", pool ? name : NULL, "limit",
			  limit, "why",
			  limits[i].kind == LIMIT_THREADS    ? pool ? "the capacity of the pool is not known"
								    : "no pids.max is set, or it is not known"
			  : target->cgroup.is_memory_unread ? "the cgroup's memory.max cannot be read"
							    : "the size of the memory is not known",
			  "source", limit_source_name(limits[i].source), NULL);
	}
}

/* By a pool of another process that carries the same name: of a service with workers one may be the one that has it. */
static bool matches_elsewhere(const struct snapshot *snapshot, const char *process, const char *pool)
{
	for (size_t t = 0; t < snapshot->n_targets; t++) {
		const struct snapshot_target *target = &snapshot->targets[t];

		for (size_t i = 0; i < target->n_pools && !strcmp(target->info.name, process); i++)
			if (!fnmatch(pool, target->pools[i].name, 0))
				return true;
	}
	return false;
}

static void tell_unmatched(struct notices *notices, const struct snapshot *snapshot, const struct snapshot_target *target)
{
	for (size_t i = 0; i < target->n_unmatched; i++) {
		const struct snapshot_unmatched *unmatched = &target->unmatched[i];
		const char *limit = limit_kind_name(unmatched->kind);

		if (is_news(notices, target->info.name, "unmatched", unmatched->pool, limit) &&
		    !matches_elsewhere(snapshot, target->info.name, unmatched->pool))
			log_event(LOG_LEVEL_WARN, "limit_without_pool", "process", target->info.name, "pool",
				  unmatched->pool, "limit", limit, "why", "no pool matches yet", "source",
				  limit_source_name(unmatched->source), NULL);
	}
}

static void tell_no_room(struct notices *notices, const struct snapshot *snapshot)
{
	uint64_t unwatched = snapshot->lost[LOSS_MAP];
	char count[24];

	if (unwatched == UNKNOWN_U64 || unwatched <= notices->unwatched)
		return;
	notices->unwatched = unwatched;
	snprintf(count, sizeof(count), "%llu", (unsigned long long)unwatched);
	log_event(LOG_LEVEL_WARN, "processes_without_room", "processes", count, "remedy",
		  "raise --max-processes, or the limit of open files (LimitNOFILE=)", NULL);
}

static void tell_names_full(struct notices *notices, const struct snapshot *snapshot)
{
	char count[24];

	if (!snapshot->names_dropped || notices->names_told)
		return;
	notices->names_told = true;
	snprintf(count, sizeof(count), "%d", PROCESS_NAMES_MAX);
	log_event(LOG_LEVEL_WARN, "process_names_full", "names", count, "why",
		  "there were more names of processes: those that ended first are counted as process other, and new ones "
		  "while all have living processes",
		  "remedy", "give processes that belong together one name: an entry of the config that matches them", NULL);
}

static void tell_untraced(struct notices *notices, const struct snapshot_target *target)
{
	char pid[24];

	if (!target->info.is_32_bit || !is_news(notices, target->info.name, "untraced", "", ""))
		return;
	snprintf(pid, sizeof(pid), "%u", target->info.pid);
	log_event(LOG_LEVEL_WARN, "memory_not_traced", "process", target->info.name, "pid", pid, "why",
		  "a 32-bit program: its threads are known, what it maps is not", NULL);
}

void notices_tell(struct notices *notices, const struct snapshot *snapshot)
{
	tell_no_room(notices, snapshot);
	tell_names_full(notices, snapshot);
	for (size_t t = 0; t < snapshot->n_targets; t++) {
		const struct snapshot_target *target = &snapshot->targets[t];

		tell_untraced(notices, target);
		tell_unmatched(notices, snapshot, target);
		tell_not_judged(notices, target, NULL, target->limits, target->n_limits);
		for (size_t i = 0; i < target->n_pools; i++)
			tell_not_judged(notices, target, &target->pools[i], target->pools[i].limits,
					target->pools[i].n_limits);
	}
}
