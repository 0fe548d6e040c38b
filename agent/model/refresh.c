/* SPDX-License-Identifier: GPL-2.0-only */
/* What a refresh does to a target: one walk over its ranges gives every figure of memory, then histories
 * and limits follow. It must not know how facts are applied. */
#include "model_inside.h"

#include <string.h>

/* Readings in a row that found pages in no range: twice as many each time, as in a target that maps all the time each reading
 * meets what is made meanwhile. */
#define OUTSIDE_READINGS 2U
#define OUTSIDE_DOUBLINGS 5

/* What stays unexplained at the same figure for so long is no race of two readings: something was mapped in a way
 * that no probe sees (shmat over a range, MAP_GROWSDOWN), and only a reseed can tell. Less than this is left alone. */
#define UNEXPLAINED_READINGS 3
#define UNEXPLAINED_BYTES (64LL << 10)

static void bytes_add(struct snapshot_bytes *sum, const struct snapshot_bytes *part)
{
	for (int region = 0; region < REGION_COUNT; region++) {
		sum->resident[region] += part->resident[region];
		sum->mapped[region] += part->mapped[region];
	}
	sum->kept_sum += part->kept_sum;
	sum->kept_unread += part->kept_unread;
	sum->base += part->base;
	sum->held_bytes += part->held_bytes;
	sum->held_unattributed_bytes += part->held_unattributed_bytes;
	sum->shared |= part->shared;
}

/* A heap that came just now, and was not read yet, spoils no figure. */
#define UNREAD_SHARE 64

/* n/a where not nearly all of the memory that malloc manages was read; and where there is no glibc to be seen. */
static uint64_t kept_of(const struct target *target, const struct snapshot_bytes *bytes)
{
	uint64_t managed = bytes->resident[REGION_ARENA] + bytes->resident[REGION_HEAP];

	if ((!target->arenas.count && !target->arenas.main) || bytes->kept_unread > managed / UNREAD_SHARE)
		return UNKNOWN_U64;
	return bytes->kept_sum;
}

static void bytes_total(const struct target *target, struct snapshot_bytes *bytes)
{
	bytes->resident_bytes = bytes->mapped_bytes = 0;
	for (int region = 0; region < REGION_COUNT; region++) {
		bytes->resident_bytes += bytes->resident[region];
		bytes->mapped_bytes += bytes->mapped[region];
	}
	bytes->kept_bytes = kept_of(target, bytes);
}

static void figures_reset(struct target *target)
{
	struct threads *threads = &target->threads;

	for (uint32_t i = 0; i < threads->n_slots; i++)
		memset(&threads->thread[i].memory, 0, sizeof(threads->thread[i].memory));
	for (uint32_t i = 0; i < threads->n_owners; i++)
		threads->owner[i].ranges = 0;
	for (uint32_t i = 0; i < target->pools.count; i++) {
		struct pool *pool = &target->pools.pool[i];

		memset(&pool->memory, 0, sizeof(pool->memory));
		pool->thread_resident_max = pool->thread_resident_sum = 0;
		pool->shown_threads = pool->running = pool->active = 0;
		pool->young = 0;
		pool->faults = add_saturated(pool->faults, pool->faults_left);
		pool->faults_new = add_saturated(pool->faults_left, target->rates_ns == target->last_refresh_ns ? 0 : pool->faults_new);
		pool->has_fault_rate = pool->faults_left;
		pool->faults_left = 0;
	}
	memset(target->unattributed, 0, sizeof(target->unattributed));
	target->attributed = target->oldest_scan_ns = 0;
	target->thread_resident_max = target->threads_running = 0;
}

/* The pool of who made it, whoever uses the arena now that he is gone. */
static uint32_t maker_pool(const struct target *target, const struct owner *owner)
{
	return owner->thread == THREAD_NONE ? owner->pool
					    : thread_shown_pool(target, &target->threads.thread[owner->thread]);
}

/* What is nobody's, at whom it is. */
static void figure_held(struct target *target, const struct range *range, uint64_t resident)
{
	const struct owner *holder = &target->threads.owner[range->holder - 1];

	if (holder->thread != THREAD_NONE)
		target->threads.thread[holder->thread].memory.held_unattributed_bytes += resident;
	else if (holder->pool < target->pools.count)
		target->pools.pool[holder->pool].memory.held_unattributed_bytes += resident;
}

/* Adds one range to whom it belongs. */
static void figure_range(struct target *target, const struct range *range, struct arena_sharing *sharing)
{
	struct threads *threads = &target->threads;
	uint64_t resident = range->scanned_ns ? range->resident : 0;
	bool owned = range->owner < threads->n_owners;
	struct owner *owner = owned ? &threads->owner[range->owner] : NULL;
	struct snapshot_bytes *bytes;
	uint32_t pool = owner ? owner->pool : POOL_NONE, last;
	struct arena_inside inside = {0};
	uint64_t arena;
	bool inherited;

	if (owner)
		owner->ranges++;
	if (range->holder)
		threads->owner[range->holder - 1].ranges++;
	blame_keep(&target->blame, range->blame);
	if (!range->usable || (range->flags & (RANGE_SHARED | RANGE_HUGETLB)))
		return;
	if (range->region == REGION_ARENA || range->region == REGION_HEAP)
		inside = arenas_inside(&target->arenas, range->start, range->region, resident);
	if (range->blame != BLAME_NONE && range->region != REGION_STACK && owner)
		blame_add(&target->blame, maker_pool(target, owner), range->blame, resident);
	if (owner && owner->thread != THREAD_NONE) {
		bytes = &threads->thread[owner->thread].memory;
	} else {
		/* What a child inherited was made by its parent, whoever's arena word it has a copy of. */
		inherited = !owner && range->reason == UNATTRIBUTED_INHERITED;
		arena = inherited ? 0 : arenas_find(&target->arenas, range->start, range->region);
		if (arena && arena_sharing_add(sharing, arena, range, resident, &inside))
			return;
		/* With nobody attached it is the orphan of who was attached last, whoever made it. */
		last = arena ? arenas_last_pool(&target->arenas, arena) : POOL_NONE;
		pool = last != POOL_NONE ? last : pool;
		if (pool >= target->pools.count) {
			target->unattributed[owner ? UNATTRIBUTED_LOST : range->reason] += resident;
			if (range->holder)
				figure_held(target, range, resident);
			return;
		}
		bytes = &target->pools.pool[pool].memory;
		bytes->orphaned_bytes += resident;
	}
	bytes->resident[range->region] += resident;
	bytes->mapped[range->region] += range->end - range->start;
	if (range->held)
		bytes->held_bytes += resident;
	bytes->kept_unread += inside.unread;
	bytes->kept_sum += inside.kept;
}

/* Of a range that may come back, the owner's number (and the function's) must not go to another thread meanwhile. */
static void owner_keep(void *context, const struct range *range)
{
	struct target *target = context;
	struct threads *threads = &target->threads;

	if (range->owner < threads->n_owners)
		threads->owner[range->owner].ranges++;
	if (range->holder)
		threads->owner[range->holder - 1].ranges++;
	blame_keep(&target->blame, range->blame);
}

/* True when every range that can hold pages has a figure. */
static bool walk_ranges(struct target *target, struct arena_sharing *sharing, uint64_t *ret_based)
{
	const struct range *range;
	bool whole = range_map_count(target->ranges) > 0;

	*ret_based = 0;
	blame_begin(&target->blame, target->pools.count);
	for (range = range_map_first(target->ranges); range; range = range_map_next(target->ranges, range)) {
		figure_range(target, range, sharing);
		if (!range_counts(range))
			continue;
		*ret_based += range_based(range);
		if (!range->scanned_ns)
			whole = false;
		else if (!target->oldest_scan_ns || range->scanned_ns < target->oldest_scan_ns)
			target->oldest_scan_ns = range->scanned_ns;
	}
	range_map_each_in_limbo(target->ranges, owner_keep, target);
	blame_end(&target->blame);
	return whole;
}

/* From what it held when first read whole; of one that came since the attach, from nothing. */
static void figure_grown(const struct target *target, struct snapshot_bytes *bytes, struct base *base, bool attach)
{
	uint64_t made;

	bytes_total(target, bytes);
	made = bytes->resident_bytes - bytes->base; /* below 0 where the base was given back */
	if (attach) {
		base->resident = bytes->resident_bytes;
		base->had = made;
	}
	bytes->grown_bytes = target->whole ? (int64_t)(bytes->resident_bytes - base->resident) : UNKNOWN_I64;
	bytes->net_grown_bytes = target->whole ? base_net_grown(base, made) : UNKNOWN_I64;
}

/* What no user of an arena has by now, its last one's pool has. */
static void figure_left_bases(struct target *target)
{
	for (uint32_t i = 0; i < target->arenas.n_uses; i++) {
		const struct arena_use *use = &target->arenas.use[i];

		if (use->has_base && !use->has_users && use->pool < target->pools.count)
			target->pools.pool[use->pool].memory.base += use->base;
	}
}

static void figure_thread(struct target *target, struct thread *thread, bool attach, uint64_t now_ns)
{
	uint32_t shown = thread_shown_pool(target, thread);
	struct pool *pool;

	figure_grown(target, &thread->memory, &thread->base, attach && !thread->born);
	target->threads_running += thread->state == 'R';
	if (thread->memory.resident_bytes > target->thread_resident_max)
		target->thread_resident_max = thread->memory.resident_bytes;
	if (shown == POOL_NONE) {
		/* No pool could be made for want of memory: counted nowhere else, so say it here. */
		target->unattributed[UNATTRIBUTED_LOST] += thread->memory.resident_bytes;
		return;
	}
	if (thread->pool != POOL_NONE && thread->born && !thread->is_unread)
		target->pools.pool[thread->pool].young += now_ns < add_saturated(thread->known_ns, SETTLING_NS);
	pool = &target->pools.pool[shown];
	bytes_add(&pool->memory, &thread->memory);
	pool->shown_threads++;
	pool->faults = add_saturated(pool->faults, thread->faults_new);
	pool->faults_new = add_saturated(pool->faults_new, thread->faults_new);
	pool->has_fault_rate |= thread->fault_rate != UNKNOWN_U64;
	thread->faults_new = 0;
	pool->running += thread->state == 'R';
	pool->active += thread->had_cpu;
	thread->had_cpu = false;
	pool->thread_resident_sum += thread->memory.resident_bytes;
	if (thread->memory.resident_bytes > pool->thread_resident_max)
		pool->thread_resident_max = thread->memory.resident_bytes;
}

/* Over the time between refreshes, whatever part of it a thread was there: the rates of its threads do not add up, as a
 * newborn's is over the moment since its birth. A refresh that follows another at once counts none. */
static void figure_fault_rates(struct target *target, uint64_t now_ns)
{
	uint64_t span = now_ns - target->rates_ns;

	if (target->rates_ns && span < (target->has_rates ? FAULT_SPAN_NS : SAMPLE_SPAN_NS))
		return;
	target->has_rates = target->rates_ns;
	for (uint32_t i = 0; i < target->pools.count; i++) {
		struct pool *pool = &target->pools.pool[i];

		pool->fault_rate = pool->has_fault_rate && target->rates_ns
					   ? (uint64_t)((double)pool->faults_new * (double)NSEC_PER_SEC / (double)span)
					   : UNKNOWN_U64;
	}
	target->rates_ns = now_ns;
}

/* A pool that came since the first refresh held nothing before: its growth is over the same time as the target's. */
static void pool_history_put(const struct target *target, struct pool *pool, uint64_t now_ns)
{
	const uint64_t nothing[POOL_HISTORY_COLUMNS] = {0}, last_ns = target->last_refresh_ns;
	int64_t grown = pool->memory.net_grown_bytes;

	if (!pool->history.count && last_ns && target->whole) {
		history_put(&pool->history, last_ns - history_span(&target->history, GROWTH_SHORT_NS), nothing);
		history_put(&pool->history, last_ns, nothing);
	}
	history_put(&pool->history, now_ns,
		    (const uint64_t[]){[POOL_HISTORY_RESIDENT] = pool->memory.resident_bytes,
				       [POOL_HISTORY_GROWN] = grown == UNKNOWN_I64 ? UNKNOWN_U64 : (uint64_t)grown});
}

/* A counter must not fall, nor keep what a pool had for a moment. */
static void pool_tell_started(struct pool *pool)
{
	uint64_t settled = pool->started - pool->young;

	pool->started_told = settled > pool->started_told ? settled : pool->started_told;
}

static void figure_all(struct target *target, uint64_t now_ns)
{
	struct arena_sharing sharing;
	uint64_t based;
	bool whole, attach;

	figures_reset(target);
	/* without memory for the sharing nothing is shared: orphaned and unattributed */
	(void)arena_sharing_begin(&sharing, &target->threads);
	whole = walk_ranges(target, &sharing, &based);
	arena_sharing_end(&sharing, &target->arenas, &target->threads, !target->based);
	figure_left_bases(target);
	attach = whole && !target->based;
	target->was_read |= target->oldest_scan_ns != 0;
	target->whole |= whole;
	target->based |= whole;
	given_back_settle(target, attach ? range_map_set_base(target->ranges) : based);
	for (uint32_t i = 0; i < target->threads.n_slots; i++) {
		if (target->threads.thread[i].living)
			figure_thread(target, &target->threads.thread[i], attach, now_ns);
	}
	for (uint32_t i = 0; i < target->pools.count; i++) {
		struct pool *pool = &target->pools.pool[i];

		figure_grown(target, &pool->memory, &pool->base, attach && pool->seen);
		target->attributed += pool->memory.resident_bytes;
		pool_tell_started(pool);
		pool_history_put(target, pool, now_ns);
	}
	figure_fault_rates(target, now_ns);
}

static void history_sample(struct target *target, uint64_t now_ns)
{
	const struct fact_memory *memory = &target->memory;
	uint64_t values[HISTORY_COLUMNS] = {
		[HISTORY_ANON] = memory->rss_anon,
		[HISTORY_FILE] = memory->rss_file,
		[HISTORY_SHMEM] = memory->rss_shmem,
		[HISTORY_TOTAL] = UNKNOWN_U64,
		[HISTORY_CGROUP] = target->cgroup.memory_current,
	};

	if (memory->rss_anon != UNKNOWN_U64 && memory->rss_file != UNKNOWN_U64 &&
	    memory->rss_shmem != UNKNOWN_U64)
		values[HISTORY_TOTAL] = memory->rss_anon + memory->rss_file + memory->rss_shmem;
	history_put(&target->history, now_ns, values);
}

/* After losses an end may be missing: who is in no sample any more has ended. */
static void end_unseen(struct model *model, struct target *target, uint64_t now_ns)
{
	uint64_t newest = 0, since_ns = target->before_last_refresh_ns;
	bool is_open = false;

	if (!doubt_ends_now(&target->doubt, &since_ns, now_ns))
		return;
	for (uint32_t i = 0; i < target->threads.n_slots; i++) {
		if (target->threads.thread[i].living && target->threads.thread[i].seen_ns > newest)
			newest = target->threads.thread[i].seen_ns;
	}
	for (uint32_t i = 0; i < target->threads.n_slots; i++) {
		struct thread *thread = &target->threads.thread[i];

		/* older than the refresh before the last: it missed at least one whole sample */
		if (!thread->living || thread->seen_ns >= since_ns || thread->seen_ns >= newest)
			continue;
		if (thread->after_sample_ns == since_ns) { /* the next one has it, or not */
			is_open = true;
			continue;
		}
		thread_leave(model, target, thread, now_ns);
		threads_forget_exit(&target->threads, thread->id); /* nobody told of it: it would be believed if it was seen again */
	}
	doubt_ended(&target->doubt, is_open);
}

static void heed_outside(struct target *target)
{
	if (!target->read)
		return;
	target->outside_streak = target->outside ? target->outside_streak + 1 : 0;
	if (target->outside_streak >= OUTSIDE_READINGS << target->outside_reseeds) {
		target->doubt.wants_reseed = true;
		target->outside_streak = 0;
		target->outside_reseeds += target->outside_reseeds < OUTSIDE_DOUBLINGS;
	}
	target->read = target->outside = false;
}

static int64_t magnitude(int64_t value)
{
	return value == INT64_MIN ? INT64_MAX : value < 0 ? -value : value;
}

/* Figures that are told may be anything. */
static int64_t distance(int64_t a, int64_t b)
{
	int64_t difference;

	return __builtin_sub_overflow(a, b, &difference) ? INT64_MAX : magnitude(difference);
}

static void heed_unexplained(struct target *target)
{
	int64_t before = target->unexplained, now;
	uint64_t found = target->attributed;

	for (int reason = 0; reason < UNATTRIBUTED_COUNT; reason++)
		found += target->unattributed[reason];
	if (!target->whole || target->memory.rss_anon == UNKNOWN_U64)
		return;
	now = (int64_t)(target->memory.rss_anon - found);
	target->unexplained = now;
	if (magnitude(now) < UNEXPLAINED_BYTES || distance(now, before) > magnitude(now) / 8) {
		target->unexplained_streak = 0;
		return;
	}
	/* What a reseed did not explain, the next one will not either. */
	if (++target->unexplained_streak < UNEXPLAINED_READINGS ||
	    distance(now, target->unexplained_reseeded) <= magnitude(now) / 4)
		return;
	target->unexplained_reseeded = now;
	target->unexplained_streak = 0;
	target->doubt.wants_reseed = true;
}

void target_refresh(struct model *model, struct target *target, uint64_t heard_ns, uint64_t now_ns)
{
	bool sampled;

	if (target->ended)
		return;
	if (target->former_group != GROUP_NONE)
		group_retire(model, target);
	range_map_sweep(target->ranges);
	target_heard(target, heard_ns);
	target_find_creators(target);
	if (!target->listed)
		threads_pending_sort(&target->threads);
	target_settle_due(model, target, heard_ns, true);
	if (!target_briefs_wait(target, now_ns))
		target_count_briefs(model, target, now_ns);
	recent_trim(&target->recent);
	/* Its last thread has gone, it is about to end: the last figures stay. */
	if (target->had_threads && !target->threads.living)
		return;
	end_unseen(model, target, now_ns);
	/* A newborn that was its guest can be shown nowhere now. */
	target_settle_due(model, target, heard_ns, true);
	target_follow_makers(model, target, now_ns);
	target_count_unread(model, target, now_ns);
	if (!target_is_listed(target))
		target_count_from_now(target, now_ns);
	target->listed = true;
	target_count_found(model, target, now_ns);
	sampled = target->doubt.has_sample;
	doubt_refreshed(&target->doubt);
	threads_release(&target->threads);
	target_place_guests(target);
	target_seek_stacks(target, now_ns);
	figure_all(target, now_ns);
	threads_release_owners(&target->threads);
	target_figure_running(target, sampled);
	target_figure_executors(target, now_ns);
	target_figure_lineage(target);
	history_sample(target, now_ns);
	heed_outside(target);
	heed_unexplained(target);
	judge_target(model, target, true, now_ns);
	target->before_last_refresh_ns = target->last_refresh_ns;
	target->last_refresh_ns = now_ns;
}
