/* SPDX-License-Identifier: GPL-2.0-only */
/* From the functions that a worker stands in to whether it is in a task: with the stacks of live runtimes, with those that
 * only look like them; by the shipped rules; and what the model counts of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/workers.h"
#include "model_facts.h"

#define CONDITION {"pthread_cond_wait", "libc.so.6"}
#define START {"", "libc.so.6"}, {"__clone3", "libc.so.6"}

/* As text_copy() into a fact, written shorter. */
struct frame {
	const char *symbol, *module;
};

/* From the inside out; cut: further out it could not be told. */
static const struct {
	const char *what;
	struct frame routine, frames[10];
	bool cut;
	enum worker_activity activity;
} stacks[] = {
	/* Seen live (Debian 12, node 20): who waits for a task. */
	{"gomp", {"", "libgomp.so.1"}, {{"", "libgomp.so.1"}, {"", "libgomp.so.1"}, START}, false, WORKER_IDLE},
	{"a wheel's", {"", "libgomp-a34b3233.so.1"}, {{"", "libgomp-a34b3233.so.1"}, START}, false, WORKER_IDLE},
	{"omp", {"", "libomp.so.5"}, {CONDITION, {"", "libomp.so.5"}, {"", "libomp.so.5"}, START}, false, WORKER_IDLE},
	{"iomp", {"", "libiomp5.so"}, {{"pthread_cond_timedwait", "libpthread.so.0"}, {"", "libiomp5.so"}, START}, false, WORKER_IDLE},
	{"tbb", {"", "libtbb.so.12"}, {{"syscall", "libc.so.6"}, {"", "libtbb.so.12"}, START}, false, WORKER_IDLE},
	{"pthreadpool", {"", "libpthreadpool.so.0"}, {{"syscall", "libc.so.6"}, {"", "libpthreadpool.so.0"}, START}, false, WORKER_IDLE},
	{"uv", {"", "libuv.so.1"}, {{"", "libc.so.6"}, CONDITION, {"uv_cond_wait", "libuv.so.1"}, {"", "libuv.so.1"}, START},
	 false, WORKER_IDLE},
	{"node", {"worker", "node"}, {CONDITION, {"uv_cond_wait", "node"}, {"worker", "node"}, START}, false, WORKER_IDLE},

	/* Tasks that wait by the same calls. */
	{"in a team", {"", "libgomp.so.1"}, {CONDITION, {"body._omp_fn.0", "app"}, {"", "libgomp.so.1"}, START}, false, WORKER_BUSY},
	{"at a barrier", {"", "libgomp.so.1"}, {{"GOMP_barrier", "libgomp.so.1"}, {"body", "app"}}, true, WORKER_BUSY},
	{"compiled late", {"", "libgomp.so.1"}, {{"", "[anon]"}}, true, WORKER_BUSY},
	{"omp", {"", "libomp.so.5"}, {CONDITION, {"work", "app"}}, true, WORKER_BUSY},
	{"tbb, nested", {"", "libtbb.so.12"}, {{"syscall", "libc.so.6"}, {"", "libtbb.so.12"}, {"", "libopencv_core.so.406"}}, true, WORKER_BUSY},
	{"uv, by its own wait", {"", "libuv.so.1"}, {CONDITION, {"uv_cond_wait", "libuv.so.1"}, {"work", "app"}}, true, WORKER_BUSY},
	{"uv, a file", {"", "libuv.so.1"}, {{"open64", "libc.so.6"}, {"", "libuv.so.1"}, {"", "libuv.so.1"}, START}, false, WORKER_BUSY},
	{"node, a file", {"worker", "node"}, {{"open64", "libc.so.6"}, {"uv__fs_work", "node"}}, true, WORKER_BUSY},
	{"node, a wait in a task", {"worker", "node"}, {CONDITION, {"uv_cond_wait", "node"}, {"Task", "node"}, {"worker", "node"}, START},
	 false, WORKER_BUSY},
	{"node, an add-on", {"worker", "node"}, {{"", "addon.node"}}, true, WORKER_BUSY},
	{"what waits within a function called as the wait is", {"worker", "node"},
	 {{"uv_cond_wait", "node"}, {"Run", "node"}, {"uv_cond_wait", "node"}, {"worker", "node"}, START}, false, WORKER_BUSY},

	/* It cannot be told: a task that ended in a jump has no frame. */
	{"gomp, a jump", {"", "libgomp.so.1"}, {{"usleep", "libc.so.6"}, {"", "libgomp.so.1"}, START}, false, WORKER_UNKNOWN},
	{"tbb, a jump", {"", "libtbb.so.12"}, {CONDITION, {"", "libtbb.so.12"}, START}, false, WORKER_UNKNOWN},
	{"omp, a jump", {"", "libomp.so.5"}, {{"syscall", "libc.so.6"}, {"", "libomp.so.5"}, START}, false, WORKER_UNKNOWN},
	{"uv, a jump", {"worker", "node"}, {CONDITION, {"worker", "node"}, START}, false, WORKER_UNKNOWN},
	{"uv, another wait", {"worker", "node"}, {{"pthread_mutex_lock", "libc.so.6"}, {"uv_cond_wait", "node"}, {"worker", "node"}, START},
	 false, WORKER_UNKNOWN},
	/* Nor where the stack ends too soon, or holds nothing that is the runtime's. */
	{"gomp, cut", {"", "libgomp.so.1"}, {{"", "libgomp.so.1"}, {"", "libgomp.so.1"}}, true, WORKER_UNKNOWN},
	{"uv, cut", {"", "libuv.so.1"}, {CONDITION, {"uv_cond_wait", "libuv.so.1"}, {"", "libuv.so.1"}}, true, WORKER_UNKNOWN},
	{"uv, one", {"", "libuv.so.1"}, {CONDITION, {"", "libuv.so.1"}}, true, WORKER_UNKNOWN},
	{"uv, without its routine", {"", "libuv.so.1"}, {CONDITION, {"uv_cond_wait", "libuv.so.1"}, START}, false, WORKER_UNKNOWN},
	{"the C library alone", {"", "libgomp.so.1"}, {CONDITION, START}, false, WORKER_UNKNOWN},
	{"the kernel's own page", {"", "libgomp.so.1"}, {{"", "[vdso]"}}, true, WORKER_UNKNOWN},
	{"nothing", {"", "libgomp.so.1"}, {{NULL}}, true, WORKER_UNKNOWN},
	{"nothing, whole", {"", "libtbb.so.12"}, {{NULL}}, false, WORKER_UNKNOWN},
};

static struct rule_evidence evidence_of(const struct frame *routine)
{
	return (struct rule_evidence){.name = "app", .routine = routine->symbol, .module = routine->module, .program = "app",
				      .runtime = "", .creator = ""};
}

static enum worker_activity walked(const struct worker_waits *waits, const struct frame *began, const struct frame *frames,
				   bool is_whole)
{
	struct fact_routine routine = {.symbol = ""}, frame = {.symbol = ""};
	struct wait_walk walk;
	bool more = true;

	text_copy(routine.symbol, sizeof(routine.symbol), began->symbol);
	text_copy(routine.module, sizeof(routine.module), began->module);
	wait_walk_begin(&walk, waits, &routine);
	for (; frames->module && more; frames++) {
		text_copy(frame.symbol, sizeof(frame.symbol), frames->symbol);
		text_copy(frame.module, sizeof(frame.module), frames->module);
		more = wait_walk_step(&walk, &frame);
	}
	return wait_walk_end(&walk, is_whole);
}

static void where_they_stand(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(stacks); i++) {
		const struct rule_evidence evidence = evidence_of(&stacks[i].routine);
		const struct worker_waits *waits = runtime_rules_waits(&evidence);
		enum worker_activity activity;

		assert_non_null(waits);
		activity = walked(waits, &stacks[i].routine, stacks[i].frames, !stacks[i].cut);
		if (activity != stacks[i].activity)
			fail_msg("%s: %d instead of %d", stacks[i].what, activity, stacks[i].activity);
		/* The place in its file says no more than that there is no symbol. */
		if (!*stacks[i].routine.symbol) {
			const struct frame place = {"+0x1a2b", stacks[i].routine.module};

			assert_int_equal(walked(waits, &place, stacks[i].frames, !stacks[i].cut), activity);
		}
		/* Of a part of its stack nothing else is said than of all of it, unless nothing. */
		for (size_t n = 0; stacks[i].frames[n].module; n++) {
			struct frame part[ARRAY_SIZE(stacks[0].frames) + 1] = {{NULL}};

			memcpy(part, stacks[i].frames, n * sizeof(*part));
			activity = walked(waits, &stacks[i].routine, part, false);
			assert_true(activity == WORKER_UNKNOWN || activity == stacks[i].activity);
		}
	}
}

/* Whose tasks and waits nobody could tell apart have no row of their own. */
static void of_whom_nothing_is_told(void **state)
{
	static const struct frame routines[] = {
		{"gomp_thread_start", "app"}, {"__kmp_launch_worker", "app"}, {"blas_thread_server", "libopenblasp-r0.3.21.so"},
		{"thread_main", "libtorch_cpu.so"}, {"", "loop.cpython-311-x86_64-linux-gnu.so"}, {"worker", "app"},
		{"", "node"}, {"thread_run", "python3.11"}, {"", "libjvm.so"}, {"", "libopencv_core.so.406"},
	};
	struct workers workers = {0};

	for (size_t i = 0; i < ARRAY_SIZE(routines); i++) {
		const struct rule_evidence evidence = evidence_of(&routines[i]);
		struct thread_id id = {.tid = (uint32_t)i + 1};

		assert_int_equal(workers_add(&workers, &evidence, &id), 0);
	}
	assert_int_equal(workers.count, 0);
	workers_clear(&workers);
}

static void the_table(void **state)
{
	const struct frame routine = {"", "libgomp.so.1"};
	const struct rule_evidence evidence = evidence_of(&routine);
	struct workers workers = {0};

	for (uint32_t i = 0; i < WORKERS_MAX + 10; i++) {
		struct thread_id id = {.tid = i * 7919 % 65521 + 1, .start_ns = SEC};

		assert_int_equal(workers_add(&workers, &evidence, &id), 0);
	}
	assert_int_equal(workers.count, WORKERS_MAX);
	for (size_t i = 1; i < workers.count; i++)
		assert_true(workers.worker[i - 1].id.tid < workers.worker[i].id.tid);
	/* Another thread has its number by now. */
	workers.worker[5].is_told = true;
	assert_int_equal(workers_add(&workers, &evidence, &(struct thread_id){workers.worker[5].id.tid, SEC}), 0);
	assert_true(workers.worker[5].is_told);
	assert_null(workers_find(&workers, (struct thread_id){workers.worker[5].id.tid, 2 * SEC}));
	assert_int_equal(workers_add(&workers, &evidence, &(struct thread_id){workers.worker[5].id.tid, 2 * SEC}), 0);
	assert_int_equal(workers.count, WORKERS_MAX);
	assert_false(workers.worker[5].is_told);
	assert_string_equal(workers.worker[5].routine.module, "libgomp.so.1");
	workers_remove(&workers, (struct thread_id){workers.worker[5].id.tid, SEC}); /* that one went before */
	assert_int_equal(workers.count, WORKERS_MAX);
	for (size_t i = 0; i < workers.count; i++)
		workers.worker[i].is_seen = i % 3 == 0;
	workers_keep_seen(&workers);
	assert_int_equal(workers.count, (WORKERS_MAX + 2) / 3);
	for (size_t i = 1; i < workers.count; i++)
		assert_true(workers.worker[i - 1].id.tid < workers.worker[i].id.tid);
	while (workers.count)
		workers_remove(&workers, workers.worker[workers.count / 2].id);
	workers_clear(&workers);
}

/* ---- what the model makes of it ------------------------------------------------------------------ */

static void stands(struct script *s, uint32_t number, enum worker_activity activity)
{
	feed(s, (struct fact){.kind = FACT_ACTIVITY, .activity = {.id = tid(number), .activity = activity}});
}

static void four_workers(struct script *s)
{
	script_begin(s);
	leader(s);
	for (uint32_t number = 201; number <= 204; number++) {
		seen(s, number, "app");
		routine(s, number, "libuv.so.1", "worker");
	}
}

static void busy_only_if_all_are_known(void **state)
{
	struct script s = {0};
	const struct snapshot_pool *uv;

	four_workers(&s);
	assert_true(pool(refresh(&s), "libuv")->busy == UNKNOWN_U64);
	for (uint32_t number = 201; number <= 203; number++)
		stands(&s, number, number == 202 ? WORKER_IDLE : WORKER_BUSY);
	assert_true(pool(refresh(&s), "libuv")->busy == UNKNOWN_U64);
	stands(&s, 204, WORKER_IDLE);
	uv = pool(refresh(&s), "libuv");
	assert_int_equal(uv->busy, 2);
	assert_int_equal(uv->busy_peak, 2);
	assert_true(uv->queued == UNKNOWN_U64 && uv->capacity == UNKNOWN_U64);
	stands(&s, 201, WORKER_UNKNOWN);
	uv = pool(refresh(&s), "libuv");
	assert_true(uv->busy == UNKNOWN_U64);
	assert_int_equal(uv->busy_peak, 2);
	for (uint32_t number = 201; number <= 204; number++)
		exited(&s, number);
	assert_int_equal(pool(refresh(&s), "libuv")->busy, 0);
	assert_true(pool(refresh(&s), "main")->busy == UNKNOWN_U64);
	script_end(&s);
}

/* Tasks that wait for a worker are nowhere read, so how many would have done is not known, whatever is seen of busy. */
static void nothing_is_advised(void **state)
{
	struct script s = {0};

	four_workers(&s);
	for (uint32_t number = 201; number <= 204; number++)
		stands(&s, number, number == 201 ? WORKER_BUSY : WORKER_IDLE);
	for (int i = 0; i < 700; i++) {
		feed(&s, (struct fact){.kind = FACT_RUNTIME, .runtime = {.passes = (uint64_t)i + 1}});
		assert_int_equal(pool(refresh(&s), "libuv")->right_size.workers, 0);
	}
	script_end(&s);
}

/* What a runtime tells of a thread goes before what is seen of it from outside. */
static void a_runtime_knows_better(void **state)
{
	struct script s = {0};

	four_workers(&s);
	for (uint32_t number = 201; number <= 204; number++)
		stands(&s, number, WORKER_BUSY);
	feed(&s, (struct fact){.kind = FACT_WORKER, .worker = {.id = tid(203), .activity = WORKER_IDLE}});
	feed(&s, (struct fact){.kind = FACT_WORKER, .worker = {.id = tid(204)}}); /* of which it does not say */
	assert_int_equal(pool(refresh(&s), "libuv")->busy, 3);
	feed(&s, (struct fact){.kind = FACT_EXECUTOR,
			       .executor = {.id = 1, .kind = EXECUTOR_FUTURES, .instance = 1, .name = "resize_0"}});
	feed(&s, (struct fact){.kind = FACT_WORKER, .worker = {.id = tid(204), .executor = 1}});
	assert_true(pool(refresh(&s), "resize_*")->busy == UNKNOWN_U64);
	assert_int_equal(pool(refresh(&s), "libuv")->busy, 2);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_they_stand),
		cmocka_unit_test(of_whom_nothing_is_told),
		cmocka_unit_test(the_table),
		cmocka_unit_test(busy_only_if_all_are_known),
		cmocka_unit_test(nothing_is_advised),
		cmocka_unit_test(a_runtime_knows_better),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
