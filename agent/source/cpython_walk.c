/* SPDX-License-Identifier: GPL-2.0-only */
/* The passes over one CPython: lists its threads, locates them, tells executors, makes facts of it all. It
 * must not know where the memory lies. */
#include "cpython_walk_internal.h"

#include <errno.h>

#include "cpython_root.h"

/* Passes that tell nothing, one after another, until what was told before counts as unknown. */
#define FAILURES_MAX 3U

int cpython_walk_new(const struct memory_source *source, const struct cpython_offsets *offsets,
		     const struct cpython_site *site, struct cpython_walk **ret_walk)
{
	_cleanup_(cpython_walk_freep) struct cpython_walk *walk = calloc(1, sizeof(*walk));
	int r;

	if (!walk)
		return -ENOMEM;
	r = memory_view_new(source, &walk->view);
	if (r == 0)
		r = code_table_new(&walk->codes);
	if (r < 0)
		return r;
	walk->site = *site;
	walk->frames = FRAMES_PASS;
	walk->image = (struct cpython_image){.view = walk->view, .offsets = *offsets, .types = site->types};
	*ret_walk = TAKE_PTR(walk);
	return 0;
}

void cpython_walk_free(struct cpython_walk *walk)
{
	if (!walk)
		return;
	py_threads_clear(&walk->threads);
	executors_clear(&walk->executors);
	code_table_free(walk->codes);
	memory_view_free(walk->view);
	free(walk);
}

const struct fact_runtime *cpython_walk_counts(const struct cpython_walk *walk)
{
	return &walk->counts;
}

const struct memory_counts *cpython_walk_memory(const struct cpython_walk *walk)
{
	return memory_view_counts(walk->view);
}

/* A list that changes under the reading is read again from its head. */
int cpython_walk_list(struct cpython_walk *walk)
{
	int r = -EFAULT;

	code_table_begin(walk->codes);
	for (unsigned int round = 0; round < ROUNDS && r < 0 && r != -ENOMEM; round++) {
		memory_view_begin(walk->view);
		r = py_threads_list(&walk->threads, &walk->image, walk->site.runtime);
	}
	return r;
}

bool cpython_walk_proves(struct cpython_walk *walk)
{
	bool proven = false;

	if (cpython_walk_list(walk) < 0)
		return false;
	py_threads_locate(&walk->threads, &walk->image, walk->codes);
	for (size_t i = 0; i < walk->threads.count && !proven; i++)
		proven = walk->threads.thread[i]->frame.code;
	return proven;
}

int cpython_walk_version(struct cpython_walk *walk, char *ret_version, size_t size)
{
	const struct cpython_image *image = &walk->image;
	uint64_t interp, dict, version;
	char text[64];
	int r = image->offsets.interp_sysdict ? 0 : -ENOENT;

	if (r == 0)
		r = object_pointer(image, walk->site.runtime + image->offsets.runtime_interpreters, &interp);
	if (r == 0)
		r = object_pointer(image, interp + image->offsets.interp_sysdict, &dict);
	if (r == 0)
		r = object_dict_get(image, dict, "version", &version);
	if (r == 0)
		r = object_text(image, version, text, sizeof(text));
	if (r < 0)
		return r;
	text[strspn(text, "0123456789.")] = '\0';
	text_copy(ret_version, size, text);
	return 0;
}

void cpython_walk_set_name(struct cpython_walk *walk, const char *name)
{
	text_copy(walk->counts.name, sizeof(walk->counts.name), name);
}

void cpython_walk_ask_all(struct cpython_walk *walk)
{
	walk->role.next_ns = 0;
	walk->frames = FRAMES_ONCE;
}

/* ---- which thread of the system a Python thread is ----------------------------------------------- */

struct known_thread {
	uint64_t key; /* pthread_self(), or the thread's number */
	const struct listed_thread *thread;
};

static int compare_known(const void *a, const void *b)
{
	return compare_u64(((const struct known_thread *)a)->key, ((const struct known_thread *)b)->key);
}

static const struct listed_thread *thread_by(const struct known_thread *known, size_t count, uint64_t key)
{
	const struct known_thread wanted = {.key = key};
	const struct known_thread *found = key && count ? bsearch(&wanted, known, count, sizeof(*known),
								  compare_known)
							: NULL;

	return found ? found->thread : NULL;
}

/* By what the thread itself is on: its thread control block; where nobody told it, by its number, if that is
 * the same inside. */
static bool keys_by_pthread(const struct listed_thread *threads, size_t n_threads)
{
	for (size_t i = 0; i < n_threads; i++) {
		if (threads[i].tls_base)
			return true;
	}
	return false;
}

/* ---- facts -------------------------------------------------------------------------------------- */

static int emit_runtime(const struct cpython_walk *walk, struct fact *fact, const struct fact_sink *sink)
{
	fact->kind = FACT_RUNTIME;
	fact->runtime = walk->counts;
	fact->runtime.failed_reads = memory_view_counts(walk->view)->failed;
	return sink->emit(sink->context, fact);
}

static int emit_executors(const struct cpython_walk *walk, bool unknown, struct fact *fact,
			  const struct fact_sink *sink)
{
	int r = 0;

	fact->kind = FACT_EXECUTOR;
	for (uint32_t i = 0; i < walk->executors.count && r == 0; i++) {
		const struct executor *executor = &walk->executors.executor[i];

		if (!executor->in_use || executor->is_hidden)
			continue;
		fact->executor = executor->fact;
		if (unknown)
			fact->executor.capacity = fact->executor.queued = fact->executor.busy =
				fact->executor.idle = fact->executor.processes = fact->executor.borrowed =
					UNKNOWN_U64;
		r = sink->emit(sink->context, fact);
	}
	return r;
}

static int emit_worker(struct cpython_walk *walk, const struct py_thread *thread,
		       const struct listed_thread *is, bool unknown, struct fact *fact,
		       const struct fact_sink *sink)
{
	struct code_info *code = unknown ? NULL : thread->frame.code;

	fact->kind = FACT_WORKER;
	fact->worker = (struct fact_worker){.id = is->id};
	if (thread->executor != EXECUTOR_NONE)
		fact->worker.executor = walk->executors.executor[thread->executor].fact.id;
	fact->worker.activity = unknown ? WORKER_UNKNOWN : thread->activity;
	if (code && fact->worker.activity != WORKER_IDLE) {
		memcpy(fact->worker.function, code->function, sizeof(fact->worker.function));
		memcpy(fact->worker.file, code->file, sizeof(fact->worker.file));
		fact->worker.line = code_line(walk->codes, &walk->image, code, thread->frame.instruction);
	}
	return sink->emit(sink->context, fact);
}

/* A thread that has ended since it was listed may have left its place to the one that was read there: its own
 * number tells, and where that is not known, that it is listed there again. */
static bool is_the_one(const struct cpython_walk *walk, struct py_thread *thread,
		       const struct listed_thread *listed)
{
	uint32_t before = thread->tid;

	thread->tid = listed->id.tid;
	thread->start_ns = listed->id.start_ns;
	return walk->site.same_pids && thread->native ? thread->native == listed->id.tid
						      : before == listed->id.tid;
}

static int compare_age(const void *a, const void *b)
{
	const struct py_thread *first = *(struct py_thread *const *)a, *second = *(struct py_thread *const *)b;
	int order = compare_u64(first->unique, second->unique);

	return order ? order : compare_u64(first->address, second->address);
}

/* The oldest first, which is how an agent that was there all the time has met them: the first pools of a pattern, and
 * the first of all, are those that are not folded. Caller frees; NULL: no memory. */
static struct py_thread **threads_by_age(const struct py_threads *threads)
{
	struct py_thread **order = calloc(threads->count + 1, sizeof(struct py_thread *));

	if (!order)
		return NULL;
	if (threads->count)
		memcpy(order, threads->thread, threads->count * sizeof(struct py_thread *));
	qsort(order, threads->count, sizeof(struct py_thread *), compare_age);
	return order;
}

struct listing {
	bool by_pthread;
	struct known_thread *known; /* by key, ascending */
	size_t count;
};

static void listing_clear(struct listing *listing)
{
	free(listing->known);
}

static int listing_make(const struct cpython_walk *walk, const struct listed_thread *threads, size_t n_threads,
			struct listing *ret_listing)
{
	*ret_listing = (struct listing){.by_pthread = keys_by_pthread(threads, n_threads),
					.known = calloc(n_threads + 1, sizeof(*ret_listing->known))};
	if (!ret_listing->known)
		return -ENOMEM;
	for (size_t i = 0; i < n_threads; i++) {
		uint64_t key = ret_listing->by_pthread ? threads[i].tls_base
			       : walk->site.same_pids  ? threads[i].id.tid
						       : 0;

		if (key)
			ret_listing->known[ret_listing->count++] = (struct known_thread){key, &threads[i]};
	}
	qsort(ret_listing->known, ret_listing->count, sizeof(*ret_listing->known), compare_known);
	return 0;
}

static const struct listed_thread *listing_find(const struct listing *listing, const struct py_thread *thread)
{
	if (thread->is_unborn)
		return NULL;
	return thread_by(listing->known, listing->count, listing->by_pthread ? thread->pthread : thread->native);
}

/* Who has been there for long when it is seen first does not have to be watched as long to tell what it is there for. */
static void note_beginnings(struct cpython_walk *walk, const struct listing *listing)
{
	for (size_t i = 0; i < walk->threads.count; i++) {
		struct py_thread *thread = walk->threads.thread[i];
		const struct listed_thread *is = thread->began_ns ? NULL : listing_find(listing, thread);

		if (is)
			thread->began_ns = is->id.start_ns;
	}
}

/* A thread that is not told yet is in no executor as far as anyone knows: of it nothing is said but what it
 * runs, once it is told to be none's, or that it can't be. */
static int emit_workers(struct cpython_walk *walk, bool unknown, const struct listing *listing, struct fact *fact,
			const struct fact_sink *sink)
{
	_cleanup_(freep) struct py_thread **order = threads_by_age(&walk->threads);
	int r = 0;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < walk->threads.count && r == 0; i++) {
		struct py_thread *thread = order[i];
		const struct listed_thread *is = listing_find(listing, thread);

		if (!is || !is_the_one(walk, thread, is))
			continue;
		if (thread->executor != EXECUTOR_NONE && walk->executors.executor[thread->executor].is_hidden)
			continue;
		if (thread->root.kind != ROOT_UNKNOWN || thread->is_out_of_reach || is->is_leader)
			r = emit_worker(walk, thread, is, unknown || !thread->is_read, fact, sink);
	}
	return r;
}

/* Of one that was forked the number in its state may be its parent's: the thread control block is its own. */
static struct py_thread *leader_of(const struct cpython_walk *walk, const struct listed_thread *threads,
				   size_t n_threads)
{
	const struct listed_thread *leader = NULL;

	for (size_t i = 0; i < n_threads && !leader; i++)
		leader = threads[i].is_leader ? &threads[i] : NULL;
	for (size_t i = 0; leader && i < walk->threads.count; i++) {
		struct py_thread *thread = walk->threads.thread[i];

		if (leader->tls_base ? thread->pthread == leader->tls_base
				     : walk->site.same_pids && thread->native == leader->id.tid)
			return thread;
	}
	return NULL;
}

static const struct py_thread *mark_leader(struct cpython_walk *walk, const struct listed_thread *threads, size_t n_threads)
{
	const struct py_thread *leader = leader_of(walk, threads, n_threads);

	for (size_t i = 0; i < walk->threads.count; i++)
		walk->threads.thread[i]->is_leader = walk->threads.thread[i] == leader;
	return leader;
}

int cpython_walk_pass(struct cpython_walk *walk, uint32_t target, uint64_t time_ns,
		      const struct listed_thread *threads, size_t n_threads, const struct fact_sink *sink)
{
	_cleanup_(listing_clear) struct listing listing = {0};
	struct fact fact = {.target = target, .time_ns = time_ns};
	const struct py_thread *leader;
	int told = cpython_walk_list(walk), r;

	walk->counts.passes++;
	if (told == -ENOMEM)
		return told;
	r = listing_make(walk, threads, n_threads, &listing);
	if (r < 0)
		return r;
	if (told == 0) {
		walk->failures = 0;
		walk->threads.now_ns = time_ns;
		note_beginnings(walk, &listing);
		walk->counts.unread += py_threads_locate(&walk->threads, &walk->image, walk->codes);
		mark_leader(walk, threads, n_threads);
		r = py_threads_tell_roots(&walk->threads, &walk->image, walk->codes, walk->frames);
		walk->frames = FRAMES_PASS;
		if (r < 0)
			return r;
		/* Before 3.11 it may be by what was told just now that threads have their numbers. */
		leader = mark_leader(walk, threads, n_threads);
		for (size_t i = 0; i < walk->threads.count; i++)
			walk->counts.unread += walk->threads.thread[i]->is_out_of_reach;
		executors_update(&walk->executors, &walk->threads, &walk->image, walk->codes);
		process_role_tell(&walk->role, leader, &walk->image, walk->codes, time_ns);
		walk->counts.role = walk->role.role;
	} else {
		walk->failures++;
		walk->counts.failed_passes++;
	}
	r = 0;
	if (told == 0 || walk->failures >= FAILURES_MAX)
		r = emit_executors(walk, told < 0, &fact, sink);
	if (r == 0 && (told == 0 || walk->failures >= FAILURES_MAX))
		r = emit_workers(walk, told < 0, &listing, &fact, sink);
	if (r == 0)
		r = emit_runtime(walk, &fact, sink);
	return r ? r : told;
}
