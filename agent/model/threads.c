/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeps the threads of one target and their owner numbers.
 * It must not know pools beyond their index, nor what ranges there are. */
#include "threads.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* Identities of ended threads that are remembered; each tid has one place (a power of two). */
#define EXITED_COUNT 4096
/* Slots of the ended beyond which they are given back before the refresh, and an eighth of the living. */
#define ENDED_SLOTS_MIN 64
/* Different start routines of one target; more than that is not a program but an attack. */
#define ROUTINES_MAX 1024

int threads_init(struct threads *threads, uint32_t max)
{
	*threads = (struct threads){
		.max = max,
		.first_free = THREAD_NONE,
		.first_ended = THREAD_NONE,
		.pending_first = THREAD_NONE,
		.pending_last = THREAD_NONE,
		.exited = calloc(EXITED_COUNT, sizeof(*threads->exited)),
	};
	return threads->exited ? 0 : -ENOMEM;
}

void threads_clear(struct threads *threads)
{
	free(threads->thread);
	free(threads->buckets);
	free(threads->owner);
	free(threads->free_owners);
	free(threads->routine);
	free(threads->exited);
	*threads = (struct threads){.first_free = THREAD_NONE, .first_ended = THREAD_NONE};
}

static uint32_t *bucket_of(const struct threads *threads, uint32_t tid)
{
	/* Fibonacci hashing: tids come in runs and in strides */
	return &threads->buckets[(uint32_t)(tid * 2654435769u) & (threads->n_buckets - 1)];
}

struct thread *threads_find_tid(const struct threads *threads, uint32_t tid)
{
	if (!threads->n_buckets || !tid)
		return NULL;
	for (uint32_t i = *bucket_of(threads, tid); i != THREAD_NONE; i = threads->thread[i].next_same_hash) {
		if (threads->thread[i].id.tid == tid)
			return &threads->thread[i];
	}
	return NULL;
}

struct thread *threads_find(const struct threads *threads, struct thread_id id)
{
	struct thread *thread = threads_find_tid(threads, id.tid);

	return thread && thread_id_equal(thread->id, id) ? thread : NULL;
}

static void bucket_insert(struct threads *threads, uint32_t index)
{
	uint32_t *bucket = bucket_of(threads, threads->thread[index].id.tid);

	threads->thread[index].next_same_hash = *bucket;
	*bucket = index;
}

static void bucket_remove(struct threads *threads, uint32_t index)
{
	uint32_t *slot = bucket_of(threads, threads->thread[index].id.tid);

	while (*slot != index)
		slot = &threads->thread[*slot].next_same_hash;
	*slot = threads->thread[index].next_same_hash;
}

/* Doubles the slots, and the buckets with them: a bucket a slot. */
static int threads_grow(struct threads *threads)
{
	uint32_t capacity = threads->capacity ? threads->capacity * 2 : 64;
	struct thread *thread = reallocarray(threads->thread, capacity, sizeof(*thread));
	uint32_t *buckets;

	if (!thread)
		return -ENOMEM;
	threads->thread = thread;
	buckets = reallocarray(threads->buckets, capacity, sizeof(*buckets));
	if (!buckets)
		return -ENOMEM;
	threads->buckets = buckets;
	threads->capacity = threads->n_buckets = capacity;
	memset(buckets, 0xff, capacity * sizeof(*buckets)); /* THREAD_NONE */
	for (uint32_t i = 0; i < threads->n_slots; i++) {
		if (thread[i].living)
			bucket_insert(threads, i);
	}
	return 0;
}

static int owner_new(struct threads *threads, uint32_t thread, uint32_t *ret_owner)
{
	uint32_t index;

	if (threads->n_free_owners > 0) {
		index = threads->free_owners[--threads->n_free_owners];
	} else {
		if (threads->n_owners == threads->owner_capacity) {
			uint32_t capacity = threads->owner_capacity ? threads->owner_capacity * 2 : 64;
			struct owner *owner = reallocarray(threads->owner, capacity, sizeof(*owner));
			uint32_t *free_owners;

			if (!owner)
				return -ENOMEM;
			threads->owner = owner;
			free_owners = reallocarray(threads->free_owners, capacity, sizeof(*free_owners));
			if (!free_owners)
				return -ENOMEM;
			threads->free_owners = free_owners;
			threads->owner_capacity = capacity;
		}
		index = threads->n_owners++;
	}
	threads->owner[index] = (struct owner){.thread = thread, .pool = POOL_NONE, .used = true};
	*ret_owner = index;
	return 0;
}

int threads_add(struct threads *threads, struct thread_id id, struct thread **ret_thread)
{
	uint32_t index, owner;
	int r;

	/* Slots of the ended wait for the refresh (the last frame may want those that ended after the last birth), but not
	 * where it takes them many: what a second of churn leaves behind is not worth its memory. */
	if (threads->first_free == THREAD_NONE &&
	    threads->n_slots - threads->living > threads->n_pending + threads->living / 8 + ENDED_SLOTS_MIN)
		threads_release(threads);
	if (threads->living >= threads->max ||
	    (threads->first_free == THREAD_NONE && threads->n_slots / 2 >= threads->max)) {
		threads->refused++;
		return -ENOSPC;
	}
	if (threads->first_free == THREAD_NONE && threads->n_slots == threads->capacity) {
		r = threads_grow(threads);
		if (r < 0)
			return r;
	}
	index = threads->first_free != THREAD_NONE ? threads->first_free : threads->n_slots;
	r = owner_new(threads, index, &owner);
	if (r < 0)
		return r;
	if (index == threads->n_slots)
		threads->n_slots++;
	else
		threads->first_free = threads->thread[index].next_same_hash;
	threads->thread[index] = (struct thread){
		.id = id,
		.living = true,
		.owner = owner,
		.pool = POOL_NONE,
		.guest_of = POOL_NONE,
		.creator_pool = POOL_NONE,
		.routine = ROUTINE_NONE,
		.function = FUNCTION_NONE,
		.cpu_ns = UNKNOWN_U64,
		.cpu_percent = NAN,
		.faults = UNKNOWN_U64,
		.fault_rate = UNKNOWN_U64,
	};
	bucket_insert(threads, index);
	threads->living++;
	*ret_thread = &threads->thread[index];
	return 0;
}

void threads_end(struct threads *threads, struct thread *thread, uint64_t time_ns)
{
	struct owner *owner = &threads->owner[thread->owner];

	threads_pending_remove(threads, thread);
	bucket_remove(threads, thread_index(threads, thread));
	threads_note_exit(threads, thread->id);
	thread->next_same_hash = threads->first_ended;
	threads->first_ended = thread_index(threads, thread);
	thread->living = false;
	thread->exited_ns = time_ns;
	owner->thread = THREAD_NONE;
	owner->pool = thread->pool;
	/* not counted yet: it may own ranges made since the last walk */
	owner->ranges = UINT32_MAX;
	threads->living--;
}

bool threads_revive(struct threads *threads, struct thread *thread)
{
	uint32_t *link = &threads->first_ended;

	if (threads_find_tid(threads, thread->id.tid))
		return false;
	while (*link != thread_index(threads, thread))
		link = &threads->thread[*link].next_same_hash;
	*link = thread->next_same_hash;
	thread->living = true;
	bucket_insert(threads, thread_index(threads, thread));
	threads->living++;
	return true;
}

bool threads_has_exited(const struct threads *threads, struct thread_id id)
{
	const struct thread_id *last = &threads->exited[id.tid % EXITED_COUNT];

	return id.start_ns && last->start_ns && thread_id_equal(*last, id);
}

void threads_note_exit(struct threads *threads, struct thread_id id)
{
	threads->exited[id.tid % EXITED_COUNT] = id;
}

void threads_forget_exit(struct threads *threads, struct thread_id id)
{
	if (threads_has_exited(threads, id))
		threads->exited[id.tid % EXITED_COUNT] = (struct thread_id){0};
}

void threads_release(struct threads *threads)
{
	uint32_t *link = &threads->first_ended, index;

	while ((index = *link) != THREAD_NONE) {
		struct thread *thread = &threads->thread[index];

		if (thread->pending) {
			link = &thread->next_same_hash;
			continue;
		}
		*link = thread->next_same_hash;
		thread->id.tid = 0;
		thread->next_same_hash = threads->first_free;
		threads->first_free = index;
	}
}

void threads_release_owners(struct threads *threads)
{
	for (uint32_t i = 0; i < threads->n_owners; i++) {
		struct owner *owner = &threads->owner[i];

		if (!owner->used || owner->thread != THREAD_NONE || owner->ranges > 0)
			continue;
		owner->used = false;
		threads->free_owners[threads->n_free_owners++] = i;
	}
}

void threads_pending_add(struct threads *threads, struct thread *thread)
{
	uint32_t index = thread_index(threads, thread);

	thread->pending = true;
	threads->n_unrun += thread->unrun_ns != 0;
	thread->pending_next = THREAD_NONE;
	thread->pending_before = threads->pending_last;
	if (threads->pending_last != THREAD_NONE)
		threads->thread[threads->pending_last].pending_next = index;
	else
		threads->pending_first = index;
	threads->pending_last = index;
	threads->n_pending++;
}

static int compare_ages(const void *a, const void *b, void *context)
{
	const struct thread *threads = context;
	const struct thread *one = &threads[*(const uint32_t *)a], *other = &threads[*(const uint32_t *)b];

	return one->id.start_ns != other->id.start_ns ? compare_u64(one->id.start_ns, other->id.start_ns)
						      : compare_u64(one->id.tid, other->id.tid);
}

void threads_pending_sort(struct threads *threads)
{
	_cleanup_(freep) uint32_t *order = calloc(threads->n_pending ? threads->n_pending : 1, sizeof(*order));
	uint32_t count = 0;

	if (!order)
		return; /* then as they came */
	for (uint32_t i = threads->pending_first; i != THREAD_NONE; i = threads->thread[i].pending_next)
		order[count++] = i;
	qsort_r(order, count, sizeof(*order), compare_ages, threads->thread);
	threads->pending_first = threads->pending_last = THREAD_NONE;
	threads->n_pending = threads->n_unrun = 0;
	for (uint32_t i = 0; i < count; i++)
		threads_pending_add(threads, &threads->thread[order[i]]);
}

void threads_pending_remove(struct threads *threads, struct thread *thread)
{
	if (!thread->pending)
		return;
	if (thread->pending_before != THREAD_NONE)
		threads->thread[thread->pending_before].pending_next = thread->pending_next;
	else
		threads->pending_first = thread->pending_next;
	if (thread->pending_next != THREAD_NONE)
		threads->thread[thread->pending_next].pending_before = thread->pending_before;
	else
		threads->pending_last = thread->pending_before;
	thread->pending = thread->is_named = false;
	threads->n_pending--;
	threads->n_unrun -= thread->unrun_ns != 0;
}

uint32_t threads_routine(struct threads *threads, const struct fact_routine *routine)
{
	for (uint32_t i = 0; i < threads->n_routines; i++) {
		if (!strcmp(threads->routine[i].symbol, routine->symbol) &&
		    !strcmp(threads->routine[i].module, routine->module))
			return i;
	}
	if (threads->n_routines == ROUTINES_MAX)
		return ROUTINE_NONE;
	if (TABLE_GROW(threads->routine, threads->n_routines, threads->routine_capacity, 16))
		return ROUTINE_NONE;
	memcpy(threads->routine[threads->n_routines].symbol, routine->symbol, FACT_SYMBOL_SIZE);
	memcpy(threads->routine[threads->n_routines].module, routine->module, 64);
	return threads->n_routines++;
}
