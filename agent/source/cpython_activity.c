/* SPDX-License-Identifier: GPL-2.0-only */
/* Which workers execute a task: those that their own waiting for the next one does not explain. It must not
 * know what else an executor holds. */
#include "cpython_executor.h"

/* Between a worker's function and the lock that it waits on there are queue.get, Condition.wait and what they
 * call: whoever is deeper executes a task. */
#define DEPTH_MAX 8U

struct search {
	struct py_thread *thread;
	struct frame frame; /* the one whose caller is looked at */
	bool done;
};

static bool is_worker(const struct py_thread *thread)
{
	return thread->root.kind == ROOT_FUTURES || thread->root.kind == ROOT_POOL ||
	       thread->root.kind == ROOT_ANYIO;
}

/* The function that the worker's own has called: its waiting, or a task. */
static enum worker_activity activity_by_callee(const struct cpython_image *image,
					       const struct py_thread *thread, const struct frame *callee)
{
	uint64_t queue;

	/* A task may wait on a queue as well: only the worker's own is idleness. */
	if (callee->code->role == CODE_QUEUE_GET && frame_local(image, callee->address, 0, &queue) == 0)
		return queue == thread->root.own_queue ? WORKER_IDLE : WORKER_BUSY;
	/* A ThreadPoolExecutor's worker calls tasks by _WorkItem.run alone; a lock is its own idle semaphore.
	 */
	if (thread->root.kind == ROOT_FUTURES &&
	    (callee->code->role == CODE_THREADING || callee->code->role == CODE_THREAD_RUN))
		return WORKER_IDLE;
	return WORKER_BUSY;
}

static void search_step(struct search *search, const struct cpython_image *image, struct code_table *codes)
{
	struct py_thread *thread = search->thread;
	struct frame caller;

	if (search->frame.previous == thread->root.worker_frame) {
		thread->activity = activity_by_callee(image, thread, &search->frame);
		search->done = true;
		return;
	}
	if (!search->frame.previous || frame_read(image, codes, search->frame.previous, &caller) < 0) {
		search->done = true; /* torn: unknown */
		return;
	}
	/* Frames without a function stand between C and Python code; the callee is the last with one. */
	if (!caller.code) {
		search->frame.previous = caller.previous;
		return;
	}
	search->frame = caller;
}

static void searches_run(struct search *searches, size_t count, const struct cpython_image *image,
			 struct code_table *codes)
{
	for (unsigned int depth = 0; depth < DEPTH_MAX; depth++) {
		for (size_t i = 0; i < count; i++) {
			if (!searches[i].done &&
			    searches[i].frame.previous != searches[i].thread->root.worker_frame)
				frame_want(image, searches[i].frame.previous);
		}
		memory_view_fetch(image->view);
		for (size_t i = 0; i < count; i++) {
			if (!searches[i].done)
				search_step(&searches[i], image, codes);
		}
	}
	for (size_t i = 0; i < count; i++) {
		if (!searches[i].done)
			searches[i].thread->activity = WORKER_BUSY;
	}
}

/* Frames of idle workers that must be told from those of tasks. */
static bool needs_search(const struct py_thread *thread, const struct executors *executors)
{
	if (thread->frame.previous == thread->root.worker_frame || thread->root.kind == ROOT_ANYIO)
		return true;
	return thread->executor != EXECUTOR_NONE && executors->executor[thread->executor].has_other_queue;
}

void workers_tell_activity(struct py_threads *threads, const struct executors *executors,
			   const struct cpython_image *image, struct code_table *codes)
{
	_cleanup_(freep) struct search *searches = calloc(threads->count + 1, sizeof(*searches));
	size_t count = 0;

	for (size_t i = 0; i < threads->count; i++) {
		struct py_thread *thread = threads->thread[i];

		thread->activity = WORKER_UNKNOWN;
		if (!is_worker(thread) || !thread->is_read)
			continue;
		if (thread->is_idle)
			thread->activity = WORKER_IDLE;
		else if (!thread->frame.code)
			continue;
		else if (!needs_search(thread, executors))
			thread->activity = WORKER_BUSY;
		else if (searches)
			searches[count++] = (struct search){.thread = thread, .frame = thread->frame};
	}
	if (searches)
		searches_run(searches, count, image, codes);
}
