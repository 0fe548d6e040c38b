/* SPDX-License-Identifier: GPL-2.0-only */
/* Ring records to facts: pure, and wary of what the bytes say. It must not know where records come from, nor which
 * targets there are. */
#include "probe_event.h"
#include "stack_pages.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

/* include/uapi/linux/mman.h and linux/hugetlb_encode.h; older libc headers lack some. */
#define MAP_TYPE_BITS 0x0f
#define MAP_TYPE_SHARED 0x01
#define MAP_TYPE_SHARED_VALIDATE 0x03
#define HUGE_SIZE_SHIFT 26
#define HUGE_SIZE_BITS 0x3f
#define HUGE_SIZE_DEFAULT (2ULL << 20)
#define MREMAP_DONTUNMAP_FLAG 4
#define MAX_STATIC_TLS (1ULL << 20) /* far above what loaders reserve; beyond it the two are unrelated */

static const struct {
	enum fact_kind fact;
	enum probe probe;
	size_t size;
} kinds[] = {
	[EVENT_THREAD_BORN] = {FACT_THREAD_BORN, PROBE_THREAD_BORN, sizeof(struct event_thread)},
	[EVENT_PROCESS_BORN] = {FACT_TARGET, PROBE_THREAD_BORN, sizeof(struct event_thread)},
	[EVENT_THREAD_EXITED] = {FACT_THREAD_EXITED, PROBE_THREAD_EXITED, sizeof(struct event_exit)},
	[EVENT_THREAD_RENAMED] = {FACT_THREAD_RENAMED, PROBE_THREAD_RENAMED, sizeof(struct event_thread)},
	[EVENT_EXEC] = {FACT_TARGET, PROBE_EXEC, sizeof(struct event_thread)},
	[EVENT_MMAP] = {FACT_RANGE_MADE, PROBE_MMAP, sizeof(struct event_memory)},
	[EVENT_MUNMAP] = {FACT_RANGE_FREED, PROBE_MUNMAP, sizeof(struct event_memory)},
	[EVENT_MUNMAP_FAILED] = {FACT_RANGE_FREE_FAILED, PROBE_MUNMAP, sizeof(struct event_memory)},
	[EVENT_MREMAP_SOURCE] = {FACT_RANGE_FREED, PROBE_MREMAP, sizeof(struct event_memory)},
	[EVENT_MREMAP] = {FACT_RANGE_MOVED, PROBE_MREMAP, sizeof(struct event_move)},
	[EVENT_MREMAP_FAILED] = {FACT_RANGE_FREE_FAILED, PROBE_MREMAP, sizeof(struct event_memory)},
	[EVENT_MPROTECT] = {FACT_RANGE_PROTECTED, PROBE_MPROTECT, sizeof(struct event_memory)},
	[EVENT_BRK] = {FACT_BRK, PROBE_BRK, sizeof(struct event_memory)},
	[EVENT_STACK] = {.size = sizeof(struct event_stack)}, /* no fact, and no event of its own */
};
_Static_assert(ARRAY_SIZE(kinds) == EVENT_KIND_COUNT, "every kind has a row");

#define FILLS_LINES(record) \
	_Static_assert((sizeof(struct record) + EVENT_RING_HEADER) % EVENT_CACHE_LINE == 0, #record " fills whole cache lines")
FILLS_LINES(event_thread);
FILLS_LINES(event_exit);
FILLS_LINES(event_memory);
FILLS_LINES(event_move);
FILLS_LINES(event_stack);

static const struct {
	uint32_t bit;
	uint32_t flag;
} mmap_flags[] = {
	{MAP_ANONYMOUS, RANGE_ANON},
	{MAP_HUGETLB, RANGE_HUGETLB},
	{MAP_STACK, RANGE_STACK},
	{MAP_NORESERVE, RANGE_NORESERVE},
	{MAP_GROWSDOWN, RANGE_GROWSDOWN},
};

int probe_event_check(const void *data, size_t size)
{
	const struct event_header *header = data;

	if (size < sizeof(*header) || header->kind == 0 || header->kind >= EVENT_KIND_COUNT)
		return -EINVAL;
	return size == kinds[header->kind].size ? 0 : -EINVAL;
}

enum probe probe_event_probe(const void *data)
{
	return kinds[((const struct event_header *)data)->kind].probe;
}

static uint32_t range_flags(uint32_t flags)
{
	uint32_t type = flags & MAP_TYPE_BITS, result = 0;

	for (size_t i = 0; i < ARRAY_SIZE(mmap_flags); i++)
		if (flags & mmap_flags[i].bit)
			result |= mmap_flags[i].flag;
	if (!(flags & MAP_ANONYMOUS))
		result |= RANGE_FILE;
	if (type == MAP_TYPE_SHARED || type == MAP_TYPE_SHARED_VALIDATE)
		result |= RANGE_SHARED;
	return result;
}

static uint64_t huge_size(uint32_t flags)
{
	uint32_t shift = flags >> HUGE_SIZE_SHIFT & HUGE_SIZE_BITS;

	return shift ? 1ULL << shift : HUGE_SIZE_DEFAULT;
}

/* Grows [start, start + length) to whole pages. */
static int round_out(uint64_t *start, uint64_t *length, uint64_t page_size)
{
	uint64_t mask = page_size - 1, end;

	if (__builtin_add_overflow(*start, *length, &end) || __builtin_add_overflow(end, mask, &end))
		return -EINVAL;
	*start &= ~mask;
	*length = (end & ~mask) - *start;
	return 0;
}

static int memory_facts(const struct event_memory *event, uint64_t page_size, struct fact *fact)
{
	struct fact_range *range = &fact->range;
	uint64_t unit = page_size;
	int r;

	range->who = (struct thread_id){.tid = event->header.tid, .start_ns = event->header.start_ns};
	range->start = event->start;
	range->length = event->length;
	range->protection = event->header.protection & (PROT_READ | PROT_WRITE | PROT_EXEC);
	if (fact->kind == FACT_BRK) {
		/* The kernel maps from the first whole page after the image (mm/mmap.c, brk). */
		uint64_t into_page = event->start & (page_size - 1);
		uint64_t skip = into_page ? page_size - into_page : 0;

		if (__builtin_add_overflow(range->start, skip, &range->start))
			return -EINVAL;
		range->length = range->length > skip ? range->length - skip : 0;
	} else if (fact->kind == FACT_RANGE_MADE) {
		range->flags = range_flags(event->header.flags);
		if (range->flags & RANGE_HUGETLB)
			unit = huge_size(event->header.flags);
		if (unit < page_size)
			return -EINVAL;
	} else if (fact->kind == FACT_RANGE_MOVED) {
		const struct event_move *move = (const struct event_move *)event;

		range->old_start = move->old_start;
		range->old_length = move->old_length;
		range->flags = event->header.flags & MREMAP_DONTUNMAP_FLAG ? RANGE_DONTUNMAP : 0;
		r = round_out(&range->old_start, &range->old_length, page_size);
		if (r < 0)
			return r;
	} else if (fact->kind == FACT_RANGE_PROTECTED) {
		range->flags = event->header.flags & EVENT_MPROTECT_FAILED ? RANGE_UP_TO_HOLE : 0;
	}
	r = round_out(&range->start, &range->length, unit);
	if (r < 0)
		return r;
	return range->length || fact->kind == FACT_BRK ? 1 : -EINVAL;
}

/* glibc gives clone3 the stack as it ends below the thread's TLS and descriptor; these lie in the same mapping
 * (nptl/allocatestack.c). It reaches at least to the page of the thread pointer, at which the descriptor begins. */
static void stack_fill(const struct event_thread *event, uint64_t page_size, struct fact_thread *thread)
{
	uint64_t start = event->stack_start, length = event->stack_length, end;

	if (!length || __builtin_add_overflow(start, length, &end))
		return;
	if (event->tls_base >= end && event->tls_base - end < MAX_STATIC_TLS &&
	    !__builtin_add_overflow(event->tls_base, 1, &end))
		length = end - start;
	stack_pages(page_size, &start, &length);
	thread->stack_start = length ? start : 0;
	thread->stack_length = length;
}

static void identity_fill(const struct event_header *header, const char *name, struct fact *fact, enum fact_kind kind)
{
	struct fact_thread *thread = &fact->thread;

	fact->kind = kind;
	thread->id = (struct thread_id){.tid = header->tid, .start_ns = header->start_ns};
	memcpy(thread->name, name, sizeof(thread->name) - 1);
	thread->cpu_ns = thread->faults = UNKNOWN_U64;
}

static void thread_fill(const struct event_thread *event, uint64_t page_size, struct fact *fact, enum fact_kind kind)
{
	struct fact_thread *thread = &fact->thread;

	identity_fill(&event->header, event->name, fact, kind);
	thread->creator = (struct thread_id){.tid = event->creator_tid, .start_ns = event->creator_start_ns};
	/* A guest of the address space leads its own thread group, not the target. */
	thread->is_leader = event->header.flags & EVENT_THREAD_LEADER && event->pid == event->header.tid;
	thread->is_io_worker = event->header.flags & EVENT_THREAD_IO_WORKER;
	thread->tls_base = event->tls_base;
	thread->stack_pointer = event->stack_pointer;
	stack_fill(event, page_size, thread);
	thread->start_routine = event->start_routine;
	thread->start_argument = event->start_routine ? event->start_argument : 0;
	if (kind == FACT_THREAD_RENAMED)
		thread->waited_ns = event->waited_ns;
}

static void target_fill(const struct event_thread *event, struct fact *fact)
{
	struct fact_target *info = &fact->target_info;

	info->pid = event->pid;
	info->ns_pid = event->inner_pid;
	info->parent_pid = event->parent_pid;
	info->family = event->family;
	info->start_ns = event->header.start_ns;
	info->followed = event->header.kind == EVENT_PROCESS_BORN;
	info->execed = event->header.flags & EVENT_PROCESS_EXECED;
	memcpy(info->comm, event->name, sizeof(info->comm) - 1);
}

/* The status as wait(2) encodes it. */
static void gone_fill(const struct event_exit *event, struct fact *fact)
{
	int signal_number = event->exit_code & 0x7f;

	fact->kind = FACT_TARGET_GONE;
	if (!signal_number) {
		fact->gone.how = TARGET_END_EXITED;
		fact->gone.code = event->exit_code >> 8 & 0xff;
		return;
	}
	fact->gone.how = TARGET_END_SIGNALLED;
	if (event->header.flags & EVENT_THREAD_OOM && signal_number == SIGKILL)
		fact->gone.how = TARGET_END_OOM_KILLED;
	fact->gone.code = signal_number;
}

static int thread_facts(const struct event_thread *event, uint64_t page_size, struct fact *facts)
{
	switch (event->header.kind) {
	case EVENT_PROCESS_BORN:
		target_fill(event, &facts[0]);
		thread_fill(event, page_size, &facts[1], FACT_THREAD_BORN);
		return 2;
	case EVENT_EXEC:
		target_fill(event, &facts[0]);
		if (!(event->header.flags & EVENT_THREAD_TOOK_OVER))
			return 1;
		/* The thread has its leader's tid and start time now (fs/exec.c, de_thread). */
		thread_fill(event, page_size, &facts[1], FACT_THREAD_SEEN);
		if (!event->old_tid)
			return 2;
		facts[2].kind = FACT_THREAD_EXITED;
		facts[2].thread.id.tid = event->old_tid;
		facts[2].thread.cpu_ns = facts[2].thread.faults = UNKNOWN_U64;
		return 3;
	default:
		thread_fill(event, page_size, &facts[0], kinds[event->header.kind].fact);
		return 1;
	}
}

static int exit_facts(const struct event_exit *event, struct fact *facts)
{
	identity_fill(&event->header, event->name, &facts[0], FACT_THREAD_EXITED);
	facts[0].thread.faults = event->faults;
	if (!(event->header.flags & EVENT_THREAD_LAST))
		return 1;
	gone_fill(event, &facts[1]);
	return 2;
}

int probe_event_facts(const void *data, uint32_t target, uint64_t page_size,
		      struct fact ret_facts[PROBE_EVENT_MAX_FACTS])
{
	const struct event_header *header = data;
	size_t room = header->kind < EVENT_MMAP ? PROBE_EVENT_MAX_FACTS : 1;

	/* A caller that the procfs in use does not show has no identity there. */
	if (!header->tid || header->kind == EVENT_STACK)
		return -EINVAL;
	memset(ret_facts, 0, room * sizeof(*ret_facts));
	for (size_t i = 0; i < room; i++) {
		ret_facts[i].kind = kinds[header->kind].fact;
		ret_facts[i].target = target;
		ret_facts[i].time_ns = header->time_ns;
	}
	if (header->kind >= EVENT_MMAP)
		return memory_facts(data, page_size, ret_facts);
	if (header->kind == EVENT_THREAD_EXITED)
		return exit_facts(data, ret_facts);
	return thread_facts(data, page_size, ret_facts);
}
