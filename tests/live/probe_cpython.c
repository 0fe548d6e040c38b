/* SPDX-License-Identifier: GPL-2.0-only */
/* Reads the CPython of a process again and again and prints what that cost and found, as one JSON object, for tests and
 * the bench. usage: probe_cpython PID PASSES SECONDS [THREADS]: until one of both is reached. A thread whose own name
 * begins with "=" must belong to the executor named behind it; each that does not is `wrong`. THREADS: counted as good
 * only with that many workers. */
#include "source/cpython.h"
#include "source/probes.h"
#include "source/procfs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS_MAX 4096
#define EXECUTORS_MAX 1024

static struct fact_thread threads[THREADS_MAX];
static size_t n_threads;
static struct fact_executor executors[EXECUTORS_MAX];
static size_t n_executors;
static struct fact_runtime runtime;
static uint64_t workers, checked, wrong, lines, pass_workers;
static uint64_t costs[1 << 20];
static size_t n_costs;

static int collect(void *context, const struct fact *fact)
{
	if (n_threads < THREADS_MAX)
		threads[n_threads++] = fact->thread;
	return 0;
}

static const struct fact_thread *thread_of(uint32_t tid)
{
	for (size_t i = 0; i < n_threads; i++) {
		if (threads[i].id.tid == tid)
			return &threads[i];
	}
	return NULL;
}

static const struct fact_executor *executor_of(uint64_t id)
{
	for (size_t i = 0; i < n_executors; i++) {
		if (executors[i].id == id)
			return &executors[i];
	}
	return NULL;
}

/* The kernel copies a name while it is being written: then the end of the former one stands behind the new one, which for a
 * moment is all of an interpreter's own ("Thread-12 (work" and "=ThreadPool": "=ThreadPool (wo"). */
static bool is_named(const struct fact_executor *executor, const char *name)
{
	size_t own = strlen(executor->name), length = strlen(name);

	return own && !strncmp(executor->name, name, own < length && name[own] == ' ' ? own : length);
}

static void check(const struct fact_worker *worker)
{
	const struct fact_thread *thread = thread_of(worker->id.tid);
	const struct fact_executor *executor = executor_of(worker->executor);

	workers++;
	pass_workers++;
	lines += worker->line > 0;
	if (!thread || thread->name[0] != '=')
		return;
	checked++;
	if (executor && is_named(executor, thread->name + 1))
		return;
	wrong++;
	fprintf(stderr, "thread %u is \"%s\" and was put to \"%s\" (%s), in %s\n", worker->id.tid, thread->name,
		executor ? executor->name : "nobody", executor ? executor->function : "", worker->function);
}

static int take(void *context, const struct fact *fact)
{
	if (fact->kind == FACT_RUNTIME) {
		runtime = fact->runtime;
		n_executors = 0;
	} else if (fact->kind == FACT_EXECUTOR && n_executors < EXECUTORS_MAX) {
		executors[n_executors++] = fact->executor;
	} else if (fact->kind == FACT_WORKER) {
		check(&fact->worker);
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	return compare_u64(*(const uint64_t *)a, *(const uint64_t *)b);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

int main(int argc, char **argv)
{
	const struct fact_sink collector = {.emit = collect}, taker = {.emit = take};
	struct probes_options options = {0};
	struct probes *probes;
	struct procfs *procfs;
	struct symbols *symbols;
	struct cpython *cpython;
	struct fact_target info;
	struct explain explain;
	uint64_t end, passes, first = 0, short_passes = 0;
	uint32_t target, pid;

	if (argc < 4)
		return 2;
	pid = (uint32_t)atoi(argv[1]);
	passes = (uint64_t)atoll(argv[2]);
	end = now_ns() + (uint64_t)(atof(argv[3]) * 1e9);
	if (probes_open(&options, &probes, &explain) || probes_add_target(probes, pid, false, 0, &target, &explain) ||
	    procfs_open(NULL, &procfs, &explain)) {
		fprintf(stderr, "%s: %s\n", explain.what, explain.why);
		return 1;
	}
	if (procfs_describe(procfs, pid, &info) || symbols_new(pid, NULL, &symbols) || cpython_new(&info, target, NULL, &cpython))
		return 1;
	for (uint64_t i = 0; i < passes && now_ns() < end; i++) {
		n_threads = pass_workers = 0;
		if (probes_threads(probes, target, &collector) < 0)
			return 1;
		if (cpython_begin(cpython, now_ns(), 0)) {
			for (size_t t = 0; t < n_threads; t++)
				cpython_add(cpython, &threads[t]);
			if (cpython_read(cpython, symbols, &taker))
				return 1;
		}
		short_passes += argc > 4 && pass_workers < (uint64_t)atoi(argv[4]);
		if (!i)
			first = cpython_cost_ns(cpython);
		else if (n_costs < ARRAY_SIZE(costs))
			costs[n_costs++] = cpython_cost_ns(cpython);
	}
	qsort(costs, n_costs, sizeof(costs[0]), compare);
	printf("{\"runtime\":\"%s\",\"passes\":%" PRIu64 ",\"failed_passes\":%" PRIu64 ",\"failed_reads\":%" PRIu64
	       ",\"unread\":%" PRIu64 ",\"workers\":%" PRIu64 ",\"checked\":%" PRIu64 ",\"wrong\":%" PRIu64 ",\"lines\":%" PRIu64
	       ",\"short\":%" PRIu64 ",\"first_us\":%.1f,\"median_us\":%.1f,\"p99_us\":%.1f,\"threads\":%zu,\"calls\":%.1f,"
	       "\"blocks\":%.1f}\n",
	       runtime.name, runtime.passes, runtime.failed_passes, runtime.failed_reads, runtime.unread, workers, checked,
	       wrong, lines, short_passes, (double)first / 1e3, n_costs ? (double)costs[n_costs / 2] / 1e3 : 0.0,
	       n_costs ? (double)costs[n_costs * 99 / 100] / 1e3 : 0.0, n_threads,
	       (double)cpython_memory(cpython)->calls / (double)(runtime.passes ? runtime.passes : 1),
	       (double)cpython_memory(cpython)->blocks / (double)(runtime.passes ? runtime.passes : 1));
	cpython_free(cpython);
	symbols_free(symbols);
	procfs_free(procfs);
	probes_free(probes);
	return 0;
}
