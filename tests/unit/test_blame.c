/* SPDX-License-Identifier: GPL-2.0-only */
/* Under which functions a pool grew: what is blamed on which, what of it is still there, what nobody saw; and whose work
 * a function is. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model/blame.h"
#include "model_facts.h"
#include "source/cpython_code.h"

#define AREA 0x10000000ULL

static void begin(struct script *s)
{
	script_begin(s);
	leader(s);
	seen(s, 200, "w-1");
	seen(s, 201, "w-2");
	seen(s, 300, "other-1");
	feed(s, (struct fact){.kind = FACT_RUNTIME, .runtime = {.name = "cpython 3.11.2", .passes = 1}});
}

static void blamed(struct script *s, uint32_t who, uint64_t start, uint64_t length, const char *function, uint32_t line)
{
	struct fact fact = {.kind = FACT_BLAME, .blame = {.who = tid(who), .start = start, .length = length, .line = line}};

	snprintf(fact.blame.function, sizeof(fact.blame.function), "%s", function);
	strcpy(fact.blame.file, "app.py");
	feed(s, fact);
}

static void grew(struct script *s, uint32_t who, uint64_t start, uint64_t length, const char *function, uint32_t line)
{
	mapped(s, who, start, length);
	blamed(s, who, start, length, function, line);
}

static void assert_blame(const struct snapshot_pool *pool, size_t at, const char *function, uint64_t bytes)
{
	assert_true(at < pool->n_blame);
	assert_string_equal(pool->blame[at].function, function);
	assert_int_equal(pool->blame[at].bytes, bytes);
}

static void bytes_are_of_who_made_them(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	const struct snapshot_pool *w;

	begin(&s);
	grew(&s, 200, AREA, 8 * MIB, "predict", 42);
	grew(&s, 201, AREA + 16 * MIB, 2 * MIB, "predict", 42);
	grew(&s, 201, AREA + 32 * MIB, 4 * MIB, "load", 7);
	mapped(&s, 201, AREA + 48 * MIB, MIB); /* nobody was asked */
	mapped(&s, 300, AREA + 64 * MIB, 2 * MIB);
	blamed(&s, 200, AREA + 64 * MIB, 2 * MIB, "predict", 42); /* not its own */
	resident(&s, AREA, 8 * MIB, 6 * MIB);
	resident(&s, AREA + 16 * MIB, 2 * MIB, 2 * MIB);
	resident(&s, AREA + 32 * MIB, 4 * MIB, 3 * MIB);
	resident(&s, AREA + 48 * MIB, MIB, MIB);
	resident(&s, AREA + 64 * MIB, 2 * MIB, 2 * MIB);
	target = refresh(&s);
	w = pool(target, "w-*");
	assert_int_equal(w->n_blame, 2);
	assert_blame(w, 0, "predict", 8 * MIB);
	assert_int_equal(w->blame[0].line, 42);
	assert_string_equal(w->blame[0].file, "app.py");
	assert_blame(w, 1, "load", 3 * MIB);
	assert_int_equal(w->blame_unseen, MIB);
	assert_int_equal(w->blame_other, 0);
	assert_int_equal(snapshot_blame_total(w), w->memory.resident_bytes);
	assert_int_equal(pool(target, "other-*")->n_blame, 0);
	assert_int_equal(pool(target, "other-*")->blame_unseen, 2 * MIB);
	script_end(&s);
}

static void what_is_given_back_is_blamed_on_nobody(void **state)
{
	struct script s = {0};
	const struct snapshot_pool *w;

	begin(&s);
	grew(&s, 200, AREA, 8 * MIB, "churn", 1);
	grew(&s, 200, AREA + 16 * MIB, 4 * MIB, "keep", 2);
	unmapped(&s, 201, AREA, 8 * MIB);
	resident(&s, AREA + 16 * MIB, 4 * MIB, 4 * MIB);
	w = pool(refresh(&s), "w-*");
	assert_int_equal(w->n_blame, 1);
	assert_blame(w, 0, "keep", 4 * MIB);
	/* The place is another function's now. */
	grew(&s, 201, AREA, 2 * MIB, "churn", 1);
	resident(&s, AREA, 2 * MIB, 2 * MIB);
	w = pool(refresh(&s), "w-*");
	assert_blame(w, 1, "churn", 2 * MIB);
	/* And its maker's end leaves it to the pool. */
	exited(&s, 201);
	w = pool(refresh(&s), "w-*");
	assert_blame(w, 1, "churn", 2 * MIB);
	script_end(&s);
}

/* An arena, piece by piece; what was blamed stays so; moved bytes take it along. */
static void parts_and_moves(void **state)
{
	struct script s = {0};
	const struct snapshot_pool *w;

	begin(&s);
	mapped(&s, 200, AREA, MIB);
	mapped(&s, 200, AREA + MIB, MIB);
	blamed(&s, 200, AREA + MIB / 2, MIB, "first", 1);
	blamed(&s, 200, AREA, 2 * MIB, "second", 2);
	resident(&s, AREA, 2 * MIB, 2 * MIB);
	w = pool(refresh(&s), "w-*");
	assert_int_equal(w->n_blame, 2);
	assert_int_equal(w->blame[0].bytes + w->blame[1].bytes, w->memory.resident_bytes);
	feed(&s, (struct fact){.kind = FACT_RANGE_MOVED, .range = {.who = tid(201), .start = AREA + 64 * MIB, .length = 3 * MIB,
								   .old_start = AREA, .old_length = 2 * MIB}});
	resident(&s, AREA + 64 * MIB, MIB / 2, MIB / 2);
	resident(&s, AREA + 64 * MIB + MIB / 2, MIB, MIB);
	resident(&s, AREA + 65 * MIB + MIB / 2, MIB / 2, MIB / 2);
	resident(&s, AREA + 66 * MIB, MIB, MIB);
	w = pool(refresh(&s), "w-*");
	assert_int_equal(w->blame[0].bytes, MIB);
	assert_int_equal(w->blame[1].bytes, MIB);
	assert_int_equal(w->blame_unseen, MIB);
	script_end(&s);
}

static void memory_from_before_is_not_blamed(void **state)
{
	struct script s = {0};
	const struct snapshot_pool *w;

	begin(&s);
	seed_begin(&s, SEED_ATTACH);
	range(&s, FACT_RANGE_SEEN, 0, AREA, 8 * MIB, RW, RANGE_ANON);
	range(&s, FACT_RANGE_SEEN, 0, AREA + 16 * MIB, 8 * MIB, PROT_NONE, RANGE_ANON);
	seed_end(&s);
	pass(&s, MSEC);
	range(&s, FACT_RANGE_OWNER, 200, AREA, 8 * MIB, 0, 0);
	blamed(&s, 200, AREA, 8 * MIB, "predict", 42);
	/* But what an mprotect opens is growth. */
	range(&s, FACT_RANGE_PROTECTED, 200, AREA + 16 * MIB, MIB, RW, 0);
	blamed(&s, 200, AREA + 16 * MIB, MIB, "predict", 42);
	resident(&s, AREA, 8 * MIB, 8 * MIB);
	resident(&s, AREA + 16 * MIB, MIB, MIB);
	w = pool(refresh(&s), "w-*");
	assert_int_equal(w->memory.resident_bytes, 9 * MIB);
	assert_blame(w, 0, "predict", MIB);
	assert_int_equal(snapshot_blame_total(w), MIB);
	script_end(&s);
}

static void stacks_are_no_growth(void **state)
{
	struct script s = {0};
	const struct snapshot_pool *main;

	begin(&s);
	mapped(&s, PID, AREA, 8 * MIB);
	blamed(&s, PID, AREA, 8 * MIB, "start", 1);
	born_on(&s, 400, "app", AREA, 8 * MIB);
	resident(&s, AREA, 8 * MIB, MIB);
	main = pool(refresh(&s), "main");
	assert_int_equal(snapshot_blame_total(main), 0);
	script_end(&s);
}

/* Functions of other languages come without a line, and without a reading of a runtime. */
static void without_a_runtime(void **state)
{
	struct script s = {0};
	const struct snapshot_pool *w;

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "w-1");
	mapped(&s, 200, AREA, 8 * MIB);
	resident(&s, AREA, 8 * MIB, 8 * MIB);
	w = pool(refresh(&s), "w-*");
	assert_int_equal(w->n_blame, 0);
	assert_int_equal(w->blame_unseen, 8 * MIB);
	assert_int_equal(w->blame_other, 0);
	blamed(&s, 200, AREA, 4 * MIB, "decode", 0);
	resident(&s, AREA, 4 * MIB, 4 * MIB);
	resident(&s, AREA + 4 * MIB, 4 * MIB, 4 * MIB);
	w = pool(refresh(&s), "w-*");
	assert_blame(w, 0, "decode", 4 * MIB);
	assert_int_equal(w->blame[0].line, 0);
	assert_int_equal(w->blame_unseen, 4 * MIB);
	script_end(&s);
}

/* A target that makes functions up: the table is bounded, the rest is one sum, and what holds nothing any more makes
 * room. */
static void functions_without_end(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	const struct snapshot_pool *w;
	char name[32];

	begin(&s);
	for (uint32_t i = 0; i < 2 * BLAME_FUNCTIONS_MAX; i++) {
		uint64_t at = AREA + i * 2 * MIB;

		snprintf(name, sizeof(name), "f%u", i);
		grew(&s, 200, at, MIB, name, 1);
		resident(&s, at, MIB, i < 5 ? MIB : 4096);
	}
	target = refresh(&s);
	w = pool(target, "w-*");
	assert_int_equal(w->n_blame, BLAME_SHOWN);
	for (uint32_t i = 0; i < BLAME_SHOWN; i++)
		assert_int_equal(w->blame[i].bytes, MIB);
	assert_int_equal(w->blame_other, (2 * BLAME_FUNCTIONS_MAX - 5) * 4096);
	assert_int_equal(w->blame_unseen, 0);
	assert_int_equal(target->refused[TABLE_OF_BLAME], BLAME_FUNCTIONS_MAX);
	unmapped(&s, 200, AREA, 10 * MIB);
	range(&s, FACT_RANGE_MADE, 200, AREA + 4096 * MIB, 4096, RW, RANGE_ANON); /* the call before it had succeeded */
	refresh(&s);
	grew(&s, 200, AREA, MIB, "new", 3);
	resident(&s, AREA, MIB, MIB);
	assert_blame(pool(refresh(&s), "w-*"), 0, "new", MIB);
	script_end(&s);
}

static void hostile_facts_are_refused(void **state)
{
	struct script s = {0};
	struct fact fact = {.kind = FACT_BLAME, .target = TARGET, .blame = {.who = tid(200), .start = AREA, .length = MIB}};

	begin(&s);
	fact.time_ns = s.now;
	mapped(&s, 200, AREA, MIB);
	assert_int_equal(model_apply(s.model, &fact), -EINVAL); /* no function */
	memset(fact.blame.function, 'x', sizeof(fact.blame.function));
	memset(fact.blame.file, 'y', sizeof(fact.blame.file));
	fact.blame.length = UINT64_MAX;
	assert_int_equal(model_apply(s.model, &fact), 0);
	fact.blame.length = MIB;
	assert_int_equal(model_apply(s.model, &fact), 0);
	fact.blame.who = (struct thread_id){0};
	assert_int_equal(model_apply(s.model, &fact), -EINVAL);
	fact.blame.who = tid(999);
	assert_int_equal(model_apply(s.model, &fact), 0); /* it has ended meanwhile */
	resident(&s, AREA, MIB, MIB);
	assert_int_equal(strlen(pool(refresh(&s), "w-*")->blame[0].function), FACT_SYMBOL_SIZE - 1);
	script_end(&s);
}

static void whose_work_a_function_is(void **state)
{
	static const struct {
		const char *path;
		enum code_layer layer;
		const char *name;
	} cases[] = {
		{"app.py", LAYER_PROGRAM, "predict"},
		{"/srv/shop/app.py", LAYER_PROGRAM, "predict"},
		{"/srv/anyio/threading.py", LAYER_PROGRAM, "predict"},
		{"<string>", LAYER_PROGRAM, "<module>"},
		{"app.py", LAYER_PROGRAM, "<lambda>"},
		{"app.py", LAYER_PART, "<listcomp>"},
		{"app.py", LAYER_PART, "<genexpr>"},
		{"/usr/lib/python3.11/json/decoder.py", LAYER_RUNTIME, "<dictcomp>"},
		{"", LAYER_PROGRAM, "predict"},
		{"/usr/bin/uvicorn", LAYER_PROGRAM, "predict"},
		{"/usr/bin/uvicorn", LAYER_SCRIPT, "<module>"},
		{"/opt/venv/bin/shop", LAYER_SCRIPT, "<module>"},
		{"/srv/shop/bin/load.py", LAYER_PROGRAM, "<module>"},
		{"/srv/cabin/load", LAYER_PROGRAM, "<module>"},
		{"/load", LAYER_PROGRAM, "<module>"},
		{"/usr/lib/python3/dist-packages/numpy/core/numeric.py", LAYER_PACKAGE, "predict"},
		{"/opt/venv/lib/python3.12/site-packages/PIL/Image.py", LAYER_PACKAGE, "predict"},
		{"/usr/lib/python3/dist-packages/starlette/routing.py", LAYER_RUNTIME, "predict"},
		{"/opt/venv/lib/python3.12/site-packages/anyio/_backends/_asyncio.py", LAYER_RUNTIME, "predict"},
		{"/opt/venv/lib/python3.12/site-packages/rq/job.py", LAYER_RUNTIME, "predict"},
		{"/usr/lib/python3.11/threading.py", LAYER_RUNTIME, "predict"},
		{"/usr/lib/python3.11/concurrent/futures/thread.py", LAYER_RUNTIME, "predict"},
		{"/root/.pyenv/versions/3.8.18/lib/python3.8/asyncio/events.py", LAYER_RUNTIME, "predict"},
		{"/usr/lib64/python3.9/json/decoder.py", LAYER_RUNTIME, "predict"},
		{"<frozen importlib._bootstrap>", LAYER_RUNTIME, "predict"},
		{"__init__", LAYER_RUNTIME, "__init__"},
		{"__init__.py", LAYER_PROGRAM, "__init__"},
		{"<__array_function__ internals>", LAYER_PACKAGE, "concatenate"},
		{"<decorator-gen-12>", LAYER_PACKAGE, "predict"},
		{"<stdin>", LAYER_PROGRAM, "predict"},
		{"<ipython-input-3-0a1b2c>", LAYER_PROGRAM, "predict"},
		{"/srv/<old>/app.py", LAYER_PROGRAM, "predict"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enum code_layer layer = code_layer(cases[i].path, cases[i].name);

		if (layer != cases[i].layer)
			fail_msg("%s is in layer %d", cases[i].path, layer);
	}
}

/* As each version tells of what it compiled from "<string>". */
static void who_made_a_text_up(void **state)
{
	static const struct {
		const char *name, *qualname;
		bool is_loose;
	} named[] = {
		{"__init__", "__create_fn__.<locals>.__init__", true}, /* dataclasses */
		{"__eq__", "__create_fn__.<locals>.__eq__", true},
		{"__init__", "__init__", true}, /* SQLAlchemy */
		{"__init__", "Job.__init__", false},
		{"__init__", "make.<locals>.Job.__init__", false},
		{"__init__", "<locals>.Job.__init__", false},
		{"predict", "predict", false},
		{"predict", "make.<locals>.predict", false},
		{"<module>", "<module>", false},
		{"____", "____", false},
		{"__init__", "", false},
		{"__init__", ".__init__", false},
		{"__init__", "x__init__", false},
	};
	static const struct {
		const char *name;
		uint32_t first_line;
		bool is_nested, is_loose;
	} placed[] = {
		{"__init__", 2, true, true}, /* dataclasses */
		{"__init__", 1, false, true}, /* dataclasses of the first releases of 3.7 */
		{"__new__", 1, false, true}, /* namedtuple to 3.8 */
		{"__init__", 2, false, false}, /* of a class that was typed */
		{"__init__", 3, true, false}, /* of one in a function */
		{"predict", 1, false, false},
		{"predict", 2, true, false},
		{"<module>", 1, false, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(named); i++) {
		if (code_is_loose_method(named[i].name, named[i].qualname) != named[i].is_loose)
			fail_msg("%s", named[i].qualname);
	}
	for (size_t i = 0; i < ARRAY_SIZE(placed); i++) {
		if (code_is_loose_method_at(placed[i].name, placed[i].first_line, placed[i].is_nested) != placed[i].is_loose)
			fail_msg("%s at line %u", placed[i].name, placed[i].first_line);
	}
}

static void which_package_a_file_is_of(void **state)
{
	uint64_t numpy = code_package("/usr/lib/python3/dist-packages/numpy/core/numeric.py");

	assert_true(numpy && numpy == code_package("/opt/venv/lib/python3.12/site-packages/numpy/__init__.py"));
	assert_int_equal(code_package("/opt/venv/lib/python3.12/site-packages/six.py"), code_package("/x-packages/six/y.py"));
	assert_true(numpy != code_package("/opt/venv/lib/python3.12/site-packages/numpy_financial/x.py"));
	assert_int_equal(code_package("/usr/lib/python3.11/threading.py"), 0);
	assert_int_equal(code_package("<decorator-gen-12>"), 0);
	assert_int_equal(code_package(""), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_of_who_made_them),
		cmocka_unit_test(what_is_given_back_is_blamed_on_nobody),
		cmocka_unit_test(parts_and_moves),
		cmocka_unit_test(memory_from_before_is_not_blamed),
		cmocka_unit_test(stacks_are_no_growth),
		cmocka_unit_test(without_a_runtime),
		cmocka_unit_test(functions_without_end),
		cmocka_unit_test(hostile_facts_are_refused),
		cmocka_unit_test(whose_work_a_function_is),
		cmocka_unit_test(who_made_a_text_up),
		cmocka_unit_test(which_package_a_file_is_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
