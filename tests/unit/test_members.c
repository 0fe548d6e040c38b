/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads whose pool is not certain yet: which count, for limits and peaks, and when. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "limit_facts.h"
#include "model/briefs.h"

static void ready(struct script *s)
{
	limit(s, "*", LIMIT_THREADS, 10);
	script_begin(s);
	leader(s);
	tick(s);
	refresh(s);
	feed(s, (struct fact){.kind = FACT_RUNTIME, .runtime = {.name = "cpython 3.11.2", .passes = 1}});
}

static void python_threads(struct script *s, uint32_t first, uint32_t count)
{
	for (uint32_t number = first; number < first + count; number++) {
		born(s, number, "app");
		routine(s, number, "python3.11", "+0x1139");
	}
	pass(s, 25 * MSEC); /* no name comes any more */
	feed(s, (struct fact){.kind = FACT_THREAD_SAMPLED, .thread = {.id = tid(PID), .state = 'S'}});
	born(s, 999, "x-1");
	exited(s, 999);
}

static void told(struct script *s, uint32_t first, uint32_t count, uint64_t executor)
{
	for (uint32_t number = first; number < first + count; number++)
		feed(s, (struct fact){.kind = FACT_WORKER, .worker = {.id = tid(number), .executor = executor,
								      .activity = WORKER_BUSY}});
}

static void executor(struct script *s, uint64_t id)
{
	feed(s, (struct fact){.kind = FACT_EXECUTOR, .executor = {.id = id, .kind = EXECUTOR_FUTURES, .name = "resize_0",
								  .instance = 1, .capacity = 40, .queued = 0, .busy = UNKNOWN_U64,
								  .idle = UNKNOWN_U64}});
}

/* Python's newborns stand where their routine says, but are no members: they may all be an executor's, and are. */
static void who_is_to_be_told_raises_nothing(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	ready(&s);
	python_threads(&s, 200, 12);
	target = &look(&s)->targets[0];
	assert_int_equal(pool(target, "python3.11")->threads, 12);
	assert_int_equal(pool(target, "python3.11")->threads_peak, 0);
	assert_int_equal(pool(target, "python3.11")->threads_started, 0);
	expect_no_transition(&s);
	executor(&s, 1);
	told(&s, 200, 8, 1);
	exited(&s, 210); /* nobody will tell of it any more: it has been one, but nobody knows for how long with whom */
	target = refresh(&s); /* a second later: the others are nobody's workers */
	assert_int_equal(pool(target, "python3.11")->threads, 3);
	assert_int_equal(pool(target, "python3.11")->threads_peak, 3);
	assert_int_equal(pool(target, "python3.11")->threads_started, 4);
	assert_int_equal(pool(target, "python3.11")->threads_exited, 1);
	assert_int_equal(pool(target, "resize_*")->threads_peak, 8);
	assert_int_equal(pool(target, "resize_*")->threads_started, 8);
	told(&s, 208, 2, 1); /* late, and yet its own from the start */
	target = refresh(&s);
	assert_int_equal(pool(target, "python3.11")->threads_started, 2);
	assert_int_equal(pool(target, "resize_*")->threads_started, 10);
	expect_transition(&s, "resize_*", LIMIT_OK, LIMIT_WARN, 8);
	expect_no_transition(&s);
	script_end(&s);
}

/* Python may not have been found yet, or be linked into a program of another name. */
static void pythons_by_file_or_routine(void **state)
{
	static const struct {
		const char *module, *symbol;
		bool is_found, is_pythons;
	} cases[] = {
		{"libpython3.13.so.1.0", "pythread_wrapper", false, true}, {"python3.11", "+0x1139", false, true},
		{"myserver", "pythread_wrapper", true, true}, {"myserver", "thread_run", false, false},
		{"myserver", "work", true, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct script s = {0};

		limit(&s, "*", LIMIT_THREADS, 10);
		script_begin(&s);
		leader(&s);
		tick(&s);
		refresh(&s);
		if (cases[i].is_found)
			feed(&s, (struct fact){.kind = FACT_RUNTIME, .runtime = {.name = "cpython 3.11.2", .passes = 1}});
		for (uint32_t number = 200; number < 212; number++) {
			born(&s, number, "app");
			routine(&s, number, cases[i].module, cases[i].symbol);
		}
		pass(&s, 25 * MSEC);
		born(&s, 999, "x-1");
		assert_int_equal(model_next_transition(s.model, &(struct limit_transition){0}), !cases[i].is_pythons);
		script_end(&s);
	}
}

/* A team is its maker's: of whom that is not known yet, each may be of another pool. */
static void teams_wait_for_their_makers(void **state)
{
	struct script s = {0};

	limit(&s, "libgomp", LIMIT_THREADS, 10);
	script_begin(&s);
	leader(&s);
	tick(&s);
	refresh(&s);
	for (uint32_t number = 200; number < 212; number++) { /* as after an exec: read, and born only then */
		seen(&s, number, "app");
		routine(&s, number, "libgomp.so.1", "gomp_thread_start");
	}
	assert_int_equal(pool(&look(&s)->targets[0], "libgomp")->threads, 12);
	for (uint32_t number = 200; number < 212; number++) {
		struct fact fact = thread_fact(FACT_THREAD_BORN, number, "app");

		fact.thread.creator = number < 203 ? tid(PID) : tid(300 + number % 2);
		feed(&s, fact);
	}
	expect_no_transition(&s);
	assert_int_equal(pool(&look(&s)->targets[0], "libgomp")->threads_peak, 0);
	refresh(&s); /* nobody knows the others' makers: then they are what they seem */
	expect_transition(&s, "libgomp", LIMIT_OK, LIMIT_WARN, 8);
	expect_transition(&s, "libgomp", LIMIT_WARN, LIMIT_OVER, 11);
	assert_int_equal(pool(&look(&s)->targets[0], "libgomp")->threads_started, 12);
	script_end(&s);
}

/* Told of as nobody's worker, read without being told of (a Timer's thread), or neither in a second: then they are members. */
static void who_stays_is_judged(void **state)
{
	for (int round = 0; round < 3; round++) {
		struct script s = {0};

		ready(&s);
		python_threads(&s, 200, 12);
		expect_no_transition(&s);
		if (round == 0)
			refresh(&s);
		else if (round == 1)
			told(&s, 200, 12, 0);
		else
			feed(&s, (struct fact){.kind = FACT_RUNTIME, .runtime = {.name = "cpython 3.11.2", .passes = 2}});
		expect_transition(&s, "python3.11", LIMIT_OK, LIMIT_WARN, 8);
		expect_transition(&s, "python3.11", LIMIT_WARN, LIMIT_OVER, 11);
		assert_int_equal(pool(&look(&s)->targets[0], "python3.11")->threads_peak, 12);
		assert_int_equal(pool(&s.snapshot->targets[0], "python3.11")->threads_started, 12);
		script_end(&s);
	}
}

/* Where nobody reads a Python, nobody will tell: after some seconds of looking for it, all count as they come. */
static void who_will_never_be_told_is_judged(void **state)
{
	struct script s = {0};

	limit(&s, "*", LIMIT_THREADS, 10);
	script_begin(&s);
	leader(&s);
	tick(&s);
	for (int i = 0; i < 4; i++)
		refresh(&s);
	python_threads(&s, 200, 12);
	expect_transition(&s, "python3.11", LIMIT_OK, LIMIT_WARN, 8);
	script_end(&s);
}

/* Of another file's routine no runtime tells. */
static void others_are_judged_at_once(void **state)
{
	struct script s = {0};

	ready(&s);
	for (uint32_t number = 200; number < 212; number++) {
		born(&s, number, "app");
		routine(&s, number, "libfoo.so", "work");
	}
	pass(&s, 25 * MSEC);
	born(&s, 999, "x-1");
	expect_transition(&s, "libfoo.so:work", LIMIT_OK, LIMIT_WARN, 8);
	expect_transition(&s, "libfoo.so:work", LIMIT_WARN, LIMIT_OVER, 11);
	script_end(&s);
}

/* A child is followed from its birth on: the threads that its first reading has found under their names have lived at one
 * time, however soon they end, and are too many. */
static void a_burst_that_the_first_reading_found(void **state)
{
	for (int round = 0; round < 2; round++) {
		struct script s = {0};
		struct fact child = {.kind = FACT_TARGET, .target_info = {.pid = PID, .start_ns = 900 * SEC, .exe = "/bin/app",
									   .name = "app", .comm = "app", .followed = true}};
		const struct snapshot_target *target;

		limit(&s, "kid-*", LIMIT_THREADS, 10);
		script_begin_with(&s, (struct model_options){.keep_ended = true});
		feed(&s, child);
		leader(&s);
		tick(&s);
		for (uint32_t number = 200; number < 220; number++) {
			struct fact fact = thread_fact(FACT_THREAD_SEEN, number, "kid-1");

			fact.thread.start_routine = 0x1139;
			feed(&s, fact);
		}
		for (uint32_t number = 200; number < 220; number++) {
			struct fact fact = thread_fact(FACT_THREAD_BORN, number, "app");

			fact.thread.creator = tid(PID);
			feed(&s, fact);
			if (round)
				renamed(&s, number, "kid-1");
		}
		for (uint32_t number = 200; number < 220; number++)
			exited(&s, number);
		expect_transition(&s, "kid-*", LIMIT_OK, LIMIT_WARN, 8);
		expect_transition(&s, "kid-*", LIMIT_WARN, LIMIT_OVER, 11);
		expect_no_transition(&s);
		target = refresh(&s);
		assert_int_equal(pool(target, "kid-*")->threads_peak, 20);
		assert_int_equal(pool(target, "kid-*")->threads_started, 20);
		assert_int_equal(pool(target, "kid-*")->threads_exited, 20);
		script_end(&s);
	}
}

/* That a newborn still has its creator's name may be read as well as told of its birth: the wait is the same. */
static void a_reading_is_no_renaming(void **state)
{
	struct script s = {0};

	limit(&s, "app", LIMIT_THREADS, 10);
	script_begin(&s);
	leader(&s);
	tick(&s);
	refresh(&s);
	for (uint32_t number = 200; number < 212; number++)
		born(&s, number, "app");
	for (uint32_t number = 200; number < 212; number++)
		seen(&s, number, "app");
	expect_no_transition(&s);
	for (uint32_t number = 200; number < 206; number++)
		renamed(&s, number, "kid-1");
	expect_no_transition(&s);
	pass(&s, 25 * MSEC);
	born(&s, 999, "x-1");
	expect_no_transition(&s);
	assert_int_equal(pool(&look(&s)->targets[0], "app")->threads_peak, 6);
	assert_int_equal(pool(&s.snapshot->targets[0], "kid-*")->threads_peak, 6);
	script_end(&s);
}

/* Unnamed threads wait 20 ms for a name. Those that have ended by then were as many at one time all the same. */
static void a_burst_that_is_over_before_it_counts(void **state)
{
	for (int round = 0; round < 2; round++) {
		struct script s = {0};
		const struct snapshot_target *target;

		limit(&s, "lib*", LIMIT_THREADS, 10);
		script_begin(&s);
		leader(&s);
		tick(&s);
		refresh(&s);
		for (uint32_t number = 200; number < 212; number++) {
			born(&s, number, "app");
			routine(&s, number, "libfoo.so", "work");
			if (round) /* one after the other */
				exited(&s, number);
			pass(&s, MSEC);
		}
		for (uint32_t number = 200; number < 212; number++)
			exited(&s, number);
		expect_no_transition(&s);
		target = refresh(&s);
		assert_int_equal(pool(target, "libfoo.so:work")->threads, 0);
		assert_int_equal(pool(target, "libfoo.so:work")->threads_peak, round ? 1 : 12);
		assert_int_equal(pool(target, "libfoo.so:work")->threads_started, 12);
		if (!round) { /* as they came */
			expect_transition(&s, "libfoo.so:work", LIMIT_OK, LIMIT_WARN, 8);
			expect_transition(&s, "libfoo.so:work", LIMIT_WARN, LIMIT_OVER, 11);
		}
		expect_no_transition(&s);
		for (int i = 0; i < 62; i++)
			refresh(&s);
		if (!round)
			expect_transition(&s, "libfoo.so:work", LIMIT_OVER, LIMIT_OK, 0);
		expect_no_transition(&s);
		script_end(&s);
	}
}

/* Python's that were never told of are kept until a refresh; of more than are kept, too, the burst behind them is seen. */
static void a_burst_behind_many(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	ready(&s);
	for (uint32_t number = 1000; number < 1000 + BRIEFS_MAX + 100; number++) {
		python_threads(&s, number, 1);
		exited(&s, number);
		pass(&s, MSEC);
	}
	python_threads(&s, 200, 12);
	for (uint32_t number = 200; number < 212; number++)
		exited(&s, number);
	expect_no_transition(&s);
	target = refresh(&s);
	assert_int_equal(pool(target, "python3.11")->threads_peak, 12);
	assert_int_equal(pool(target, "python3.11")->threads_exited, BRIEFS_MAX + 112);
	expect_transition(&s, "python3.11", LIMIT_OK, LIMIT_OVER, 12);
	expect_no_transition(&s);
	script_end(&s);
}

/* What a child's first reading finds may be of the image that an exec has begun before it, and that is told after it. */
static void what_was_read_of_the_next_image(void **state)
{
	struct script s = {0};
	struct fact child = {.kind = FACT_TARGET, .target_info = {.pid = PID, .start_ns = 900 * SEC, .exe = "/bin/app",
								   .name = "app", .comm = "app", .followed = true}};
	const struct snapshot_target *target;
	uint64_t exec_ns;

	limit(&s, "kid-*", LIMIT_THREADS, 10);
	script_begin_with(&s, (struct model_options){.keep_ended = true});
	feed(&s, child);
	exec_ns = s.now;
	pass(&s, MSEC);
	leader(&s);
	for (uint32_t number = 200; number < 220; number++) {
		struct fact fact = thread_fact(FACT_THREAD_SEEN, number, "kid-1");

		fact.thread.start_routine = number & 1 ? 0x1139 : 0;
		feed(&s, fact);
	}
	child.target_info.image_ns = exec_ns;
	strcpy(child.target_info.name, "new");
	feed(&s, child);
	seed_begin(&s, SEED_EXEC);
	seed_end(&s);
	expect_no_transition(&s);
	for (uint32_t number = 200; number < 220; number++) {
		born(&s, number, "new");
		renamed(&s, number, "kid-1");
	}
	while (model_next_transition(s.model, &(struct limit_transition){0}))
		;
	target = refresh(&s);
	assert_int_equal(pool(target, "kid-*")->threads, 20);
	assert_int_equal(pool(target, "kid-*")->threads_started, 20);
	for (size_t i = 0; i < s.snapshot->n_groups; i++) {
		for (size_t k = 0; k < s.snapshot->groups[i].n_pools; k++) {
			const struct snapshot_group_pool *of = &s.snapshot->groups[i].pools[k];

			assert_int_equal(of->exited_total, 0);
			assert_true(!of->started_total || !strcmp(s.snapshot->groups[i].name, "new"));
		}
	}
	script_end(&s);
}

/* A reading takes a while: the exec that comes meanwhile is told before what was read. */
static void read_before_an_exec(void **state)
{
	struct script s = {0};
	struct fact target = {.kind = FACT_TARGET, .target_info = {.pid = PID, .start_ns = 900 * SEC, .exe = "/bin/new",
								    .name = "new", .comm = "new", .runtime = "glibc"}};
	struct fact runtime = {.kind = FACT_RUNTIME, .runtime = {.name = "cpython 3.11.2", .passes = 1}};
	uint64_t read_ns;

	script_begin(&s);
	leader(&s);
	for (uint32_t number = 200; number < 220; number++)
		seen(&s, number, "w-1");
	feed(&s, runtime);
	assert_int_equal(refresh(&s)->threads_peak, 21);
	read_ns = s.now;
	pass(&s, MSEC);
	target.target_info.image_ns = s.now;
	feed(&s, target);
	seed_begin(&s, SEED_EXEC);
	seed_end(&s);
	s.now = read_ns;
	feed(&s, runtime);
	assert_string_equal(refresh(&s)->info.runtime, "glibc");
	assert_int_equal(s.snapshot->targets[0].threads_peak, 1);
	feed(&s, runtime);
	assert_string_equal(refresh(&s)->info.runtime, "cpython 3.11.2");
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_to_be_told_raises_nothing),
		cmocka_unit_test(who_stays_is_judged),
		cmocka_unit_test(who_will_never_be_told_is_judged),
		cmocka_unit_test(teams_wait_for_their_makers),
		cmocka_unit_test(pythons_by_file_or_routine),
		cmocka_unit_test(others_are_judged_at_once),
		cmocka_unit_test(a_reading_is_no_renaming),
		cmocka_unit_test(a_burst_that_is_over_before_it_counts),
		cmocka_unit_test(a_burst_behind_many),
		cmocka_unit_test(what_was_read_of_the_next_image),
		cmocka_unit_test(a_burst_that_the_first_reading_found),
		cmocka_unit_test(read_before_an_exec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
