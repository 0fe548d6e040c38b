/* SPDX-License-Identifier: GPL-2.0-only */
/* Which pool a thread belongs to: rules, families of names, start routines, and newborns that have not named themselves yet. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model_facts.h"

static void named_threads_make_families(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	for (uint32_t i = 0; i < 4; i++) {
		char name[16];

		snprintf(name, sizeof(name), "pool-%u-thread-%u", i / 2 + 1, i);
		born(&s, 200 + i, "app");
		renamed(&s, 200 + i, name);
	}
	target = refresh(&s);
	assert_int_equal(pool(target, "pool-1-thread-*")->threads, 2);
	assert_int_equal(pool(target, "pool-2-thread-*")->threads, 2);
	assert_string_equal(pool(target, "pool-2-thread-*")->kind, "threads");
	assert_int_equal(pool(target, "main")->threads, 1);
	assert_string_equal(pool_name_of(target, 203), "pool-2-thread-*");
	script_end(&s);
}

static void routines_without_symbols_fold_at_sixteen(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	char place[16];

	script_begin(&s);
	leader(&s);
	for (uint32_t i = 0; i < 20; i++) {
		snprintf(place, sizeof(place), "+0x%x", 0x1100 + 16 * i);
		seen(&s, 200 + i, "app");
		routine(&s, 200 + i, "app", place);
	}
	target = refresh(&s);
	assert_string_equal(pool_name_of(target, 200), "app+0x1100");
	assert_string_equal(pool_name_of(target, 215), "app+0x11f0");
	assert_string_equal(pool_name_of(target, 216), "app+0x*");
	assert_int_equal(pool(target, "app+0x*")->threads, 4);
	script_end(&s);
}

static void rules_come_first_and_in_order(void **state)
{
	struct script s = {.entry.n_rules = 4,
			   .rules = {{.pool = "http", .thread_name = "http-nio-*"},
				     {.pool = "native", .start_routine = "job_*", .module = "libjobs*"},
				     {.pool = "http2", .thread_name = "http-*"},
				     {.pool = "http", .thread_name = "nio-*", .kind = "Tomcat connector"}}};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "http-nio-8080-e");
	seen(&s, 201, "http-acceptor");
	seen(&s, 202, "app");
	routine(&s, 202, "libjobs.so.1", "job_loop");
	seen(&s, 203, "app");
	routine(&s, 203, "libother.so.1", "job_loop");
	target = refresh(&s);
	assert_string_equal(pool_name_of(target, 200), "http");
	assert_string_equal(pool(target, "http")->kind, "Tomcat connector"); /* whichever rule took the thread */
	assert_string_equal(pool(target, "http2")->kind, "threads");
	assert_string_equal(pool_name_of(target, 201), "http2");
	assert_string_equal(pool_name_of(target, 202), "native");
	assert_string_equal(pool_name_of(target, 203), "libother.so:job_loop");
	assert_string_equal(pool_name_of(target, PID), "main");
	script_end(&s);
}

static void born_of(struct script *s, uint32_t number, uint32_t creator, const char *name)
{
	struct fact fact = thread_fact(FACT_THREAD_BORN, number, name);

	fact.thread.creator = tid(creator);
	feed(s, fact);
}

/* Whoever ended since is still who made it; who made it is not known of a thread that was there before. */
static void a_rule_may_ask_who_made_a_thread(void **state)
{
	struct script s = {.entry.n_rules = 2,
			   .rules = {{.pool = "decoders", .thread_name = "dec-*", .creator = "stage-*"},
				     {.pool = "anybodys", .creator = "*"}}};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "stage-1");
	seen(&s, 201, "dec-0");
	born_of(&s, 210, 200, "dec-1");
	born_of(&s, 211, PID, "dec-2");
	born_of(&s, 212, 200, "other");
	exited(&s, 200);
	renamed(&s, 210, "dec-7");
	target = refresh(&s);
	assert_string_equal(pool_name_of(target, PID), "main");
	assert_string_equal(pool_name_of(target, 201), "dec-*");
	assert_string_equal(pool_name_of(target, 210), "decoders");
	assert_string_equal(pool_name_of(target, 211), "anybodys");
	assert_string_equal(pool_name_of(target, 212), "anybodys");
	pass(&s, 600 * SEC); /* and forgotten */
	refresh(&s);
	renamed(&s, 210, "dec-9");
	assert_string_equal(pool_name_of(refresh(&s), 210), "decoders");
	script_end(&s);
}

static void a_rule_may_take_the_leader_too(void **state)
{
	struct script s = {.entry.n_rules = 1, .rules = {{.pool = "loop", .start_routine = "main"}}};

	script_begin(&s);
	leader(&s);
	assert_string_equal(pool_name_of(refresh(&s), PID), "loop");
	script_end(&s);
}

static void threads_with_the_process_name_go_by_routine(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	struct fact worker;

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "app");
	routine(&s, 200, "libjobs.so.1", "job_loop");
	seen(&s, 201, "app"); /* nobody knows what it runs */
	seen(&s, 202, "worker-1");
	routine(&s, 202, "libjobs.so.1", "job_loop"); /* its name says more */
	worker = thread_fact(FACT_THREAD_BORN, 203, "iou-wrk-100");
	worker.thread.is_io_worker = true;
	feed(&s, worker);
	target = refresh(&s);
	assert_string_equal(pool_name_of(target, 200), "libjobs.so:job_loop");
	assert_string_equal(pool_name_of(target, 201), "app");
	assert_string_equal(pool_name_of(target, 202), "worker-*");
	assert_string_equal(pool_name_of(target, 203), "iou-*");
	assert_string_equal(pool(target, "iou-*")->kind, "io_uring workers");
	script_end(&s);
}

/* The executable's name, the comm, and what the leader calls itself later are all the process's own. */
static void the_process_has_more_than_one_name(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	renamed(&s, PID, "app: master");
	seen(&s, 200, "app: master");
	seen(&s, 201, "app");
	target = refresh(&s);
	assert_int_equal(target->n_pools, 2);
	assert_int_equal(pool(target, "app")->threads, 2);
	script_end(&s);

	script_begin_with(&s, (struct model_options){.keep_ended = false});
	feed(&s, (struct fact){.kind = FACT_TARGET, .target_info = {.pid = PID, .name = "web", .comm = "gunicorn",
								    .exe = "/usr/bin/python3.11"}});
	seen(&s, 200, "python3.11");
	seen(&s, 201, "gunicorn");
	seen(&s, PID, "master");
	seen(&s, 202, "master");
	target = refresh(&s);
	assert_int_equal(pool(target, "gunicorn")->threads, 3);
	assert_int_equal(target->n_pools, 2);
	script_end(&s);
}

/* posix_spawn's child leads a thread group of its own, in this memory: it is not this process's leader. */
static void a_child_in_the_same_memory_is_not_the_leader(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	struct fact fact = thread_fact(FACT_THREAD_BORN, 200, "app");

	script_begin(&s);
	leader(&s);
	fact.thread.is_leader = true;
	fact.thread.creator = tid(PID);
	feed(&s, fact);
	target = refresh(&s);
	assert_int_equal(pool(target, "main")->threads, 1);
	assert_int_equal(pool(target, "app")->threads, 1);
	script_end(&s);
}

static void a_newborn_waits_for_its_name(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	uint64_t birth;

	script_begin(&s);
	leader(&s);
	refresh(&s);
	born(&s, 200, "app");
	birth = s.now;
	assert_int_equal(model_deadline(s.model), birth + 20 * MSEC);
	pass(&s, 5 * MSEC);
	routine(&s, 200, "libjvm.so", "thread_native_entry"); /* does not end the waiting */
	tick(&s);
	target = &look(&s)->targets[0];
	/* counted in the target, a guest of its creator's pool, in no family */
	assert_int_equal(target->threads, 2);
	assert_int_equal(target->n_pools, 1);
	assert_string_equal(pool_name_of(target, 200), "main");
	assert_int_equal(pool(target, "main")->threads, 2);
	assert_int_equal(pool(target, "main")->threads_peak, 1);
	assert_int_equal(pool(target, "main")->threads_started, 0);
	renamed(&s, 200, "worker-7");
	assert_int_equal(model_deadline(s.model), UINT64_MAX);
	target = refresh(&s);
	assert_string_equal(pool_name_of(target, 200), "worker-*");
	assert_int_equal(pool(target, "worker-*")->threads_started, 1);
	assert_int_equal(pool(target, "main")->threads, 1);
	script_end(&s);
}

/* Of a pool that its likes came to before it is a guest, not of its creator's. */
static void a_newborn_waits_where_it_is_going(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	born(&s, 200, "app");
	routine(&s, 200, "libpool.so", "work");
	pass(&s, 30 * MSEC);
	for (uint32_t i = 201; i < 204; i++) {
		born(&s, i, "app");
		routine(&s, i, "libpool.so", "work");
	}
	tick(&s);
	target = &look(&s)->targets[0];
	assert_string_equal(pool_name_of(target, 202), "libpool.so:work");
	assert_int_equal(pool(target, "main")->threads, 1);
	assert_int_equal(pool(target, "libpool.so:work")->threads, 4);
	assert_int_equal(pool(target, "libpool.so:work")->threads_peak, 1); /* some may turn out to be another's */
	assert_int_equal(pool(target, "libpool.so:work")->threads_started, 1);
	renamed(&s, 203, "io-1");
	pass(&s, 30 * MSEC);
	target = refresh(&s);
	assert_string_equal(pool_name_of(target, 203), "io-*");
	assert_int_equal(pool(target, "libpool.so:work")->threads, 3);
	assert_int_equal(pool(target, "libpool.so:work")->threads_peak, 3);
	assert_int_equal(pool(target, "libpool.so:work")->threads_started, 3);
	script_end(&s);
}

static void after_twenty_milliseconds_the_creators_name_is_its_own(void **state)
{
	struct script s = {0};
	struct fact fact;

	script_begin(&s);
	leader(&s);
	refresh(&s);
	seen(&s, 200, "acceptor");
	fact = thread_fact(FACT_THREAD_BORN, 201, "acceptor");
	fact.thread.creator = tid(200);
	feed(&s, fact);
	pass(&s, 19 * MSEC);
	model_judge(s.model, s.now);
	assert_int_equal(model_deadline(s.model), s.now + MSEC);
	pass(&s, MSEC);
	model_judge(s.model, s.now);
	assert_int_equal(model_deadline(s.model), UINT64_MAX);
	assert_int_equal(pool(refresh(&s), "acceptor")->threads, 2);
	assert_int_equal(pool(refresh(&s), "acceptor")->threads_started, 1);
	script_end(&s);
}

/* A newborn's routine comes at once, its name a little later: no pool is left behind by the way. */
static void a_late_name_leaves_no_trace_in_the_former_pool(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	born(&s, 200, "app");
	routine(&s, 200, "libjvm.so", "thread_native_entry");
	pass(&s, 30 * MSEC);
	model_judge(s.model, s.now);
	renamed(&s, 200, "pool-1-thread-1");
	target = refresh(&s);
	assert_int_equal(target->n_pools, 2);
	assert_int_equal(pool(target, "pool-1-thread-*")->threads_started, 1);
	/* A move much later counts neither as a start nor as an end: what starts the pools count adds up to the births. */
	pass(&s, 10 * SEC);
	renamed(&s, 200, "busy-1");
	target = refresh(&s);
	assert_int_equal(pool(target, "pool-1-thread-*")->threads, 0);
	assert_int_equal(pool(target, "pool-1-thread-*")->threads_started, 1);
	assert_int_equal(pool(target, "pool-1-thread-*")->threads_exited, 0);
	assert_int_equal(pool(target, "busy-*")->threads, 1);
	assert_int_equal(pool(target, "busy-*")->threads_started, 0);
	script_end(&s);
}

static void beyond_max_pools_is_other(void **state)
{
	struct script s = {.entry = {.max_pools = 3, .n_rules = 1}, .rules = {{.pool = "mine", .thread_name = "z*"}}};
	const struct snapshot_target *target;

	script_begin(&s);
	for (uint32_t i = 0; i < 6; i++) {
		char name[16] = {'a' + i, '-', '1'};

		seen(&s, 200 + i, name);
		seen(&s, 300 + i, name);
	}
	leader(&s);
	seen(&s, 400, "zoo");
	target = refresh(&s);
	assert_int_equal(target->n_pools, 3 + 3); /* main, mine, other */
	assert_int_equal(pool(target, "other")->threads, 6);
	assert_int_equal(pool(target, "main")->threads, 1);
	assert_int_equal(pool(target, "mine")->threads, 1);
	assert_int_equal(s.snapshot->series_dropped, 3);
	for (uint32_t i = 0; i < 1000; i++) {
		char name[16] = {'a' + i % 26, 'a' + i / 26 % 26, 'a' + i / 676, '-', '1'};

		seen(&s, 1000 + i, name);
		exited(&s, 1000 + i);
	}
	refresh(&s);
	assert_int_equal(s.snapshot->series_dropped, 1003 - 38); /* those that begin with z are of `mine` */
	script_end(&s);
}

static void an_empty_pool_stays_with_what_it_left(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	const struct snapshot_pool *left;

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "worker-1");
	mapped(&s, 200, 0x10000000, MIB);
	resident(&s, 0x10000000, MIB, 8192);
	target = refresh(&s);
	assert_int_equal(pool(target, "worker-*")->memory.orphaned_bytes, 0);
	exited(&s, 200);
	target = refresh(&s);
	left = pool(target, "worker-*");
	assert_int_equal(left->threads, 0);
	assert_int_equal(left->threads_exited, 1);
	assert_int_equal(left->threads_peak, 1);
	assert_int_equal(left->memory.resident[REGION_MMAP], 8192);
	assert_int_equal(left->memory.orphaned_bytes, 8192);
	assert_int_equal(left->thread_resident_max, 0);
	unmapped(&s, PID, 0x10000000, MIB);
	target = refresh(&s);
	assert_int_equal(pool(target, "worker-*")->memory.orphaned_bytes, 0);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routines_without_symbols_fold_at_sixteen),
		cmocka_unit_test(named_threads_make_families),
		cmocka_unit_test(rules_come_first_and_in_order),
		cmocka_unit_test(a_rule_may_ask_who_made_a_thread),
		cmocka_unit_test(a_rule_may_take_the_leader_too),
		cmocka_unit_test(threads_with_the_process_name_go_by_routine),
		cmocka_unit_test(the_process_has_more_than_one_name),
		cmocka_unit_test(a_child_in_the_same_memory_is_not_the_leader),
		cmocka_unit_test(a_newborn_waits_for_its_name),
		cmocka_unit_test(a_newborn_waits_where_it_is_going),
		cmocka_unit_test(after_twenty_milliseconds_the_creators_name_is_its_own),
		cmocka_unit_test(a_late_name_leaves_no_trace_in_the_former_pool),
		cmocka_unit_test(beyond_max_pools_is_other),
		cmocka_unit_test(an_empty_pool_stays_with_what_it_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
