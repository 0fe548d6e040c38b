/* SPDX-License-Identifier: GPL-2.0-only */
/* The Python threads of an interpreter, and where each is now. It must not know executors, nor trust a list
 * to end or a frame to be one. */
#include "cpython_thread.h"
#include "poolscope/event.h"

#include <errno.h>
#include <string.h>

#define INTERPRETERS_MAX 64U
#define THREADS_MAX 32768U
#define FRAME_BYTES 128U
#define SHIMS_MAX 8U
#define ROUNDS 3U

void py_threads_clear(struct py_threads *threads)
{
	for (size_t i = 0; i < threads->count; i++)
		free(threads->thread[i]);
	free(threads->thread);
	active_clear(&threads->active);
	*threads = (struct py_threads){.pass = threads->pass};
}

static int compare_threads(const void *a, const void *b)
{
	return compare_u64((*(struct py_thread *const *)a)->address,
			   (*(struct py_thread *const *)b)->address);
}

/* Among the first `sorted`, which are in order. */
static struct py_thread *thread_find(const struct py_threads *threads, size_t sorted, uint64_t address)
{
	size_t at = TABLE_PLACE_BY(threads->thread, sorted, ->address, address);

	return at < sorted && threads->thread[at]->address == address ? threads->thread[at] : NULL;
}

static int thread_add(struct py_threads *threads, uint64_t address, struct py_thread **ret_thread)
{
	struct py_thread *thread;

	if (threads->count == threads->capacity) {
		size_t capacity = threads->capacity ? threads->capacity * 2 : 32;
		struct py_thread **grown = reallocarray(threads->thread, capacity,
							sizeof(struct py_thread *));

		if (!grown)
			return -ENOMEM;
		threads->thread = grown;
		threads->capacity = capacity;
	}
	thread = calloc(1, sizeof(*thread));
	if (!thread)
		return -ENOMEM;
	thread->address = address;
	thread->executor = EXECUTOR_NONE; /* until a whole pass has placed it */
	threads->thread[threads->count++] = thread;
	*ret_thread = thread;
	return 0;
}

/* The state's own fields. A state that was freed and made again at the same place is another thread. */
static int thread_fill(const struct cpython_image *image, uint64_t interp, struct py_thread *thread,
		       uint64_t *ret_next)
{
	const struct cpython_offsets *at = &image->offsets;
	uint64_t owner, unique, pthread, native = 0;
	int r = object_pointer(image, thread->address + at->thread_interp, &owner);

	if (r == 0)
		r = object_pointer(image, thread->address + at->thread_next, ret_next);
	if (r == 0)
		r = object_pointer(image, thread->address + at->thread_unique, &unique);
	if (r == 0)
		r = object_pointer(image, thread->address + at->thread_pthread, &pthread);
	if (r == 0 && at->thread_native)
		r = object_pointer(image, thread->address + at->thread_native, &native);
	if (r < 0)
		return r;
	if (owner != interp)
		return -EINVAL;
	if (thread->unique != unique || thread->pthread != pthread)
		*thread = (struct py_thread){
			.address = thread->address, .unique = unique, .pthread = pthread,
			.executor = EXECUTOR_NONE};
	thread->interp = interp;
	if (at->thread_native)
		thread->native = (uint32_t)native;
	return 0;
}

bool py_thread_is_same(const struct py_thread *thread, const struct cpython_image *image)
{
	uint64_t unique, pthread;

	return object_pointer(image, thread->address + image->offsets.thread_unique, &unique) == 0 &&
	       object_pointer(image, thread->address + image->offsets.thread_pthread, &pthread) == 0 &&
	       unique == thread->unique && pthread == thread->pthread;
}

static int list_interpreter(struct py_threads *threads, const struct cpython_image *image, uint64_t interp,
			    size_t sorted)
{
	uint64_t at;
	int r = object_pointer(image, interp + image->offsets.interp_threads, &at);

	while (r == 0 && at && threads->count - sorted < THREADS_MAX) {
		struct py_thread *thread = thread_find(threads, sorted, at);
		uint64_t next;

		if (at % 8)
			return -EINVAL;
		if (thread && thread->pass == threads->pass)
			return 0; /* round: it changed while it was read */
		if (!thread)
			r = thread_add(threads, at, &thread);
		if (r == 0)
			r = thread_fill(image, interp, thread, &next);
		if (r < 0)
			break;
		thread->pass = threads->pass;
		at = next;
	}
	return r;
}

/* Drops who is in no list any more (of lists that were read whole), and what one that goes round added twice.
 */
static void sort_and_drop(struct py_threads *threads, bool whole)
{
	size_t kept = 0;

	if (threads->count)
		qsort(threads->thread, threads->count, sizeof(struct py_thread *), compare_threads);
	for (size_t i = 0; i < threads->count; i++) {
		struct py_thread *thread = threads->thread[i];

		if ((whole && thread->pass != threads->pass) ||
		    (kept && threads->thread[kept - 1]->address == thread->address))
			free(thread);
		else
			threads->thread[kept++] = thread;
	}
	threads->count = kept;
}

static int compare_claims(const void *a, const void *b)
{
	const struct py_thread *first = *(struct py_thread *const *)a, *second = *(struct py_thread *const *)b;
	int order = compare_u64(first->interp, second->interp);

	order = order ? order : compare_u64(first->pthread, second->pthread);
	return order ? order : compare_u64(first->unique, second->unique);
}

/* Before 3.12 a new state has the number of who made it until its own thread begins: of those with one number, the oldest is
 * that thread's. */
static int find_unborn(struct py_threads *threads)
{
	_cleanup_(freep) struct py_thread **order = calloc(threads->count + 1, sizeof(struct py_thread *));

	if (!order)
		return -ENOMEM;
	if (threads->count)
		memcpy(order, threads->thread, threads->count * sizeof(struct py_thread *));
	qsort(order, threads->count, sizeof(struct py_thread *), compare_claims);
	for (size_t i = 0; i < threads->count; i++)
		order[i]->is_unborn = i && order[i]->interp == order[i - 1]->interp && order[i]->pthread == order[i - 1]->pthread;
	return 0;
}

int py_threads_list(struct py_threads *threads, const struct cpython_image *image, uint64_t runtime)
{
	size_t sorted = threads->count;
	uint64_t interp;
	int r;

	threads->pass++;
	for (size_t i = 0; i < sorted; i++) {
		memory_view_want(image->view, threads->thread[i]->address, PY_THREAD_BYTES);
		if (image->offsets.has_cframe && threads->thread[i]->cframe)
			memory_view_want(image->view, threads->thread[i]->cframe, 16);
		if (threads->thread[i]->frame.address)
			frame_want(image, threads->thread[i]->frame.address);
	}
	r = object_pointer(image, runtime + image->offsets.runtime_interpreters, &interp);
	for (unsigned int i = 0; i < INTERPRETERS_MAX && r == 0 && interp; i++) {
		if (interp % 8)
			r = -EINVAL;
		if (r == 0)
			r = list_interpreter(threads, image, interp, sorted);
		if (r == 0)
			r = object_pointer(image, interp + image->offsets.interp_next, &interp);
	}
	sort_and_drop(threads, r == 0);
	return r ? r : find_unborn(threads);
}

void frame_want(const struct cpython_image *image, uint64_t address)
{
	memory_view_want(image->view, address, FRAME_BYTES);
}

/* They lie below, on a stack of their own from 3.11 on, and mostly so on the heap: of the page, which is there. */
void frame_want_callers(const struct cpython_image *image, uint64_t address)
{
	uint64_t page = address & ~4095ULL;

	memory_view_want(image->view, page, address - page + 1);
}

int frame_read(const struct cpython_image *image, struct code_table *codes, uint64_t address,
	       struct frame *ret_frame)
{
	const struct cpython_offsets *at = &image->offsets;
	struct frame frame = {.address = address};
	uint64_t code;
	int r;

	if (address % 8)
		return -EINVAL;
	if (at->frame_is_object && !object_is(image, address, image->types.frame))
		return -EINVAL;
	r = object_pointer(image, address + at->frame_previous, &frame.previous);
	if (r == 0)
		r = object_pointer(image, address + at->frame_code, &code);
	if (r == 0)
		r = object_pointer(image, address + at->frame_instruction, &frame.instruction);
	if (r < 0)
		return r;
	if (at->minor >= 12) {
		uint8_t owner;

		r = memory_view_read(image->view, address + at->frame_owner, &owner, 1);
		if (r < 0)
			return r;
		if (owner >= PYTHON_OWNER_C_STACK) {
			*ret_frame = frame;
			return 0;
		}
	}
	/* 3.14 marks in the lowest bits whether a reference is counted. */
	frame.code = code_table_get(codes, image, code & ~7ULL);
	if (!frame.code)
		return -EINVAL;
	*ret_frame = frame;
	return 0;
}

int frame_local(const struct cpython_image *image, uint64_t frame, uint32_t index, uint64_t *ret_value)
{
	uint64_t value;
	int r = object_pointer(image, frame + image->offsets.frame_locals + index * 8ULL, &value);

	if (r == 0)
		*ret_value = value & ~7ULL;
	return r;
}

int py_thread_innermost(struct py_thread *thread, const struct cpython_image *image, uint64_t *ret_frame)
{
	uint64_t pointer;
	int r = object_pointer(image, thread->address + image->offsets.thread_frame, &pointer);

	if (r < 0 || !image->offsets.has_cframe) {
		if (r == 0)
			*ret_frame = pointer;
		return r;
	}
	thread->cframe = pointer;
	return object_pointer(image, pointer + image->offsets.cframe_frame, ret_frame);
}

static int locate(const struct cpython_image *image, struct code_table *codes, struct py_thread *thread)
{
	struct frame frame = {0};
	uint64_t at;
	int r = py_thread_innermost(thread, image, &at);

	if (r < 0)
		return r;
	thread->is_in_loop = at && at == thread->root.worker_frame;
	/* The frame of a worker between two tasks is known: it needs no reading. */
	for (unsigned int i = 0; i < SHIMS_MAX && at && !thread->is_in_loop; i++) {
		r = frame_read(image, codes, at, &frame);
		if (r < 0)
			return r;
		if (frame.code)
			break;
		at = frame.previous;
		thread->is_in_loop = at && at == thread->root.worker_frame;
	}
	if (thread->is_in_loop)
		frame = (struct frame){.address = at};
	else if (at && !frame.code)
		return -EINVAL;
	else if (!at)
		frame = (struct frame){0};
	thread->frame = frame;
	thread->is_read = true;
	return 0;
}

static void forget(const struct cpython_image *image, const struct py_thread *thread)
{
	uint64_t frame;

	memory_view_forget(image->view, thread->address, PY_THREAD_BYTES);
	if (thread->cframe)
		memory_view_forget(image->view, thread->cframe, 16);
	if (object_pointer(image,
			   image->offsets.has_cframe ? thread->cframe + image->offsets.cframe_frame
						     : thread->address + image->offsets.thread_frame,
			   &frame) == 0)
		memory_view_forget(image->view, frame, FRAME_BYTES);
}

size_t py_threads_locate(struct py_threads *threads, const struct cpython_image *image,
			 struct code_table *codes)
{
	size_t unread = 0;

	for (size_t i = 0; i < threads->count; i++) {
		struct py_thread *thread = threads->thread[i];
		uint64_t pointer;

		thread->is_read = thread->is_in_loop = false;
		if (object_pointer(image, thread->address + image->offsets.thread_frame, &pointer) < 0)
			continue;
		if (image->offsets.has_cframe)
			memory_view_want(image->view, pointer, 16);
		else
			frame_want(image, pointer);
	}
	memory_view_fetch(image->view);
	for (size_t i = 0; i < threads->count; i++) {
		uint64_t frame;

		if (image->offsets.has_cframe &&
		    py_thread_innermost(threads->thread[i], image, &frame) == 0 &&
		    frame != threads->thread[i]->root.worker_frame)
			frame_want(image, frame);
	}
	for (size_t i = 0; i < threads->count; i++) {
		struct py_thread *thread = threads->thread[i];

		for (unsigned int round = 0; round < ROUNDS && locate(image, codes, thread) < 0; round++)
			forget(image, thread);
		if (!thread->is_read)
			thread->frame = (struct frame){0};
		unread += !thread->is_read;
	}
	return unread;
}
