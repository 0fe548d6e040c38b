/* SPDX-License-Identifier: GPL-2.0-only */
/* What a Python thread is, by its outermost frames. A chain of frames that changes while it is read proves nothing
 * by itself: the Thread object in it must name the very thread. It must not know what an executor holds. */
#include "cpython_root.h"

#include <errno.h>
#include <stdio.h>

#define LEVELS_MAX 512U
/* How long a frame must be seen before it counts as what the thread is there for. */
#define STAY_NS NSEC_PER_SEC
#define OUTER 12U /* frames kept from the outer end: bootstrap, wrappers of instrumentation, the worker */

struct chain {
	struct py_thread *thread;
	uint64_t at;                 /* the next frame to read; 0: the outer end was reached */
	struct frame outer[OUTER];   /* ring: the last frames with a function */
	uint32_t count;
	bool broken;
};

/* The n-th frame from the outer end. */
static const struct frame *outer(const struct chain *chain, uint32_t n)
{
	uint32_t held = chain->count < OUTER ? chain->count : OUTER;

	return n < held ? &chain->outer[(chain->count - 1 - n) % OUTER] : NULL;
}

static void chain_step(struct chain *chain, const struct cpython_image *image, struct code_table *codes)
{
	struct frame frame;

	if (frame_read(image, codes, chain->at, &frame) < 0) {
		chain->broken = true;
		return;
	}
	if (frame.code)
		chain->outer[chain->count++ % OUTER] = frame;
	chain->at = frame.previous;
}

/* All chains a level further at a time: one call a level, whatever the number of threads. */
static void chains_walk(struct chain *chains, size_t count, const struct cpython_image *image, struct code_table *codes)
{
	bool more = true;

	for (uint32_t level = 0; level < LEVELS_MAX && more; level++) {
		more = false;
		for (size_t i = 0; i < count; i++) {
			if (!chains[i].broken && chains[i].at)
				frame_want(image, chains[i].at);
		}
		memory_view_fetch(image->view);
		for (size_t i = 0; i < count; i++) {
			if (chains[i].broken || !chains[i].at)
				continue;
			chain_step(&chains[i], image, codes);
			more = true;
		}
	}
	for (size_t i = 0; i < count; i++)
		chains[i].broken |= chains[i].at != 0;
}

/* The Thread object that a frame of threading.py calls `self`, if it is this very thread's. */
static int thread_object(const struct cpython_image *image, const struct py_thread *thread, uint64_t frame,
			 uint64_t *ret_object)
{
	uint64_t self, ident;
	int64_t number;
	int r = frame_local(image, frame, 0, &self);

	if (r == 0)
		r = object_attribute(image, self, "_ident", &ident);
	if (r == 0)
		r = object_integer(image, ident, &number);
	if (r < 0)
		return r;
	if ((uint64_t)number != thread->pthread)
		return -EINVAL;
	*ret_object = self;
	return 0;
}

static int local_named(const struct cpython_image *image, const struct frame *frame, const char *name,
		       uint64_t *ret_value)
{
	uint32_t index;
	int r = code_local(image, frame->code, name, &index);

	return r < 0 ? r : frame_local(image, frame->address, index, ret_value);
}

struct worker_kind {
	enum code_role role;
	enum thread_root root;
	const char *queue, *reference; /* names of its locals */
};

static const struct worker_kind worker_kinds[] = {
	{CODE_FUTURES_WORKER, ROOT_FUTURES, "work_queue", "executor_reference"},
	{CODE_POOL_WORKER, ROOT_POOL, "inqueue", NULL},
	{CODE_POOL_KEEPER, ROOT_POOL_KEEPER, "inqueue", "processes"},
	{CODE_POOL_HELPER, ROOT_POOL_HELPER, NULL, NULL},
};

/* anyio's worker is a Thread whose run() takes the tasks; all of one loop share the set `workers`. */
static int tell_anyio(const struct cpython_image *image, struct py_thread *thread, const struct frame *frame,
		      uint64_t object)
{
	char type[32];
	int r = object_type_name(image, object, type, sizeof(type));

	if (r == 0)
		r = strcmp(type, "WorkerThread") ? -EINVAL : object_attribute(image, object, "workers", &thread->queue);
	if (r == 0)
		r = object_attribute(image, object, "queue", &thread->own_queue);
	if (r < 0)
		return r;
	thread->reference = object;
	thread->worker_frame = frame->address;
	thread->root = ROOT_ANYIO;
	return 0;
}

static int keeper_before_3_8(const struct cpython_image *image, const struct frame *frame, uint64_t *ret_queue,
			     uint64_t *ret_processes)
{
	uint64_t pool;
	int r = local_named(image, frame, "pool", &pool);

	if (r == 0)
		r = object_attribute(image, pool, "_inqueue", ret_queue);
	return r < 0 ? r : object_attribute(image, pool, "_processes", ret_processes);
}

static int tell_worker(const struct cpython_image *image, struct py_thread *thread, const struct frame *frame,
		       const struct worker_kind *kind)
{
	uint64_t queue = 0, reference = 0;
	int r = kind->queue ? local_named(image, frame, kind->queue, &queue) : 0;

	if (r == 0 && kind->reference)
		r = local_named(image, frame, kind->reference, &reference);
	if (r == -ENOENT && kind->root == ROOT_POOL_KEEPER) /* 3.7 has them in the pool alone */
		r = keeper_before_3_8(image, frame, &queue, &reference);
	if (r == 0 && kind->queue && !queue)
		r = -EINVAL;
	if (r < 0)
		return r;
	thread->queue = queue;
	thread->reference = reference;
	thread->own_queue = queue;
	/* Only of who takes tasks it says that he is idle. */
	thread->worker_frame = kind->root == ROOT_FUTURES || kind->root == ROOT_POOL ? frame->address : 0;
	thread->root = kind->root;
	return 0;
}

static void tell_plain(const struct cpython_image *image, struct py_thread *thread, const struct frame *frame,
		       uint64_t object)
{
	char type[64];

	memcpy(thread->function, frame->code->function, sizeof(thread->function));
	memcpy(thread->file, frame->code->file, sizeof(thread->file));
	/* Before 3.11 a method does not know its class. */
	if (!image->offsets.code_qualname && !strcmp(thread->function, "run") &&
	    object_type_name(image, object, type, sizeof(type)) == 0)
		snprintf(thread->function, sizeof(thread->function), "%s.run", type);
	thread->root = ROOT_PLAIN;
}

/* A worker by any of its outer frames: instrumentation wraps Thread.run() in functions of its own. */
static int tell_by_role(const struct chain *chain, const struct cpython_image *image, uint64_t object)
{
	const struct frame *frame;

	for (uint32_t n = 2; (frame = outer(chain, n)); n++) {
		if (frame->code->role == CODE_ANYIO_WORKER)
			return tell_anyio(image, chain->thread, frame, object);
		for (size_t i = 0; i < ARRAY_SIZE(worker_kinds); i++) {
			if (frame->code->role == worker_kinds[i].role)
				return tell_worker(image, chain->thread, frame, &worker_kinds[i]);
		}
	}
	return -ENOENT;
}

/* True when the thread has stood in this frame for a while. */
static bool has_stayed(struct py_thread *thread, uint64_t frame, uint64_t now_ns)
{
	if (thread->tried_frame != frame) {
		thread->tried_frame = frame;
		thread->tried_ns = now_ns;
	}
	return now_ns - thread->tried_ns >= STAY_NS;
}

/* The function that Thread.run() calls: with it the thread is told for good. A run() of a class of its own is told at
 * once, but may turn out to be a wrapper; Thread.run() that calls nothing is about to, or calls a function of C. */
static void tell_by_function(const struct chain *chain, const struct cpython_image *image, uint64_t object, uint64_t now_ns)
{
	const struct frame *frame, *own = outer(chain, 2), *called = NULL;
	struct py_thread *thread = chain->thread;
	bool has_stayed_there;

	for (uint32_t n = 2; (frame = outer(chain, n)) && !called; n++) {
		if (frame->code->role == CODE_THREAD_RUN) {
			own = frame;
			called = outer(chain, n + 1);
		}
	}
	/* Timer.run() calls others of threading.py; before run() the thread says that it has started. */
	if (called && called->code->role != CODE_THREADING) {
		tell_plain(image, thread, called, object);
		thread->is_provisional = false;
		return;
	}
	if (!own || own->code->role == CODE_THREADING)
		return;
	has_stayed_there = has_stayed(thread, own->address, now_ns);
	if (own->code->role == CODE_THREAD_RUN && !has_stayed_there)
		return;
	tell_plain(image, thread, own, object);
	thread->is_provisional = !has_stayed_there || own->code->role == CODE_THREAD_RUN;
}

static void tell(const struct chain *chain, const struct cpython_image *image, uint64_t now_ns)
{
	const struct frame *first = outer(chain, 0), *second = outer(chain, 1);
	struct py_thread *thread = chain->thread;
	uint64_t object, name, number;
	int64_t native;

	if (chain->broken || !first)
		return;
	if (first->code->role != CODE_BOOTSTRAP) {
		if (has_stayed(thread, first->address, now_ns))
			thread->root = ROOT_NONE;
		return;
	}
	if (!second || second->code->role != CODE_BOOTSTRAP_INNER ||
	    thread_object(image, thread, second->address, &object) < 0)
		return;
	/* Before 3.11 the state has no number; the Thread object has it from 3.8 on. */
	if (!thread->native && object_attribute(image, object, "_native_id", &number) == 0 &&
	    object_integer(image, number, &native) == 0)
		thread->native = (uint32_t)native;
	if (object_attribute(image, object, "_name", &name) < 0 ||
	    object_text(image, name, thread->name, sizeof(thread->name)) < 0)
		return;
	if (tell_by_role(chain, image, object) == -ENOENT)
		tell_by_function(chain, image, object, now_ns);
}

static bool is_to_be_told(const struct py_thread *thread)
{
	return thread->frame.address && (thread->root == ROOT_UNKNOWN || (thread->root == ROOT_PLAIN && thread->is_provisional));
}

int py_threads_tell_roots(struct py_threads *threads, const struct cpython_image *image, struct code_table *codes)
{
	_cleanup_(freep) struct chain *chains = NULL;
	size_t count = 0;

	for (size_t i = 0; i < threads->count; i++)
		count += is_to_be_told(threads->thread[i]);
	if (!count)
		return 0;
	chains = calloc(count, sizeof(*chains));
	if (!chains)
		return -ENOMEM;
	count = 0;
	for (size_t i = 0; i < threads->count; i++) {
		struct py_thread *thread = threads->thread[i];

		if (is_to_be_told(thread))
			chains[count++] = (struct chain){.thread = thread, .at = thread->frame.address};
	}
	chains_walk(chains, count, image, codes);
	for (size_t i = 0; i < count; i++)
		tell(&chains[i], image, threads->now_ns);
	return 0;
}

int py_thread_loop(const struct py_thread *thread, const struct cpython_image *image, struct code_table *codes,
		   uint64_t *ret_loop)
{
	uint64_t at = thread->frame.address;
	struct frame frame;

	for (uint32_t level = 0; level < LEVELS_MAX && at; level++) {
		int r = frame_read(image, codes, at, &frame);

		if (r < 0)
			return r;
		if (frame.code && frame.code->role == CODE_LOOP)
			return frame_local(image, at, 0, ret_loop);
		at = frame.previous;
	}
	return -ENOENT;
}
