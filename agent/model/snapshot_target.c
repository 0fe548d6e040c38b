/* SPDX-License-Identifier: GPL-2.0-only */
/* Copies what the model knows of one target into a snapshot.
 * It must not change the model, nor compute what a refresh has computed. */
#include "model_inside.h"

#include <errno.h>
#include <math.h>
#include <string.h>

struct order { /* what is sorted, and where it stands */
	uint64_t key;
	const char *name;
	uint32_t index;
};

static int compare_keys(const void *a, const void *b)
{
	return compare_u64(((const struct order *)a)->key, ((const struct order *)b)->key);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct order *)a)->name, ((const struct order *)b)->name);
}

static int limits_fill(const struct model *model, const struct limit_track *tracks,
		       struct snapshot_limit **ret_limits, size_t *ret_count)
{
	struct snapshot_limit *limits;
	size_t count = 0;

	for (int kind = 0; kind < LIMIT_KIND_COUNT; kind++)
		count += tracks[kind].rule != NULL;
	if (!count)
		return 0;
	limits = calloc(count, sizeof(*limits));
	if (!limits)
		return -ENOMEM;
	*ret_limits = limits;
	*ret_count = count;
	for (int kind = 0; kind < LIMIT_KIND_COUNT; kind++) {
		if (tracks[kind].rule)
			limit_fill(model, &tracks[kind], limits++);
	}
	return 0;
}

/* The globs that no pool has yet, in the user's order. A rule that stands behind another for the same pool
 * matches all the same. */
static int unmatched_fill(const struct target *target, struct snapshot_target *ret_target)
{
	const struct policy_entry *policy = target->policy;
	struct snapshot_unmatched *unmatched;

	for (size_t i = 0; i < policy->n_limits; i++) {
		const struct limit_rule *rule = &policy->limits[i];

		if (!*rule->pool || pools_any_matches(&target->pools, rule->pool))
			continue;
		if (!ret_target->unmatched) {
			ret_target->unmatched = calloc(policy->n_limits, sizeof(*ret_target->unmatched));
			if (!ret_target->unmatched)
				return -ENOMEM;
		}
		unmatched = &ret_target->unmatched[ret_target->n_unmatched++];
		unmatched->kind = rule->kind;
		unmatched->source = rule->source;
		memcpy(unmatched->pool, rule->pool, sizeof(unmatched->pool));
	}
	return 0;
}

/* What nobody is known to have made may be these workers' too: beyond this part of what they would free, that is not known. */
#define UNTOLD_PART 10

static struct snapshot_right_size right_size_of(const struct target *target, const struct pool *pool)
{
	bool is_known = target->whole && pool->shown_threads;
	uint64_t untold = add_saturated(target->unattributed[UNATTRIBUTED_BEFORE_ATTACH],
					target->unattributed[UNATTRIBUTED_LOST]);
	struct snapshot_right_size size =
		busy_watch_advise(&pool->busy_watch, target->last_refresh_ns, pool->threads,
				  is_known ? pool->thread_resident_sum / pool->shown_threads : UNKNOWN_U64);

	if (untold > size.frees_bytes / UNTOLD_PART)
		size.frees_bytes = UNKNOWN_U64;
	return size;
}

static int pool_fill(const struct model *model, const struct target *target, const struct pool *pool,
		     struct snapshot_pool *ret_pool)
{
	int64_t growth = history_growth(&pool->history, POOL_HISTORY_GROWN, GROWTH_SHORT_NS, GROWTH_SHORT_LEAST_NS);
	uint64_t parallelism = pool->has_parallelism ? target->runtime.parallelism : 0;

	*ret_pool = (struct snapshot_pool){
		.is_runtimes_own = pool->is_runtimes_own,
		.parent = -1,
		.threads = pool->threads,
		.threads_peak = pool->threads_peak,
		.threads_started = pool->started,
		.threads_started_told = pool->started_told,
		.threads_exited = pool->exited,
		.capacity = pool->capacity,
		.busy = pool->busy,
		.busy_peak = pool->busy_peak,
		.queued = pool->queued,
		.borrowed = pool->borrowed,
		.right_size = right_size_of(target, pool),
		.teams = pool->teams,
		.team_threads = pool->team_threads,
		.team_threads_peak = pool->team_threads_peak,
		.team_bound = UNKNOWN_U64,
		.parallelism = parallelism ? parallelism : UNKNOWN_U64,
		.has_processes = pool->has_processes,
		.processes = pool->processes,
		.processes_max = pool->processes_max,
		.processes_pending = pool->processes_pending,
		.running = pool->running,
		.running_mean = pool->running_mean,
		.running_peak = pool->running_peak,
		.faults_total = pool->faults,
		.faults_per_second = pool->fault_rate,
		.memory = pool->memory,
		.thread_resident_mean = pool->shown_threads ? pool->thread_resident_sum / pool->shown_threads
							    : 0,
		.thread_resident_max = pool->thread_resident_max,
		.growth_per_minute = growth,
		.blame_other = UNKNOWN_U64,
		.blame_unseen = UNKNOWN_U64,
	};
	int r = blame_fill(&target->blame, (uint32_t)(pool - target->pools.pool), ret_pool);

	if (r < 0)
		return r;
	memcpy(ret_pool->name, pool->name, sizeof(ret_pool->name));
	text_copy(ret_pool->kind, sizeof(ret_pool->kind), pool->kind);
	pool_fit(target, pool, &ret_pool->fit);
	if (pool->history.count) {
		ret_pool->history = calloc(pool->history.count, sizeof(*ret_pool->history));
		if (!ret_pool->history)
			return -ENOMEM;
		ret_pool->n_history = history_copy(&pool->history, POOL_HISTORY_RESIDENT, ret_pool->history, pool->history.count);
	}
	return limits_fill(model, pool->limits, &ret_pool->limits, &ret_pool->n_limits);
}

static void parents_fill(const struct pools *pools, const uint32_t *place, struct snapshot_target *ret_target)
{
	for (uint32_t i = 0; i < pools->count; i++) {
		const struct pool *pool = &pools->pool[i];
		struct snapshot_pool *shown = &ret_target->pools[place[i]];
		uint64_t capacity;

		if (!pool_is_listed(pool) || pool->parent == POOL_NONE || !pool_is_listed(&pools->pool[pool->parent]))
			continue;
		shown->parent = (int32_t)place[pool->parent];
		capacity = pools->pool[pool->parent].capacity;
		if (pool->teams != UNKNOWN_U64 && capacity != UNKNOWN_U64 &&
		    __builtin_mul_overflow(capacity, pool->team_threads_peak, &shown->team_bound))
			shown->team_bound = UNKNOWN_U64;
	}
}

/* Sorted by name. *ret_place: where each pool of the model went; caller frees. */
static int pools_fill(const struct model *model, const struct target *target,
		      struct snapshot_target *ret_target, uint32_t **ret_place)
{
	const struct pools *pools = &target->pools;
	_cleanup_(freep) struct order *order = calloc(pools->count + 1, sizeof(*order));
	_cleanup_(freep) uint32_t *place = calloc(pools->count + 1, sizeof(*place));
	uint32_t count = 0;

	if (!order || !place)
		return -ENOMEM;
	for (uint32_t i = 0; i < pools->count; i++) {
		if (pool_is_listed(&pools->pool[i]))
			order[count++] = (struct order){.name = pools->pool[i].name, .index = i};
	}
	if (count) {
		qsort(order, count, sizeof(*order), compare_names);
		ret_target->pools = calloc(count, sizeof(*ret_target->pools));
		if (!ret_target->pools)
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < count; i++) {
		int r = pool_fill(model, target, &pools->pool[order[i].index],
				  &ret_target->pools[ret_target->n_pools++]);

		if (r < 0)
			return r;
		place[order[i].index] = i;
	}
	parents_fill(pools, place, ret_target);
	*ret_place = TAKE_PTR(place);
	return 0;
}

/* A stack's resident part is what was ever touched of it; this is what is in use. */
static uint64_t stack_used(const struct target *target, const struct thread *thread)
{
	uint64_t at = thread->stack_at, start = thread->stack_start, end = start + thread->stack_length;
	const struct range *range;

	if (start == end) { /* the leader's */
		range = range_map_find(target->ranges, at);
		start = range && range->region == REGION_STACK ? range->start : 0;
		end = start ? range->end : 0;
	}
	return at >= start && at < end ? end - at : UNKNOWN_U64;
}

static void bytes_unread(struct snapshot_bytes *bytes)
{
	for (int region = 0; region < REGION_COUNT; region++)
		bytes->resident[region] = UNKNOWN_U64;
	bytes->resident_bytes = bytes->orphaned_bytes = bytes->held_bytes = bytes->held_unattributed_bytes = bytes->kept_bytes = UNKNOWN_U64;
	bytes->grown_bytes = bytes->net_grown_bytes = UNKNOWN_I64;
}

static void bytes_unwalked(struct snapshot_bytes *bytes)
{
	for (int region = 0; region < REGION_COUNT; region++)
		bytes->mapped[region] = UNKNOWN_U64;
	bytes->mapped_bytes = UNKNOWN_U64;
}

static void thread_fill(const struct model *model, const struct target *target, const struct thread *thread,
			uint32_t pool, struct snapshot_thread *ret_thread)
{
	uint64_t start = thread->id.start_ns, now_ns = target->ended ? target->ended_ns : model->time_ns;

	ret_thread->id = thread->id;
	ret_thread->creator = thread->creator;
	memcpy(ret_thread->name, thread->name, sizeof(ret_thread->name));
	ret_thread->pool = pool;
	ret_thread->state = thread->state;
	ret_thread->cpu_percent = thread->cpu_percent;
	ret_thread->faults_per_second = thread->fault_rate;
	strcpy(ret_thread->start_routine, thread_symbol(target, thread));
	strcpy(ret_thread->module, thread_module(target, thread));
	ret_thread->activity = target_activity_is_stale(target) ? WORKER_UNKNOWN : thread_activity(thread);
	ret_thread->function = target_activity_is_stale(target) ? FUNCTION_NONE : thread->function;
	ret_thread->line = thread->line;
	ret_thread->started_realtime_ns = model_realtime(model, start);
	ret_thread->age_ns = start && now_ns > start ? now_ns - start : 0;
	ret_thread->stack_used = stack_used(target, thread);
	ret_thread->memory = thread->memory;
	if (target->ended && thread->known_ns > target->last_refresh_ns) { /* nothing of it was read */
		bytes_unread(&ret_thread->memory);
		bytes_unwalked(&ret_thread->memory);
		ret_thread->stack_used = UNKNOWN_U64;
	}
}

/* Their threads were all born after the last reading. */
static void unread_pools_fill(const struct target *target, const uint32_t *place, struct snapshot_target *ret_target)
{
	for (uint32_t i = 0; i < target->pools.count; i++) {
		const struct pool *pool = &target->pools.pool[i];

		if (target->ended && place[i] < ret_target->n_pools && pool->threads && !pool->shown_threads && !pool->memory.resident_bytes) {
			struct snapshot_pool *shown = &ret_target->pools[place[i]];

			bytes_unread(&shown->memory);
			bytes_unwalked(&shown->memory);
			shown->thread_resident_mean = shown->thread_resident_max = UNKNOWN_U64;
		}
	}
}

static int threads_fill(const struct model *model, const struct target *target, const uint32_t *place,
			struct snapshot_target *ret_target)
{
	const struct threads *threads = &target->threads;
	_cleanup_(freep) struct order *order = NULL;
	uint32_t count = 0;

	if (!model->options.lists_no_threads) {
		order = calloc(threads->living + 1, sizeof(*order));
		if (!order)
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < threads->n_slots; i++) {
		const struct thread *thread = &threads->thread[i];
		uint32_t pool = thread->living ? thread_shown_pool(target, thread) : POOL_NONE;

		if (pool == POOL_NONE)
			continue;
		/* Not a member, yet shown there: the sum over pools is the target's threads. */
		ret_target->pools[place[pool]].threads += thread->pool == POOL_NONE;
		if (order)
			order[count++] = (struct order){.key = thread->id.tid, .index = i};
	}
	if (!count)
		return 0;
	qsort(order, count, sizeof(*order), compare_keys);
	ret_target->threads_list = calloc(count, sizeof(*ret_target->threads_list));
	if (!ret_target->threads_list)
		return -ENOMEM;
	ret_target->n_threads_list = count;
	for (uint32_t i = 0; i < count; i++) {
		const struct thread *thread = &threads->thread[order[i].index];
		uint32_t pool = place[thread_shown_pool(target, thread)];

		thread_fill(model, target, thread, pool, &ret_target->threads_list[i]);
	}
	return 0;
}

static int functions_fill(const struct target *target, struct snapshot_target *ret_target)
{
	if (!target->functions.count)
		return 0;
	ret_target->functions = calloc(target->functions.count, sizeof(*ret_target->functions));
	if (!ret_target->functions)
		return -ENOMEM;
	memcpy(ret_target->functions, target->functions.function,
	       target->functions.count * sizeof(*ret_target->functions));
	ret_target->n_functions = target->functions.count;
	return 0;
}

static double seconds_to_max(const struct fact_cgroup *cgroup, int64_t bytes_a_minute)
{
	return cgroup->memory_max > cgroup->memory_current
		       ? (double)(cgroup->memory_max - cgroup->memory_current) * 60.0 / (double)bytes_a_minute
		       : 0;
}

static void growth_fill(const struct target *target, struct snapshot_target *ret_target)
{
	const struct fact_cgroup *cgroup = &target->cgroup;
	int64_t of_all;

	ret_target->growth_1m = history_growth(&target->history, HISTORY_TOTAL, GROWTH_SHORT_NS, GROWTH_SHORT_LEAST_NS);
	ret_target->growth_5m = history_growth(&target->history, HISTORY_TOTAL, GROWTH_LONG_NS, GROWTH_LONG_LEAST_NS);
	ret_target->growth_anon = history_growth(&target->history, HISTORY_ANON, GROWTH_SHORT_NS, GROWTH_SHORT_LEAST_NS);
	ret_target->growth_file = history_growth(&target->history, HISTORY_FILE, GROWTH_SHORT_NS, GROWTH_SHORT_LEAST_NS);
	ret_target->growth_shmem = history_growth(&target->history, HISTORY_SHMEM, GROWTH_SHORT_NS, GROWTH_SHORT_LEAST_NS);
	ret_target->growth_1m_seconds = (double)history_span(&target->history, GROWTH_SHORT_NS) / NSEC_PER_SEC;
	ret_target->growth_5m_seconds = (double)history_span(&target->history, GROWTH_LONG_NS) / NSEC_PER_SEC;
	ret_target->seconds_to_memory_max = ret_target->cgroup_seconds_to_memory_max = NAN;
	if (ret_target->growth_1m == UNKNOWN_I64 || ret_target->growth_1m <= 0 ||
	    cgroup->memory_max == UNKNOWN_U64 || cgroup->memory_current == UNKNOWN_U64)
		return;
	ret_target->seconds_to_memory_max = seconds_to_max(cgroup, ret_target->growth_1m);
	of_all = history_growth(&target->history, HISTORY_CGROUP, GROWTH_SHORT_NS, GROWTH_SHORT_LEAST_NS);
	if (of_all != UNKNOWN_I64 && of_all / 5 > ret_target->growth_1m / 4)
		ret_target->cgroup_seconds_to_memory_max = seconds_to_max(cgroup, of_all);
}

static uint64_t sum_of(const uint64_t *values, size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum = add_saturated(sum, values[i]);
	return sum;
}

static uint64_t losses_of(const struct fact_loss *loss)
{
	uint64_t sum = 0;

	for (int reason = 0; reason < LOSS_REASON_COUNT; reason++)
		sum = add_saturated(sum, loss->lost[reason] == UNKNOWN_U64 ? 0 : loss->lost[reason]);
	return sum;
}

static void identity_fill(const struct model *model, const struct target *target,
			  struct snapshot_target *ret_target)
{
	uint64_t rss_anon = target->memory.rss_anon;
	uint64_t end_ns = target->ended ? target->ended_ns : model->time_ns;

	ret_target->attributed_bytes = target->attributed;
	memcpy(ret_target->unattributed, target->unattributed, sizeof(ret_target->unattributed));
	ret_target->unattributed_bytes = sum_of(target->unattributed, UNATTRIBUTED_COUNT);
	ret_target->unexplained_bytes = UNKNOWN_I64;
	ret_target->age_seconds = NAN;
	if (target->oldest_scan_ns)
		ret_target->age_seconds = end_ns > target->oldest_scan_ns
						  ? (double)(end_ns - target->oldest_scan_ns) / NSEC_PER_SEC
						  : 0;
	/* Figures as large as these are nobody's memory; then the difference says nothing. */
	if (target->whole && rss_anon <= INT64_MAX && target->attributed <= INT64_MAX / 2 &&
	    ret_target->unattributed_bytes <= INT64_MAX / 2)
		ret_target->unexplained_bytes = (int64_t)rss_anon - (int64_t)target->attributed -
						(int64_t)ret_target->unattributed_bytes;
}

/* Before its page tables were read once, as of a target that was gone by then, nothing is known of what is resident. */
static void unread_fill(struct snapshot_target *ret_target)
{
	ret_target->attributed_bytes = ret_target->unattributed_bytes = UNKNOWN_U64;
	for (int reason = 0; reason < UNATTRIBUTED_COUNT; reason++)
		ret_target->unattributed[reason] = UNKNOWN_U64;
	for (size_t i = 0; i < ret_target->n_pools; i++) {
		struct snapshot_pool *pool = &ret_target->pools[i];

		bytes_unread(&pool->memory);
		pool->thread_resident_mean = pool->thread_resident_max = UNKNOWN_U64;
	}
	for (size_t i = 0; i < ret_target->n_threads_list; i++) {
		bytes_unread(&ret_target->threads_list[i].memory);
		ret_target->threads_list[i].stack_used = UNKNOWN_U64;
	}
}

int target_fill(struct model *model, struct target *target, struct snapshot_target *ret_target)
{
	_cleanup_(freep) uint32_t *place = NULL;
	int r;

	*ret_target = (struct snapshot_target){
		.id = target->id,
		.info = target->info,
		.started_realtime_ns = model_realtime(model, target->info.start_ns),
		.attached_realtime_ns = model_realtime(model, target->attached_ns),
		.ended = target->ended,
		.stopped = target->memory.stopped == 1,
		.end = target->end,
		.ended_realtime_ns = target->ended ? model_realtime(model, target->ended_ns) : 0,
		.threads = target->threads.living,
		.pools_dropped = target->pools.n_dropped,
		/* after losses some of those who live may have ended unheard: it is not kept */
		.threads_peak = target->threads_peak > target->threads.living ? target->threads_peak : target->threads.living,
		.threads_running = target->threads_running,
		.running_samples = target->running_samples_shown,
		.memory = target->memory,
		.cgroup = target->cgroup,
		.children = target->children,
		.runtime = target->runtime,
		.activity_age_seconds = target->activity_age_seconds,
		.events_received = target->has_events ? sum_of(target->events.received, PROBE_COUNT)
						      : UNKNOWN_U64,
		.events_lost = target->has_loss && !model_losses_unknown(model) ? losses_of(&target->loss) : UNKNOWN_U64,
		.reseeds = target->reseeds,
		.reseed_age_seconds = NAN,
		.ranges = range_map_count(target->ranges),
		.refused = {
			[TABLE_OF_THREADS] = target->threads.refused,
			[TABLE_OF_RANGES] = range_map_refused(target->ranges),
			[TABLE_OF_HEAPS] = target->arenas.refused,
			[TABLE_OF_EXECUTORS] = target->executors.refused,
			[TABLE_OF_FUNCTIONS] = target->functions.refused,
			[TABLE_OF_BLAME] = target->blame.refused,
		},
	};
	memcpy(ret_target->variant, target->variant, sizeof(ret_target->variant));
	if (target->reseeds)
		ret_target->reseed_age_seconds = model->time_ns > target->reseed_ns
							 ? (double)(model->time_ns - target->reseed_ns) /
								   NSEC_PER_SEC
							 : 0;
	identity_fill(model, target, ret_target);
	growth_fill(target, ret_target);
	r = pools_fill(model, target, ret_target, &place);
	if (r < 0)
		return r;
	unread_pools_fill(target, place, ret_target);
	r = threads_fill(model, target, place, ret_target);
	if (r == 0)
		r = functions_fill(target, ret_target);
	if (r < 0)
		return r;
	r = unmatched_fill(target, ret_target);
	if (r < 0)
		return r;
	if (!target->was_read)
		unread_fill(ret_target);
	if (target->history.count) {
		ret_target->history = calloc(target->history.count, sizeof(*ret_target->history));
		if (!ret_target->history)
			return -ENOMEM;
		ret_target->n_history = history_copy(&target->history, HISTORY_ANON, ret_target->history,
						     target->history.count);
	}
	return limits_fill(model, target->limits, &ret_target->limits, &ret_target->n_limits);
}
