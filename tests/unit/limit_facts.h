/* SPDX-License-Identifier: GPL-2.0-only */
/* For tests of limits: rules, what became of them, and threads to be counted. */
#ifndef POOLSCOPE_TESTS_LIMIT_FACTS_H
#define POOLSCOPE_TESTS_LIMIT_FACTS_H

#include "model_facts.h"

static inline void limit(struct script *s, const char *glob, enum limit_kind kind, uint64_t value)
{
	struct limit_rule *rule = &s->limits[s->entry.n_limits++];

	*rule = (struct limit_rule){.kind = kind, .value = value, .warn_ratio = 0.8, .clear_for_ns = 60 * SEC,
				    .source = LIMIT_SOURCE_CONFIG};
	snprintf(rule->pool, sizeof(rule->pool), "%s", glob);
}

static inline const struct snapshot_limit *limit_of(const struct snapshot_limit *limits, size_t count,
					     enum limit_kind kind)
{
	for (size_t i = 0; i < count; i++) {
		if (limits[i].kind == kind)
			return &limits[i];
	}
	return NULL;
}

static inline const struct snapshot_limit *pool_limit(const struct snapshot_target *target, const char *name,
					       enum limit_kind kind)
{
	const struct snapshot_pool *of = pool(target, name);

	return limit_of(of->limits, of->n_limits, kind);
}

static inline const struct snapshot_limit *process_limit(const struct snapshot_target *target, enum limit_kind kind)
{
	return limit_of(target->limits, target->n_limits, kind);
}

static inline struct limit_transition expect_transition(struct script *s, const char *of, enum limit_state before, enum limit_state now,
			      uint64_t value)
{
	struct limit_transition transition;

	assert_true(model_next_transition(s->model, &transition));
	assert_string_equal(transition.pool, of);
	assert_string_equal(transition.process, "app");
	assert_int_equal(transition.pid, PID);
	assert_int_equal(transition.target, TARGET);
	assert_int_equal(transition.before, before);
	assert_int_equal(transition.limit.state, now);
	assert_int_equal(transition.limit.value, value);
	return transition;
}

static inline void expect_transition_at(struct script *s, uint64_t time_ns, const char *of, enum limit_state before,
					enum limit_state now, uint64_t value)
{
	struct limit_transition transition = expect_transition(s, of, before, now, value);

	assert_int_equal(transition.time_ns, time_ns);
}

static inline void expect_no_transition(struct script *s)
{
	struct limit_transition transition;

	assert_false(model_next_transition(s->model, &transition));
}

/* As the agent does: what is due is judged when it is. */
static inline void run_for(struct script *s, uint64_t length_ns)
{
	uint64_t end_ns = s->now + length_ns, due_ns;

	while ((due_ns = model_deadline(s->model)) <= end_ns) {
		s->now = due_ns > s->now ? due_ns : s->now + 1;
		model_judge(s->model, s->now);
	}
	s->now = end_ns;
}

static inline void workers(struct script *s, uint32_t first, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		born(s, first + i, "w-1");
}

#endif
