/* SPDX-License-Identifier: GPL-2.0-only */
/* One thread of a CPython, between two passes: what it does now, what it did by the code objects that were seen; and where
 * the kernel finds its frames. It must not know why that is asked. */
#include "cpython_walk_internal.h"

#include <errno.h>

#include "cpython_stack.h"

/* By both of its numbers, which a newborn takes one after the other. */
static bool is_listed_as(const struct cpython_walk *walk, const struct py_thread *thread, const struct listed_thread *listed)
{
	bool has_native = walk->site.same_pids && thread->native;

	if (thread->is_unborn || (has_native && thread->native != listed->id.tid))
		return false;
	return listed->tls_base ? thread->pthread == listed->tls_base : has_native;
}

/* As the last pass had it. */
static struct py_thread *thread_passed(struct cpython_walk *walk, uint32_t tid)
{
	for (size_t i = 0; i < walk->threads.count; i++) {
		struct py_thread *thread = walk->threads.thread[i];

		if (thread->tid == tid && py_thread_is_same(thread, &walk->image))
			return thread;
	}
	return NULL;
}

static struct py_thread *thread_listed(struct cpython_walk *walk, const struct listed_thread *listed)
{
	for (size_t i = 0; i < walk->threads.count; i++) {
		struct py_thread *thread = walk->threads.thread[i];

		if (is_listed_as(walk, thread, listed))
			return thread;
	}
	return NULL;
}

static const struct listed_thread *listed_find(const struct listed_thread *threads, size_t n_threads,
					       struct thread_id id)
{
	/* The newest of that number stands last. */
	for (size_t i = n_threads; i--;) {
		if (thread_id_equal(threads[i].id, id))
			return &threads[i];
	}
	return NULL;
}

static void name_blame(const struct code_info *code, struct fact_blame *blame)
{
	memcpy(blame->function, code->function, sizeof(blame->function));
	memcpy(blame->file, code->file, sizeof(blame->file));
	blame->line = code->first_line;
}

int cpython_walk_function(struct cpython_walk *walk, const struct listed_thread *threads, size_t n_threads,
			  struct thread_id id, struct fact_blame *ret_blame)
{
	const struct listed_thread *listed = listed_find(threads, n_threads, id);
	const struct code_info *code;
	struct py_thread *thread;
	int r = -EFAULT;

	if (!listed)
		return -ENOENT;
	memory_view_begin(walk->view);
	code_table_begin(walk->codes);
	thread = thread_passed(walk, id.tid);
	if (!thread) {
		r = cpython_walk_list(walk);
		if (r < 0)
			return r;
		thread = thread_listed(walk, listed);
		if (!thread)
			return -ENOENT;
	}
	for (unsigned int round = 0; round < ROUNDS; round++) {
		r = stack_function(thread, &walk->image, walk->codes, &code);
		if (r == 0 || r == -ENOENT || r == -ENODATA)
			break;
		memory_view_begin(walk->view);
	}
	if (r < 0)
		return r;
	name_blame(code, ret_blame);
	return 0;
}

int cpython_walk_codes(struct cpython_walk *walk, const uint64_t *codes, size_t count, struct fact_blame *ret_blame)
{
	const struct code_info *code;
	int r;

	memory_view_begin(walk->view);
	code_table_begin(walk->codes);
	r = codes_function(codes, count, &walk->image, walk->codes, &code);
	if (r == 0)
		name_blame(code, ret_blame);
	return r;
}

void cpython_walk_layout(const struct cpython_walk *walk, struct python_layout *ret_layout)
{
	const struct cpython_offsets *at = &walk->image.offsets;

	*ret_layout = (struct python_layout){
		.thread_frame = (uint16_t)at->thread_frame,
		.cframe_frame = (uint16_t)at->cframe_frame,
		.frame_previous = (uint16_t)at->frame_previous,
		.frame_code = (uint16_t)at->frame_code,
		.frame_owner = (uint16_t)at->frame_owner,
		.has_cframe = at->has_cframe,
		.is_known = true,
	};
}

void cpython_walk_meet(struct cpython_walk *walk, const struct listed_thread *threads, size_t n_threads)
{
	if (cpython_walk_list(walk) < 0)
		return;
	for (size_t i = 0; i < walk->threads.count; i++) {
		struct py_thread *thread = walk->threads.thread[i];

		/* The newest stand last. */
		for (size_t at = n_threads; !thread->tid && at--;) {
			if (!is_listed_as(walk, thread, &threads[at]))
				continue;
			thread->tid = threads[at].id.tid;
			thread->start_ns = threads[at].id.start_ns;
		}
	}
}

void cpython_walk_tell_anew(struct cpython_walk *walk)
{
	for (size_t i = 0; i < walk->threads.count; i++)
		walk->threads.thread[i]->told_start_ns = 0;
}

bool cpython_walk_is_told(const struct cpython_walk *walk, struct thread_id id)
{
	for (size_t i = 0; i < walk->threads.count; i++) {
		const struct py_thread *thread = walk->threads.thread[i];

		const struct thread_id told = {.tid = thread->tid, .start_ns = thread->told_start_ns};

		if (thread->told_start_ns && thread_id_equal(told, id))
			return true;
	}
	return false;
}

bool cpython_walk_next_thread(struct cpython_walk *walk, size_t *at, struct thread_id *ret_id, uint64_t *ret_address)
{
	for (; *at < walk->threads.count; ++*at) {
		struct py_thread *thread = walk->threads.thread[*at];

		if (!thread->tid || thread->told_start_ns == thread->start_ns)
			continue;
		thread->told_start_ns = thread->start_ns;
		*ret_id = (struct thread_id){.tid = thread->tid, .start_ns = thread->start_ns};
		*ret_address = thread->address;
		return true;
	}
	return false;
}

bool cpython_walk_next_worker(const struct cpython_walk *walk, size_t *at, struct thread_id *ret_id, uint64_t *ret_executor)
{
	while (*at < walk->threads.count) {
		const struct py_thread *thread = walk->threads.thread[(*at)++];

		if (!thread->tid || thread->executor == EXECUTOR_NONE)
			continue;
		*ret_id = (struct thread_id){.tid = thread->tid, .start_ns = thread->start_ns};
		*ret_executor = walk->executors.executor[thread->executor].fact.id;
		return true;
	}
	return false;
}
