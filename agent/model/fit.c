/* SPDX-License-Identifier: GPL-2.0-only */
/* Pools that a runtime sizes by the number of CPUs: the table of what each makes of that number, and what it would make
 * of the cgroup's CPU quota. It must not know how a pool's figures came about, nor judge them. */
#include "model_inside.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum size_figure { /* what of a pool is compared with the formula */
	SIZE_CAPACITY,
	SIZE_THREADS_AND_CALLER, /* the thread that uses the pool works, too */
	SIZE_TEAM_AND_CALLER,    /* of the largest team */
	SIZE_PARALLELISM,
	SIZE_PROCESSES,
};

enum cpu_count { CPUS_ONLINE, CPUS_ALLOWED };

struct size_rule {
	const char *kind;             /* of the pool */
	uint32_t minor_first, minor_last; /* of CPython 3; 0: of no CPython */
	enum size_figure figure;
	enum cpu_count cpus;
	uint32_t factor, more, most;  /* min(most, factor * CPUs + more); most 0: no bound */
	const char *unit, *setting;
};

#define LATER UINT32_MAX
#define CPYTHON(first, last) .minor_first = (first), .minor_last = (last)

/* clang-format off: one row a rule. All others than CPython's ask sched_getaffinity(). */
static const struct size_rule rules[] = {
	/* Lib/concurrent/futures/thread.py, __init__; asyncio's default executor is one. From 3.13 on by
	 * os.process_cpu_count(). */
	{ "ThreadPoolExecutor", CPYTHON(5, 7), SIZE_CAPACITY, CPUS_ONLINE, 5, 0, 0, "workers", "max_workers" },
	{ "ThreadPoolExecutor", CPYTHON(8, 12), SIZE_CAPACITY, CPUS_ONLINE, 1, 4, 32, "workers", "max_workers" },
	{ "ThreadPoolExecutor", CPYTHON(13, LATER), SIZE_CAPACITY, CPUS_ALLOWED, 1, 4, 32, "workers", "max_workers" },
	/* Lib/multiprocessing/pool.py, Pool.__init__ */
	{ "ThreadPool", CPYTHON(3, 12), SIZE_CAPACITY, CPUS_ONLINE, 1, 0, 0, "workers", "processes" },
	{ "ThreadPool", CPYTHON(13, LATER), SIZE_CAPACITY, CPUS_ALLOWED, 1, 0, 0, "workers", "processes" },
	/* Lib/concurrent/futures/process.py, __init__ */
	{ "ProcessPoolExecutor", CPYTHON(3, 12), SIZE_PROCESSES, CPUS_ONLINE, 1, 0, 0, "processes", "max_workers" },
	{ "ProcessPoolExecutor", CPYTHON(13, LATER), SIZE_PROCESSES, CPUS_ALLOWED, 1, 0, 0, "processes", "max_workers" },
	/* libgomp/config/linux/proc.c, gomp_init_num_threads(); openmp/runtime/src/z_Linux_util.cpp,
	 * __kmp_get_xproc() */
	{ .kind = "OpenMP team", .figure = SIZE_TEAM_AND_CALLER, .cpus = CPUS_ALLOWED, .factor = 1,
	  .unit = "threads a team with its caller", .setting = "OMP_NUM_THREADS" },
	/* oneTBB src/tbb/misc_ex.cpp, AvailableHwConcurrency() */
	{ .kind = "TBB workers", .figure = SIZE_THREADS_AND_CALLER, .cpus = CPUS_ALLOWED, .factor = 1,
	  .unit = "threads with their caller", .setting = "max_allowed_parallelism" },
	/* pthreadpool src/pthreads.c, pthreadpool_create(0) */
	{ .kind = "pthreadpool", .figure = SIZE_THREADS_AND_CALLER, .cpus = CPUS_ONLINE, .factor = 1,
	  .unit = "threads with their caller", .setting = "threads_count" },
	/* runtime/os_linux.go, getproccount(); from 1.25 on it asks the cgroup, and then fits by itself */
	{ .kind = "Go threads", .figure = SIZE_PARALLELISM, .cpus = CPUS_ALLOWED, .factor = 1,
	  .unit = "threads at a time", .setting = "GOMAXPROCS" },
};
/* clang-format on */

/* 0: it is no CPython 3. */
static uint32_t cpython_minor(const char *runtime)
{
	unsigned int minor;

	return sscanf(runtime, "cpython 3.%u", &minor) == 1 ? minor : 0;
}

static const struct size_rule *rule_of(const char *kind, uint32_t minor)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		const struct size_rule *rule = &rules[i];

		if (!strcmp(rule->kind, kind) &&
		    (!rule->minor_first || (minor >= rule->minor_first && minor <= rule->minor_last)))
			return rule;
	}
	return NULL;
}

/* UNKNOWN_U64: there is no such figure, or it is not one pool's alone. */
static uint64_t size_of(const struct target *target, const struct pool *pool, enum size_figure figure)
{
	switch (figure) {
	case SIZE_CAPACITY:
		return pool->n_executors == 1 ? pool->capacity : UNKNOWN_U64;
	case SIZE_THREADS_AND_CALLER:
		return pool->threads ? pool->threads + 1ULL : UNKNOWN_U64;
	case SIZE_TEAM_AND_CALLER:
		/* With teams within, what a maker has is the size of no team. */
		if (!pool->teams || pool->teams == UNKNOWN_U64 || pool->has_teams_within)
			return UNKNOWN_U64;
		return add_saturated(pool->team_threads, 1);
	case SIZE_PROCESSES:
		return pool->n_executors == 1 ? pool->processes_max : UNKNOWN_U64;
	case SIZE_PARALLELISM:
		return pool->has_parallelism && target->runtime.parallelism ? target->runtime.parallelism : UNKNOWN_U64;
	}
	return UNKNOWN_U64;
}

static uint64_t size_by(const struct size_rule *rule, uint64_t cpus)
{
	uint64_t size = cpus * rule->factor + rule->more;

	return rule->most && size > rule->most ? rule->most : size;
}

static void formula_text(const struct size_rule *rule, uint32_t cpus, char *text, size_t size)
{
	char sum[32];

	if (rule->factor > 1)
		snprintf(sum, sizeof(sum), "%u CPUs * %u", cpus, rule->factor);
	else if (rule->more)
		snprintf(sum, sizeof(sum), "%u CPUs + %u", cpus, rule->more);
	else
		snprintf(sum, sizeof(sum), "%u CPUs", cpus);
	if (rule->most)
		snprintf(text, size, "min(%u, %s)", rule->most, sum);
	else
		snprintf(text, size, "%s", sum);
}

void pool_fit(const struct target *target, const struct pool *pool, struct snapshot_fit *ret_fit)
{
	const struct fact_cgroup *cgroup = &target->cgroup;
	const struct size_rule *rule = rule_of(pool->kind, cpython_minor(target->info.runtime));
	struct snapshot_fit fit = {0};
	uint32_t cpus;
	double quota;

	*ret_fit = fit;
	if (!rule || !(cgroup->cpu_quota_cores > 0))
		return;
	cpus = rule->cpus == CPUS_ONLINE ? cgroup->cpus_online : cgroup->cpus_allowed;
	/* A part of a CPU needs a thread as well. */
	quota = ceil(cgroup->cpu_quota_cores);
	if (!cpus || quota >= (double)cpus || size_of(target, pool, rule->figure) != size_by(rule, cpus))
		return;
	fit.size = size_by(rule, cpus);
	fit.fits = size_by(rule, (uint64_t)quota);
	if (fit.fits >= fit.size)
		return;
	text_copy(fit.unit, sizeof(fit.unit), rule->unit);
	formula_text(rule, cpus, fit.formula, sizeof(fit.formula));
	snprintf(fit.setting, sizeof(fit.setting), "%s=%u", rule->setting, (unsigned int)fit.fits);
	*ret_fit = fit;
}
