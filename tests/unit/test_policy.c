/* SPDX-License-Identifier: GPL-2.0-only */
/* The built-in policy, the order of rules, and the one spelling of every name.
 * It must not know how limits are judged. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "model/policy.h"
#include "model/snapshot.h"

static void builtin_policy_judges_the_process_alone(void **state)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	bool seen[LIMIT_KIND_COUNT] = {false};

	assert_int_equal(policy_new_builtin(&policy), 0);
	assert_int_equal(policy->n_entries, 1);
	assert_string_equal(policy->entries[0].name, "");
	assert_int_equal(policy->entries[0].max_pools, 32);
	assert_int_equal(policy->entries[0].n_limits, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct limit_rule *rule = &policy->entries[0].limits[i];

		seen[rule->kind] = true;
		assert_string_equal(rule->pool, "");
		assert_true(rule->is_percent);
		assert_int_equal(rule->value, 9000);
		assert_true(rule->warn_ratio > 0.79 && rule->warn_ratio < 0.81);
		assert_int_equal(rule->for_ns, 0);
		assert_int_equal(rule->clear_for_ns, 60 * NSEC_PER_SEC);
		assert_int_equal(rule->source, LIMIT_SOURCE_BUILTIN);
	}
	assert_true(seen[LIMIT_THREADS] && seen[LIMIT_RESIDENT_BYTES]);
}

static void an_option_goes_before_what_was_there(void **state)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	const struct limit_rule rule = {.pool = "anyio*", .kind = LIMIT_THREADS, .value = 40,
					.source = LIMIT_SOURCE_OPTION};

	assert_int_equal(policy_new_builtin(&policy), 0);
	assert_int_equal(policy_entry_prepend_limit(&policy->entries[0], &rule), 0);
	assert_int_equal(policy->entries[0].n_limits, 3);
	assert_string_equal(policy->entries[0].limits[0].pool, "anyio*");
	assert_string_equal(policy->entries[0].limits[1].pool, "");
	assert_string_equal(policy->entries[0].limits[2].pool, "");
}

static void kinds_parse_as_they_print(void **state)
{
	enum limit_kind kind = LIMIT_KIND_COUNT;

	for (int i = 0; i < LIMIT_KIND_COUNT; i++) {
		assert_int_equal(limit_kind_parse(limit_kind_name(i), &kind), 0);
		assert_int_equal(kind, i);
	}
	kind = LIMIT_RESIDENT_BYTES;
	assert_int_equal(limit_kind_parse("thread", &kind), -ENOENT);
	assert_int_equal(limit_kind_parse("", &kind), -ENOENT);
	assert_int_equal(kind, LIMIT_RESIDENT_BYTES);
	assert_string_equal(limit_kind_name(LIMIT_RESIDENT_BYTES_PER_THREAD), "resident_bytes_per_thread");
}

static void a_value_beyond_an_enumeration_has_a_name_too(void **state)
{
	assert_string_equal(limit_kind_name(LIMIT_KIND_COUNT), "unknown");
	assert_string_equal(limit_source_name((enum limit_source)77), "unknown");
	assert_string_equal(region_name(REGION_COUNT), "unknown");
	assert_string_equal(unattributed_name((enum unattributed)-1), "unknown");
	assert_string_equal(verdict_state_name(VERDICT_COUNT), "unknown");
	assert_string_equal(limit_source_name(LIMIT_SOURCE_OPTION), "option");
	assert_string_equal(region_name(REGION_ARENA), "arena");
	assert_string_equal(unattributed_name(UNATTRIBUTED_LOST), "lost");
	assert_string_equal(loss_reason_name(LOSS_KRETPROBE), "kretprobe");
	assert_string_equal(probe_name(PROBE_BRK), "brk");
	assert_string_equal(limit_state_name(LIMIT_OVER), "over");
	assert_string_equal(verdict_state_name(VERDICT_FILLING), "filling");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(builtin_policy_judges_the_process_alone),
		cmocka_unit_test(an_option_goes_before_what_was_there),
		cmocka_unit_test(kinds_parse_as_they_print),
		cmocka_unit_test(a_value_beyond_an_enumeration_has_a_name_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
