/* SPDX-License-Identifier: GPL-2.0-only */
/* One target and the sources that are open on it: seeding, sampling, births. It must not know
 * the model; everything goes to the sink it is given. */
#include "../boottime.h"
#include "watched.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct watched *watched_new(uint32_t id, const struct fact_target *info, struct procfs *procfs,
			    struct probes *probes, struct growers_budget *budget, const char *procfs_path)
{
	struct watched *watched = calloc(1, sizeof(*watched));

	if (!watched)
		return NULL;
	watched->id = id;
	watched->info = *info;
	watched->procfs = procfs;
	watched->probes = probes;
	watched->budget = budget;
	watched->procfs_path = procfs_path;
	/* Another procfs shows PIDs of another namespace: a pidfd of ours would be another process. */
	watched->pidfd = procfs_path ? -1 : (int)syscall(SYS_pidfd_open, info->pid, 0);
	return watched;
}

void watched_free(struct watched *watched)
{
	if (!watched)
		return;
	if (watched->pidfd >= 0)
		close(watched->pidfd);
	residency_free(watched->residency);
	symbols_free(watched->symbols);
	glibc_arenas_clear(&watched->arenas);
	cpython_free(watched->cpython);
	growers_free(watched->growers);
	routines_clear(&watched->routines);
	cplusplus_clear(&watched->cplusplus);
	workers_clear(&watched->workers);
	free(watched);
}

int watched_open_image(struct watched *watched, struct explain *explain)
{
	struct residency *residency = NULL;
	struct symbols *symbols = NULL;
	struct cpython *cpython = NULL;
	int error;

	residency_free(watched->residency);
	symbols_free(watched->symbols);
	cpython_free(watched->cpython);
	watched->cpython = NULL;
	growers_free(watched->growers);
	watched->growers = NULL;
	watched->residency = NULL;
	watched->symbols = NULL;
	routines_clear(&watched->routines);
	cplusplus_clear(&watched->cplusplus);
	workers_clear(&watched->workers);
	watched->was_read = false;
	glibc_arenas_clear(&watched->arenas);
	memset(&watched->kept, 0, sizeof(watched->kept));
	memset(&watched->golang, 0, sizeof(watched->golang));
	memset(&watched->descriptor, 0, sizeof(watched->descriptor));
	watched->learn_next_ns = watched->meet_ns = 0;
	watched->was_sampled = watched->python_is_told = false;
	error = residency_new(watched->id, watched->info.pid, watched->procfs_path, NULL, &residency, explain);
	watched->residency = residency;
	if (!symbols_new(watched->info.pid, watched->procfs_path, &symbols))
		watched->symbols = symbols;
	if (!cpython_new(&watched->info, watched->id, watched->procfs_path, &cpython))
		watched->cpython = cpython;
	/* Without memory for it nobody is blamed. */
	(void)watched_blame_begin(watched);
	return error;
}

bool watched_gone(struct watched *watched)
{
	struct fact_target now;

	if (watched->pidfd >= 0) {
		struct pollfd poll_fd = {.fd = watched->pidfd, .events = POLLIN};

		return poll(&poll_fd, 1, 0) > 0;
	}
	return procfs_describe(watched->procfs, watched->info.pid, &now) == -ESRCH ||
	       now.start_ns / NSEC_PER_TICK != watched->info.start_ns / NSEC_PER_TICK;
}

int watched_tell_runtime(struct watched *watched, const struct fact_sink *sink)
{
	struct fact fact = {.kind = FACT_TARGET, .target = watched->id, .time_ns = boottime()};
	struct fact_target now;

	if (watched->ended || !watched->runtime_looks)
		return 0;
	watched->runtime_looks--;
	if (procfs_describe(watched->procfs, watched->info.pid, &now) || !strcmp(now.runtime, watched->info.runtime))
		return 0;
	memcpy(watched->info.runtime, now.runtime, sizeof(now.runtime));
	fact.target_info = watched->info;
	return sink->emit(sink->context, &fact);
}

/* Names the start routine of a thread; silence when nothing is known. */
static int emit_routine(struct watched *watched, const struct fact *of, const struct fact_sink *sink)
{
	struct fact fact = {.kind = FACT_THREAD_ROUTINE, .target = watched->id, .time_ns = of->time_ns};
	uint64_t address = of->thread.start_routine;
	int error;

	if (!address || !watched->symbols)
		return 0;
	error = routines_name(&watched->routines, watched->symbols, address, &fact.routine);
	if (error)
		return error == -ENOENT ? 0 : error;
	fact.routine.id = of->thread.id;
	error = watched_note_routine(watched, &of->thread, &fact.routine);
	if (cplusplus_is_thread(&fact.routine))
		watched_name_callable(watched, &of->thread, &fact.routine);
	return error ? error : sink->emit(sink->context, &fact);
}

/* Threads are read in batches: each by itself would be two system calls a thread, and all of them at once
 * is memory for the largest target there is. */
#define BATCH_MAX WATCHED_BATCH

/* What is read of all threads together, where each can be another's evidence. */
struct thread_list {
	struct fact_thread *threads;
	size_t count, room;
};

static void thread_list_free(struct thread_list *list)
{
	free(list->threads);
}

struct batch {
	struct watched *watched;
	const struct fact_sink *sink;
	int (*flush)(struct batch *batch);
	struct thread_list *list; /* where they are kept; NULL: nowhere */
	bool reads_runtime, leader_only;
	struct fact_thread threads[BATCH_MAX];
	uint64_t times_ns[BATCH_MAX];
	size_t count, total;
};

static int batch_emit(void *context, const struct fact *fact)
{
	struct batch *batch = context;
	int error = 0;

	batch->times_ns[batch->count] = fact->time_ns;
	batch->threads[batch->count++] = fact->thread;
	batch->total++;
	if (batch->count == BATCH_MAX) {
		error = batch->flush(batch);
		batch->count = 0;
	}
	return error;
}

static int batch_keep(struct batch *batch)
{
	struct thread_list *list = batch->list;

	for (size_t i = 0; batch->reads_runtime && i < batch->count; i++) {
		int error = cpython_add(batch->watched->cpython, &batch->threads[i]);

		if (error)
			return error;
	}
	for (size_t i = 0; list && i < batch->count; i++) {
		if (TABLE_GROW(list->threads, list->count, list->room, BATCH_MAX))
			return -ENOMEM;
		list->threads[list->count++] = batch->threads[i];
	}
	return 0;
}

static int batch_end(struct batch *batch)
{
	int error = batch->count ? batch->flush(batch) : 0;

	batch->count = 0;
	return error;
}

static int emit_thread(struct watched *watched, const struct fact *fact, const struct fact_sink *sink)
{
	int error = sink->emit(sink->context, fact);

	return error ? error : emit_routine(watched, fact, sink);
}

/* Arena words are read again while births go on or heaps grow, and now and then for a thread that took its arena late. */
#define ARENAS_NS (10 * NSEC_PER_SEC)

static bool arenas_due(struct watched *watched, bool exact)
{
	uint64_t now = boottime();

	if (!exact && !watched->arenas_stir && now - watched->arenas_ns <= ARENAS_NS)
		return false;
	/* A word that is still empty (before the first malloc) is found by the reading after ARENAS_NS. */
	watched->arenas_stir = false;
	watched->arenas_ns = now;
	return true;
}

static int read_arenas(struct watched *watched, const struct thread_list *list, const struct fact_sink *sink)
{
	int error = glibc_arenas(watched->info.pid, watched->procfs_path, watched->id, watched->arenas_ns, list->threads,
				 list->count, &watched->arenas, sink);

	return error == -ENOMEM ? error : 0;
}

/* The language runtime tells whose thread is where by comparing all of them with its own list. */
static bool runtime_due(struct watched *watched, bool exact)
{
	return watched->cpython &&
	       cpython_begin(watched->cpython, boottime(), exact ? 0 : watched->runtime_share);
}

static int read_runtime(const struct batch *batch)
{
	struct watched *watched = batch->watched;
	int error = golang_read(&watched->golang, &watched->info, watched->id, watched->procfs_path,
				boottime(), watched->symbols, batch->sink);

	if (error || !batch->reads_runtime)
		return error;
	error = cpython_read(watched->cpython, watched->symbols, batch->sink);
	return error ? error : watched_tell_python(watched);
}

static int batch_all(struct batch *batch)
{
	struct watched *watched = batch->watched;
	struct fact_sink sink = {.emit = batch_emit, .context = batch};
	int error = probes_threads(watched->probes, watched->id, &sink);

	if (error < 0 || !batch->total)
		error = procfs_threads(watched->procfs, watched->id, watched->info.pid, &sink);
	return error < 0 ? error : batch_end(batch);
}

static int seed_batch(struct batch *batch)
{
	struct watched *watched = batch->watched;
	struct fact fact = {.kind = FACT_THREAD_SEEN, .target = watched->id};
	int error = 0;

	/* The first batch is evidence enough, if there is any. */
	if (batch->total == batch->count)
		watched_learn(watched, batch->threads, batch->count);
	watched_read_descriptors(watched, batch->threads, batch->count);
	for (size_t i = 0; i < batch->count && !error; i++) {
		if (batch->leader_only && !batch->threads[i].is_leader)
			continue;
		fact.time_ns = batch->times_ns[i];
		fact.thread = batch->threads[i];
		error = emit_thread(watched, &fact, batch->sink);
	}
	return error ? error : batch_keep(batch);
}

static int sample_batch(struct batch *batch)
{
	struct fact fact = {.kind = FACT_THREAD_SAMPLED, .target = batch->watched->id};
	int error = 0;

	for (size_t i = 0; i < batch->count && !error; i++) {
		fact.time_ns = batch->times_ns[i];
		fact.thread = batch->threads[i];
		error = batch->sink->emit(batch->sink->context, &fact);
	}
	return error ? error : batch_keep(batch);
}

struct seen_list {
	struct seen_thread {
		struct fact_thread thread;
		uint64_t time_ns;
	} *seen;
	size_t count, room;
};

static void seen_list_free(struct seen_list *list)
{
	free(list->seen);
}

static int seen_emit(void *context, const struct fact *fact)
{
	struct seen_list *list = context;

	if (TABLE_GROW(list->seen, list->count, list->room, BATCH_MAX))
		return -ENOMEM;
	list->seen[list->count++] = (struct seen_thread){fact->thread, fact->time_ns};
	return 0;
}

static int compare_age(const void *a, const void *b)
{
	const struct thread_id *first = &((const struct seen_thread *)a)->thread.id;
	const struct thread_id *second = &((const struct seen_thread *)b)->thread.id;
	int order = compare_u64(first->start_ns, second->start_ns);

	return order ? order : compare_u64(first->tid, second->tid);
}

/* The oldest first, as an agent that had been there would have met them: which pools fold depends on who came first. */
static int batch_all_by_age(struct batch *batch)
{
	struct watched *watched = batch->watched;
	_cleanup_(seen_list_free) struct seen_list list = {0};
	struct fact_sink sink = {.emit = seen_emit, .context = &list};
	struct fact fact = {.kind = FACT_THREAD_SEEN};
	int error = probes_threads(watched->probes, watched->id, &sink);

	if (error < 0 || !list.count) {
		list.count = 0;
		error = procfs_threads(watched->procfs, watched->id, watched->info.pid, &sink);
	}
	if (list.count)
		qsort(list.seen, list.count, sizeof(*list.seen), compare_age);
	if (error >= 0 && list.count)
		error = watched_disown_tls(&list.seen[0].thread, sizeof(*list.seen), list.count);
	for (size_t i = 0; i < list.count && error >= 0; i++) {
		fact.time_ns = list.seen[i].time_ns;
		fact.thread = list.seen[i].thread;
		error = batch_emit(batch, &fact);
	}
	return error < 0 ? error : batch_end(batch);
}

/* From a fork or an exec on each birth is told; one that was seen before it is would count beside those that ended first. */
static int seed_threads(struct watched *watched, enum seed_reason reason, const struct fact_sink *sink)
{
	_cleanup_(thread_list_free) struct thread_list list = {0};
	struct batch batch = {.watched = watched, .sink = sink, .flush = seed_batch, .list = &list,
			      .reads_runtime = runtime_due(watched, true), .leader_only = reason == SEED_INHERITED || reason == SEED_EXEC};
	int error;

	arenas_due(watched, true);
	error = batch_all_by_age(&batch);
	if (!error)
		error = read_arenas(watched, &list, sink);
	return error ? error : read_runtime(&batch);
}

int watched_seed(struct watched *watched, enum seed_reason reason, const struct fact_sink *sink)
{
	int error;

	(void)probes_guests(watched->probes, watched->id); /* without a task iterator there are none to be known */
	error = procfs_seed(watched->procfs, watched->id, watched->info.pid, reason, sink);
	/* Stacks are told with the threads, and can only be taken over in a map that knows them. */
	return error ? error : seed_threads(watched, reason, sink);
}

#define SEARCH_NS (500 * NSEC_PER_MSEC) /* CPU time: enough for one or two GiB of stacks, arenas and data */

static int search_batch(struct batch *batch)
{
	watched_read_descriptors(batch->watched, batch->threads, batch->count);
	return batch_keep(batch);
}

int watched_search(struct watched *watched, const struct unowned *unowned, size_t n_unowned,
		   const struct rule_teller *rules, const struct fact_sink *sink)
{
	_cleanup_(thread_list_free) struct thread_list list = {0};
	struct batch batch = {.watched = watched, .sink = sink, .flush = search_batch, .list = &list};
	_cleanup_(freep) uint64_t *kinds = NULL;
	int error = batch_all_by_age(&batch);

	if (!error)
		error = watched_tell_kinds(watched, list.threads, list.count, rules, &kinds);
	if (!error)
		error = glibc_blocks(watched->info.pid, watched->procfs_path, watched->id, boottime(),
				     list.threads, kinds, list.count, &watched->arenas, unowned, n_unowned,
				     &watched->descriptor, SEARCH_NS, sink);
	watched->info.search_cut = error && error != -ESRCH;
	return error == -ENOMEM ? error : 0;
}

int watched_birth(struct watched *watched, const struct fact *fact, const struct fact_sink *sink)
{
	struct fact born = *fact;

	watched->arenas_stir = true;
	if (!watched->descriptor.stack_block && born.thread.tls_base)
		watched_learn_again(watched, false);
	watched->has_unread |= !watched->descriptor.stack_block && born.thread.tls_base;
	watched_read_descriptors(watched, &born.thread, 1);
	(void)watched_note(watched, &born, sink); /* with its whole stack, which is none of its creator's growth */
	return emit_thread(watched, &born, sink);
}

/* A thread of Python's says whose worker it is when it runs its first function; it may have to wait for the lock. */
#define MEET_NS (10 * NSEC_PER_MSEC)
#define MEETS 3
/* Births that a limit asks for are few: for their sake it may cost more than otherwise. */
#define MEET_SHARES 5

void watched_expect_worker(struct watched *watched)
{
	if (!watched->cpython || !cpython_is_found(watched->cpython))
		return;
	watched->meets = MEETS;
	if (!watched->meet_ns)
		watched->meet_ns = boottime() + MEET_NS;
}

int watched_meet_workers(struct watched *watched, const struct fact_sink *sink)
{
	struct batch batch = {.watched = watched, .sink = sink, .flush = batch_keep, .reads_runtime = true};
	uint64_t now = boottime();
	int error;

	watched->meet_ns = cpython_is_found(watched->cpython) ? now + MEET_NS : 0;
	if (!watched->meet_ns || !cpython_begin(watched->cpython, now, MEET_SHARES * watched->runtime_share))
		return 0;
	watched->meets--;
	watched->meet_ns = watched->meets ? now + (MEET_NS << (MEETS - watched->meets)) : 0;
	error = batch_all(&batch);
	return error ? error : read_runtime(&batch);
}

int watched_read_unread(struct watched *watched, bool exact, const struct fact_sink *sink)
{
	struct batch batch = {.watched = watched, .sink = sink, .flush = seed_batch};

	/* At its exec the program had no libc yet, and a newborn may be gone before it is asked. */
	if (!watched->has_unread && watched->was_sampled)
		return 0;
	if (!watched->descriptor.stack_block)
		watched_learn_again(watched, exact);
	watched->was_sampled = true;
	if (!watched->has_unread || !watched->descriptor.stack_block)
		return 0;
	watched->has_unread = false;
	/* Seen, as at a seed: their stacks are taken over before the page tables are read. */
	return batch_all_by_age(&batch);
}

int watched_sample(struct watched *watched, bool exact, const struct fact_sink *sink)
{
	_cleanup_(thread_list_free) struct thread_list list = {0};
	bool reads_arenas = arenas_due(watched, exact);
	struct batch batch = {.watched = watched, .sink = sink, .flush = sample_batch,
			      .list = reads_arenas ? &list : NULL, .reads_runtime = runtime_due(watched, exact)};
	/* Before anything is read from the target's own memory: that can bring a page into being which it had given back,
	 * and which the page tables did not have a moment ago. */
	int error = procfs_memory(watched->procfs, watched->id, watched->info.pid, exact, sink);

	if (!error)
		error = batch_all(&batch);
	if (!error && reads_arenas)
		error = watched_disown_tls(list.threads, sizeof(*list.threads), list.count);
	if (!error && reads_arenas)
		error = read_arenas(watched, &list, sink);
	if (!error)
		error = read_runtime(&batch);
	if (!error)
		error = watched_look_at_waits(watched, exact, sink);
	if (error)
		return error;
	procfs_cgroup(watched->procfs, watched->id, watched->info.pid, sink);
	if (!watched->follow_forks) /* else they are targets themselves */
		procfs_children(watched->procfs, watched->id, watched->info.pid, sink);
	return 0;
}

/* CPU time of one reading; how often depends on what it took (glibc_kept.c). */
#define KEPT_NS (5 * NSEC_PER_MSEC)
#define KEPT_WHOLE_NS (150 * NSEC_PER_MSEC)

int watched_read_kept(struct watched *watched, bool whole, const struct fact_sink *sink)
{
	int error;

	if (whole)
		watched->kept.next_ns = 0;
	error = glibc_kept(watched->info.pid, watched->procfs_path, watched->id, &watched->arenas, &watched->kept,
			   whole ? KEPT_WHOLE_NS : KEPT_NS, sink);
	return error == -ENOMEM ? error : 0;
}
