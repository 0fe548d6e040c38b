/* SPDX-License-Identifier: GPL-2.0-only */
/* What a Python thread is, by its outermost frames. What is read piece by piece proves nothing by itself: the
 * Thread object in it must name the very thread. It must not know what an executor holds. */
#include "cpython_root.h"

#include <errno.h>
#include <stdio.h>

#include "cpython_target.h"
#include "cpython_worker.h"

/* All threads' frames are read a level at a time so far; beyond that the deep stacks one by one, while the pass has frames
 * left: whose turn does not come has it in the next. One that cost many and ended in nothing is not read again at once. */
#define LEVELS 64U
#define LEVELS_CHEAP 512U
#define TORN_MAX 3U /* less often in a row it is chance: a thread that has just begun, or is about to end */
#define DEEP_RETRY_NS (16 * NSEC_PER_SEC)
#define TORN_RETRY_NS (4 * NSEC_PER_SEC)
/* How long a frame must be seen before it counts as what the thread is there for. */
#define STAY_NS NSEC_PER_SEC
#define OUTER 12U /* frames kept from the outer end: bootstrap, wrappers of instrumentation, the worker */

struct chain {
	struct py_thread *thread;
	uint64_t at; /* the next frame to read; 0: the outer end was reached */
	struct frame outer[OUTER]; /* ring: the last frames with a function */
	uint32_t count;
	bool broken, is_too_deep, is_torn_deep;
	bool is_elsewhere; /* its stack is not the one that its Thread began with, and nothing tells which Thread that is */
	bool is_left_out; /* its turn did not come */
	uint64_t delay_ns; /* until it is tried again */
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

/* Of whoever is deep a page at a time, and to its end once it is begun: half a stack tells nothing. */
static void chain_follow(struct chain *chain, const struct cpython_image *image, struct code_table *codes,
			 uint32_t *frames)
{
	uint32_t level = LEVELS;
	uint64_t mark = 0; /* a frame passed, ever further out: one that leads back to it is none */

	if (!chain->at || chain->broken)
		return;
	chain->is_left_out = !*frames;
	while (*frames && chain->at && !chain->broken && level < FRAMES_MAX) {
		if ((level & (level - 1)) == 0)
			mark = chain->at;
		frame_want_callers(image, chain->at);
		chain_step(chain, image, codes);
		chain->broken |= chain->at == mark;
		level++;
	}
	*frames -= level - LEVELS < *frames ? level - LEVELS : *frames;
	chain->is_torn_deep = chain->broken;
	chain->is_too_deep = !chain->broken && chain->at && level == FRAMES_MAX;
	if (level > LEVELS_CHEAP)
		chain->delay_ns = chain->broken ? TORN_RETRY_NS : chain->is_too_deep ? DEEP_RETRY_NS : 0;
}

/* All chains a level further at a time: one call a level, whatever the number of threads. */
static void chains_walk(struct chain *chains, size_t count, const struct cpython_image *image,
			struct code_table *codes, uint32_t frames)
{
	bool more = true;

	for (uint32_t level = 0; level < LEVELS && more; level++) {
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
	for (size_t i = 0; i < count; i++) {
		chain_follow(&chains[i], image, codes, &frames);
		chains[i].broken |= chains[i].at != 0;
	}
}

static int thread_proves(const struct cpython_image *image, const struct py_thread *thread, uint64_t object)
{
	uint64_t ident;
	int64_t number;
	int r = object_attribute(image, object, "_ident", &ident);

	if (r == 0)
		r = object_integer(image, ident, &number);
	if (r < 0)
		return r;
	return (uint64_t)number == thread->pthread ? 0 : -EINVAL;
}

/* The Thread object that a frame of threading.py calls `self`, if it is this very thread's. */
static int thread_object(const struct cpython_image *image, const struct py_thread *thread, uint64_t frame,
			 uint64_t *ret_object)
{
	uint64_t self;
	int r = frame_local(image, frame, 0, &self);

	if (r == 0)
		r = thread_proves(image, thread, self);
	if (r == 0)
		*ret_object = self;
	return r;
}

static void tell_plain(const struct cpython_image *image, const struct code_info *code, struct root *root)
{
	char type[64];

	memcpy(root->function, code->function, sizeof(root->function));
	memcpy(root->file, code->file, sizeof(root->file));
	root->path = code->path;
	/* Before 3.11 a method does not know its class. */
	if (!image->offsets.code_qualname && !strcmp(root->function, "run") &&
	    object_type_name(image, root->object, type, sizeof(type)) == 0)
		snprintf(root->function, sizeof(root->function), "%s.run", type);
	root->kind = ROOT_PLAIN;
}

/* A worker by any of its outer frames: instrumentation wraps Thread.run() in functions of its own. */
static int tell_by_role(const struct chain *chain, const struct cpython_image *image, struct root *root)
{
	const struct frame *frame;

	for (uint32_t n = 2; (frame = outer(chain, n)); n++) {
		const struct worker_call call = {.code = frame->code, .frame = frame->address};
		int r = worker_tell(image, &call, root);

		if (r != -ENOENT)
			return r;
	}
	return -ENOENT;
}

/* By what Thread.run() was given, while it is in there: of a function of C, for good. What else it was given may be about to
 * be called: then its frames tell more. */
static int tell_target(const struct cpython_image *image, struct code_table *codes, struct root *root)
{
	struct target_name target = {.is_builtin = false};
	int r = target_name(image, codes, root->object, &target);

	if (r < 0)
		return r;
	memcpy(root->function, target.function, sizeof(root->function));
	memcpy(root->file, target.file, sizeof(root->file));
	root->path = target.path;
	root->kind = ROOT_PLAIN;
	root->is_provisional = !target.is_builtin;
	return 0;
}

/* True when the thread has stood in this frame for a while; where it is found first, since it began. */
static bool has_stayed(struct py_thread *thread, uint64_t frame, uint64_t now_ns)
{
	if (thread->tried_frame != frame) {
		thread->tried_ns = !thread->tried_frame && thread->began_ns ? thread->began_ns : now_ns;
		thread->tried_frame = frame;
	}
	return now_ns - thread->tried_ns >= STAY_NS;
}

/* The function that Thread.run() calls: with it the thread is told for good. A run() of a class of its own is
 * told at once, but may turn out to be a wrapper; Thread.run() that calls nothing is about to, or calls a
 * function of C. */
static void tell_by_function(const struct chain *chain, const struct cpython_image *image, struct code_table *codes,
			     uint64_t now_ns, struct root *root)
{
	const struct frame *frame, *own = outer(chain, 2), *called = NULL;
	bool has_stayed_there;

	for (uint32_t n = 2; (frame = outer(chain, n)) && !called; n++) {
		if (frame->code->role == CODE_THREAD_RUN) {
			own = frame;
			called = outer(chain, n + 1);
		}
	}
	/* Timer.run() calls others of threading.py; before run() the thread says that it has started. */
	if (called && called->code->role != CODE_THREADING) {
		tell_plain(image, called->code, root);
		return;
	}
	if (!own || own->code->role == CODE_THREADING)
		return;
	has_stayed_there = has_stayed(chain->thread, own->address, now_ns);
	if (own->code->role == CODE_THREAD_RUN && !has_stayed_there)
		return;
	if (own->code->role == CODE_THREAD_RUN && tell_target(image, codes, root) == 0)
		return;
	tell_plain(image, own->code, root);
	root->is_provisional = !has_stayed_there || own->code->role == CODE_THREAD_RUN;
}

/* What the Thread says of itself. */
static int tell_thread(const struct cpython_image *image, struct root *root)
{
	uint64_t name, number;
	int64_t native;
	int r;

	/* Before 3.11 the state has no number; the Thread object has it from 3.8 on. */
	if (object_attribute(image, root->object, "_native_id", &number) == 0 &&
	    object_integer(image, number, &native) == 0)
		root->native = (uint32_t)native;
	r = object_attribute(image, root->object, "_name", &name);
	return r ? r : object_text(image, name, root->name, sizeof(root->name));
}

/* -ENOENT: threading did not make it, but had to have a Thread for it. */
static int tell_made(const struct cpython_image *image, const struct root *root)
{
	static const char *const others[] = {"_MainThread", "_DummyThread"};
	char type[32];
	int r = object_type_name(image, root->object, type, sizeof(type));

	for (size_t i = 0; i < ARRAY_SIZE(others) && r == 0; i++)
		r = strcmp(type, others[i]) ? 0 : -ENOENT;
	return r;
}

/* By what the Thread was given to do: as good as its frames, but for what they alone have. */
static int tell_given(const struct cpython_image *image, struct code_table *codes, struct root *root)
{
	struct worker_call call;
	int r = worker_call_given(image, codes, root->object, &call);

	if (r == 0)
		r = worker_tell(image, &call, root);
	if (r == -ENOENT && tell_target(image, codes, root) < 0 && worker_call_given(image, codes, root->object, &call) == 0)
		tell_plain(image, call.code, root);
	if (r == -ENOENT) {
		root->kind = ROOT_PLAIN;
		r = 0;
	}
	root->is_provisional = true;
	return r;
}

/* By the Thread that threading's table has for it. -ENOENT: none, but for one that threading did not begin. */
static int tell_by_table(const struct py_thread *thread, const struct cpython_image *image, struct code_table *codes,
			 struct active_threads *active, struct root *root)
{
	int r = active_find(active, image, thread->interp, thread->pthread, &root->object);

	if (r == 0)
		r = tell_made(image, root);
	if (r < 0)
		return r;
	r = thread_proves(image, thread, root->object);
	if (r == 0)
		r = tell_thread(image, root);
	if (r == 0)
		r = tell_given(image, codes, root);
	return r == -ENOENT ? -EINVAL : r; /* what every Thread has */
}

/* A stack that does not begin where a Thread's does is that of a thread of C code, or a greenlet's: then the frames of
 * the Thread's own stack are out of reach until it is back there. */
static void tell_elsewhere(struct chain *chain, const struct cpython_image *image, struct code_table *codes,
			   struct active_threads *active, uint64_t now_ns, struct root *root)
{
	const struct py_thread *thread = chain->thread;
	bool has_stayed_there = has_stayed(chain->thread, outer(chain, 0)->address, now_ns);
	int r;

	/* A worker stays one; a plain Thread may have been taken for one by a wrapper. */
	if (thread->root.kind != ROOT_UNKNOWN && thread->root.kind != ROOT_PLAIN) {
		*root = thread->root;
		return;
	}
	r = tell_by_table(thread, image, codes, active, root);
	if (r == 0)
		return;
	*root = (struct root){.kind = r == -ENOENT && has_stayed_there ? ROOT_NONE : ROOT_UNKNOWN};
	chain->is_elsewhere = r != -ENOENT && has_stayed_there;
}

/* What one walk says; kind ROOT_UNKNOWN: nothing. */
static void tell(struct chain *chain, const struct cpython_image *image, struct code_table *codes,
		 struct active_threads *active, uint64_t now_ns, struct root *root)
{
	const struct frame *first = outer(chain, 0), *second = outer(chain, 1);

	memset(root, 0, sizeof(*root));
	if (chain->broken || !first)
		return;
	/* No executor has made the first thread: one that a worker forked still has that one's frames below its own. */
	if (chain->thread->is_leader) {
		root->kind = ROOT_NONE;
		return;
	}
	if (first->code->role != CODE_BOOTSTRAP) {
		tell_elsewhere(chain, image, codes, active, now_ns, root);
		return;
	}
	if (!second || second->code->role != CODE_BOOTSTRAP_INNER ||
	    thread_object(image, chain->thread, second->address, &root->object) < 0 || tell_thread(image, root) < 0)
		return;
	if (tell_by_role(chain, image, root) == -ENOENT)
		tell_by_function(chain, image, codes, now_ns, root);
}

static bool is_to_be_told(const struct py_thread *thread, uint64_t now_ns)
{
	return thread->frame.address && now_ns >= thread->retry_ns &&
	       (thread->root.kind == ROOT_UNKNOWN || thread->root.is_provisional);
}

/* Where the thread is by its state as it is read now; false: it is another thread, or unreadable. */
static bool chain_begin(struct chain *chain, const struct cpython_image *image)
{
	struct py_thread *thread = chain->thread;
	uint64_t frame;

	*chain = (struct chain){.thread = thread};
	chain->broken = !py_thread_is_same(thread, image) || py_thread_innermost(thread, image, &frame) < 0;
	if (!chain->broken)
		chain->at = frame;
	return !chain->broken && frame;
}

/* Where threading's table is, by whoever's stack begins in threading.py. */
static void hint_active(const struct chain *chain, const struct cpython_image *image, struct active_threads *active)
{
	const struct frame *first = chain->broken ? NULL : outer(chain, 0);
	uint64_t globals;

	if (first && first->code->role == CODE_BOOTSTRAP &&
	    object_pointer(image, first->address + image->offsets.frame_globals, &globals) == 0)
		active_hint(active, image, chain->thread->interp, globals);
}

/* Memory that is read piece by piece may show a thread that has ended in the place of one that begins: what
 * is told must be told twice, by walks of which the second reads everything after the first. */
static void tell_twice(struct chain *chains, size_t count, const struct cpython_image *image,
		       struct code_table *codes, uint32_t frames, struct py_threads *threads, struct root *roots)
{
	for (unsigned int walk = 0; walk < 2; walk++) {
		memory_view_begin(image->view);
		active_begin(&threads->active);
		for (size_t i = 0; i < count; i++) {
			memory_view_want(image->view, chains[i].thread->address, PY_THREAD_BYTES);
			if (chains[i].thread->cframe)
				memory_view_want(image->view, chains[i].thread->cframe, 16);
		}
		memory_view_fetch(image->view);
		for (size_t i = 0; i < count; i++) {
			if (walk && roots[i].kind == ROOT_UNKNOWN)
				chains[i].at = 0;
			else
				chain_begin(&chains[i], image);
		}
		chains_walk(chains, count, image, codes, frames);
		for (size_t i = 0; i < count; i++)
			hint_active(&chains[i], image, &threads->active);
		for (size_t i = 0; i < count; i++) {
			struct root *second = &roots[count];

			if (walk && roots[i].kind == ROOT_UNKNOWN)
				continue;
			tell(&chains[i], image, codes, &threads->active, threads->now_ns, walk ? second : &roots[i]);
			if (walk && memcmp(second, &roots[i], sizeof(*second)) != 0)
				roots[i].kind = ROOT_UNKNOWN;
		}
	}
}

/* What the try says of a thread beyond its root: that there may be more to it, and when it is tried again. */
static void note_try(const struct chain *chain, uint64_t now_ns)
{
	struct py_thread *thread = chain->thread;

	thread->torn = chain->is_torn_deep ? thread->torn + (thread->torn < TORN_MAX) : 0;
	thread->is_out_of_reach = chain->is_too_deep || thread->torn == TORN_MAX || chain->is_elsewhere;
	/* Who is read again in the next pass does not leave all executors' busy unknown because it has just begun. */
	thread->may_be_any = thread->is_out_of_reach || chain->is_left_out || chain->delay_ns;
	thread->retry_ns = now_ns + chain->delay_ns;
}

/* It has left Python: there is no stack any more that could not be read. */
static void forget_tries(struct py_thread *thread)
{
	thread->is_out_of_reach = thread->may_be_any = false;
	thread->torn = 0;
	thread->retry_ns = 0;
}

int py_threads_tell_roots(struct py_threads *threads, const struct cpython_image *image,
			  struct code_table *codes, uint32_t frames)
{
	_cleanup_(freep) struct chain *chains = NULL;
	_cleanup_(freep) struct root *roots = NULL;
	size_t count = 0;

	for (size_t i = 0; i < threads->count; i++) {
		if (threads->thread[i]->is_read && !threads->thread[i]->frame.address)
			forget_tries(threads->thread[i]);
		count += is_to_be_told(threads->thread[i], threads->now_ns);
	}
	if (!count)
		return 0;
	chains = calloc(count, sizeof(*chains));
	roots = calloc(count + 1, sizeof(*roots));
	if (!chains || !roots)
		return -ENOMEM;
	count = 0;
	for (size_t i = 0; i < threads->count; i++) {
		if (is_to_be_told(threads->thread[i], threads->now_ns))
			chains[count++].thread = threads->thread[i];
	}
	tell_twice(chains, count, image, codes, frames, threads, roots);
	for (size_t i = 0; i < count; i++) {
		struct py_thread *thread = chains[i].thread;

		note_try(&chains[i], threads->now_ns);
		if (roots[i].kind == ROOT_UNKNOWN)
			continue;
		thread->root = roots[i];
		thread->root_pass = threads->pass;
		/* Where it is was read before it was known for a worker. */
		thread->is_in_loop |= thread->root.worker_frame && thread->frame.address == thread->root.worker_frame;
		if (!thread->native)
			thread->native = roots[i].native;
	}
	return 0;
}
