/* SPDX-License-Identifier: GPL-2.0-only */
/* The interval map against a page-by-page model of the same rules, under random calls: a million of them, the
 * same in every run. A failure names its seed: POOLSCOPE_SEED=N runs that one alone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "range_oracle.h"

#define SEEDS 50
#define OPERATIONS 20000
/* From event to event; a seed is read between two, at an odd time. */
#define STEP 2

struct run {
	struct oracle oracle;
	struct range_map *map;
	uint64_t now, seeded; /* seeded: time of the last seed */
	unsigned seed, operation, repeats;
	char what[160];
};

static uint64_t address(unsigned page)
{
	return ORACLE_BASE + page * ORACLE_PAGE;
}

static void complain(const struct run *run, unsigned page, const char *why)
{
	fail_msg("seed %u, operation %u (%s), page %u: %s", run->seed, run->operation, run->what, page, why);
}

static const char *page_difference(const struct oracle_page *page, const struct range *range)
{
	if (page->owner != range->owner)
		return "owner";
	if (page->owner == OWNER_NONE && page->reason != range->reason)
		return "reason";
	if (page->region != range->region)
		return "region";
	if (page->protection != range->protection)
		return "protection";
	if (page->flags != range->flags)
		return "flags";
	if (page->usable != range->usable)
		return "usable";
	if (page->unproven != range->unproven)
		return "unproven";
	if (page->provisional_until_ns != range->provisional_until_ns)
		return "provisional";
	return NULL;
}

static void compare(const struct run *run)
{
	const struct oracle_page *pages = run->oracle.pages;
	unsigned page = 0, n = 0;

	for (const struct range *r = range_map_first(run->map); r; r = range_map_next(run->map, r), n++) {
		unsigned end = (r->end - ORACLE_BASE) / ORACLE_PAGE, present = 0;

		if (r->start < address(page) || r->start >= r->end || end > ORACLE_PAGES)
			complain(run, page, "ranges out of order");
		for (; address(page) < r->start; page++)
			if (pages[page].mapped)
				complain(run, page, "missing in the map");
		for (; page < end; page++) {
			const char *difference = pages[page].mapped ? page_difference(&pages[page], r)
								    : "should be free";

			if (difference)
				complain(run, page, difference);
			present += pages[page].present;
		}
		if (r->resident > r->end - r->start || r->swapped > r->end - r->start)
			complain(run, page, "figure exceeds the range");
		if (!r->changed && r->resident != present * ORACLE_PAGE)
			complain(run, page, "not changed, yet its figure is wrong");
	}
	for (; page < ORACLE_PAGES; page++)
		if (pages[page].mapped)
			complain(run, page, "missing in the map");
	if (n != range_map_count(run->map))
		complain(run, 0, "count");
}

static const int PROTECTIONS[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
				  PROT_READ | PROT_EXEC};
static const uint32_t FLAGS[] = {RANGE_ANON,
				 RANGE_ANON,
				 RANGE_ANON,
				 RANGE_ANON | RANGE_NORESERVE,
				 RANGE_ANON | RANGE_STACK,
				 RANGE_FILE,
				 RANGE_SHARED | RANGE_ANON,
				 RANGE_ANON | RANGE_HUGETLB,
				 RANGE_FILE | RANGE_SHARED};

struct call {
	unsigned first, count, caller;
	int protection;
	uint32_t flags;
};

static struct call random_call(struct oracle *oracle)
{
	unsigned most = oracle_below(oracle, 8) ? 24 : 200;
	struct call call;

	call.count = 1 + oracle_below(oracle, most);
	call.first = oracle_below(oracle, ORACLE_PAGES - call.count + 1);
	call.caller = oracle_below(oracle, ORACLE_CALLERS);
	call.protection = PROTECTIONS[oracle_below(oracle, ARRAY_SIZE(PROTECTIONS))];
	call.flags = FLAGS[oracle_below(oracle, ARRAY_SIZE(FLAGS))];
	return call;
}

/* The kernel's report: start and length, the latter not always in whole pages. */
static struct fact_range fact_of(struct oracle *oracle, const struct call *call)
{
	return (struct fact_range){.start = address(call->first),
				   .length = call->count * ORACLE_PAGE - oracle_below(oracle, 2) * 100,
				   .protection = call->protection,
				   .flags = call->flags};
}

static void note(struct run *run, const char *name, const struct call *call)
{
	snprintf(run->what, sizeof(run->what), "%s [%u+%u] caller %u protection %d flags %#x at %llu", name,
		 call->first, call->count, call->caller, call->protection, call->flags,
		 (unsigned long long)run->now);
}

static void do_made(struct run *run, struct call call)
{
	struct fact_range fact = fact_of(&run->oracle, &call);

	note(run, "made", &call);
	oracle_made(&run->oracle, call.first, call.count, call.protection, call.flags, call.caller);
	for (unsigned i = 0; i < run->repeats; i++)
		assert_int_equal(range_map_made(run->map, &fact, oracle_owner(call.caller), run->now), 0);
}

static void do_freed(struct run *run, struct call call)
{
	note(run, "freed", &call);
	oracle_freed(&run->oracle, call.first, call.count, call.caller);
	for (unsigned i = 0; i < run->repeats; i++)
		assert_int_equal(range_map_freed(run->map, address(call.first), call.count * ORACLE_PAGE,
						 oracle_owner(call.caller), run->now),
				 0);
}

static void do_free_failed(struct run *run, struct call call)
{
	note(run, "free failed", &call);
	oracle_free_failed(&run->oracle, call.caller);
	for (unsigned i = 0; i < run->repeats; i++)
		assert_int_equal(range_map_free_failed(run->map, oracle_owner(call.caller), run->now), 0);
}

static void do_protected(struct run *run, struct call call)
{
	struct fact_range fact = fact_of(&run->oracle, &call);
	unsigned count = call.count;

	if (oracle_below(&run->oracle, 8) == 0) { /* the kernel found a hole, or no memory */
		fact.flags = RANGE_UP_TO_HOLE;
		count = oracle_until_hole(&run->oracle, call.first, call.count);
	}
	note(run, fact.flags == RANGE_UP_TO_HOLE ? "protected up to a hole" : "protected", &call);
	oracle_protected(&run->oracle, call.first, count, call.protection, call.caller, run->now);
	for (unsigned i = 0; i < run->repeats; i++)
		assert_int_equal(range_map_protected(run->map, &fact, oracle_owner(call.caller), run->now),
				 0);
}

/* What a mremap that shrinks reports at entry; another thread may have the address before it returns. */
static void free_tail(struct run *run, struct call source, struct call call)
{
	struct call other = random_call(&run->oracle);

	source.first += call.count;
	source.count -= call.count;
	source.caller = call.caller;
	do_freed(run, source);
	run->now += STEP;
	if (oracle_below(&run->oracle, 2))
		return;
	other.first = source.first;
	other.count = source.count;
	other.caller = (call.caller + 1) % ORACLE_CALLERS;
	do_made(run, other);
	run->now += STEP;
}

static void do_moved(struct run *run, struct call call)
{
	struct oracle *oracle = &run->oracle;
	struct call source = random_call(oracle);
	struct fact_range fact = fact_of(oracle, &call);
	struct oracle_limbo *limbo = &oracle->limbo[call.caller];
	unsigned way = oracle_below(oracle, 4);
	bool dont_unmap;

	if (limbo->used && oracle_below(oracle, 2)) {
		source.first = limbo->first;
		source.count = limbo->count;
	}
	if (way == 0) /* in place */
		source.first = call.first;
	if (source.first + source.count > ORACLE_PAGES)
		source.count = ORACLE_PAGES - source.first;
	/* The kernel refuses a destination that overlaps the source. */
	if (source.first != call.first && source.first < call.first + call.count &&
	    call.first < source.first + source.count)
		return;
	dont_unmap = way == 1 && source.first != call.first;
	if (dont_unmap && source.count != call.count)
		return;
	/* Without the report at entry, an event older than the seed counts as applied before. */
	if (source.first == call.first && source.count > call.count && run->now > run->seeded &&
	    oracle_below(oracle, 2)) {
		free_tail(run, source, call);
	} else if (oracle_below(oracle, 2) || run->now <= run->seeded) {
		source.caller = call.caller;
		do_freed(run, source);
		run->now += STEP;
	}
	fact.old_start = address(source.first);
	fact.old_length = source.count * ORACLE_PAGE;
	fact.flags = dont_unmap ? RANGE_DONTUNMAP : 0;
	note(run, "moved", &call);
	snprintf(run->what + strlen(run->what), sizeof(run->what) - strlen(run->what), " from [%u+%u]%s",
		 source.first, source.count, dont_unmap ? " leaving it" : "");
	oracle_moved(oracle, source.first, source.count, call.first, call.count, dont_unmap, call.caller,
		     run->now);
	/* Older than a seed it takes what the seed saw for its outcome, and settles that: once. */
	for (unsigned i = 0; i < (run->now < run->seeded ? 1 : run->repeats); i++)
		assert_int_equal(range_map_moved(run->map, &fact, oracle_owner(call.caller), run->now), 0);
}

static void do_duplicated(struct run *run, struct call call)
{
	struct oracle *oracle = &run->oracle;
	unsigned source = oracle_below(oracle, ORACLE_PAGES);
	struct fact_range fact = fact_of(oracle, &call);

	if (source >= call.first && source < call.first + call.count)
		return;
	fact.old_start = address(source);
	note(run, "duplicated", &call);
	oracle_duplicated(oracle, source, call.first, call.count, call.caller);
	for (unsigned i = 0; i < run->repeats; i++)
		assert_int_equal(range_map_moved(run->map, &fact, oracle_owner(call.caller), run->now), 0);
}

static void do_brk(struct run *run, struct call call)
{
	unsigned end = ORACLE_HEAP + oracle_below(&run->oracle, 80);
	uint64_t odd = end > ORACLE_HEAP ? oracle_below(&run->oracle, 2) * 48 : 0;

	note(run, "brk", &call);
	oracle_brk(&run->oracle, end, call.caller, run->now);
	for (unsigned i = 0; i < run->repeats; i++)
		assert_int_equal(range_map_brk(run->map, address(ORACLE_HEAP), address(end) - odd,
					       oracle_owner(call.caller), run->now),
				 0);
}

static void do_stack(struct run *run, struct call call)
{
	uint64_t odd = oracle_below(&run->oracle, 2) * 64;

	call.caller %= ORACLE_CALLERS - 1;
	note(run, "stack", &call);
	oracle_stack(&run->oracle, call.first, call.count, call.caller);
	if (call.first == 0)
		odd = 0;
	/* Parts of pages at either end belong to others. */
	for (unsigned i = 0; i < run->repeats; i++)
		assert_int_equal(range_map_stack(run->map, address(call.first) - odd,
						 call.count * ORACLE_PAGE + 2 * odd, call.caller, run->now),
				 0);
}

static void do_read(struct run *run, struct call call)
{
	const struct range *range = range_map_find(run->map, address(call.first));
	struct fact_resident fact = {};
	unsigned first, end;

	if (!range || !range_counts(range))
		return;
	note(run, "read", &call);
	fact.start = range->start;
	fact.length = range->end - range->start;
	first = (range->start - ORACLE_BASE) / ORACLE_PAGE;
	end = (range->end - ORACLE_BASE) / ORACLE_PAGE;
	for (unsigned i = first; i < end; i++)
		fact.resident += run->oracle.pages[i].present * ORACLE_PAGE;
	for (unsigned i = first; i < end && range->changed_ns <= run->now; i++) {
		run->oracle.pages[i].usable |= fact.resident > 0;
		run->oracle.pages[i].unproven = false;
	}
	for (unsigned i = 0; i < run->repeats; i++)
		assert_int_equal(range_map_resident(run->map, &fact, run->now), 0);
	assert_true(range->changed == (range->changed_ns > run->now));
}

/* What /proc shows is the oracle's own state; of the model's, some was lost and some is stale. */
static void do_seed(struct run *run)
{
	static const enum unattributed REASONS[] = {UNATTRIBUTED_BEFORE_ATTACH, UNATTRIBUTED_INHERITED,
						    UNATTRIBUTED_LOST};
	struct oracle *oracle = &run->oracle;
	enum unattributed reason = REASONS[oracle_below(oracle, ARRAY_SIZE(REASONS))];
	bool drop_all = !oracle_below(oracle, 4);
	static struct oracle_page shown[ORACLE_PAGES];
	/* Events older than the seed are still to come, but seeds come in order. */
	uint64_t when = (run->now > run->seeded ? run->now : run->seeded) + STEP * oracle_below(oracle, 50);

	when |= 1;
	run->seeded = when;
	snprintf(run->what, sizeof(run->what), "seed at %llu", (unsigned long long)when);
	memcpy(shown, oracle->pages, sizeof(shown));
	for (unsigned n = oracle_below(oracle, 4); n; n--) {
		struct call call = random_call(oracle);

		for (unsigned i = call.first; i < call.first + call.count; i++)
			shown[i] = (struct oracle_page){.mapped = n % 2,
							.protection = call.protection,
							.flags = call.flags & ~RANGE_STACK};
	}
	oracle_seed_begin(oracle, reason, drop_all);
	range_map_seed_begin(run->map, reason, drop_all);
	for (unsigned i = 0, end; i < ORACLE_PAGES; i = end) {
		struct fact_range fact;

		for (end = i + 1; end < ORACLE_PAGES && shown[end].mapped == shown[i].mapped &&
				  shown[end].protection == shown[i].protection &&
				  shown[end].flags == shown[i].flags;)
			end++;
		if (!shown[i].mapped)
			continue;
		fact = (struct fact_range){.start = address(i),
					   .length = (end - i) * ORACLE_PAGE,
					   .protection = shown[i].protection,
					   .flags = shown[i].flags & ~(RANGE_STACK | RANGE_NORESERVE)};
		oracle_seen(oracle, i, end - i, fact.protection, fact.flags);
		for (unsigned n = 0; n < run->repeats; n++)
			assert_int_equal(range_map_seen(run->map, &fact, when), 0);
	}
	oracle_seed_end(oracle, when);
	range_map_seed_end(run->map, when);
	range_map_sweep(run->map);
}

static void do_reassign(struct run *run, struct call call)
{
	uint32_t owner = call.first % (ORACLE_CALLERS - 1), new_owner = call.caller % (ORACLE_CALLERS - 1);

	note(run, "reassign", &call);
	oracle_reassigned(&run->oracle, owner, new_owner);
	range_map_reassign(run->map, owner, new_owner);
}

static void step(struct run *run)
{
	struct call call = random_call(&run->oracle);
	unsigned dice = oracle_below(&run->oracle, 1000);

	run->now += STEP;
	run->repeats = 1 + !oracle_below(&run->oracle, 4);
	if (dice < 180)
		do_made(run, call);
	else if (dice < 300)
		do_freed(run, call);
	else if (dice < 360)
		do_free_failed(run, call);
	else if (dice < 580)
		do_protected(run, call);
	else if (dice < 680)
		do_moved(run, call);
	else if (dice < 700)
		do_duplicated(run, call);
	else if (dice < 760)
		do_brk(run, call);
	else if (dice < 820)
		do_stack(run, call);
	else if (dice < 825)
		do_reassign(run, call);
	else if (dice < 830)
		do_seed(run);
	else
		do_read(run, call);
}

static void run_seed(unsigned seed)
{
	struct run run = {.seed = seed, .now = 1000, .oracle = {.random = seed * 2654435761U + 1}};

	assert_int_equal(range_map_new(0, &run.map), 0);
	for (run.operation = 0; run.operation < OPERATIONS; run.operation++) {
		step(&run);
		compare(&run);
	}
	assert_int_equal(range_map_refused(run.map), 0);
	range_map_free(run.map);
}

static void the_map_agrees_with_every_page(void **state)
{
	const char *one = getenv("POOLSCOPE_SEED");

	if (one) {
		run_seed(atoi(one));
		return;
	}
	for (unsigned seed = 1; seed <= SEEDS; seed++)
		run_seed(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_map_agrees_with_every_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
