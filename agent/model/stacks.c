/* SPDX-License-Identifier: GPL-2.0-only */
/* Whose a stack is: by the exact range of a birth, by [stack] for the leader, and, as the last way, by stack
 * pointer and TLS base (DESIGN.md, rule 2). It must not know pools. */
#include "model_inside.h"

/* A thread's control block lies at the top of a stack that the C library made: above it are the rest of
 * struct pthread (2,304 bytes in glibc 2.36) and, on arm64, the static TLS. */
#define TLS_ABOVE_MAX (1ULL << 20)

static struct thread *stack_user(const struct target *target, uint64_t address)
{
	const struct range *range = range_map_find(target->ranges, address);
	const struct owner *owner;

	if (!range || range->region != REGION_STACK || range->owner >= target->threads.n_owners)
		return NULL;
	owner = &target->threads.owner[range->owner];
	return owner->thread == THREAD_NONE ? NULL : &target->threads.thread[owner->thread];
}

/* A start that /proc told is cut to whole ticks. */
static bool may_have_begun_after(const struct thread *thread, const struct thread *other)
{
	uint64_t start_ns = thread->id.start_ns, cut = start_ns % NSEC_PER_TICK ? 0 : NSEC_PER_TICK - 1;

	return start_ns + cut > other->id.start_ns;
}

/* The C library gives a stack away only when its user is done with it: whoever still counts as living on it, and has its
 * control block at the top of it, has ended, though its exit was not seen yet. (A buffer further down in its stack it may
 * have lent to another.) False: the newborn is the one that has ended, for who is on its stack began
 * after it; at attach the seed tells of them before the births that the drain still holds. */
static bool end_former_user(struct model *model, struct target *target, const struct thread *thread,
			    uint64_t time_ns)
{
	uint64_t end = thread->stack_start + thread->stack_length;
	struct thread *former = stack_user(target, end - 1);

	if (!former || former == thread || !former->stack_length || former->stack_start + former->stack_length > end ||
	    former->stack_start + former->stack_length <= thread->stack_start)
		return true;
	if (may_have_begun_after(former, thread))
		return false;
	thread_leave(model, target, former, time_ns);
	return true;
}

void thread_take_stack(struct model *model, struct target *target, struct thread *thread, bool born,
		       uint64_t time_ns)
{
	if (thread->stack_length) {
		if (born && !end_former_user(model, target, thread, time_ns))
			return;
		(void)range_map_stack(target->ranges, thread->stack_start, thread->stack_length,
				      thread->owner, time_ns);
	} else if (thread->leader) {
		leader_take_stack(target, time_ns);
	} else if (thread->stack_pointer && thread->tls_base && !thread->io_worker) {
		thread->stack_sought = target->stacks_sought = true;
	}
}

void leader_take_stack(struct target *target, uint64_t time_ns)
{
	struct thread *leader = threads_find_tid(&target->threads, target->info.pid);

	const struct range *range;

	/* In a child the stack of the main thread is what it inherited. */
	if (!leader || !target->stack_length || target->seed_reason == SEED_INHERITED)
		return;
	/* The map may know more of it than /proc: the room that it grows into. */
	range = range_map_find(target->ranges, target->stack_start + target->stack_length - 1);
	if (range && (range->flags & RANGE_STACK))
		(void)range_map_stack(target->ranges, range->start, range->end - range->start, leader->owner,
				      time_ns);
}

static int compare_addresses(const void *a, const void *b)
{
	return compare_u64(*(const uint64_t *)a, *(const uint64_t *)b);
}

static size_t count_below(const uint64_t *sorted, size_t count, uint64_t address)
{
	size_t low = 0;

	while (low < count) {
		size_t middle = low + (count - low) / 2;

		if (sorted[middle] < address)
			low = middle + 1;
		else
			count = middle;
	}
	return low;
}

/* One mapping that holds the stack pointer and the TLS base of this thread, near its top, and the stack
 * pointer of no other: with two in it, it is a slab of user-made stacks. */
static bool is_whole_stack(const struct range *range, const struct thread *thread, const uint64_t *pointers,
			   size_t n_pointers)
{
	return range && range->usable && (range->flags & RANGE_ANON) &&
	       !(range->flags & (RANGE_SHARED | RANGE_HUGETLB | RANGE_HEAP | RANGE_FILE)) &&
	       range->region == REGION_MMAP && thread->stack_pointer < thread->tls_base &&
	       thread->tls_base < range->end && range->end - thread->tls_base <= TLS_ABOVE_MAX &&
	       count_below(pointers, n_pointers, range->end) -
			       count_below(pointers, n_pointers, range->start) ==
		       1;
}

void target_seek_stacks(struct target *target, uint64_t time_ns)
{
	struct threads *threads = &target->threads;
	_cleanup_(freep) uint64_t *pointers = NULL;
	size_t count = 0;

	/* before the first seed there is nothing to find them in */
	if (!target->stacks_sought || !range_map_count(target->ranges))
		return;
	pointers = calloc(threads->living ? threads->living : 1, sizeof(*pointers));
	if (!pointers)
		return;
	for (uint32_t i = 0; i < threads->n_slots; i++) {
		const struct thread *thread = &threads->thread[i];

		/* io_uring's workers carry their creator's registers */
		if (thread->living && thread->stack_pointer && !thread->io_worker)
			pointers[count++] = thread->stack_pointer;
	}
	qsort(pointers, count, sizeof(*pointers), compare_addresses);
	for (uint32_t i = 0; i < threads->n_slots; i++) {
		struct thread *thread = &threads->thread[i];
		const struct range *range;

		if (!thread->living || !thread->stack_sought)
			continue;
		thread->stack_sought = false;
		range = range_map_find(target->ranges, thread->stack_pointer);
		if (is_whole_stack(range, thread, pointers, count))
			(void)range_map_stack(target->ranges, range->start, range->end - range->start,
					      thread->owner, time_ns);
	}
	target->stacks_sought = false;
}
