/* SPDX-License-Identifier: GPL-2.0-only */
/* Groups threads into pools by rules, name families and start routines.
 * It must not know threads beyond what a name is made from. */
#include "pools.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* DESIGN.md, "Names of pools". */
#define FAMILIES_PER_PATTERN 16
#define DEFAULT_MAX_POOLS 32
#define KIND_THREADS "threads"
#define KIND_IO_WORKERS "io_uring workers"
#define NAME_IO_WORKERS "iou-*"
#define NAME_NONE "unnamed"

struct pool_choice {
	char name[POOL_NAME_SIZE], pattern[POOL_NAME_SIZE];
	const char *kind;
	const struct runtime_rule *rule; /* NULL: none has decided */
	bool reserved;
};

static void births_advance(struct births *births, uint64_t second)
{
	uint64_t steps = second > births->newest ? second - births->newest : 0;

	if (steps > BIRTHS_SECONDS)
		steps = BIRTHS_SECONDS;
	for (uint64_t i = 1; i <= steps; i++) {
		uint32_t *count = &births->count[(second - steps + i) % BIRTHS_SECONDS];

		births->total -= *count;
		*count = 0;
	}
	if (second > births->newest)
		births->newest = second;
}

void births_change(struct births *births, uint64_t time_ns, int change)
{
	uint64_t second = time_ns / NSEC_PER_SEC;
	uint32_t *count = &births->count[second % BIRTHS_SECONDS];

	births_advance(births, second);
	if (births->newest - second >= BIRTHS_SECONDS || (change < 0 && *count == 0))
		return;
	*count += change;
	births->total += change;
}

uint64_t births_count(struct births *births, uint64_t now_ns)
{
	births_advance(births, now_ns / NSEC_PER_SEC);
	return births->total;
}

void pools_clear(struct pools *pools)
{
	for (uint32_t i = 0; i < pools->count; i++)
		history_clear(&pools->pool[i].history);
	free(pools->pool);
	free(pools->dropped_names);
	*pools = (struct pools){.count = 0};
}

static bool glob_matches(const char *glob, const char *text)
{
	return !*glob || fnmatch(glob, text, 0) == 0;
}

/* Who is not known is not just anybody. */
static bool creator_matches(const struct pool_rule *rule, const struct pool_subject *subject)
{
	return !*rule->creator || (*subject->creator && !subject->leader && glob_matches(rule->creator, subject->creator));
}

/* Of several rules for one pool the first that says it, whichever took the first thread. */
static const char *kind_by_rules(const struct policy_entry *policy, const char *pool)
{
	for (size_t i = 0; i < policy->n_rules; i++) {
		if (*policy->rules[i].kind && !strcmp(policy->rules[i].pool, pool))
			return policy->rules[i].kind;
	}
	return KIND_THREADS;
}

uint32_t pools_rule_of(const struct policy_entry *policy, const struct pool_subject *subject)
{
	for (size_t i = 0; i < policy->n_rules; i++) {
		const struct pool_rule *rule = &policy->rules[i];

		if (*rule->pool && glob_matches(rule->thread_name, subject->name) &&
		    glob_matches(rule->start_routine, subject->symbol) && glob_matches(rule->module, subject->module) &&
		    creator_matches(rule, subject))
			return (uint32_t)i + 1;
	}
	return 0;
}

static bool choose_by_rule(const struct policy_entry *policy, const struct pool_subject *subject,
			   struct pool_choice *ret_choice)
{
	uint32_t number = pools_rule_of(policy, subject);

	if (!number)
		return false;
	*ret_choice = (struct pool_choice){.kind = kind_by_rules(policy, policy->rules[number - 1].pool), .reserved = true};
	snprintf(ret_choice->name, sizeof(ret_choice->name), "%s", policy->rules[number - 1].pool);
	return true;
}

static struct pool *pool_by_name(const struct pools *pools, const char *name)
{
	for (uint32_t i = 0; i < pools->count; i++) {
		if (!strcmp(pools->pool[i].name, name))
			return &pools->pool[i];
	}
	return NULL;
}

/* Takes the pattern's name where the pattern has too many families already. */
static void choice_fold(const struct pools *pools, struct pool_choice *choice)
{
	uint32_t relatives = 0;

	if (!strcmp(choice->name, choice->pattern) || pool_by_name(pools, choice->name))
		return;
	for (uint32_t i = 0; i < pools->count; i++)
		relatives += !strcmp(pools->pool[i].pattern, choice->pattern) &&
			     strcmp(pools->pool[i].name, choice->pattern) != 0;
	if (relatives >= FAMILIES_PER_PATTERN)
		memcpy(choice->name, choice->pattern, sizeof(choice->name));
}

static void choose_family(const struct pools *pools, const char *name, struct pool_choice *choice)
{
	pool_name_family(name, false, choice->name);
	pool_name_family(name, true, choice->pattern);
	choice_fold(pools, choice);
}

static void choose_executor(const struct pools *pools, const struct fact_executor *executor,
			    struct pool_choice *choice)
{
	static const struct runtime_rule own = {.is_runtimes_own = true};

	choice->kind = executor_kind_name(executor->kind);
	choice->rule = executor->is_runtimes_own ? &own : NULL;
	if (*executor->name)
		choose_family(pools, executor->name, choice);
	else
		pool_name_function(executor->file, executor->function, choice->name);
	pool_name_number(executor->instance, FAMILIES_PER_PATTERN, choice->name);
}

static void choose_by_name(const struct pools *pools, const char *name, enum rule_naming naming,
			   struct pool_choice *choice)
{
	size_t length = strlen(name);
	bool is_full = naming != RULE_NAME && length == FACT_NAME_SIZE - 1; /* and cut, for all one knows */
	bool ends_with_number = length && isdigit((unsigned char)name[length - 1]);

	if (naming == RULE_LITERAL || (is_full && !ends_with_number))
		pool_name_cut(name, is_full, choice->name);
	else
		pool_name_family(name, false, choice->name);
	pool_name_family(name, true, choice->pattern);
	if (is_full && !ends_with_number)
		strcat(choice->pattern, "*");
	choice_fold(pools, choice);
}

/* Of a program that makes threads of ever other routines the first stay apart, as those of a pattern do. */
static void choose_by_routine(const struct pools *pools, const struct pool_subject *subject, struct pool_choice *choice)
{
	size_t length;

	pool_name_routine(subject->module, subject->symbol, choice->name);
	if (strncmp(subject->symbol, FACT_PLACE, strlen(FACT_PLACE)) != 0)
		return;
	pool_name_routine(subject->module, FACT_PLACE, choice->pattern);
	length = strlen(choice->pattern);
	if (length + 1 < POOL_NAME_SIZE && choice->pattern[length - 1] != '*')
		strcpy(choice->pattern + length, "*");
	choice_fold(pools, choice);
}

static const struct rule_set *rules_for(struct pools *pools, const struct rule_evidence *evidence)
{
	struct rule_memo *memo;

	for (uint32_t i = 0; i < ARRAY_SIZE(pools->memo); i++) {
		memo = &pools->memo[i];
		if (memo->is_filled && memo->is_leader == evidence->is_leader && !strcmp(memo->symbol, evidence->routine) &&
		    !strcmp(memo->module, evidence->module))
			return &memo->set;
	}
	memo = &pools->memo[pools->next_memo++ % ARRAY_SIZE(pools->memo)];
	text_copy(memo->symbol, sizeof(memo->symbol), evidence->routine);
	text_copy(memo->module, sizeof(memo->module), evidence->module);
	memo->is_leader = evidence->is_leader;
	memo->is_filled = true;
	runtime_rules_narrow(evidence, &memo->set);
	return &memo->set;
}

static struct rule_evidence evidence_of(const struct pool_subject *subject)
{
	return (struct rule_evidence){
		.name = subject->own_name ? "" : subject->name,
		.routine = subject->symbol,
		.module = subject->module,
		.program = subject->process,
		.runtime = subject->runtime,
		.creator = subject->creator,
		.is_leader = subject->leader,
		.is_programs_file = subject->programs_file,
	};
}

bool pool_is_nobodys_parent(const struct pool *pool)
{
	return pool->is_programs_main || !strcmp(pool->name, POOL_NAME_MAIN) || !strcmp(pool->name, POOL_NAME_OTHER);
}

/* Each pool whose threads have teams has a pool of teams below it: one for all would be below none. */
static void choose_below(const struct pools *pools, uint32_t makers_pool, const char *name, struct pool_choice *choice)
{
	const struct pool *maker = makers_pool < pools->count ? &pools->pool[makers_pool] : NULL;

	if (!maker || pool_is_nobodys_parent(maker))
		strcpy(choice->name, name);
	else if (maker->is_makers_own) /* a team within a team */
		memcpy(choice->name, maker->name, sizeof(choice->name));
	else
		pool_name_below(maker->name, name, choice->name);
}

bool pools_have_creators_argument(struct pools *pools, const struct pool_subject *subject)
{
	const struct rule_evidence evidence = evidence_of(subject);
	const struct runtime_rule *rule = runtime_rule_among(rules_for(pools, &evidence), &evidence);

	return rule && rule->is_makers_own;
}

static bool choose_by_runtime(struct pools *pools, const struct pool_subject *subject,
			      struct pool_choice *choice)
{
	const struct rule_evidence evidence = evidence_of(subject);
	const struct runtime_rule *rule = runtime_rule_among(rules_for(pools, &evidence), &evidence);

	if (!rule)
		return false;
	choice->kind = rule->kind;
	choice->rule = rule;
	choice->reserved = rule->naming == RULE_MAIN;
	if (choice->reserved)
		strcpy(choice->name, POOL_NAME_MAIN);
	else if (rule->naming == RULE_MODULE)
		pool_name_routine(evidence.module, "", choice->name);
	else if (rule->is_makers_own)
		choose_below(pools, subject->makers_pool, rule->pool, choice);
	else if (rule->naming != RULE_FIXED && *evidence.name)
		choose_by_name(pools, evidence.name, rule->naming, choice);
	else
		strcpy(choice->name, rule->pool);
	return true;
}

static void choose(struct pools *pools, const struct policy_entry *policy,
		   const struct pool_subject *subject, struct pool_choice *choice)
{
	if (choose_by_rule(policy, subject, choice))
		return;
	*choice = (struct pool_choice){.kind = KIND_THREADS};
	if (subject->executor && !subject->leader) {
		choose_executor(pools, subject->executor, choice);
	} else if (subject->io_worker && !subject->leader) {
		strcpy(choice->name, NAME_IO_WORKERS);
		choice->kind = KIND_IO_WORKERS;
	} else if (choose_by_runtime(pools, subject, choice)) {
		return;
	} else if (subject->leader) {
		strcpy(choice->name, POOL_NAME_MAIN);
		choice->reserved = true;
	} else if (*subject->name && !subject->own_name) {
		choose_family(pools, subject->name, choice);
	} else if (*subject->symbol || *subject->module) {
		choose_by_routine(pools, subject, choice);
	} else {
		pool_name_literal(*subject->process ? subject->process : NAME_NONE, choice->name);
	}
}

/* A limit that was over, or is not yet back, must not vanish with threads that turned out to be another pool's. */
static bool has_alarm(const struct pool *pool)
{
	for (int kind = 0; kind < LIMIT_KIND_COUNT; kind++) {
		if (pool->limits[kind].violations || limit_track_state(&pool->limits[kind]) != LIMIT_OK)
			return true;
	}
	return false;
}

bool pool_is_listed(const struct pool *pool)
{
	return has_alarm(pool) || pool->threads || pool->guests || pool->shown_threads || pool->seen || pool->started || pool->exited ||
	       pool->memory.resident_bytes || pool->memory.mapped_bytes;
}

bool pools_any_matches(const struct pools *pools, const char *glob)
{
	for (uint32_t i = 0; i < pools->count; i++) {
		if (pool_is_listed(&pools->pool[i]) && glob_matches(glob, pools->pool[i].name))
			return true;
	}
	return false;
}

static int note_dropped(struct pools *pools, const char *name)
{
	uint64_t hash = text_hash(name);
	uint32_t place;

	place = TABLE_PLACE_BY(pools->dropped_names, pools->n_dropped, , hash);
	if (place < pools->n_dropped && pools->dropped_names[place] == hash)
		return 0;
	if (pools->n_dropped == DROPPED_POOLS_MAX)
		return 0;
	if (TABLE_GROW(pools->dropped_names, pools->n_dropped, pools->dropped_room, 16))
		return -ENOMEM;
	memmove(&pools->dropped_names[place + 1], &pools->dropped_names[place],
		(pools->n_dropped++ - place) * sizeof(*pools->dropped_names));
	pools->dropped_names[place] = hash;
	return 0;
}

/* How long it takes until who was in a pool has been counted there. */
#define COUNTING_NS (50 * NSEC_PER_MSEC)

/* One that takes room, though its threads all turned out to belong elsewhere; NULL: none. */
static struct pool *pool_spare(const struct pools *pools, uint64_t time_ns)
{
	for (uint32_t i = 0; i < pools->count; i++) {
		struct pool *pool = &pools->pool[i];

		if (!pool->reserved && !pool_is_listed(pool) && time_ns >= add_saturated(pool->left_ns, COUNTING_NS))
			return pool;
	}
	return NULL;
}

/* A slot for a new pool: a spare one, or a fresh one. */
static int pool_slot(struct pools *pools, uint64_t time_ns, struct pool **ret_pool)
{
	struct pool *spare = pool_spare(pools, time_ns);

	if (spare) {
		pools->room--;
		history_clear(&spare->history);
		*ret_pool = spare;
		return 0;
	}
	if (TABLE_GROW(pools->pool, pools->count, pools->capacity, 8))
		return -ENOMEM;
	*ret_pool = &pools->pool[pools->count++];
	(*ret_pool)->history = (struct history){.rows = 0};
	return 0;
}

static void pool_take_rule(struct pool *pool, const struct runtime_rule *rule)
{
	static const struct runtime_rule none;

	rule = rule ? rule : &none;
	pool->has_parallelism = rule->has_parallelism;
	pool->is_teams = rule->is_teams;
	pool->is_programs_main = rule->is_programs_main;
	pool->is_makers_own = rule->is_makers_own;
	pool->is_runtimes_own = rule->is_runtimes_own;
}

static bool is_executors_kind(const char *kind)
{
	for (enum executor_kind i = 0; i < EXECUTOR_KIND_COUNT; i++) {
		if (!strcmp(kind, executor_kind_name(i)))
			return true;
	}
	return false;
}

/* A name may come before the routine that tells what the threads are, and stay when they have left; of executors the
 * runtime gives no two one name: what its last word says, all of them are. */
static bool pool_takes_kind(const struct pool *pool, const struct pool_choice *choice)
{
	if (pool->reserved || !strcmp(choice->kind, KIND_THREADS))
		return false;
	return !pool->threads || !strcmp(pool->kind, KIND_THREADS) ||
	       (is_executors_kind(pool->kind) && is_executors_kind(choice->kind));
}

uint32_t pools_find(struct pools *pools, const struct policy_entry *policy, const struct pool_subject *subject)
{
	struct pool_choice choice;
	const struct pool *known;

	choose(pools, policy, subject, &choice);
	known = pool_by_name(pools, choice.name);
	return known ? (uint32_t)(known - pools->pool) : POOL_NONE;
}

int pools_place(struct pools *pools, const struct policy_entry *policy, const struct pool_subject *subject,
		uint64_t time_ns, uint32_t *ret_pool)
{
	uint32_t max = policy->max_pools ? policy->max_pools : DEFAULT_MAX_POOLS;
	struct pool_choice choice;
	struct pool *known, *pool;
	int r;

	choose(pools, policy, subject, &choice);
	known = pool_by_name(pools, choice.name);
	if (!known && !choice.reserved && pools->room >= max && !pool_spare(pools, time_ns)) {
		r = note_dropped(pools, choice.name);
		if (r < 0)
			return r;
		choice = (struct pool_choice){.name = POOL_NAME_OTHER, .kind = "", .reserved = true};
		known = pool_by_name(pools, choice.name);
	}
	if (known) {
		if (pool_takes_kind(known, &choice)) {
			known->kind = choice.kind;
			pool_take_rule(known, choice.rule);
		}
		*ret_pool = known - pools->pool;
		return 0;
	}
	r = pool_slot(pools, time_ns, &pool);
	if (r < 0)
		return r;
	*pool = (struct pool){
		.kind = choice.kind, .reserved = choice.reserved, .number = ++pools->numbers, .parent = POOL_NONE,
		.teams = UNKNOWN_U64, .team_threads = UNKNOWN_U64,
		.running_mean = NAN, .running_peak = UNKNOWN_U64,
		.capacity = UNKNOWN_U64, .queued = UNKNOWN_U64, .borrowed = UNKNOWN_U64,
		.busy = UNKNOWN_U64, .busy_peak = UNKNOWN_U64, .fault_rate = UNKNOWN_U64,
	};
	pool_take_rule(pool, choice.rule);
	memcpy(pool->name, choice.name, sizeof(pool->name));
	memcpy(pool->pattern, choice.pattern, sizeof(pool->pattern));
	pools->room += !choice.reserved;
	limit_tracks_bind(pool->limits, policy, pool->name, time_ns);
	/* without memory for it the pool has no sparkline, and that is all */
	(void)history_init(&pool->history, POOL_HISTORY_ROWS, POOL_HISTORY_COLUMNS);
	*ret_pool = pool - pools->pool;
	return 0;
}
