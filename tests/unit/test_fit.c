/* SPDX-License-Identifier: GPL-2.0-only */
/* Pools sized by the number of CPUs beside a smaller CPU quota: told where the size is exactly what the runtime makes
 * of that number, and nowhere else. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model_facts.h"
#include "view/pool_words.h"

static void cpus(struct script *s, uint32_t online, uint32_t allowed, double quota)
{
	feed(s, (struct fact){.kind = FACT_CGROUP,
			      .cgroup = {.path = "/app", .memory_max = UNKNOWN_U64, .memory_current = UNKNOWN_U64,
					 .oom_kills = 0, .pids_max = UNKNOWN_U64, .cpu_quota_cores = quota,
					 .host_memory_total = 64 * 1024 * MIB, .cpus_allowed = allowed,
					 .cpus_online = online}});
}

static void runtime(struct script *s, const char *name, uint64_t parallelism)
{
	struct fact fact = {.kind = FACT_RUNTIME, .runtime = {.parallelism = parallelism}};

	snprintf(fact.runtime.name, sizeof(fact.runtime.name), "%s", name);
	feed(s, fact);
}

/* An executor with one worker, whose number is 200 + its own. */
static void executor(struct script *s, enum executor_kind kind, uint64_t id, const char *name, uint64_t capacity)
{
	struct fact fact = {.kind = FACT_EXECUTOR,
			    .executor = {.id = id, .kind = kind, .instance = 1, .capacity = capacity,
					 .queued = 0, .busy = 0, .idle = 1, .workers = 1}};

	snprintf(fact.executor.name, sizeof(fact.executor.name), "%s", name);
	feed(s, fact);
	seen(s, 200 + (uint32_t)id, "app");
	feed(s, (struct fact){.kind = FACT_WORKER, .worker = {.id = tid(200 + (uint32_t)id), .executor = id}});
}

/* "": nothing is said. */
static const char *words(const struct snapshot_target *target, const char *name)
{
	static char text[320];

	return pool_fit_words(target, pool(target, name), true, text, sizeof(text)) ? text : "";
}

static void executors_of_each_version(void **state)
{
	static const struct {
		const char *runtime;
		enum executor_kind kind;
		uint32_t online, allowed;
		uint64_t capacity, fits; /* fits 0: nothing is said */
		const char *formula, *setting;
	} cases[] = {
		{"cpython 3.11.2", EXECUTOR_FUTURES, 40, 40, 32, 6, "min(32, 40 CPUs + 4)", "max_workers=6"},
		{"cpython 3.11.2", EXECUTOR_FUTURES, 8, 8, 12, 6, "min(32, 8 CPUs + 4)", "max_workers=6"},
		/* os.cpu_count() does not ask for the affinity; from 3.13 on that is what counts. */
		{"cpython 3.12.1", EXECUTOR_FUTURES, 8, 4, 12, 6, "min(32, 8 CPUs + 4)", "max_workers=6"},
		{"cpython 3.12.1", EXECUTOR_FUTURES, 8, 4, 8, 0, "", ""},
		{"cpython 3.13.0", EXECUTOR_FUTURES, 8, 4, 8, 6, "min(32, 4 CPUs + 4)", "max_workers=6"},
		{"cpython 3.13.0", EXECUTOR_FUTURES, 8, 4, 12, 0, "", ""},
		{"cpython 3.14.0", EXECUTOR_FUTURES, 8, 8, 12, 6, "min(32, 8 CPUs + 4)", "max_workers=6"},
		{"cpython 3.7.16", EXECUTOR_FUTURES, 40, 40, 200, 10, "40 CPUs * 5", "max_workers=10"},
		{"cpython 3.7.16", EXECUTOR_FUTURES, 40, 40, 32, 0, "", ""},
		{"cpython 3.8.18", EXECUTOR_FUTURES, 40, 40, 200, 0, "", ""},
		{"cpython 3.11.2", EXECUTOR_POOL, 8, 8, 8, 2, "8 CPUs", "processes=2"},
		{"cpython 3.13.0", EXECUTOR_POOL, 8, 4, 4, 2, "4 CPUs", "processes=2"},
		/* One off, and a figure of its own. */
		{"cpython 3.11.2", EXECUTOR_FUTURES, 40, 40, 31, 0, "", ""},
		{"cpython 3.11.2", EXECUTOR_FUTURES, 8, 8, 8, 0, "", ""},
		{"cpython 3.11.2", EXECUTOR_FUTURES, 8, 8, UNKNOWN_U64, 0, "", ""},
		{"cpython 3.11.2", EXECUTOR_POOL, 8, 8, 12, 0, "", ""},
		{"cpython 3.11.2", EXECUTOR_ANYIO, 36, 36, 40, 0, "", ""},
		/* How many CPUs, or which Python, is not known. */
		{"cpython 3.11.2", EXECUTOR_FUTURES, 0, 0, 4, 0, "", ""},
		{"cpython 3.13.0", EXECUTOR_FUTURES, 8, 0, 4, 0, "", ""},
		{"", EXECUTOR_FUTURES, 8, 8, 12, 0, "", ""},
		{"cpython", EXECUTOR_FUTURES, 8, 8, 12, 0, "", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct script s = {0};
		const struct snapshot_fit *fit;

		script_begin(&s);
		leader(&s);
		runtime(&s, cases[i].runtime, 0);
		cpus(&s, cases[i].online, cases[i].allowed, 2);
		executor(&s, cases[i].kind, 1, "jobs_0", cases[i].capacity);
		fit = &pool(refresh(&s), "jobs_*")->fit;
		assert_int_equal(fit->size, cases[i].fits ? cases[i].capacity : 0);
		assert_int_equal(fit->fits, cases[i].fits);
		assert_string_equal(fit->formula, cases[i].formula);
		assert_string_equal(fit->setting, cases[i].setting);
		script_end(&s);
	}
}

static void the_quota_decides(void **state)
{
	static const struct {
		double quota;
		uint64_t fits; /* 0: nothing is said */
	} cases[] = {
		{NAN, 0}, {0, 0}, {-1, 0}, {INFINITY, 0}, {0.25, 5}, {1, 5}, {1.5, 6}, {2, 6}, {6.9, 11}, {7, 11},
		/* Needs eight CPUs as it is. */
		{7.1, 0}, {8, 0}, {100, 0}, {1e300, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct script s = {0};

		script_begin(&s);
		leader(&s);
		runtime(&s, "cpython 3.11.2", 0);
		cpus(&s, 8, 8, cases[i].quota);
		executor(&s, EXECUTOR_FUTURES, 1, "jobs_0", 12);
		assert_int_equal(pool(refresh(&s), "jobs_*")->fit.fits, cases[i].fits);
		script_end(&s);
	}
}

/* The bound of 32 holds for both: nothing would change. */
static void what_would_not_change_is_not_said(void **state)
{
	struct script s = {0};

	script_begin(&s);
	leader(&s);
	runtime(&s, "cpython 3.11.2", 0);
	cpus(&s, 64, 64, 30);
	executor(&s, EXECUTOR_FUTURES, 1, "jobs_0", 32);
	assert_int_equal(pool(refresh(&s), "jobs_*")->fit.size, 0);
	script_end(&s);
}

/* Two that make 8 + 4 together are no one that was sized by 8 CPUs. */
static void a_sum_is_no_evidence(void **state)
{
	struct script s = {.rules = {{.pool = "both", .thread_name = "app"}}, .entry = {.n_rules = 1}};

	script_begin(&s);
	leader(&s);
	runtime(&s, "cpython 3.11.2", 0);
	cpus(&s, 8, 8, 2);
	executor(&s, EXECUTOR_FUTURES, 1, "one_0", 5);
	executor(&s, EXECUTOR_FUTURES, 2, "two_0", 7);
	assert_int_equal(pool(refresh(&s), "both")->capacity, 12);
	assert_int_equal(pool(refresh(&s), "both")->fit.size, 0);
	script_end(&s);
}

/* Nor is an executor's bound one of the threads that were folded into `other` with it. */
static void what_is_folded_has_no_capacity_but_executors(void **state)
{
	struct script s = {.entry.max_pools = 1};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	runtime(&s, "cpython 3.11.2", 0);
	seen(&s, 90, "w-1");
	executor(&s, EXECUTOR_FUTURES, 1, "one_0", 4);
	executor(&s, EXECUTOR_FUTURES, 2, "two_0", 5);
	target = refresh(&s);
	/* The first takes the room that there is. */
	assert_int_equal(pool(target, "one_*")->capacity, 4);
	assert_int_equal(pool(target, "other")->threads, 2);
	assert_int_equal(pool(target, "other")->capacity, UNKNOWN_U64);
	assert_int_equal(pool(target, "other")->queued, UNKNOWN_U64);
	exited(&s, 90);
	target = refresh(&s);
	assert_int_equal(pool(target, "other")->capacity, 5);
	assert_int_equal(pool(target, "other")->queued, 0);
	script_end(&s);
}

static void native_pools_count_their_caller(void **state)
{
	static const struct {
		const char *module, *pool, *words;
	} cases[] = {
		{"libgomp.so.1", "libgomp", "libgomp: 8 threads a team with its caller = 8 CPUs, but the cgroup's CPU quota "
					    "is 2.5: 3 would fit (OMP_NUM_THREADS=3)"},
		{"libtbb.so.12", "tbb", "tbb: 8 threads with their caller = 8 CPUs, but the cgroup's CPU quota is 2.5: 3 would "
					"fit (max_allowed_parallelism=3)"},
		{"libpthreadpool.so.0", "pthreadpool", "pthreadpool: 8 threads with their caller = 8 CPUs, but the cgroup's CPU "
						       "quota is 2.5: 3 would fit (threads_count=3)"},
		{"libuv.so.1", "libuv", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct script s = {0};

		script_begin(&s);
		leader(&s);
		cpus(&s, 8, 8, 2.5);
		for (uint32_t worker = 0; worker < 7; worker++) {
			born(&s, 300 + worker, "app");
			routine(&s, 300 + worker, cases[i].module, "");
		}
		pass(&s, SEC);
		assert_string_equal(words(refresh(&s), cases[i].pool), cases[i].words);
		exited(&s, 300);
		assert_string_equal(words(refresh(&s), cases[i].pool), "");
		script_end(&s);
	}
}

/* Seven helpers in all, but no team of eight. */
static void teams_within_teams_have_no_one_size(void **state)
{
	struct script s = {0};
	struct fact fact;

	script_begin(&s);
	leader(&s);
	cpus(&s, 8, 8, 2.5);
	for (uint32_t worker = 0; worker < 7; worker++) {
		fact = thread_fact(FACT_THREAD_BORN, 300 + worker, "app");
		fact.thread.creator = tid(worker < 6 ? PID : 300);
		feed(&s, fact);
		routine(&s, 300 + worker, "libgomp.so.1", "");
	}
	pass(&s, SEC);
	assert_int_equal(pool(refresh(&s), "libgomp")->team_threads, 7);
	assert_string_equal(words(refresh(&s), "libgomp"), "");
	script_end(&s);
}

static void gomaxprocs(void **state)
{
	struct script s = {0};
	struct fact fact = {.kind = FACT_TARGET, .target = TARGET,
			    .target_info = {.pid = PID, .start_ns = 900 * SEC, .name = "app", .comm = "app", .runtime = "go"}};

	script_begin(&s);
	feed(&s, fact);
	leader(&s);
	cpus(&s, 40, 40, 2);
	runtime(&s, "go", 40);
	born(&s, 300, "app");
	routine(&s, 300, "", "");
	pass(&s, SEC);
	assert_string_equal(words(refresh(&s), "go"), "go: 40 threads at a time = 40 CPUs, but the cgroup's CPU quota is 2: 2 "
						     "would fit (GOMAXPROCS=2)");
	/* As Go 1.25 sets it by itself. */
	runtime(&s, "go", 2);
	assert_string_equal(words(refresh(&s), "go"), "");
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(executors_of_each_version),
		cmocka_unit_test(the_quota_decides),
		cmocka_unit_test(what_would_not_change_is_not_said),
		cmocka_unit_test(a_sum_is_no_evidence),
		cmocka_unit_test(what_is_folded_has_no_capacity_but_executors),
		cmocka_unit_test(native_pools_count_their_caller),
		cmocka_unit_test(teams_within_teams_have_no_one_size),
		cmocka_unit_test(gomaxprocs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
