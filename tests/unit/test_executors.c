/* SPDX-License-Identifier: GPL-2.0-only */
/* What a runtime tells of executors, applied by the model: pools and their figures, names, rules, idempotence. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "model_facts.h"

static struct fact executor_fact(uint64_t id, enum executor_kind kind, const char *name, uint32_t instance)
{
	struct fact fact = {.kind = FACT_EXECUTOR, .executor = {.id = id, .kind = kind, .instance = instance,
								.capacity = UNKNOWN_U64, .queued = UNKNOWN_U64,
								.busy = UNKNOWN_U64, .idle = UNKNOWN_U64}};

	snprintf(fact.executor.name, sizeof(fact.executor.name), "%s", name);
	return fact;
}

static void executor(struct script *s, uint64_t id, const char *name, uint32_t instance, uint64_t capacity,
		     uint64_t queued)
{
	struct fact fact = executor_fact(id, EXECUTOR_FUTURES, name, instance);

	fact.executor.capacity = capacity;
	fact.executor.queued = queued;
	feed(s, fact);
}

static struct fact worker_fact(uint32_t number, uint64_t of, enum worker_activity activity, const char *function,
			       uint32_t line)
{
	struct fact fact = {.kind = FACT_WORKER, .worker = {.id = tid(number), .executor = of, .activity = activity,
							    .line = line}};

	snprintf(fact.worker.function, sizeof(fact.worker.function), "%s", function);
	if (*function)
		strcpy(fact.worker.file, "app.py");
	return fact;
}

static void worker(struct script *s, uint32_t number, uint64_t of, enum worker_activity activity)
{
	feed(s, worker_fact(number, of, activity, activity == WORKER_BUSY ? "predict" : "", 42));
}

static void python_thread(struct script *s, uint32_t number)
{
	seen(s, number, "app");
	routine(s, number, "python3.11", "thread_run");
}

static void pools_by_executor(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	const struct snapshot_pool *first, *second;
	struct fact more = executor_fact(1, EXECUTOR_FUTURES, "resize_0", 1);
	char doing[256];

	script_begin(&s);
	leader(&s);
	for (uint32_t number = 101; number <= 106; number++)
		python_thread(&s, number);
	pass(&s, 5 * SEC); /* told late: they were its workers all the same */
	for (int again = 0; again < 2; again++) {
		executor(&s, 1, "resize_0", 1, 4, 7);
		executor(&s, 2, "resize_0", 2, 9, 0);
		for (uint32_t number = 101; number <= 104; number++)
			worker(&s, number, 1, number == 101 ? WORKER_IDLE : WORKER_BUSY);
		worker(&s, 105, 2, WORKER_BUSY);
		worker(&s, PID, 0, WORKER_UNKNOWN);
	}
	target = refresh(&s);
	first = pool(target, "resize_*");
	assert_string_equal(first->kind, "ThreadPoolExecutor");
	assert_int_equal(first->threads, 4);
	assert_int_equal(first->capacity, 4);
	assert_int_equal(first->queued, 7);
	assert_int_equal(first->busy, 3);
	assert_int_equal(first->busy_peak, 3);
	second = pool(target, "resize_*#2");
	assert_int_equal(second->threads, 1);
	assert_int_equal(second->capacity, 9);
	assert_int_equal(second->queued, 0);
	assert_int_equal(second->busy, 1);
	assert_int_equal(pool(target, "python3.11:thread_run")->threads, 1);
	assert_int_equal(pool(target, "python3.11:thread_run")->busy, UNKNOWN_U64);
	assert_int_equal(pool(target, "main")->busy, UNKNOWN_U64);
	assert_int_equal(pool(target, "main")->capacity, UNKNOWN_U64);
	assert_true(snapshot_doing(target, thread(target, 102), doing, sizeof(doing)));
	assert_string_equal(doing, "predict (app.py:42)");
	assert_false(snapshot_doing(target, thread(target, 101), doing, sizeof(doing)));
	assert_int_equal(thread(target, 101)->activity, WORKER_IDLE);
	assert_int_equal(target->n_functions, 1);

	/* All go idle; the peak stays. */
	for (uint32_t number = 101; number <= 104; number++)
		worker(&s, number, 1, WORKER_IDLE);
	target = refresh(&s);
	assert_int_equal(pool(target, "resize_*")->busy, 0);
	assert_int_equal(pool(target, "resize_*")->busy_peak, 3);
	/* One could not be read: of the pool's busy threads nothing is known then. */
	worker(&s, 102, 1, WORKER_UNKNOWN);
	target = refresh(&s);
	assert_int_equal(pool(target, "resize_*")->busy, UNKNOWN_U64);
	assert_int_equal(pool(target, "resize_*")->busy_peak, 3);
	/* Nor while there may be others of it. */
	worker(&s, 102, 1, WORKER_IDLE);
	more.executor.may_have_more = true;
	feed(&s, more);
	target = refresh(&s);
	assert_int_equal(pool(target, "resize_*")->busy, UNKNOWN_U64);
	assert_int_equal(thread(target, 102)->activity, WORKER_IDLE);
	more.executor.may_have_more = false;
	feed(&s, more);
	target = refresh(&s);
	assert_int_equal(pool(target, "resize_*")->busy, 0);
	script_end(&s);
}

/* A ProcessPoolExecutor's workers are children: its thread here is no worker, and its bound none of threads. */
static void processes_are_no_threads(void **state)
{
	struct script s = {0};
	struct fact fact = executor_fact(1, EXECUTOR_PROCESSES, "ProcessPoolExecutor", 1);
	const struct snapshot_pool *manager;

	script_begin(&s);
	leader(&s);
	python_thread(&s, 101);
	fact.executor.capacity = 8;
	fact.executor.queued = 5;
	fact.executor.processes = 3;
	feed(&s, fact);
	worker(&s, 101, 1, WORKER_UNKNOWN);
	manager = pool(refresh(&s), "ProcessPoolExecutor");
	assert_string_equal(manager->kind, "ProcessPoolExecutor");
	assert_int_equal(manager->threads, 1);
	assert_int_equal(manager->capacity, UNKNOWN_U64);
	assert_int_equal(manager->queued, UNKNOWN_U64);
	assert_int_equal(manager->busy, UNKNOWN_U64);
	assert_true(manager->has_processes);
	assert_int_equal(manager->processes, 3);
	assert_int_equal(manager->processes_max, 8);
	assert_int_equal(manager->processes_pending, 5);
	assert_false(pool(refresh(&s), "main")->has_processes);
	/* Of what is not known the rest says nothing. */
	fact.executor.capacity = fact.executor.queued = UNKNOWN_U64;
	feed(&s, fact);
	manager = pool(refresh(&s), "ProcessPoolExecutor");
	assert_int_equal(manager->processes, 3);
	assert_int_equal(manager->processes_max, UNKNOWN_U64);
	fact.executor.gone = true;
	feed(&s, fact);
	exited(&s, 101);
	assert_false(pool(refresh(&s), "ProcessPoolExecutor")->has_processes);
	script_end(&s);
}

static void a_role_out_of_range_is_none(void **state)
{
	struct script s = {0};

	script_begin(&s);
	leader(&s);
	feed(&s, (struct fact){.kind = FACT_RUNTIME, .runtime = {.name = "cpython 3.11.2", .role = PROCESS_UVICORN_WORKER}});
	assert_string_equal(snapshot_role(refresh(&s)), "uvicorn worker");
	feed(&s, (struct fact){.kind = FACT_RUNTIME, .runtime = {.name = "cpython 3.11.2", .role = PROCESS_ROLE_COUNT}});
	assert_string_equal(snapshot_role(refresh(&s)), "");
	script_end(&s);
}

/* A thread that was born, and counted where its routine said, takes its count along whenever it is told. */
static void births_are_the_executors(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	born(&s, 101, "app");
	routine(&s, 101, "python3.11", "thread_run");
	pass(&s, 30 * SEC);
	target = refresh(&s);
	assert_int_equal(pool(target, "python3.11:thread_run")->threads_started, 1);
	executor(&s, 1, "resize_0", 1, 4, 0);
	worker(&s, 101, 1, WORKER_BUSY);
	target = refresh(&s);
	assert_null(find_pool(target, "python3.11:thread_run"));
	assert_int_equal(pool(target, "resize_*")->threads_started, 1);
	/* It empties: it stays listed, with nobody busy and nothing known of what is no more. */
	exited(&s, 101);
	struct fact gone = executor_fact(1, EXECUTOR_FUTURES, "resize_0", 1);

	gone.executor.gone = true;
	feed(&s, gone);
	feed(&s, gone);
	target = refresh(&s);
	assert_int_equal(pool(target, "resize_*")->threads, 0);
	assert_int_equal(pool(target, "resize_*")->threads_exited, 1);
	assert_int_equal(pool(target, "resize_*")->busy, 0);
	assert_int_equal(pool(target, "resize_*")->capacity, UNKNOWN_U64);
	assert_int_equal(pool(target, "resize_*")->queued, UNKNOWN_U64);
	script_end(&s);
}

static void rules_win(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	s.rules[0] = (struct pool_rule){.pool = "mine", .thread_name = "special"};
	s.entry.n_rules = 1;
	script_begin(&s);
	leader(&s);
	seen(&s, 101, "special");
	python_thread(&s, 102);
	executor(&s, 1, "resize_0", 1, 4, 3);
	worker(&s, 101, 1, WORKER_BUSY);
	worker(&s, 102, 1, WORKER_BUSY);
	target = refresh(&s);
	assert_string_equal(pool_name_of(target, 101), "mine");
	assert_string_equal(pool_name_of(target, 102), "resize_*");
	/* The executor is in two pools: its bound and its queue are neither's. */
	assert_int_equal(pool(target, "mine")->capacity, UNKNOWN_U64);
	assert_int_equal(pool(target, "resize_*")->capacity, UNKNOWN_U64);
	assert_int_equal(pool(target, "resize_*")->queued, UNKNOWN_U64);
	assert_int_equal(pool(target, "resize_*")->busy, 1);
	script_end(&s);
}

static void several_in_one_pool_add_up(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	const struct snapshot_pool *found;

	s.rules[0] = (struct pool_rule){.pool = "all", .start_routine = "thread_run"};
	s.entry.n_rules = 1;
	script_begin(&s);
	leader(&s);
	python_thread(&s, 101);
	python_thread(&s, 102);
	executor(&s, 1, "a_0", 1, 4, 3);
	executor(&s, 2, "b_0", 1, 5, 1);
	worker(&s, 101, 1, WORKER_BUSY);
	worker(&s, 102, 2, WORKER_IDLE);
	target = refresh(&s);
	found = pool(target, "all");
	assert_int_equal(found->capacity, 9);
	assert_int_equal(found->queued, 4);
	assert_int_equal(found->busy, 1);
	executor(&s, 2, "b_0", 1, UNKNOWN_U64, 1);
	found = pool(refresh(&s), "all");
	assert_int_equal(found->capacity, UNKNOWN_U64);
	assert_int_equal(found->queued, 4);
	script_end(&s);
}

/* A pool's helpers do none of the program's work, and a view leaves them out where a size is asked about. */
static void helpers_are_the_runtimes_own(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	struct fact fact;

	script_begin(&s);
	leader(&s);
	for (uint32_t i = 1; i <= 2; i++) {
		fact = executor_fact(i, EXECUTOR_THREAD, i == 1 ? "Pool-helpers" : "consumer-0", 1);
		fact.executor.is_runtimes_own = i == 1;
		python_thread(&s, 100 + i);
		feed(&s, fact);
		worker(&s, 100 + i, i, WORKER_UNKNOWN);
	}
	target = refresh(&s);
	for (size_t i = 0; i < target->n_pools; i++)
		assert_int_equal(target->pools[i].is_runtimes_own, !strcmp(target->pools[i].name, "Pool-helpers"));
	assert_int_equal(target->n_pools, 3);
	script_end(&s);
}

static void names(void **state)
{
	static const struct {
		enum executor_kind kind;
		const char *name, *function, *file, *pool;
		uint32_t instance;
	} cases[] = {
		{EXECUTOR_FUTURES, "ThreadPoolExecutor-0_0", "", "", "ThreadPoolExecutor-0_*", 1},
		{EXECUTOR_FUTURES, "asyncio_0", "", "", "asyncio_*", 1},
		{EXECUTOR_FUTURES, "main", "", "", "main*", 1},
		{EXECUTOR_FUTURES, "other", "", "", "other*#3", 3},
		{EXECUTOR_FUTURES, "many_0", "", "", "many_*#*", 17},
		{EXECUTOR_FUTURES, "bad[*]?\\\x1b_0", "", "", "bad?????\x1b_*", 1},
		{EXECUTOR_POOL, "ThreadPool", "", "", "ThreadPool#2", 2},
		{EXECUTOR_ANYIO, "anyio-worker-0", "", "", "anyio-worker-*", 1},
		{EXECUTOR_THREAD, "", "Worker.run", "app.py", "app.py:Worker.run", 1},
		{EXECUTOR_THREAD, "", "sha256_loop", "", "sha256_loop", 1},
		{EXECUTOR_THREAD, "", "main.<locals>.work", "pkg/__init__.py", "pkg/__init__.py:main.<locals>.work", 1},
		{EXECUTOR_FUTURES, "an_executor_whose_name_is_so_long_that_it_fills_the_room_0123_0", "", "",
		 "an_executor_whose_name_is_so_long_that_it_fills_the_room_012*#2", 2},
	};
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	for (uint32_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fact fact = executor_fact(i + 1, cases[i].kind, cases[i].name, cases[i].instance);

		snprintf(fact.executor.function, sizeof(fact.executor.function), "%s", cases[i].function);
		snprintf(fact.executor.file, sizeof(fact.executor.file), "%s", cases[i].file);
		python_thread(&s, 101 + i);
		feed(&s, fact);
		worker(&s, 101 + i, i + 1, WORKER_IDLE);
	}
	target = refresh(&s);
	for (uint32_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(pool_name_of(target, 101 + i), cases[i].pool);
	script_end(&s);
}

/* An executor's object could not be read at first: its workers go to its own name once it can. */
static void named_late(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	python_thread(&s, 101);
	executor(&s, 1, "ThreadPoolExecutor", 1, UNKNOWN_U64, 0);
	worker(&s, 101, 1, WORKER_BUSY);
	assert_string_equal(pool_name_of(refresh(&s), 101), "ThreadPoolExecutor");
	executor(&s, 1, "resize_0", 1, 4, 0);
	target = refresh(&s);
	assert_string_equal(pool_name_of(target, 101), "resize_*");
	assert_null(find_pool(target, "ThreadPoolExecutor"));
	script_end(&s);
}

/* Workers may look like plain threads until all of their stack could be read; and others had the name before. */
static void what_is_told_last_is_the_kind(void **state)
{
	struct script s = {0};
	struct fact plain = executor_fact(1, EXECUTOR_THREAD, "resize_0", 1);

	script_begin(&s);
	leader(&s);
	for (uint32_t number = 101; number <= 102; number++)
		python_thread(&s, number);
	for (int round = 0; round < 2; round++) {
		feed(&s, plain);
		for (uint32_t number = 101; number <= 102; number++)
			worker(&s, number, 1, WORKER_UNKNOWN);
		assert_string_equal(pool(refresh(&s), "resize_*")->kind, "threading.Thread");
		executor(&s, 2, "resize_0", 1, 4, 0);
		for (uint32_t number = 101; number <= 102; number++)
			worker(&s, number, 2, WORKER_IDLE);
		assert_string_equal(pool(refresh(&s), "resize_*")->kind, "ThreadPoolExecutor");
		assert_int_equal(pool(refresh(&s), "resize_*")->threads, 2);
		for (uint32_t number = 101; number <= 102; number++)
			worker(&s, number, 0, WORKER_UNKNOWN);
	}
	script_end(&s);
}

/* A limit in percent of a pool's capacity can be judged once a runtime tells it. */
static void limits_by_capacity(void **state)
{
	struct script s = {0};
	const struct snapshot_pool *found;

	s.limits[0] = (struct limit_rule){.pool = "resize_*", .kind = LIMIT_THREADS, .value = 5000, .is_percent = true,
					  .warn_ratio = 0.8};
	s.entry.n_limits = 1;
	script_begin(&s);
	leader(&s);
	for (uint32_t number = 101; number <= 103; number++)
		python_thread(&s, number);
	executor(&s, 1, "resize_0", 1, 4, 0);
	for (uint32_t number = 101; number <= 103; number++)
		worker(&s, number, 1, WORKER_IDLE);
	refresh(&s);
	found = pool(refresh(&s), "resize_*");
	assert_int_equal(found->n_limits, 1);
	assert_int_equal(found->limits[0].max, 2);
	assert_int_equal(found->limits[0].state, LIMIT_OVER);
	script_end(&s);
}

static void refused(void **state)
{
	struct script s = {0};
	struct fact fact;

	script_begin(&s);
	leader(&s);
	fact = executor_fact(0, EXECUTOR_FUTURES, "a_0", 1);
	fact.target = TARGET;
	assert_int_equal(model_apply(s.model, &fact), -EINVAL);
	fact = executor_fact(1, EXECUTOR_KIND_COUNT, "a_0", 1);
	fact.target = TARGET;
	assert_int_equal(model_apply(s.model, &fact), -EINVAL);
	fact = executor_fact(1, EXECUTOR_FUTURES, "", 1);
	fact.target = TARGET;
	assert_int_equal(model_apply(s.model, &fact), -EINVAL);
	fact = worker_fact(0, 1, WORKER_IDLE, "", 0);
	fact.target = TARGET;
	fact.worker.id.tid = 0;
	assert_int_equal(model_apply(s.model, &fact), -EINVAL);
	/* Of a thread and an executor that are not known: nothing. */
	worker(&s, 999, 77, WORKER_BUSY);
	python_thread(&s, 101);
	worker(&s, 101, 77, WORKER_BUSY);
	assert_string_equal(pool_name_of(refresh(&s), 101), "python3.11:thread_run");
	script_end(&s);
}

/* More functions and executors than there is room for: bounded, and what is in use stays right. */
static void many(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	char name[64], doing[256];

	script_begin(&s);
	leader(&s);
	python_thread(&s, 101);
	python_thread(&s, 102);
	for (uint32_t i = 1; i <= 3000; i++) {
		snprintf(name, sizeof(name), "x%u_0", i);
		executor(&s, i, name, 1, 1, 0);
	}
	for (uint32_t i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "function_%u", i);
		feed(&s, worker_fact(101, 1, WORKER_BUSY, name, i));
		if (i % 100 == 0) {
			feed(&s, worker_fact(102, 2, WORKER_BUSY, "steady", 7));
			target = refresh(&s);
			assert_true(target->n_functions <= 4096);
			assert_true(snapshot_doing(target, thread(target, 102), doing, sizeof(doing)));
			assert_string_equal(doing, "steady (app.py:7)");
			snprintf(name, sizeof(name), "function_%u (app.py:%u)", i, i);
			assert_true(snapshot_doing(target, thread(target, 101), doing, sizeof(doing)));
			if (i)
				assert_string_equal(doing, name);
		}
	}
	script_end(&s);
}

static void exec_forgets(void **state)
{
	struct script s = {0};
	struct fact runtime = {.kind = FACT_RUNTIME, .runtime = {.name = "cpython 3.11.2", .passes = 3}};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	python_thread(&s, 101);
	feed(&s, runtime);
	executor(&s, 1, "resize_0", 1, 4, 0);
	worker(&s, 101, 1, WORKER_BUSY);
	target = refresh(&s);
	assert_string_equal(target->info.runtime, "cpython 3.11.2");
	assert_int_equal(target->runtime.passes, 3);
	seed_begin(&s, SEED_EXEC);
	seed_end(&s);
	target = refresh(&s);
	assert_null(find_pool(target, "resize_*"));
	assert_int_equal(target->runtime.passes, 0);
	assert_int_equal(target->n_functions, 0);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pools_by_executor), cmocka_unit_test(births_are_the_executors),
		cmocka_unit_test(rules_win),         cmocka_unit_test(several_in_one_pool_add_up),
		cmocka_unit_test(helpers_are_the_runtimes_own),
		cmocka_unit_test(names),             cmocka_unit_test(named_late),
		cmocka_unit_test(what_is_told_last_is_the_kind),
		cmocka_unit_test(limits_by_capacity), cmocka_unit_test(refused),
		cmocka_unit_test(many),              cmocka_unit_test(exec_forgets),
		cmocka_unit_test(processes_are_no_threads), cmocka_unit_test(a_role_out_of_range_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
