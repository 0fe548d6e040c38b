/* SPDX-License-Identifier: GPL-2.0-only */
/* Which families of a pattern have a pool of their own: the first sixteen by the age of their threads, whatever order they
 * are told in. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model_facts.h"

static void the_seventeenth_family_of_a_pattern_folds(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	for (uint32_t i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "p-%u-t-1", i);
		seen(&s, 200 + i, name);
	}
	target = refresh(&s);
	assert_int_equal(pool(target, "p-15-t-*")->threads, 1);
	assert_null(find_pool(target, "p-16-t-*"));
	assert_int_equal(pool(target, "p-*-t-*")->threads, 4);
	script_end(&s);
}

static void name_of_family(char name[16], unsigned int family)
{
	snprintf(name, 16, "p-%u-t-1", family % 100);
}

static void assert_first_sixteen_stand_apart(const struct snapshot_target *target)
{
	for (unsigned int family = 0; family < 20; family++) {
		char name[16];

		snprintf(name, sizeof(name), "p-%u-t-*", family);
		assert_int_equal(find_pool(target, name) != NULL, family < 16);
	}
}

/* Whoever comes while those that were there are being listed; and who was there, but ends meanwhile. */
static void the_oldest_families_stand_apart_at_an_attach(void **state)
{
	struct script s = {0};
	char name[16];

	script_begin(&s);
	leader(&s);
	seen(&s, 219, "p-19-t-1");
	for (unsigned int i = 0; i < 8; i++) {
		name_of_family(name, i);
		seen(&s, 200 + i, name);
	}
	born(&s, 318, "p-18-t-1");
	born(&s, 317, "app");
	renamed(&s, 317, "p-17-t-1");
	exited(&s, 219);
	for (unsigned int i = 8; i < 16; i++) {
		name_of_family(name, i);
		seen(&s, 200 + i, name);
	}
	pass(&s, 30 * MSEC);
	assert_first_sixteen_stand_apart(refresh(&s));
	assert_int_equal(pool(refresh(&s), "p-*-t-*")->threads, 2);
	script_end(&s);
}

/* Renames come in any order; pools are named in that of the births. */
static void the_oldest_families_stand_apart_in_a_storm(void **state)
{
	struct script s = {0};
	char name[16];

	script_begin(&s);
	leader(&s);
	refresh(&s);
	for (unsigned int i = 0; i < 20; i++)
		born(&s, 200 + i, "app");
	for (unsigned int i = 20; i-- > 0;) {
		name_of_family(name, i);
		renamed(&s, 200 + i, name);
	}
	assert_int_equal(model_deadline(s.model), UINT64_MAX); /* nobody waits any longer than for the oldest */
	assert_first_sixteen_stand_apart(refresh(&s));
	/* Of a pool that is there they wait for nobody. */
	born(&s, 300, "app");
	born(&s, 301, "app");
	renamed(&s, 301, "p-3-t-2");
	tick(&s);
	assert_int_equal(pool(&look(&s)->targets[0], "p-3-t-*")->threads_started, 2);
	/* And not for ever for who takes no name, or ends. */
	renamed(&s, 301, "q-1");
	born(&s, 302, "app");
	renamed(&s, 302, "r-1");
	tick(&s);
	assert_null(find_pool(&look(&s)->targets[0], "r-*"));
	exited(&s, 300);
	tick(&s);
	assert_int_equal(pool(&look(&s)->targets[0], "r-*")->threads, 1);
	born(&s, 303, "app");
	born(&s, 304, "app");
	renamed(&s, 304, "s-1");
	assert_int_equal(model_deadline(s.model), s.now + 20 * MSEC);
	pass(&s, 20 * MSEC);
	model_judge(s.model, s.now);
	tick(&s);
	assert_int_equal(pool(&look(&s)->targets[0], "s-*")->threads, 1);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_seventeenth_family_of_a_pattern_folds),
		cmocka_unit_test(the_oldest_families_stand_apart_at_an_attach),
		cmocka_unit_test(the_oldest_families_stand_apart_in_a_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
