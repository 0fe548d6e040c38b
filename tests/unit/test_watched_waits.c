/* SPDX-License-Identifier: GPL-2.0-only */
/* One look at teams so large that their stacks do not fit into a round, and at teams that do not keep still. In the place
 * of the kernel and the target stands a team that is made up. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "app/watched.h"
#include "source/memory_reader.h"
#include "source/unwind.h"

#define STACKS 0x7f0000000000ULL

static struct {
	uint32_t count, n_moving; /* those with the lowest numbers leave a CPU between any two rounds */
	size_t needed, needed_each; /* bytes of the first one's stack until its start routine, and of each further one's */
	uint32_t deep; /* this one's until far in; 0: nobody's */
	unsigned int rounds;
	uint32_t idle, unknown; /* what the look told */
} team;

int probes_registers(struct probes *probes, uint32_t target,
		     int (*each)(void *context, const struct registers_record *record), void *context)
{
	team.rounds++;
	for (uint32_t tid = 1; tid <= team.count; tid++) {
		const struct registers_record record = {.tid = tid, .start_ns = tid,
							.switches = tid <= team.n_moving ? team.rounds : 0,
							.registers = {[EVENT_SP] = STACKS + ((uint64_t)tid << 20)}};
		int r = each(context, &record);

		if (r)
			return r;
	}
	return 0;
}

int memory_reader_open(struct memory_reader *reader, uint32_t pid, const char *procfs)
{
	return 0;
}

void memory_reader_close(struct memory_reader *reader)
{
}

int memory_read_pieces(const struct memory_reader *reader, struct memory_piece *pieces, size_t count)
{
	for (size_t i = 0; i < count; i++)
		pieces[i].read = true;
	return 0;
}

uint64_t symbols_opened(const struct symbols *symbols)
{
	return 0;
}

int unwind_each(struct symbols *symbols, const struct unwind_stack *stack,
		bool (*each)(void *context, const struct fact_routine *frame), void *context)
{
	static const struct fact_routine frames[] = {
		{.symbol = "pthread_cond_wait", .module = "libc.so.6"}, {.module = "libomp.so.5"}, {.module = "libomp.so.5"},
		{.module = "libc.so.6"}, {.symbol = "__clone3", .module = "libc.so.6"},
	};
	uint64_t tid = (stack->registers[EVENT_SP] - STACKS) >> 20;

	for (size_t i = 0; i < ARRAY_SIZE(frames); i++) {
		if (i == 2 && stack->size < (tid == team.deep ? WORKER_STACK_MAX : team.needed + tid * team.needed_each))
			return -ENODATA;
		if (!each(context, &frames[i]))
			return 0;
	}
	return 0;
}

static int take(void *context, const struct fact *fact)
{
	team.idle += fact->activity.activity == WORKER_IDLE;
	team.unknown += fact->activity.activity == WORKER_UNKNOWN;
	return 0;
}

static void look(struct watched *watched, bool exact)
{
	const struct fact_sink sink = {.emit = take};

	team.idle = team.unknown = team.rounds = 0;
	assert_int_equal(watched_look_at_waits(watched, exact, &sink), 0);
	assert_int_equal(team.idle + team.unknown, team.count);
}

static void team_of(uint32_t count, uint32_t n_moving, size_t needed, size_t needed_each)
{
	memset(&team, 0, sizeof(team));
	team.count = count;
	team.n_moving = n_moving;
	team.needed = needed;
	team.needed_each = needed_each;
}

static void team_begin(struct watched *watched)
{
	*watched = (struct watched){.symbols = (struct symbols *)&team};
	for (uint32_t tid = 1; tid <= team.count; tid++) {
		const struct fact_thread thread = {.id = {tid, tid}};
		const struct fact_routine routine = {.module = "libomp.so.5"};

		assert_int_equal(watched_note_routine(watched, &thread, &routine), 0);
	}
	assert_int_equal(watched->workers.count, team.count);
}

/* libomp's stacks begin the further in the higher the number is: each begins where those before it came to. */
static void all_are_told_where_it_may_cost_what_it_does(void **state)
{
	struct watched watched;

	team_of(1500, 0, 1500, 64);
	team_begin(&watched);
	look(&watched, true);
	assert_true(team.rounds <= 300);
	workers_clear(&watched.workers);
}

/* One that is deep in its task makes nobody else's stack be read as far. */
static void who_is_deep_is_so_alone(void **state)
{
	struct watched watched;

	team_of(600, 0, 1500, 0);
	team.deep = 100;
	team_begin(&watched);
	look(&watched, true);
	assert_int_equal(team.idle, team.count);
	for (size_t i = 0; i < watched.workers.count; i++)
		assert_int_equal(watched.workers.worker[i].wanted, i == 99 ? WORKER_STACK_MAX : WORKER_STACK_MIN);
	workers_clear(&watched.workers);
}

/* Who does not keep still does not keep the others from their turn. */
static void all_have_their_turn(void **state)
{
	struct watched watched;

	team_of(600, 300, 1500, 0);
	team_begin(&watched);
	look(&watched, false);
	assert_int_equal(team.idle, team.count - team.n_moving);
	look(&watched, true);
	assert_int_equal(team.idle, team.count - team.n_moving);
	assert_true(team.rounds <= 20); /* of whom nothing can be told is not asked for ever */
	workers_clear(&watched.workers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_are_told_where_it_may_cost_what_it_does),
		cmocka_unit_test(who_is_deep_is_so_alone),
		cmocka_unit_test(all_have_their_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
