/* SPDX-License-Identifier: GPL-2.0-only */
/* A config in words, for `poolscope check`. It must not know the file. */
#include "config.h"
#include "config_limit.h"
#include "wrapped.h"

static void print_limits(const struct policy_entry *entry, FILE *out)
{
	for (size_t i = 0; i < entry->n_limits; i++) {
		const struct limit_rule *rule = &entry->limits[i];
		char words[200];

		fprintf(out, "  %s%s: %s\n", rule->pool[0] ? "pool " : "process", rule->pool,
			limit_rule_words(rule, words, sizeof(words)));
		/* Nothing tells a pool's capacity before the attach. */
		if (rule->pool[0] && rule->is_percent && rule->kind == LIMIT_THREADS)
			wrapped_print(out, 4, "    judged where the runtime tells the pool's capacity, as CPython does; else write a "
					      "count, such as threads: 40");
	}
}

static void print_rules(const struct policy_entry *entry, FILE *out)
{
	for (size_t i = 0; i < entry->n_rules; i++) {
		const struct pool_rule *rule = &entry->rules[i];

		fprintf(out, "  pool %s", rule->pool);
		if (rule->kind[0])
			fprintf(out, " (%s)", rule->kind);
		fputs(" holds threads with", out);
		if (rule->thread_name[0])
			fprintf(out, " thread_name '%s'", rule->thread_name);
		if (rule->start_routine[0])
			fprintf(out, " start_routine '%s'", rule->start_routine);
		if (rule->module[0])
			fprintf(out, " module '%s'", rule->module);
		if (rule->creator[0])
			fprintf(out, " creator '%s'", rule->creator);
		fputc('\n', out);
	}
}

static void print_match(const struct config_entry *entry, FILE *out)
{
	const char *separator = "  matches ";

	for (int key = 0; key < MATCH_KEY_COUNT; key++) {
		if (!entry->match[key][0])
			continue;
		fprintf(out, "%s%s '%s'", separator, match_key_name((enum match_key)key), entry->match[key]);
		separator = " and ";
	}
	fprintf(out, "%s\n", entry->follow_forks ? ", and the children that they fork" : "");
}

void config_print(const struct config *config, FILE *out)
{
	const struct policy *policy = config->policy;

	fprintf(out, "listen: %s\n", config->listen);
	for (size_t i = 1; i < policy->n_entries; i++) {
		fprintf(out, "target %s (line %u)\n", policy->entries[i].name[0] ? policy->entries[i].name : "named by its comm",
			config->entries[i].line);
		print_match(&config->entries[i], out);
		print_rules(&policy->entries[i], out);
		print_limits(&policy->entries[i], out);
		fprintf(out, "  at most %u pools by name\n", policy->entries[i].max_pools);
	}
	fprintf(out, "targets that no entry matches (by options)\n");
	print_rules(&policy->entries[0], out);
	print_limits(&policy->entries[0], out);
	fprintf(out, "  at most %u pools by name\n", policy->entries[0].max_pools);
}
