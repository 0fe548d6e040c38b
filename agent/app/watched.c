/* SPDX-License-Identifier: GPL-2.0-only */
/* One target and the sources that are open on it: seeding, sampling, births. It must not know
 * the model; everything goes to the sink it is given. */
#include "watched.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"

/* Start routines of one program are few; what comes after is resolved each time anew. */
#define ROUTINES_MAX 1024

struct watched *watched_new(uint32_t id, const struct fact_target *info, struct procfs *procfs,
			    struct probes *probes, const char *procfs_path)
{
	struct watched *watched = calloc(1, sizeof(*watched));

	if (!watched)
		return NULL;
	watched->id = id;
	watched->info = *info;
	watched->procfs = procfs;
	watched->probes = probes;
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
	free(watched->routines);
	free(watched->routine_addresses);
	free(watched);
}

void watched_open_image(struct watched *watched)
{
	struct explain ignored;
	struct residency *residency = NULL;
	struct symbols *symbols = NULL;

	residency_free(watched->residency);
	symbols_free(watched->symbols);
	watched->residency = NULL;
	watched->symbols = NULL;
	watched->n_routines = 0;
	watched->was_read = false;
	glibc_arenas_clear(&watched->arenas);
	memset(&watched->kept, 0, sizeof(watched->kept));
	memset(&watched->descriptor, 0, sizeof(watched->descriptor));
	if (!residency_new(watched->id, watched->info.pid, watched->procfs_path, NULL, &residency, &ignored))
		watched->residency = residency;
	if (!symbols_new(watched->info.pid, watched->procfs_path, &symbols))
		watched->symbols = symbols;
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

static const struct fact_routine *routine_known(const struct watched *watched, uint64_t address)
{
	for (size_t i = 0; i < watched->n_routines; i++)
		if (watched->routine_addresses[i] == address)
			return &watched->routines[i];
	return NULL;
}

static int routine_remember(struct watched *watched, uint64_t address, const struct fact_routine *routine)
{
	if (!watched->routines) {
		watched->routines = calloc(ROUTINES_MAX, sizeof(*watched->routines));
		watched->routine_addresses = calloc(ROUTINES_MAX, sizeof(*watched->routine_addresses));
		if (!watched->routines || !watched->routine_addresses)
			return -ENOMEM;
	}
	if (watched->n_routines == ROUTINES_MAX)
		return 0;
	watched->routine_addresses[watched->n_routines] = address;
	watched->routines[watched->n_routines++] = *routine;
	return 0;
}

/* Names the start routine of a thread; silence when nothing is known. */
static int emit_routine(struct watched *watched, const struct fact *of, const struct fact_sink *sink)
{
	struct fact fact = {.kind = FACT_THREAD_ROUTINE, .target = watched->id, .time_ns = of->time_ns};
	uint64_t address = of->thread.start_routine;
	const struct fact_routine *known;
	int error;

	if (!address || !watched->symbols)
		return 0;
	known = routine_known(watched, address);
	if (known) {
		fact.routine = *known;
	} else {
		error = symbols_resolve(watched->symbols, address, &fact.routine);
		if (error)
			return 0;
		error = routine_remember(watched, address, &fact.routine);
		if (error)
			return error;
	}
	fact.routine.id = of->thread.id;
	return sink->emit(sink->context, &fact);
}

/* The threads of a seed are collected first: the evidence for the descriptor's layout is in all of them. */
struct collected {
	struct fact *facts;
	size_t count, room;
};

static int collect(void *context, const struct fact *fact)
{
	struct collected *collected = context;

	if (collected->count == collected->room) {
		size_t room = collected->room ? collected->room * 2 : 64;
		struct fact *facts = reallocarray(collected->facts, room, sizeof(*facts));

		if (!facts)
			return -ENOMEM;
		collected->facts = facts;
		collected->room = room;
	}
	collected->facts[collected->count++] = *fact;
	return 0;
}

static void collected_free(struct collected *collected)
{
	free(collected->facts);
}

/* As many as glibc_learn() looks at. */
#define EVIDENCE_THREADS 64

static void descriptor_learn(struct watched *watched, const struct collected *threads)
{
	struct fact_thread evidence[EVIDENCE_THREADS];
	size_t count = 0;

	for (size_t i = 0; i < threads->count && count < EVIDENCE_THREADS; i++)
		if (threads->facts[i].thread.tls_base && !threads->facts[i].thread.is_io_worker)
			evidence[count++] = threads->facts[i].thread;
	if (!count || glibc_learn(watched->info.pid, watched->procfs_path, evidence, count, &watched->descriptor))
		return;
	if (watched->descriptor.start_routine)
		probes_set_descriptor(watched->probes, watched->id, watched->descriptor.start_routine);
}

/* What a descriptor can tell and the fact does not know yet. The threads are read in batches: each
 * by itself would be two system calls a thread. */
#define DESCRIPTOR_BATCH 64

static void read_descriptors(struct watched *watched, struct fact *facts, size_t count)
{
	struct fact_thread threads[DESCRIPTOR_BATCH];
	size_t at[DESCRIPTOR_BATCH], n = 0;

	if (!watched->descriptor.tid)
		return;
	for (size_t i = 0; i < count; i++) {
		const struct fact_thread *thread = &facts[i].thread;

		if (thread->tls_base && !thread->is_io_worker && (!thread->start_routine || !thread->stack_start)) {
			at[n] = i;
			threads[n++] = *thread;
		}
		if (n < DESCRIPTOR_BATCH && i + 1 < count)
			continue;
		if (n && glibc_read_threads(watched->info.pid, watched->procfs_path, &watched->descriptor, threads, n) > 0)
			for (size_t t = 0; t < n; t++)
				facts[at[t]].thread = threads[t];
		n = 0;
	}
}

static int emit_thread(struct watched *watched, const struct fact *fact, const struct fact_sink *sink)
{
	int error = sink->emit(sink->context, fact);

	return error ? error : emit_routine(watched, fact, sink);
}

/* Arena words are read again while births go on, and now and then for a thread that took its arena late. */
#define ARENAS_NS (10 * NSEC_PER_SEC)

static int read_arenas(struct watched *watched, const struct collected *threads, const struct fact_sink *sink)
{
	_cleanup_(freep) struct fact_thread *list = calloc(threads->count + 1, sizeof(*list));
	uint64_t now = clock_ns(CLOCK_BOOTTIME);
	int error;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < threads->count; i++)
		list[i] = threads->facts[i].thread;
	/* A word that is still empty (before the first malloc) is found by the reading after ARENAS_NS. */
	watched->births = false;
	watched->arenas_ns = now;
	error = glibc_arenas(watched->info.pid, watched->procfs_path, watched->id, now, list, threads->count,
			     &watched->arenas, sink);
	return error == -ENOMEM ? error : 0;
}

static int collect_threads(struct watched *watched, struct collected *threads)
{
	struct fact_sink collector = {.emit = collect, .context = threads};
	int error = probes_threads(watched->probes, watched->id, &collector);

	if (error < 0 || !threads->count)
		error = procfs_threads(watched->procfs, watched->id, watched->info.pid, &collector);
	return error < 0 ? error : 0;
}

static int seed_threads(struct watched *watched, const struct fact_sink *sink)
{
	_cleanup_(collected_free) struct collected threads = {0};
	int error = collect_threads(watched, &threads);

	if (error)
		return error;
	descriptor_learn(watched, &threads);
	read_descriptors(watched, threads.facts, threads.count);
	for (size_t i = 0; i < threads.count; i++) {
		error = emit_thread(watched, &threads.facts[i], sink);
		if (error)
			return error;
	}
	return read_arenas(watched, &threads, sink);
}

int watched_seed(struct watched *watched, enum seed_reason reason, const struct fact_sink *sink)
{
	int error = procfs_seed(watched->procfs, watched->id, watched->info.pid, reason, sink);

	/* Stacks are told with the threads, and can only be taken over in a map that knows them. */
	return error ? error : seed_threads(watched, sink);
}

/* CPU time; at the speed of memory it is enough for half a GiB of stacks, arenas and data. */
#define SEARCH_NS (150 * NSEC_PER_MSEC)

int watched_search(struct watched *watched, const struct unowned *unowned, size_t n_unowned,
		   const struct fact_sink *sink)
{
	_cleanup_(collected_free) struct collected threads = {0};
	_cleanup_(freep) struct fact_thread *list = NULL;
	int error = collect_threads(watched, &threads);

	if (error)
		return error == -ENOMEM ? error : 0;
	read_descriptors(watched, threads.facts, threads.count);
	list = calloc(threads.count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < threads.count; i++)
		list[i] = threads.facts[i].thread;
	error = glibc_blocks(watched->info.pid, watched->procfs_path, watched->id, clock_ns(CLOCK_BOOTTIME), list,
			     threads.count, &watched->arenas, unowned, n_unowned, SEARCH_NS, sink);
	return error == -ENOMEM ? error : 0;
}

int watched_birth(struct watched *watched, const struct fact *fact, const struct fact_sink *sink)
{
	struct fact born = *fact;

	watched->births = true;
	if (!watched->descriptor.tid && born.thread.tls_base) {
		struct collected one = {.facts = &born, .count = 1};

		descriptor_learn(watched, &one);
	}
	read_descriptors(watched, &born, 1);
	return emit_thread(watched, &born, sink);
}

int watched_sample(struct watched *watched, const struct fact_sink *sink)
{
	_cleanup_(collected_free) struct collected threads = {0};
	int error = collect_threads(watched, &threads);

	for (size_t i = 0; i < threads.count && !error; i++) {
		threads.facts[i].kind = FACT_THREAD_SAMPLED;
		error = sink->emit(sink->context, &threads.facts[i]);
	}
	if (!error && (watched->births || clock_ns(CLOCK_BOOTTIME) - watched->arenas_ns > ARENAS_NS))
		error = read_arenas(watched, &threads, sink);
	if (!error)
		error = procfs_memory(watched->procfs, watched->id, watched->info.pid, sink);
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
