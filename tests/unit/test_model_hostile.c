/* SPDX-License-Identifier: GPL-2.0-only */
/* Facts without sense: random kinds with random values, a million of them. Nothing may crash (this runs
 * under sanitizers), and what a snapshot says must still add up. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fnmatch.h>

#include "model_facts.h"

#define FACTS 1000000
#define SNAPSHOT_EVERY 2500
#define RUNTIME_KINDS 5 /* FACT_RUNTIME, FACT_EXECUTOR, FACT_WORKER, FACT_ACTIVITY, FACT_BLAME */

static uint64_t random_state = 88172645463325252ULL;

static uint64_t draw(void) /* xorshift64 */
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	return random_state ^= random_state << 17;
}

static uint64_t draw_below(uint64_t bound)
{
	return draw() % bound;
}

/* Mostly small and likely to meet again, at times anything. */
static uint64_t draw_address(void)
{
	return draw_below(50) ? draw_below(4096) * 4096 : draw();
}

static uint64_t draw_length(void)
{
	return draw_below(50) ? (1 + draw_below(64)) * 4096 : draw();
}

static void draw_text(char *text, size_t size)
{
	static const char *const texts[] = {"app", "", "main", "other", "pool-1-thread-7", "[kworker/0:1]", "a*b?c\\d",
					    "\x1b[2J", "\xff\xfe", "caf\xc3\xa9-12", "worker-99", "\n", "9", "-"};
	const char *chosen = texts[draw_below(ARRAY_SIZE(texts))];

	if (draw_below(4) == 0) {
		for (size_t i = 0; i < size; i++)
			text[i] = (char)draw();
		return; /* no NUL promised */
	}
	snprintf(text, size, draw_below(3) ? "%s" : "%s%llu", chosen, (unsigned long long)draw_below(99));
}

static struct thread_id draw_thread(void)
{
	uint64_t start = 900 * SEC + draw_below(4) * NSEC_PER_TICK;

	return (struct thread_id){draw_below(40) ? 95 + draw_below(60) : (uint32_t)draw(),
				  draw_below(40) ? start : draw_below(2) ? 0 : draw()};
}

static void draw_payload(struct fact *fact)
{
	switch (fact->kind) {
	case FACT_TARGET:
		fact->target_info.pid = 100;
		fact->target_info.policy = draw_below(9) ? 0 : (uint32_t)draw();
		draw_text(fact->target_info.name, sizeof(fact->target_info.name));
		draw_text(fact->target_info.comm, sizeof(fact->target_info.comm));
		draw_text(fact->target_info.exe, sizeof(fact->target_info.exe));
		break;
	case FACT_TARGET_GONE:
		fact->gone.how = (enum target_end)draw();
		break;
	case FACT_MEMORY:
		fact->memory = (struct fact_memory){draw() >> draw_below(64), draw() >> draw_below(64),
						    draw() >> draw_below(64), draw(), draw()};
		break;
	case FACT_CGROUP:
		fact->cgroup = (struct fact_cgroup){.memory_max = draw() >> draw_below(64), .memory_current = draw(),
						    .pids_max = draw_below(100), .cpu_quota_cores = NAN,
						    .host_memory_total = draw()};
		draw_text(fact->cgroup.path, sizeof(fact->cgroup.path));
		break;
	case FACT_THREAD_BORN:
	case FACT_THREAD_SEEN:
	case FACT_THREAD_EXITED:
	case FACT_THREAD_RENAMED:
	case FACT_THREAD_SAMPLED:
	case FACT_THREAD_RUNNING:
		fact->thread = (struct fact_thread){
			.id = draw_thread(), .creator = draw_thread(), .is_leader = !draw_below(60),
			.is_io_worker = !draw_below(30), .tls_base = draw_address(), .stack_pointer = draw_address(),
			.stack_start = draw_below(2) ? draw_address() : 0, .stack_length = draw_below(2) ? draw_length() : 0,
			.start_routine = draw_below(2), .state = "RSDZ\0\377"[draw_below(6)], .cpu_ns = draw()};
		draw_text(fact->thread.name, sizeof(fact->thread.name));
		break;
	case FACT_THREAD_ROUTINE:
		fact->routine.id = draw_thread();
		draw_text(fact->routine.symbol, sizeof(fact->routine.symbol));
		draw_text(fact->routine.module, sizeof(fact->routine.module));
		break;
	case FACT_SEED_BEGIN:
		fact->seed.reason = (enum seed_reason)draw_below(6);
		break;
	case FACT_RESIDENT:
		fact->resident = (struct fact_resident){.start = draw_address(), .length = draw_length(),
							.resident = draw_below(16) * 4096, .swapped = draw_below(8) * 4096,
							.outside = !draw_below(9)};
		break;
	case FACT_ARENA:
	case FACT_ARENA_KEPT:
	case FACT_THREAD_ARENA:
		fact->arena = (struct fact_arena){.who = draw_thread(), .heap = draw_below(3) * (64 * MIB),
						  .address = draw_below(3), .resident = draw_below(3) * 4096};
		fact->arena.kept = fact->arena.who.tid % 3 * 2000;
		fact->arena.is_main = fact->arena.heap && fact->arena.who.tid % 4 == 0;
		break;
	case FACT_RUNTIME:
		fact->runtime = (struct fact_runtime){.passes = draw(), .unread = draw()};
		draw_text(fact->runtime.name, sizeof(fact->runtime.name));
		break;
	case FACT_EXECUTOR:
		fact->executor = (struct fact_executor){
			.id = draw_below(8) ? draw_below(12) : draw(), .gone = !draw_below(9),
			.kind = (enum executor_kind)draw_below(EXECUTOR_KIND_COUNT + 1), .instance = (uint32_t)draw_below(20),
			.capacity = draw() >> draw_below(64), .queued = draw() >> draw_below(64), .busy = draw(), .idle = draw(),
			.workers = draw()};
		draw_text(fact->executor.name, sizeof(fact->executor.name));
		draw_text(fact->executor.function, sizeof(fact->executor.function));
		draw_text(fact->executor.file, sizeof(fact->executor.file));
		break;
	case FACT_WORKER:
		fact->worker = (struct fact_worker){.id = draw_thread(), .executor = draw_below(12),
						    .activity = (enum worker_activity)draw_below(4), .line = (uint32_t)draw()};
		draw_text(fact->worker.function, sizeof(fact->worker.function));
		draw_text(fact->worker.file, sizeof(fact->worker.file));
		break;
	case FACT_ACTIVITY:
		fact->activity = (struct fact_activity){draw_thread(), (enum worker_activity)draw_below(4)};
		break;
	case FACT_BLAME:
		fact->blame = (struct fact_blame){.who = draw_thread(), .start = draw_address(), .length = draw_length(),
						  .line = (uint32_t)draw_below(3)};
		draw_text(fact->blame.function, sizeof(fact->blame.function));
		draw_text(fact->blame.file, sizeof(fact->blame.file));
		break;
	case FACT_LOSS:
		fact->loss.lost[draw_below(LOSS_REASON_COUNT)] = draw();
		break;
	default: /* ranges, and kinds that are none */
		fact->range = (struct fact_range){
			.who = draw_thread(), .start = draw_address(), .length = draw_length(), .old_start = draw_address(),
			.old_length = draw_length(), .protection = draw_below(4), .flags = draw_below(3) ? RANGE_ANON : draw()};
	}
}

/* Of a target that was never read no resident figure is known, and no part of one. */
static void bytes_add_up(const struct snapshot_bytes *bytes, bool is_read)
{
	uint64_t resident = 0, mapped = 0;

	if (bytes->mapped_bytes == UNKNOWN_U64) { /* of those that were born after the last reading */
		assert_true(bytes->resident_bytes == UNKNOWN_U64 && bytes->mapped[REGION_STACK] == UNKNOWN_U64);
		return;
	}
	for (int i = 0; i < REGION_COUNT; i++) {
		resident += bytes->resident[i];
		mapped += bytes->mapped[i];
		assert_true(is_read ? bytes->resident[i] <= bytes->mapped[i] : bytes->resident[i] == UNKNOWN_U64);
	}
	assert_int_equal(mapped, bytes->mapped_bytes);
	if (!is_read) {
		assert_true(bytes->resident_bytes == UNKNOWN_U64 && bytes->orphaned_bytes == UNKNOWN_U64);
		return;
	}
	assert_int_equal(resident, bytes->resident_bytes);
	assert_true(bytes->orphaned_bytes <= bytes->resident_bytes);
}

static uint64_t known(uint64_t value)
{
	return value == UNKNOWN_U64 ? 0 : value;
}

static void target_adds_up(const struct snapshot_target *target, size_t n_rules)
{
	uint64_t threads = 0, attributed = 0, listed = 0, orphaned = 0, blamed = 0;
	bool is_read = target->attributed_bytes != UNKNOWN_U64;

	for (size_t i = 0; i < target->n_pools; i++) {
		const struct snapshot_pool *pool = &target->pools[i];

		bytes_add_up(&pool->memory, is_read);
		threads += pool->threads;
		assert_true(target->ended || pool->memory.mapped_bytes != UNKNOWN_U64);
		attributed += known(pool->memory.resident_bytes);
		orphaned += known(pool->memory.orphaned_bytes);
		blamed += snapshot_blame_total(pool) == UNKNOWN_U64 ? 0 : snapshot_blame_total(pool);
		assert_true(*pool->name != '\0');
		assert_int_equal(fnmatch(pool->name, pool->name, 0), 0);
		if (i)
			assert_true(strcmp(target->pools[i - 1].name, pool->name) < 0);
	}
	assert_int_equal(threads, target->threads);
	assert_int_equal(target->n_threads_list, target->threads);
	assert_true(is_read == (target->unattributed[UNATTRIBUTED_LOST] != UNKNOWN_U64));
	if (is_read)
		assert_int_equal(attributed, target->attributed_bytes);
	assert_true(blamed <= attributed + (is_read ? target->unattributed[UNATTRIBUTED_LOST] : 0));
	for (size_t i = 0; i < target->n_threads_list; i++) {
		assert_true(target->threads_list[i].pool < target->n_pools);
		bytes_add_up(&target->threads_list[i].memory, is_read);
		listed += known(target->threads_list[i].memory.resident_bytes);
		if (i)
			assert_true(target->threads_list[i - 1].id.tid < target->threads_list[i].id.tid);
	}
	/* A target without threads keeps its last figures, not all of their holders. */
	if (!target->ended && target->threads)
		assert_int_equal(listed + orphaned, attributed);
	assert_true(target->threads <= target->threads_peak);
	assert_true(target->n_pools <= 34 + n_rules); /* 32, main, other, and the user's own */
}

static void snapshot_adds_up(struct script *s)
{
	tick(s);
	look(s);
	for (size_t i = 0; i < s->snapshot->n_targets; i++)
		target_adds_up(&s->snapshot->targets[i], s->entry.n_rules);
	for (size_t i = 1; i < s->snapshot->n_groups; i++)
		assert_true(strcmp(s->snapshot->groups[i - 1].name, s->snapshot->groups[i].name) < 0);
}

static void a_million_facts_without_sense(void **state)
{
	struct script s = {.entry.n_limits = 4, .entry.max_pools = 32};
	struct limit_transition transition;
	uint64_t applied = 0;

	for (int kind = 0; kind < LIMIT_KIND_COUNT; kind++)
		s.limits[kind] = (struct limit_rule){.pool = "*", .kind = kind, .value = 3, .warn_ratio = 0.8,
						     .for_ns = SEC, .clear_for_ns = SEC};
	script_begin_with(&s, (struct model_options){.keep_ended = true, .max_threads = 40, .max_ranges = 500});
	attach_as(&s, 1, PID, "app");
	for (int i = 0; i < FACTS; i++) {
		struct fact fact = {.kind = (enum fact_kind)draw_below(FACT_KIND_COUNT + 2 - RUNTIME_KINDS)};

		if (fact.kind >= FACT_RUNTIME) /* have a test of their own */
			fact.kind += RUNTIME_KINDS;
		/* rare, or nothing else would ever build up */
		if ((fact.kind == FACT_TARGET_GONE && draw_below(6000)) || fact.kind == FACT_TICK)
			continue;
		if (fact.kind == FACT_SEED_BEGIN && draw_below(50))
			continue;
		fact.target = draw_below(30) ? 1 + (uint32_t)i / 100000 : (uint32_t)draw_below(20);
		fact.time_ns = draw_below(100) ? s.now : draw();
		draw_payload(&fact);
		applied += model_apply(s.model, &fact) == 0;
		pass(&s, draw_below(3 * MSEC));
		if (draw_below(20) == 0)
			model_judge(s.model, s.now);
		if (i % SNAPSHOT_EVERY == 0)
			snapshot_adds_up(&s);
		while (i % 100000 == 0 && model_next_transition(s.model, &transition))
			assert_true(transition.before != transition.limit.state);
	}
	print_message("%llu of %d facts made sense\n", (unsigned long long)applied, FACTS);
	assert_true(applied > FACTS / 3);
	script_end(&s);
}

/* Threads that come, go, and are put from executor to executor, while executors change names and go. */
static void executors_without_sense(void **state)
{
	static const enum fact_kind kinds[] = {FACT_THREAD_BORN, FACT_THREAD_SEEN, FACT_THREAD_EXITED, FACT_THREAD_RENAMED,
					       FACT_THREAD_ROUTINE, FACT_RUNTIME, FACT_EXECUTOR, FACT_EXECUTOR, FACT_WORKER,
					       FACT_WORKER, FACT_WORKER, FACT_RANGE_MADE, FACT_RANGE_MADE, FACT_BLAME,
					       FACT_ACTIVITY, FACT_BLAME, FACT_RANGE_FREED, FACT_RANGE_MOVED, FACT_RESIDENT};
	struct script s = {.entry.n_limits = 1, .entry.n_rules = 1, .entry.max_pools = 32};
	uint64_t applied = 0;

	s.limits[0] = (struct limit_rule){.pool = "*", .kind = LIMIT_THREADS, .value = 5000, .is_percent = true, .warn_ratio = 0.8};
	s.rules[0] = (struct pool_rule){.pool = "ruled", .thread_name = "worker-9*"};
	script_begin_with(&s, (struct model_options){.max_threads = 40, .max_ranges = 500});
	attach_as(&s, 1, PID, "app");
	for (int i = 0; i < FACTS / 2; i++) {
		struct fact fact = {.kind = kinds[draw_below(ARRAY_SIZE(kinds))], .target = 1, .time_ns = s.now};

		draw_payload(&fact);
		applied += model_apply(s.model, &fact) == 0;
		pass(&s, draw_below(3 * MSEC));
		if (i % SNAPSHOT_EVERY == 0)
			snapshot_adds_up(&s);
	}
	assert_true(applied > FACTS / 8);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_million_facts_without_sense),
		cmocka_unit_test(executors_without_sense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
