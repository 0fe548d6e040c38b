/* SPDX-License-Identifier: GPL-2.0-only */
/* A scripted target for tests of the model: each function feeds one kind of fact and insists that it is
 * taken. Include after cmocka.h. */
#ifndef POOLSCOPE_TESTS_MODEL_FACTS_H
#define POOLSCOPE_TESTS_MODEL_FACTS_H

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "model/model.h"

#define TARGET 7u
#define PID 100u
#define MIB (1ULL << 20)
#define SEC NSEC_PER_SEC
#define MSEC NSEC_PER_MSEC
#define REALTIME (1700000000ULL * NSEC_PER_SEC) /* CLOCK_REALTIME at boot */

struct script {
	struct policy_entry entry;
	struct policy policy;
	struct limit_rule limits[8];
	struct pool_rule rules[8];
	struct model *model;
	struct snapshot *snapshot;
	uint64_t now; /* boottime */
};

static inline void feed(struct script *s, struct fact fact)
{
	if (!fact.target && fact.kind != FACT_TICK)
		fact.target = TARGET;
	fact.time_ns = s->now;
	assert_int_equal(model_apply(s->model, &fact), 0);
}

/* Fill s->limits, s->rules and s->entry first, if need be. */
static inline void script_begin_with(struct script *s, struct model_options options)
{
	s->entry.limits = s->limits;
	s->entry.rules = s->rules;
	s->policy = (struct policy){.entries = &s->entry, .n_entries = 1};
	options.policy = &s->policy;
	s->now = 1000 * SEC;
	assert_int_equal(model_new(&options, &s->model), 0);
}

static inline void attach_as(struct script *s, uint32_t target, uint32_t pid, const char *name)
{
	struct fact fact = {.kind = FACT_TARGET, .target = target,
			    .target_info = {.pid = pid, .start_ns = 900 * SEC, .exe = "/usr/bin/app"}};

	snprintf(fact.target_info.name, sizeof(fact.target_info.name), "%s", name);
	strcpy(fact.target_info.comm, "app");
	feed(s, fact);
}

static inline void script_begin(struct script *s)
{
	script_begin_with(s, (struct model_options){.keep_ended = true});
	attach_as(s, TARGET, PID, "app");
}

static inline void script_end(struct script *s)
{
	snapshot_free(s->snapshot);
	model_free(s->model);
	memset(s, 0, sizeof(*s));
}

static inline struct thread_id tid(uint32_t number)
{
	return (struct thread_id){number, 900 * SEC + number * NSEC_PER_TICK + 77};
}

/* /proc's idea of the same identity */
static inline struct thread_id tid_ticks(uint32_t number)
{
	struct thread_id id = tid(number);

	id.start_ns -= id.start_ns % NSEC_PER_TICK;
	return id;
}

static inline struct fact thread_fact(enum fact_kind kind, uint32_t number, const char *name)
{
	struct fact fact = {.kind = kind, .thread = {.id = tid(number), .cpu_ns = UNKNOWN_U64}};

	for (size_t i = 0; i + 1 < FACT_NAME_SIZE && name[i]; i++)
		fact.thread.name[i] = name[i];
	return fact;
}

static inline void leader(struct script *s)
{
	struct fact fact = thread_fact(FACT_THREAD_SEEN, PID, "app");

	fact.thread.is_leader = true;
	fact.thread.state = 'S';
	feed(s, fact);
}

static inline void seen(struct script *s, uint32_t number, const char *name)
{
	feed(s, thread_fact(FACT_THREAD_SEEN, number, name));
}

/* Born of the leader, with its creator's name; `stack` 0: not known. */
#define STACK_USED 2304 /* of a newborn: what lies above its stack pointer */

static inline void born_on(struct script *s, uint32_t number, const char *name, uint64_t stack, uint64_t length)
{
	struct fact fact = thread_fact(FACT_THREAD_BORN, number, name);

	fact.thread.creator = tid(PID);
	fact.thread.stack_start = stack;
	fact.thread.stack_length = length;
	fact.thread.stack_pointer = length ? stack + length - STACK_USED : 0;
	feed(s, fact);
}

static inline void born(struct script *s, uint32_t number, const char *name)
{
	born_on(s, number, name, 0, 0);
}

/* It has waited for a CPU for so long since it was born. */
static inline void renamed_after(struct script *s, uint32_t number, const char *name, uint64_t waited_ns)
{
	struct fact fact = thread_fact(FACT_THREAD_RENAMED, number, name);

	fact.thread.waited_ns = waited_ns;
	feed(s, fact);
}

static inline void renamed(struct script *s, uint32_t number, const char *name)
{
	renamed_after(s, number, name, 0);
}

static inline void exited(struct script *s, uint32_t number)
{
	feed(s, thread_fact(FACT_THREAD_EXITED, number, ""));
}

static inline void routine(struct script *s, uint32_t number, const char *module, const char *symbol)
{
	struct fact fact = {.kind = FACT_THREAD_ROUTINE, .routine = {.id = tid(number)}};

	snprintf(fact.routine.module, sizeof(fact.routine.module), "%s", module);
	snprintf(fact.routine.symbol, sizeof(fact.routine.symbol), "%s", symbol);
	feed(s, fact);
}

static inline void range(struct script *s, enum fact_kind kind, uint32_t who, uint64_t start, uint64_t length,
			 uint32_t protection, uint32_t flags)
{
	struct fact fact = {.kind = kind, .range = {.start = start, .length = length, .protection = protection,
						    .flags = flags}};

	if (who)
		fact.range.who = tid(who);
	feed(s, fact);
}

#define RW (PROT_READ | PROT_WRITE)

static inline void mapped(struct script *s, uint32_t who, uint64_t start, uint64_t length)
{
	range(s, FACT_RANGE_MADE, who, start, length, RW, RANGE_ANON);
}

static inline void unmapped(struct script *s, uint32_t who, uint64_t start, uint64_t length)
{
	range(s, FACT_RANGE_FREED, who, start, length, 0, 0);
}

static inline void resident(struct script *s, uint64_t start, uint64_t length, uint64_t bytes)
{
	feed(s, (struct fact){.kind = FACT_RESIDENT, .resident = {.start = start, .length = length,
								  .resident = bytes}});
}

/* A reading of the span that the model wants read around this address. */
static inline void resident_at(struct script *s, uint64_t address, uint64_t bytes)
{
	struct span *spans, found = {0};
	size_t count;

	assert_int_equal(model_spans(s->model, TARGET, &spans, &count), 0);
	for (size_t i = 0; i < count; i++) {
		if (spans[i].start <= address && address - spans[i].start < spans[i].length)
			found = spans[i];
	}
	free(spans);
	assert_true(found.length > 0);
	resident(s, found.start, found.length, bytes);
}

static inline void seed_begin(struct script *s, enum seed_reason reason)
{
	feed(s, (struct fact){.kind = FACT_SEED_BEGIN, .seed = {.reason = reason}});
}

static inline void seed_end(struct script *s)
{
	feed(s, (struct fact){.kind = FACT_SEED_END});
}

static inline void memory(struct script *s, uint64_t anon, uint64_t file, uint64_t shmem)
{
	feed(s, (struct fact){.kind = FACT_MEMORY, .memory = {anon, file, shmem, 0, 0}});
}

static inline void cgroup(struct script *s, uint64_t memory_max, uint64_t memory_current, uint64_t pids_max)
{
	feed(s, (struct fact){.kind = FACT_CGROUP,
			      .cgroup = {.path = "/app", .memory_max = memory_max, .memory_current = memory_current,
					 .oom_kills = 0, .pids_max = pids_max, .cpu_quota_cores = NAN,
					 .host_memory_total = 64 * 1024 * MIB}});
}

static inline void pass(struct script *s, uint64_t ns)
{
	s->now += ns;
}

static inline void tick(struct script *s)
{
	feed(s, (struct fact){.kind = FACT_TICK, .tick = {.realtime_ns = REALTIME + s->now}});
}

/* The snapshot of now; good until the next. */
static inline const struct snapshot *look(struct script *s)
{
	snapshot_free(s->snapshot);
	s->snapshot = NULL;
	assert_int_equal(model_snapshot(s->model, &s->snapshot), 0);
	return s->snapshot;
}

/* A second later: tick, and the first target. */
static inline const struct snapshot_target *refresh(struct script *s)
{
	pass(s, SEC);
	tick(s);
	assert_true(look(s)->n_targets > 0);
	return &s->snapshot->targets[0];
}

static inline const struct snapshot_pool *find_pool(const struct snapshot_target *target, const char *name)
{
	for (size_t i = 0; i < target->n_pools; i++) {
		if (!strcmp(target->pools[i].name, name))
			return &target->pools[i];
	}
	return NULL;
}

static inline const struct snapshot_pool *pool(const struct snapshot_target *target, const char *name)
{
	const struct snapshot_pool *found = find_pool(target, name);

	if (!found) {
		for (size_t i = 0; i < target->n_pools; i++)
			print_error("there is pool \"%s\" (%llu threads)\n", target->pools[i].name,
				    (unsigned long long)target->pools[i].threads);
		fail_msg("there is no pool \"%s\"", name);
	}
	return found;
}

static inline const struct snapshot_thread *thread(const struct snapshot_target *target, uint32_t number)
{
	for (size_t i = 0; i < target->n_threads_list; i++) {
		if (target->threads_list[i].id.tid == number)
			return &target->threads_list[i];
	}
	fail_msg("there is no thread %u", number);
	return NULL;
}

static inline const char *pool_name_of(const struct snapshot_target *target, uint32_t number)
{
	return target->pools[thread(target, number)->pool].name;
}

#endif
