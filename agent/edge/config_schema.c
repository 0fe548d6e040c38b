/* SPDX-License-Identifier: GPL-2.0-only */
/* Which keys a config file has, what they fill, and how targets inherit from the defaults. It must not
 * know YAML's text. */
#include "config_schema.h"

#include <errno.h>
#include <string.h>

#include "config_read.h"
#include "glob.h"
#include "units.h"

/* A limit as it stands in the file, with what it leaves open. */
struct draft_limit {
	struct limit_rule rule;
	struct limit_timing timing;
	unsigned line;
};

/* One item of `pools`, or `process`: limits that share pool and timing. */
struct draft_group {
	char pool[sizeof(((struct limit_rule *)NULL)->pool)];
	struct limit_rule rules[LIMIT_KIND_COUNT];
	bool has[LIMIT_KIND_COUNT];
	struct limit_timing timing;
};

/* One target, or the defaults. */
struct draft {
	char name[sizeof(((struct policy_entry *)NULL)->name)];
	struct config_entry entry;
	int64_t follow_forks; /* UNKNOWN_I64: not set */
	uint64_t max_pools;   /* UNKNOWN_U64: not set */
	struct limit_timing timing;
	struct draft_limit limits[CONFIG_LIMITS_MAX];
	size_t n_limits;
	struct pool_rule rules[CONFIG_RULES_MAX];
	size_t n_rules;
};

/* The mappings that a file has, as `mappings` below has them. */
enum { MAPPING_CONFIG, MAPPING_DEFAULTS, MAPPING_TARGET, MAPPING_MATCH, MAPPING_PROCESS, MAPPING_POOL, MAPPING_RULE };

struct schema {
	struct reader reader; /* first: key tables get a pointer to it */
	struct config *config;
	struct draft *defaults, *target; /* target: one at a time */
	struct draft *draft;		 /* the one of them that is being read */
	/* Read once the defaults are known, wherever they stand in the file. */
	const struct yaml_node *targets;
};

static struct schema *schema_of(struct reader *reader)
{
	return (struct schema *)reader;
}

static void draft_begin(struct schema *schema, struct draft *draft)
{
	memset(draft, 0, sizeof(*draft));
	draft->follow_forks = UNKNOWN_I64;
	draft->max_pools = UNKNOWN_U64;
	draft->timing = LIMIT_TIMING_UNSET;
	schema->draft = draft;
}

static int read_max_pools(struct reader *reader, const struct key *key, const struct yaml_node *node, void *into)
{
	const char *text = scalar(reader, node, "a count such as 32");
	struct draft *draft = into;
	uint64_t count;

	if (!text)
		return 0;
	/* 1024: the bound of the model's table of pools is not far above; see DESIGN's budget of series. */
	if (count_parse(text, &count) < 0 || count < 1 || count > 1024)
		complain(reader, node, "max_pools '%.40s' is not understood; write a count from 1 to 1024, such as 32", text);
	else
		draft->max_pools = count;
	return 0;
}

static int read_limit(struct reader *reader, const struct key *key, const struct yaml_node *node, void *into)
{
	const char *text = scalar(reader, node, limit_value_expects(key->kind));
	struct draft_group *group = into;
	char why[256];

	if (text && limit_value_parse(key->kind, text, &group->rules[key->kind], why, sizeof(why)) < 0)
		complain(reader, node, "%s", why);
	group->has[key->kind] = true;
	return 0;
}

#define TIMING_KEYS(type)                                                                        \
	{ .name = "warn", .read = read_warn, KEY_FIELD(type, timing.warn_percent) },             \
	{ .name = "for", .read = read_duration, KEY_FIELD(type, timing.for_ns) },                \
	{ .name = "clear_for", .read = read_duration, KEY_FIELD(type, timing.clear_for_ns) }

/* `process` has all but the first. */
static const struct key pool_keys[] = {
	{ .name = "pool", .read = read_text, KEY_FIELD(struct draft_group, pool) },
	{ .name = "threads", .read = read_limit, .kind = LIMIT_THREADS },
	{ .name = "resident_bytes", .read = read_limit, .kind = LIMIT_RESIDENT_BYTES },
	{ .name = "resident_bytes_per_thread", .read = read_limit, .kind = LIMIT_RESIDENT_BYTES_PER_THREAD },
	{ .name = "threads_started_per_minute", .read = read_limit, .kind = LIMIT_THREADS_STARTED_PER_MINUTE },
	TIMING_KEYS(struct draft_group),
};
_Static_assert(ARRAY_SIZE(pool_keys) == 1 + LIMIT_KIND_COUNT + 3, "a limit kind that the file cannot have");

static void add_limit(struct schema *schema, const struct yaml_node *node, const struct draft_group *group,
		      enum limit_kind kind)
{
	struct draft *draft = schema->draft;
	struct limit_rule rule = group->rules[kind];
	struct draft_limit *limit;

	rule.kind = kind;
	strcpy(rule.pool, group->pool);
	for (size_t i = 0; i < draft->n_limits; i++) {
		limit = &draft->limits[i];
		if (!limit_is_covered(&rule, &limit->rule))
			continue;
		if (!strcmp(limit->rule.pool, group->pool))
			complain(&schema->reader, node, "pool '%s' has a limit of %s on line %u already; keep one", group->pool,
				 limit_kind_name(kind), limit->line);
		else
			complain(&schema->reader, node, "the limit of %s for '%s' on line %u comes first, and takes all pools of '%s'; put this one before it",
				 limit_kind_name(kind), limit->rule.pool, limit->line, group->pool);
		return;
	}
	if (draft->n_limits == CONFIG_LIMITS_MAX) {
		complain(&schema->reader, node, "more than %d limits in one place; use globs to say more with fewer",
			 CONFIG_LIMITS_MAX);
		return;
	}
	limit = &draft->limits[draft->n_limits++];
	limit->rule = rule;
	limit->rule.source = LIMIT_SOURCE_CONFIG;
	limit->timing = group->timing;
	limit->line = node->line;
}

static void add_group(struct schema *schema, const struct yaml_node *node, const struct draft_group *group)
{
	for (int kind = 0; kind < LIMIT_KIND_COUNT; kind++) {
		if (group->has[kind])
			add_limit(schema, node, group, (enum limit_kind)kind);
	}
}

static int read_process(struct reader *reader, const struct key *key, const struct yaml_node *node, void *into)
{
	struct draft_group group = { .timing = LIMIT_TIMING_UNSET };
	int r;

	if (is_null(node->next) ||
	    !expect_kind(reader, node, node->text, node->next, YAML_MAPPING, "process: { resident_bytes: 90% }"))
		return 0;
	r = read_mapping(reader, node->next, MAPPING_PROCESS, &group);
	if (r < 0)
		return r;
	add_group(schema_of(reader), node, &group);
	return 0;
}

static int read_pool(struct reader *reader, const struct yaml_node *item)
{
	struct draft_group group = { .timing = LIMIT_TIMING_UNSET };
	size_t before = reader->problems->total;
	bool limits = false;
	int r;

	r = read_mapping(reader, item, MAPPING_POOL, &group);
	if (r < 0 || reader->problems->total > before)
		return r;
	for (int kind = 0; kind < LIMIT_KIND_COUNT; kind++)
		limits = limits || group.has[kind];
	if (!group.pool[0])
		complain(reader, item, "this item does not say which pool; add pool: \"NAME*\", or pool: \"*\" for every pool");
	else if (!limits)
		complain(reader, item, "this item limits nothing; add a limit, such as threads: 40");
	else
		add_group(schema_of(reader), item, &group);
	return 0;
}

static int read_pools(struct reader *reader, const struct key *key, const struct yaml_node *node, void *into)
{
	return read_list(reader, node, "- { pool: \"NAME*\", threads: 40 }", read_pool);
}

static const struct key rule_keys[] = {
	{ .name = "pool", .read = read_text, KEY_FIELD(struct pool_rule, pool) },
	{ .name = "kind", .read = read_text, KEY_FIELD(struct pool_rule, kind) },
	{ .name = "thread_name", .read = read_text, KEY_FIELD(struct pool_rule, thread_name) },
	{ .name = "start_routine", .read = read_text, KEY_FIELD(struct pool_rule, start_routine) },
	{ .name = "module", .read = read_text, KEY_FIELD(struct pool_rule, module) },
	{ .name = "creator", .read = read_text, KEY_FIELD(struct pool_rule, creator) },
};

#define THREAD_NAME_MAX 15 /* TASK_COMM_LEN less its end (include/linux/sched.h) */

/* No advice where a cut may leave half a class. */
static void complain_of_length(struct reader *reader, const struct yaml_node *item, const char *glob)
{
	if (strpbrk(glob, "[\\"))
		complain(reader, item, "thread_name '%s' can match no thread: the kernel keeps %d characters of a name; "
			 "end it with '*' before that", glob, THREAD_NAME_MAX);
	else
		complain(reader, item, "thread_name '%s' can match no thread: the kernel keeps %d characters of a name; write '%.*s*'",
			 glob, THREAD_NAME_MAX, THREAD_NAME_MAX, glob);
}

static int read_pool_rule(struct reader *reader, const struct yaml_node *item)
{
	struct draft *draft = schema_of(reader)->draft;
	size_t before = reader->problems->total;
	struct pool_rule rule = { 0 };
	int r;

	r = read_mapping(reader, item, MAPPING_RULE, &rule);
	if (r < 0 || reader->problems->total > before)
		return r;
	if (!rule.pool[0])
		complain(reader, item, "this rule does not say which pool the threads belong to; add pool: NAME");
	else if (strcmp(rule.pool, "main") == 0 || strcmp(rule.pool, "other") == 0)
		complain(reader, item, "the pool name '%s' is reserved; choose another", rule.pool);
	else if (!rule.thread_name[0] && !rule.start_routine[0] && !rule.module[0] && !rule.creator[0])
		complain(reader, item, "this rule would take every thread; add thread_name, start_routine, module or creator");
	else if (glob_least_length(rule.thread_name) > THREAD_NAME_MAX)
		complain_of_length(reader, item, rule.thread_name);
	else if (draft->n_rules == CONFIG_RULES_MAX)
		complain(reader, item, "more than %d pool rules in one place; use globs to say more with fewer",
			 CONFIG_RULES_MAX);
	else
		draft->rules[draft->n_rules++] = rule;
	return 0;
}

static int read_pool_rules(struct reader *reader, const struct key *key, const struct yaml_node *node, void *into)
{
	return read_list(reader, node, "- { pool: http, thread_name: \"http-nio-*\" }", read_pool_rule);
}

static const struct key match_keys[] = {
	{ .name = "name", .read = read_text, KEY_FIELD(struct config_entry, match[MATCH_NAME]) },
	{ .name = "exe", .read = read_text, KEY_FIELD(struct config_entry, match[MATCH_EXE]) },
	{ .name = "cmdline", .read = read_text, KEY_FIELD(struct config_entry, match[MATCH_CMDLINE]) },
	{ .name = "unit", .read = read_text, KEY_FIELD(struct config_entry, match[MATCH_UNIT]) },
	{ .name = "cgroup", .read = read_text, KEY_FIELD(struct config_entry, match[MATCH_CGROUP]) },
	{ .name = "container", .read = read_text, KEY_FIELD(struct config_entry, match[MATCH_CONTAINER]) },
};
_Static_assert(ARRAY_SIZE(match_keys) == MATCH_KEY_COUNT, "a match key that the file cannot have");

static int read_match(struct reader *reader, const struct key *key, const struct yaml_node *node, void *into)
{
	struct draft *draft = into;

	if (!expect_kind(reader, node, node->text, node->next, YAML_MAPPING, "match: { unit: \"NAME.service\" }"))
		return 0;
	return read_mapping(reader, node->next, MAPPING_MATCH, &draft->entry);
}

/* `defaults` has all but the first two. */
static const struct key target_keys[] = {
	{ .name = "name", .read = read_text, KEY_FIELD(struct draft, name) },
	{ .name = "match", .read = read_match },
	{ .name = "follow_forks", .read = read_flag, KEY_FIELD(struct draft, follow_forks) },
	{ .name = "max_pools", .read = read_max_pools },
	{ .name = "process", .read = read_process },
	{ .name = "pools", .read = read_pools },
	{ .name = "pool_rules", .read = read_pool_rules },
	TIMING_KEYS(struct draft),
};

static bool has_limit(const struct policy_entry *entry, const struct limit_rule *rule)
{
	for (size_t i = 0; i < entry->n_limits; i++) {
		if (entry->limits[i].kind == rule->kind && strcmp(entry->limits[i].pool, rule->pool) == 0)
			return true;
	}
	return false;
}

/* The draft's limits, then those of the defaults that it does not have, then built-in ones likewise.
 * What a limit leaves open comes from the draft, then the defaults, whosever limit it is. */
static void resolve_limits(const struct draft *draft, const struct draft *defaults, const struct policy_entry *builtin,
			   struct policy_entry *entry)
{
	const struct draft *layers[] = { draft, defaults };
	struct limit_timing timing = draft->timing;

	limit_timing_inherit(&timing, &defaults->timing);
	limit_timing_inherit(&timing, &limit_timing_builtin);
	for (size_t layer = 0; layer < ARRAY_SIZE(layers); layer++) {
		for (size_t i = 0; i < layers[layer]->n_limits; i++) {
			struct draft_limit limit = layers[layer]->limits[i];

			limit_timing_inherit(&limit.timing, &timing);
			limit_rule_set_timing(&limit.rule, &limit.timing);
			if (!has_limit(entry, &limit.rule))
				entry->limits[entry->n_limits++] = limit.rule;
		}
	}
	for (size_t i = 0; i < builtin->n_limits; i++) {
		struct limit_rule rule = builtin->limits[i];

		limit_rule_set_timing(&rule, &timing);
		if (!has_limit(entry, &rule))
			entry->limits[entry->n_limits++] = rule;
	}
}

static int resolve(const struct draft *draft, const struct draft *defaults, const struct policy_entry *builtin,
		   struct policy_entry *ret_entry, struct config_entry *ret_match)
{
	/* For entries[0] both are the same draft. */
	size_t n_inherited = draft == defaults ? 0 : defaults->n_rules;
	struct policy_entry entry = { .max_pools = builtin->max_pools };

	entry.limits = calloc(draft->n_limits + defaults->n_limits + builtin->n_limits, sizeof(*entry.limits));
	entry.rules = calloc(draft->n_rules + n_inherited + 1, sizeof(*entry.rules));
	if (!entry.limits || !entry.rules) {
		free(entry.limits);
		free(entry.rules);
		return -ENOMEM;
	}
	strcpy(entry.name, draft->name);
	if (defaults->max_pools != UNKNOWN_U64)
		entry.max_pools = (uint32_t)defaults->max_pools;
	if (draft->max_pools != UNKNOWN_U64)
		entry.max_pools = (uint32_t)draft->max_pools;
	resolve_limits(draft, defaults, builtin, &entry);
	entry.n_rules = draft->n_rules + n_inherited;
	memcpy(entry.rules, draft->rules, draft->n_rules * sizeof(*entry.rules));
	memcpy(entry.rules + draft->n_rules, defaults->rules, n_inherited * sizeof(*entry.rules));
	*ret_match = draft->entry;
	ret_match->follow_forks = draft->follow_forks == 1 ||
				  (draft->follow_forks == UNKNOWN_I64 && defaults->follow_forks == 1);
	*ret_entry = entry;
	return 0;
}

static void check_target(struct schema *schema, const struct yaml_node *item)
{
	const struct policy *policy = schema->config->policy;
	struct draft *draft = schema->target;
	char *unit = draft->entry.match[MATCH_UNIT];
	bool matches = false;

	for (int key = 0; key < MATCH_KEY_COUNT; key++)
		matches = matches || draft->entry.match[key][0];
	if (!matches)
		complain(&schema->reader, item,
			 "this target does not say which processes it is about; add match: { unit: \"NAME.service\" } or { name: NAME }");
	for (size_t i = 1; draft->name[0] && i < policy->n_entries; i++) {
		if (strcmp(policy->entries[i].name, draft->name) == 0)
			complain(&schema->reader, item, "the name '%s' belongs to the target on line %u already; choose another",
				 draft->name, schema->config->entries[i].line);
	}
	/* As systemctl has it: a name without a type is a service. */
	if (*unit && !strchr(unit, '.') && unit[strlen(unit) - 1] != '*' &&
	    strlen(unit) + sizeof(".service") <= sizeof(draft->entry.match[0]))
		strcat(unit, ".service");
}

static int read_target(struct reader *reader, const struct yaml_node *item)
{
	struct schema *schema = schema_of(reader);
	struct policy *policy = schema->config->policy;
	struct policy_entry *entries;
	struct config_entry *matches;
	size_t before = reader->problems->total;
	int r;

	if (policy->n_entries > CONFIG_TARGETS_MAX) {
		if (policy->n_entries == CONFIG_TARGETS_MAX + 1)
			complain(reader, item, "more than %d targets; use globs to say more with fewer", CONFIG_TARGETS_MAX);
		return 0;
	}
	draft_begin(schema, schema->target);
	schema->target->entry.line = item->line;
	r = read_mapping(reader, item, MAPPING_TARGET, schema->target);
	if (r < 0)
		return r;
	if (reader->problems->total == before)
		check_target(schema, item);
	entries = reallocarray(policy->entries, policy->n_entries + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	policy->entries = entries;
	matches = reallocarray(schema->config->entries, policy->n_entries + 1, sizeof(*matches));
	if (!matches)
		return -ENOMEM;
	schema->config->entries = matches;
	r = resolve(schema->target, schema->defaults, &entries[0], &entries[policy->n_entries], &matches[policy->n_entries]);
	if (r < 0)
		return r;
	policy->n_entries++;
	return 0;
}

static int read_listen(struct reader *reader, const struct key *key, const struct yaml_node *node, void *into)
{
	const char *text = scalar(reader, node, CONFIG_LISTEN_DEFAULT);
	char *listen = schema_of(reader)->config->listen;

	if (!text)
		return 0;
	if (strlen(text) >= sizeof(((struct config *)NULL)->listen) || address_check(text) < 0)
		complain(reader, node, "listen '%.60s' is not understood; write ADDRESS:PORT, such as %s", text,
			 CONFIG_LISTEN_DEFAULT);
	else
		strcpy(listen, text);
	return 0;
}

static int read_defaults(struct reader *reader, const struct key *key, const struct yaml_node *node, void *into)
{
	if (is_null(node->next) || !expect_kind(reader, node, node->text, node->next, YAML_MAPPING, "defaults: { warn: 80% }"))
		return 0;
	return read_mapping(reader, node->next, MAPPING_DEFAULTS, schema_of(reader)->defaults);
}

static int read_targets(struct reader *reader, const struct key *key, const struct yaml_node *node, void *into)
{
	schema_of(reader)->targets = node;
	return 0;
}

static const struct key top_keys[] = {
	{ .name = "listen", .read = read_listen },
	{ .name = "defaults", .read = read_defaults },
	{ .name = "targets", .read = read_targets },
};

static const struct mapping mappings[] = {
	[MAPPING_CONFIG] = { "a config", "at the top of the file", top_keys, ARRAY_SIZE(top_keys) },
	[MAPPING_DEFAULTS] = { "defaults", "under defaults", target_keys + 2, ARRAY_SIZE(target_keys) - 2 },
	[MAPPING_TARGET] = { "a target", "under an entry of targets", target_keys, ARRAY_SIZE(target_keys) },
	[MAPPING_MATCH] = { "match", "under match", match_keys, ARRAY_SIZE(match_keys) },
	[MAPPING_PROCESS] = { "process", "under process", pool_keys + 1, ARRAY_SIZE(pool_keys) - 1 },
	[MAPPING_POOL] = { "an item of pools", "in an item of pools", pool_keys, ARRAY_SIZE(pool_keys) },
	[MAPPING_RULE] = { "an item of pool_rules", "in an item of pool_rules", rule_keys, ARRAY_SIZE(rule_keys) },
};

/* The built-in entry stays in entries[0] while targets are read: they all inherit from it. */
static int resolve_first(struct schema *schema)
{
	struct policy_entry *first = &schema->config->policy->entries[0], resolved;
	int r = resolve(schema->defaults, schema->defaults, first, &resolved, &schema->config->entries[0]);

	if (r < 0)
		return r;
	free(first->limits);
	free(first->rules);
	*first = resolved;
	return 0;
}

int config_read(const struct yaml_node *root, struct config *config, struct problems *problems)
{
	_cleanup_(freep) struct draft *defaults = malloc(sizeof(*defaults));
	_cleanup_(freep) struct draft *target = malloc(sizeof(*target));
	struct schema schema = { { problems, mappings, ARRAY_SIZE(mappings) }, config, defaults, target, defaults, NULL };
	int r;

	if (!defaults || !target)
		return -ENOMEM;
	draft_begin(&schema, defaults);
	if (!root || is_null(root))
		return resolve_first(&schema);
	if (!expect_kind(&schema.reader, root, "a config", root, YAML_MAPPING, "its keys: listen, defaults, targets"))
		return 0;
	r = read_mapping(&schema.reader, root, MAPPING_CONFIG, &schema);
	if (r == 0 && schema.targets)
		r = read_list(&schema.reader, schema.targets, "- match: { unit: \"NAME.service\" }", read_target);
	return r < 0 ? r : resolve_first(&schema);
}
