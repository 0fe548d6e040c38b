/* SPDX-License-Identifier: GPL-2.0-only */
/* What a target's threads show of their descriptors: the layout, learnt once, and what it tells of each thread. It must
 * not know how a layout is proven, nor what becomes of the answer. */
#include "../boottime.h"
#include "../model/pool_names.h"
#include "watched.h"

#include <errno.h>
#include <string.h>
#include <stdlib.h>

/* A program without glibc never shows one: looking takes no more than this part of a core, however many are born. */
#define LEARN_SHARE 100

void watched_learn(struct watched *watched, const struct fact_thread *threads, size_t n_threads)
{
	struct fact_thread evidence[WATCHED_BATCH];
	size_t count = 0;

	for (size_t i = 0; i < n_threads && count < WATCHED_BATCH; i++)
		if (threads[i].tls_base && !threads[i].is_io_worker)
			evidence[count++] = threads[i];
	if (!count || glibc_learn(watched->info.pid, watched->procfs_path, evidence, count, &watched->descriptor))
		return;
	if (watched->descriptor.start_routine)
		probes_set_descriptor(watched->probes, watched->id, watched->descriptor.start_routine);
}

struct living {
	struct fact_thread threads[WATCHED_BATCH];
	size_t count;
};

static int living_emit(void *context, const struct fact *fact)
{
	struct living *living = context;

	living->threads[living->count++] = fact->thread;
	return living->count == WATCHED_BATCH;
}

/* The newborn may have ended by now; the leader lives, and shows nearly as much. */
void watched_learn_again(struct watched *watched, bool exact)
{
	uint64_t begun_ns = boottime();
	struct living living = {.count = 0};
	struct fact_sink sink = {.emit = living_emit, .context = &living};

	if (begun_ns < watched->learn_next_ns && !exact)
		return;
	(void)probes_threads(watched->probes, watched->id, &sink);
	watched_learn(watched, living.threads, living.count);
	watched->learn_next_ns = begun_ns + LEARN_SHARE * (boottime() - begun_ns);
}

static int compare_tls(const void *a, const void *b)
{
	const struct fact_thread *first = *(struct fact_thread *const *)a, *second = *(struct fact_thread *const *)b;
	int order = compare_u64(first->tls_base, second->tls_base);

	order = order ? order : compare_u64(first->id.start_ns, second->id.start_ns);
	return order ? order : compare_u64(first->id.tid, second->id.tid);
}

/* Without CLONE_SETTLS a thread carries its creator's thread pointer, and what lies there is its creator's. */
int watched_disown_tls(struct fact_thread *threads, size_t stride, size_t count)
{
	_cleanup_(freep) struct fact_thread **by_tls = calloc(count + 1, sizeof(*by_tls));
	uint64_t last = 0;

	if (!by_tls)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		by_tls[i] = (struct fact_thread *)((char *)threads + i * stride);
	qsort(by_tls, count, sizeof(struct fact_thread *), compare_tls);
	for (size_t i = 0; i < count; i++) {
		if (by_tls[i]->tls_base == last)
			by_tls[i]->tls_base = 0;
		else
			last = by_tls[i]->tls_base;
	}
	return 0;
}

/* The range that clone told ends below a static TLS, and where that is large nothing but the descriptor says that it lies
 * on the same stack. Where the stack's size is no multiple of the page, the descriptor may end in a further page. */
static bool has_whole_stack(const struct fact_thread *thread, uint32_t descriptor_bytes)
{
	return thread->stack_start && thread->tls_base - thread->stack_start < thread->stack_length &&
	       thread->stack_start + thread->stack_length - thread->tls_base >= descriptor_bytes;
}

void watched_read_descriptors(struct watched *watched, struct fact_thread *threads, size_t count)
{
	struct fact_thread wanted[WATCHED_BATCH];
	size_t at[WATCHED_BATCH], n = 0;

	if (!watched->descriptor.tid)
		return;
	for (size_t i = 0; i < count; i++) {
		const struct fact_thread *thread = &threads[i];

		if (thread->tls_base && !thread->is_io_worker && (!thread->start_routine || !has_whole_stack(thread, watched->descriptor.bytes))) {
			at[n] = i;
			wanted[n++] = *thread;
		}
	}
	if (n && glibc_read_threads(watched->info.pid, watched->procfs_path, &watched->descriptor, wanted, n) > 0)
		for (size_t t = 0; t < n; t++)
			threads[at[t]] = wanted[t];
}

/* What the object that std::thread's routine was given calls: its address, or 0 and its type's name. */
static int find_callable(struct watched *watched, const struct fact_thread *thread, uint64_t *ret_address,
			 struct fact_routine *ret_routine)
{
	return cplusplus_callable(&watched->cplusplus, watched->info.pid, watched->procfs_path, watched->symbols,
				  thread->id.tid, thread->start_argument, ret_address, ret_routine);
}

/* A class of pools begins the threads of all its pools in one routine: the family of their names tells them apart, and whose
 * workers they are, and the config. */
static uint64_t hash_of_pool(uint64_t routine, const char *name, uint64_t executor, uint32_t rule)
{
	char family[POOL_NAME_SIZE];
	uint64_t hash = routine;

	pool_name_family(name, false, family);
	for (const char *at = family; *at; at++)
		hash = (hash ^ (unsigned char)*at) * 1099511628211ULL; /* FNV-1a */
	hash = (hash ^ executor) * 1099511628211ULL;
	hash = (hash ^ rule) * 1099511628211ULL;
	return hash ? hash : 1;
}

struct worker_of {
	struct thread_id id;
	uint64_t executor;
};

static int compare_workers(const void *a, const void *b)
{
	return compare_u64(((const struct worker_of *)a)->id.tid, ((const struct worker_of *)b)->id.tid);
}

/* By tid. */
static int find_workers(const struct watched *watched, struct worker_of **ret_workers, size_t *ret_count)
{
	_cleanup_(freep) struct worker_of *workers = NULL;
	size_t count = 0, room = 0, at = 0;
	struct worker_of worker;

	while (watched->cpython && cpython_next_worker(watched->cpython, &at, &worker.id, &worker.executor)) {
		if (TABLE_GROW(workers, count, room, 64))
			return -ENOMEM;
		workers[count++] = worker;
	}
	if (count)
		qsort(workers, count, sizeof(*workers), compare_workers);
	*ret_workers = TAKE_PTR(workers);
	*ret_count = count;
	return 0;
}

static uint64_t executor_of(const struct worker_of *workers, size_t count, const struct fact_thread *thread)
{
	const struct worker_of key = {.id = thread->id};
	const struct worker_of *found = count ? bsearch(&key, workers, count, sizeof(key), compare_workers) : NULL;

	return found && thread_id_equal(found->id, thread->id) ? found->executor : 0;
}

/* One routine begins all threads of a library, or of a language (Rust's thread_start): what is behind it tells them apart,
 * else nothing. */
static uint64_t kind_of(struct watched *watched, const struct fact_thread *thread, uint64_t executor, uint32_t rule)
{
	struct fact_routine routine = {.symbol = ""};
	uint64_t address = 0;

	if (!thread->start_routine || !watched->symbols ||
	    routines_name(&watched->routines, watched->symbols, thread->start_routine, &routine) < 0)
		return 0;
	if (cplusplus_is_thread(&routine)) {
		if (find_callable(watched, thread, &address, &routine) == 0 && !address)
			address = text_hash(routine.symbol);
	} else if (executor || (!strstr(routine.symbol, "thread_start") && !strstr(routine.module, ".so"))) {
		address = thread->start_routine;
	}
	return address ? hash_of_pool(address, thread->name, executor, rule) : 0;
}

int watched_tell_kinds(struct watched *watched, const struct fact_thread *threads, size_t count,
		       const struct rule_teller *rules, uint64_t **ret_kinds)
{
	_cleanup_(freep) uint64_t *kinds = calloc(count + 1, sizeof(*kinds));
	_cleanup_(freep) struct worker_of *workers = NULL;
	size_t n_workers;
	int r;

	if (!kinds)
		return -ENOMEM;
	r = find_workers(watched, &workers, &n_workers);
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++)
		kinds[i] = kind_of(watched, &threads[i], executor_of(workers, n_workers, &threads[i]),
				   rules->rule_of(rules->context, &threads[i].id));
	*ret_kinds = TAKE_PTR(kinds);
	return 0;
}

void watched_name_callable(struct watched *watched, const struct fact_thread *thread, struct fact_routine *routine)
{
	struct fact_routine found = *routine;
	uint64_t address = 0;

	if (find_callable(watched, thread, &address, &found) < 0)
		return;
	if (address && routines_name(&watched->routines, watched->symbols, address, &found) < 0)
		return;
	memcpy(routine->symbol, found.symbol, sizeof(routine->symbol));
	memcpy(routine->module, found.module, sizeof(routine->module));
}
