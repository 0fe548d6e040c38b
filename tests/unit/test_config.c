/* SPDX-License-Identifier: GPL-2.0-only */
/* The config: the documented sample loads as it stands; targets inherit limit by limit; what is wrong is
 * refused at its own line and column, all of it at once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/config.h"

#define SAMPLE "tests/golden/config.yaml"

static struct config *load(const char *text)
{
	struct problems problems = { 0 };
	struct config *config = NULL;
	int r = config_parse(text, strlen(text), &config, &problems);

	if (r < 0)
		fail_msg("%d: %u:%u: %s", r, problems.list[0].line, problems.list[0].column, problems.list[0].text);
	return config;
}

static const struct limit_rule *limit(const struct policy_entry *entry, const char *pool, enum limit_kind kind)
{
	for (size_t i = 0; i < entry->n_limits; i++) {
		if (entry->limits[i].kind == kind && strcmp(entry->limits[i].pool, pool) == 0)
			return &entry->limits[i];
	}
	fail_msg("no limit %s of '%s'", limit_kind_name(kind), pool);
	return NULL;
}

static void check_limit(const struct policy_entry *entry, const char *pool, enum limit_kind kind, uint64_t value,
			bool is_percent, double warn, uint64_t for_s, uint64_t clear_s)
{
	const struct limit_rule *rule = limit(entry, pool, kind);

	assert_int_equal(rule->value, value);
	assert_int_equal(rule->is_percent, is_percent);
	assert_true(rule->warn_ratio > warn - 1e-9 && rule->warn_ratio < warn + 1e-9);
	assert_int_equal(rule->for_ns, for_s * NSEC_PER_SEC);
	assert_int_equal(rule->clear_for_ns, clear_s * NSEC_PER_SEC);
}

static void sample_loads(void **state)
{
	_cleanup_(config_freep) struct config *config = NULL;
	struct problems problems = { 0 };
	const struct policy_entry *entries;

	assert_int_equal(config_load(SAMPLE, &config, &problems), 0);
	assert_int_equal(problems.total, 0);
	assert_string_equal(config->listen, "127.0.0.1:10464");
	assert_int_equal(config->policy->n_entries, 3);
	entries = config->policy->entries;

	assert_string_equal(entries[0].name, "");
	assert_int_equal(entries[0].max_pools, 32);
	assert_int_equal(entries[0].n_limits, 3);
	check_limit(&entries[0], "", LIMIT_RESIDENT_BYTES, 9000, true, 0.8, 0, 60);
	check_limit(&entries[0], "", LIMIT_THREADS, 9000, true, 0.8, 0, 60);
	check_limit(&entries[0], "*", LIMIT_THREADS_STARTED_PER_MINUTE, 600, false, 0.8, 300, 60);

	assert_string_equal(entries[1].name, "recsys-api");
	assert_string_equal(config->entries[1].match[MATCH_UNIT], "recsys-api.service");
	assert_true(config->entries[1].follow_forks);
	assert_int_equal(config->entries[1].line, 11);
	assert_int_equal(entries[1].n_limits, 6);
	check_limit(&entries[1], "anyio*", LIMIT_THREADS, 40, false, 0.8, 0, 60);
	check_limit(&entries[1], "anyio*", LIMIT_RESIDENT_BYTES, 2500, true, 0.8, 0, 60);
	check_limit(&entries[1], "anyio*", LIMIT_RESIDENT_BYTES_PER_THREAD, 80 << 20, false, 0.8, 0, 60);
	check_limit(&entries[1], "*", LIMIT_THREADS_STARTED_PER_MINUTE, 600, false, 0.8, 300, 60);
	check_limit(&entries[1], "", LIMIT_THREADS, 9000, true, 0.8, 0, 60);
	assert_int_equal(limit(&entries[1], "anyio*", LIMIT_THREADS)->source, LIMIT_SOURCE_CONFIG);
	/* Its own come before those it inherits: the first that matches counts. */
	assert_string_equal(entries[1].limits[0].pool, "anyio*");

	assert_string_equal(entries[2].name, "orders");
	assert_false(config->entries[2].follow_forks);
	check_limit(&entries[2], "", LIMIT_RESIDENT_BYTES, 6ULL << 30, false, 0.8, 0, 60);
	check_limit(&entries[2], "", LIMIT_THREADS, 9000, true, 0.8, 0, 60);
	check_limit(&entries[2], "http", LIMIT_THREADS, 200, false, 0.95, 120, 60);
	assert_int_equal(entries[2].n_limits, 4);
	assert_int_equal(entries[2].n_rules, 1);
	assert_string_equal(entries[2].rules[0].pool, "http");
	assert_string_equal(entries[2].rules[0].thread_name, "http-nio-*");
	assert_string_equal(entries[2].rules[0].module, "");
}

static void builtin_without_any_file(void **state)
{
	_cleanup_(config_freep) struct config *config = NULL, *empty = load("# nothing\n");
	uint32_t entry = 7;

	assert_int_equal(config_new_builtin(&config), 0);
	assert_int_equal(config->policy->n_entries, 1);
	assert_int_equal(empty->policy->n_entries, 1);
	assert_int_equal(empty->policy->entries[0].n_limits, 2);
	check_limit(&config->policy->entries[0], "", LIMIT_RESIDENT_BYTES, 9000, true, 0.8, 0, 60);
	assert_int_equal(limit(&empty->policy->entries[0], "", LIMIT_THREADS)->source, LIMIT_SOURCE_BUILTIN);
	assert_int_equal(config_match(config, &(struct match_subject){ .comm = "x" }, &entry), -ENOENT);
	assert_int_equal(entry, 7);
}

/* A setting that a limit leaves open: the item's, the target's, the defaults', the built-in one. Defaults
 * may stand anywhere in the file. */
static void inheritance(void **state)
{
	_cleanup_(config_freep) struct config *config =
		load("targets:\n"
		     "  - match: { name: a }\n"
		     "    for: 7s\n"
		     "    follow_forks: false\n"
		     "    pools: [ { pool: x, threads: 1, warn: 50% }, { pool: y*, threads: 2, clear_for: 0s } ]\n"
		     "  - { match: { name: b }, max_pools: 5 }\n"
		     "defaults:\n"
		     "  warn: 70%\n"
		     "  for: 3s\n"
		     "  follow_forks: true\n"
		     "  max_pools: 9\n"
		     "  pools: [ { pool: y*, threads: 99, resident_bytes: 1MiB } ]\n"
		     "  pool_rules: [ { pool: z, kind: zip pool, module: libz*, creator: stage* } ]\n");
	const struct policy_entry *entries = config->policy->entries;

	check_limit(&entries[1], "x", LIMIT_THREADS, 1, false, 0.5, 7, 60);
	check_limit(&entries[1], "y*", LIMIT_THREADS, 2, false, 0.7, 7, 0);
	check_limit(&entries[1], "y*", LIMIT_RESIDENT_BYTES, 1 << 20, false, 0.7, 7, 60);
	check_limit(&entries[1], "", LIMIT_THREADS, 9000, true, 0.7, 7, 60);
	assert_int_equal(entries[1].n_limits, 5);
	assert_int_equal(entries[1].max_pools, 9);
	assert_int_equal(entries[1].n_rules, 1);
	assert_false(config->entries[1].follow_forks);

	check_limit(&entries[2], "y*", LIMIT_THREADS, 99, false, 0.7, 3, 60);
	assert_int_equal(entries[2].max_pools, 5);
	assert_true(config->entries[2].follow_forks);
	assert_true(config->entries[0].follow_forks);
	assert_int_equal(entries[0].n_limits, 4);
	assert_int_equal(entries[0].n_rules, 1);
	assert_string_equal(entries[0].rules[0].creator, "stage*");
	assert_string_equal(entries[0].rules[0].kind, "zip pool");
}

static void options_come_first(void **state)
{
	_cleanup_(config_freep) struct config *config = load("targets: [ { match: { name: a }, process: { threads: 5 } } ]\n");
	const struct limit_rule rules[] = { { .kind = LIMIT_THREADS, .value = 1 }, { .kind = LIMIT_THREADS, .value = 2 } };

	assert_int_equal(config_prepend_limits(config, rules, 2), 0);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(config->policy->entries[i].limits[0].value, 1);
		assert_int_equal(config->policy->entries[i].limits[1].value, 2);
	}
	assert_int_equal(config->policy->entries[1].limits[2].value, 5);
}

static void matching(void **state)
{
	_cleanup_(config_freep) struct config *config =
		load("targets:\n"
		     "  - match: { exe: java, cmdline: \"*orders.jar*\" }\n"
		     "  - match: { exe: /opt/*/java }\n"
		     "  - match: { unit: api }\n"
		     "  - match: { container: 4f3a }\n"
		     "  - match: { cgroup: /system.slice/* }\n"
		     "  - match: { name: 'wor?er' }\n");
	static const struct {
		struct match_subject subject;
		int entry; /* 0: none */
	} cases[] = {
		{ { .exe = "/usr/bin/java", .cmdline = "java -jar /x/orders.jar --port 1" }, 1 },
		{ { .exe = "/usr/bin/java", .cmdline = "java -jar other.jar" }, 0 },
		{ { .exe = "/usr/bin/java" }, 0 },
		{ { .exe = "/opt/jdk/java", .cmdline = "" }, 2 },
		{ { .unit = "api.service" }, 3 },
		{ { .unit = "api2.service" }, 0 },
		{ { .container = "4f3a99c0ffee" }, 4 },
		{ { .container = "04f3a" }, 0 },
		{ { .cgroup = "/system.slice/foo/bar" }, 5 },
		{ { .comm = "worker" }, 6 },
		{ { .comm = "main", .exe = "/bin/worKer" }, 6 },
		{ { .comm = "worker2" }, 0 },
		{ { .comm = "" }, 0 },
		{ { .comm = "worker", .unit = "api.service" }, 3 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t entry = 0;
		int r = config_match(config, &cases[i].subject, &entry);

		assert_int_equal(r, cases[i].entry ? 0 : -ENOENT);
		assert_int_equal(entry, cases[i].entry);
	}
}

/* Each: a text, and the whole message that it must give. */
static const struct {
	const char *text, *message;
} wrong[] = {
	{ "lisen: 1:1\n", "1:1: a config has no key 'lisen'; did you mean 'listen'?" },
	{ "targets:\n  - match: { name: a }\n    pools:\n      - { pool: x, thread: 4 }\n",
	  "4:20: an item of pools has no key 'thread'; did you mean 'threads'?" },
	{ "targets:\n  - match: { pid: 4 }\n", "2:14: match has no key 'pid'; it has name, exe, cmdline, unit, cgroup, container" },
	{ "defaults:\n  mach: { name: a }\n", "2:3: defaults has no key 'mach'; it has follow_forks, max_pools, process, pools, "
					      "pool_rules, warn, for, clear_for" },
	/* a key that stands elsewhere */
	{ "pool_rules:\n  - { pool: x, module: y }\n", "1:1: a config has no key 'pool_rules'; it belongs under defaults or under an "
						       "entry of targets (here: listen, defaults, targets)" },
	{ "defaults:\n  match: { name: a }\n", "2:3: defaults has no key 'match'; it belongs under an entry of targets (here: "
					       "follow_forks, max_pools, process, pools, pool_rules, warn, for, clear_for)" },
	{ "defaults:\n  listen: 1:1\n", "2:3: defaults has no key 'listen'; it belongs at the top of the file (here: follow_forks, "
					"max_pools, process, pools, pool_rules, warn, for, clear_for)" },
	{ "defaults:\n  pools:\n    - { thread_name: x, threads: 4 }\n",
	  "3:9: an item of pools has no key 'thread_name'; it belongs in an item of pool_rules (here: pool, threads, "
	  "resident_bytes, resident_bytes_per_thread, threads_started_per_minute, warn, for, clear_for)" },
	{ "warn: 80%\n", "1:1: a config has no key 'warn'; it belongs under defaults or under an entry of targets or under process or "
			 "in an item of pools (here: listen, defaults, targets)" },
	{ "listen: x\n", "1:1: listen 'x' is not understood; write ADDRESS:PORT, such as 127.0.0.1:10464" },
	{ "listen:\n", "1:1: listen has no value; write 127.0.0.1:10464" },
	{ "listen: [a]\n", "1:1: listen must be a single value, not a list; write 127.0.0.1:10464" },
	{ "defaults:\n  warn: 80\n", "2:3: warn '80' is not understood; write a percentage of the limit above 0% and up to 100%, such "
				     "as 80%" },
	{ "defaults:\n  for: 60\n", "2:3: for '60' has no unit; write a duration such as 500ms, 30s, 5m, 2h (did you mean '60s'?)" },
	{ "defaults:\n  clear_for: soon\n", "2:3: clear_for 'soon' is not understood; write a duration such as 500ms, 30s, 5m, 2h" },
	{ "defaults:\n  max_pools: 0\n", "2:3: max_pools '0' is not understood; write a count from 1 to 1024, such as 32" },
	{ "defaults:\n  follow_forks: yes\n", "2:3: follow_forks 'yes' is not understood; write true or false" },
	{ "defaults:\n  follow_forks: \"true\"\n", "2:3: follow_forks 'true' is not understood; write true or false" },
	{ "defaults:\n  process:\n    resident_bytes: 6G\n",
	  "3:5: resident_bytes '6G' is not understood; write bytes such as 80MiB or 6GiB, or a percentage such as 90% (of memory.max) "
	  "(did you mean '6GiB'?)" },
	{ "defaults:\n  process:\n    threads: 101%\n", "3:5: '101%' is more than 100% of the natural bound" },
	{ "defaults:\n  process:\n    threads_started_per_minute: 5%\n",
	  "3:5: threads_started_per_minute has no natural bound to be a percentage of; write a count such as 600" },
	{ "defaults:\n  process: [ threads ]\n",
	  "2:3: process must be a mapping, not a list; write process: { resident_bytes: 90% }" },
	{ "defaults:\n  pools: { pool: x }\n", "2:3: pools must be a list, not a mapping; write - { pool: \"NAME*\", threads: 40 }" },
	{ "defaults:\n  pools:\n    - x\n",
	  "3:7: an item of pools must be a mapping, not a single value; write - { pool: \"NAME*\", threads: 40 }" },
	{ "defaults:\n  pools:\n    - threads: 4\n",
	  "3:7: this item does not say which pool; add pool: \"NAME*\", or pool: \"*\" for every pool" },
	{ "defaults:\n  pools:\n    - pool: x\n", "3:7: this item limits nothing; add a limit, such as threads: 40" },
	{ "defaults:\n  pools: [ { pool: x, threads: 4 },\n           { pool: x, threads: 5 } ]\n",
	  "3:12: pool 'x' has a limit of threads on line 2 already; keep one" },
	{ "defaults:\n  pools: [ { pool: \"*\", threads: 4 },\n           { pool: x, threads: 5 } ]\n",
	  "3:12: the limit of threads for '*' on line 2 comes first, and takes all pools of 'x'; put this one before it" },
	{ "defaults:\n  warn: 80%\n  warn: 90%\n", "3:3: 'warn' stands here a second time (first on line 2); keep one" },
	{ "targets:\n  - name: a\n", "2:5: this target does not say which processes it is about; add match: { unit: \"NAME.service\" } or "
				     "{ name: NAME }" },
	{ "targets:\n  - { name: a, match: { name: x } }\n  - { name: a, match: { name: y } }\n",
	  "3:5: the name 'a' belongs to the target on line 2 already; choose another" },
	{ "targets:\n  - match: { name: }\n", "2:14: name has no value; write a text" },
	{ "targets:\n  - match: { name: \"\" }\n", "2:14: name must not be empty; write a text, or leave the key out" },
	{ "targets:\n  - match: { name: \"\\e[2J\" }\n", "2:14: name has a control character in it; remove it" },
	{ "targets:\n  - match: { name: a }\n    name: 1234567890123456789012345678901234567890123456789012345678901234\n",
	  "3:5: name is longer than 63 bytes; shorten it" },
	{ "defaults:\n  pool_rules:\n    - { thread_name: x }\n",
	  "3:7: this rule does not say which pool the threads belong to; add pool: NAME" },
	{ "defaults:\n  pool_rules:\n    - { pool: x }\n",
	  "3:7: this rule would take every thread; add thread_name, start_routine, module or creator" },
	{ "defaults:\n  pool_rules:\n    - { pool: x, thread_name: \"1234567890[abc]?*\\\\*456\" }\n",
	  "3:7: thread_name '1234567890[abc]?*\\*456' can match no thread: the kernel keeps 15 characters of a name; "
	  "end it with '*' before that" },
	{ "defaults:\n  pool_rules:\n    - { pool: x, thread_name: \"abcdefghijkl[0-9]-xyz-*\" }\n",
	  "3:7: thread_name 'abcdefghijkl[0-9]-xyz-*' can match no thread: the kernel keeps 15 characters of a name; "
	  "end it with '*' before that" },
	{ "defaults:\n  pool_rules:\n    - { pool: x, thread_name: \"pool-of-resizers-*\" }\n",
	  "3:7: thread_name 'pool-of-resizers-*' can match no thread: the kernel keeps 15 characters of a name; write "
	  "'pool-of-resizer*'" },
	{ "defaults:\n  pool_rules:\n    - { pool: x, kinds: y, module: z }\n",
	  "3:18: an item of pool_rules has no key 'kinds'; did you mean 'kind'?" },
	{ "defaults:\n  pool_rules:\n    - { pool: main, module: x }\n", "3:7: the pool name 'main' is reserved; choose another" },
	{ "[1, 2]\n", "1:1: a config must be a mapping, not a list; write its keys: listen, defaults, targets" },
	{ "a: &x 1\n", "1:7: anchors (&name) are not taken here; write the value out" },
	{ "listen: *x\n", "1:10: aliases (*name) are not taken here; write the value out" },
	{ "listen: !!str x\n", "1:15: tags (!name) are not taken here; write the plain value" },
	{ "listen: 1\n---\nlisten: 2\n", "2:1: a config is one document; remove what follows `---`" },
	{ "? { a: b }\n: c\n", "1:3: a key must be a plain word" },
	{ "[[[[[[[[[[[[[[[[[[[[[[[[\n", "1:17: nested too deeply (more than 16 levels)" },
	{ "listen: \xff\n", "1:9: the byte 0xff here is not text in UTF-8" },
	{ "a: 1\nlisten: \xed\xa0\x80\n", "2:9: the byte 0xed here is not text in UTF-8" },
	{ "\x1b[2J: 1\n", "1:1: the byte 0x1b here is a control character" },
	/* what is no YAML: the library's own words and places */
	{ "listen: 1\n  defaults: 2\n", "1:9: invalid multiline plain key" },
	{ "listen: :1\nx: 'y\n", "2:5: single-quoted scalar without closing quote" },
	{ "targets:\n\t- x\n", "2:1: tab character may not be used as indentation" },
	{ "targets: [ { name: a }\n", "2:1: flow sequence without a closing bracket" },
};

static void wrong_files_are_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct problems problems = { 0 };
		struct config *config = NULL;
		char message[400];

		assert_int_equal(config_parse(wrong[i].text, strlen(wrong[i].text), &config, &problems), -EINVAL);
		assert_null(config);
		assert_true(problems.n_list >= 1);
		snprintf(message, sizeof(message), "%u:%u: %s", problems.list[0].line, problems.list[0].column,
			 problems.list[0].text);
		assert_string_equal(message, wrong[i].message);
		assert_int_equal(problems.total, 1);
	}
}

static bool is_taken(const char *glob)
{
	struct problems problems = { 0 };
	struct config *config = NULL;
	char text[160];
	int length = snprintf(text, sizeof(text), "defaults:\n  pool_rules:\n    - { pool: x, thread_name: '%s' }\n", glob);
	int r = config_parse(text, (size_t)length, &config, &problems);

	assert_true(r == 0 || strstr(problems.list[0].text, "can match no thread"));
	config_free(config);
	return r == 0;
}

/* Whatever fnmatch() makes of a name of 15 characters is no name too long. */
static void a_rule_that_can_match_is_taken(void **state)
{
	static const char pieces[] = "[[[]]:!^=.\\a-*", letters[] = "a[]:!";

	assert_int_equal(fnmatch("resize-images-[[:digit:]]", "resize-images-7", 0), 0);
	assert_true(is_taken("resize-images-[[:digit:]]"));
	assert_int_equal(fnmatch("abcdefghijklmn[!]x]", "abcdefghijklmno", 0), 0);
	assert_true(is_taken("abcdefghijklmn[!]x]"));
	assert_false(is_taken("resize-images--[[:digit:]]"));
	assert_false(is_taken("abcdefghijklmno[!]x]"));
	srand(7);
	for (int i = 0; i < 4000; i++) {
		char glob[48] = "abcdefghijklm", name[16] = "abcdefghijklm";
		bool matches = false;

		for (int at = 13, end = 14 + rand() % 10; at < end; at++)
			glob[at] = rand() % 5 ? pieces[rand() % (int)(sizeof(pieces) - 1)] : '[';
		if (rand() % 3 == 0)
			strcat(glob, "[:alpha:]]");
		for (size_t n = 0; n < (sizeof(letters) - 1) * (sizeof(letters) - 1) && !matches; n++) {
			name[13] = letters[n % (sizeof(letters) - 1)];
			name[14] = letters[n / (sizeof(letters) - 1)];
			matches = fnmatch(glob, name, 0) == 0;
		}
		if (matches && !is_taken(glob))
			fail_msg("'%s' is refused and matches '%s'", glob, name);
	}
}

static void all_problems_at_once(void **state)
{
	static char text[16384];
	struct problems problems = { 0 };
	struct config *config = NULL;
	char *printed = NULL;
	size_t size, length = 0;
	FILE *out;

	for (int i = 0; i < 30; i++)
		length += (size_t)sprintf(text + length, "zzzz%d\x7f: \xc3\xa9\n", i);
	assert_int_equal(config_parse(text, length, &config, &problems), -EINVAL);
	assert_int_equal(problems.total, 1);

	length = 0;
	problems = (struct problems){ 0 };
	for (int i = 0; i < 30; i++)
		length += (size_t)sprintf(text + length, "\xc3\xa9%d: x\n", i);
	assert_int_equal(config_parse(text, length, &config, &problems), -EINVAL);
	assert_int_equal(problems.total, 30);
	assert_int_equal(problems.n_list, PROBLEMS_MAX);
	out = open_memstream(&printed, &size);
	problems_print(&problems, "a.yaml", out);
	fclose(out);
	assert_ptr_equal(strstr(printed, "a.yaml:1:1: a config has no key '??0'; it has listen, defaults, targets\n"), printed);
	assert_non_null(strstr(printed, "\na.yaml: and 10 more\n"));
	free(printed);
}

static void bounds(void **state)
{
	_cleanup_(freep) char *text = malloc(2 * YAML_BYTES_MAX);
	struct problems problems = { 0 };
	struct config *config = NULL;
	size_t length = 0;

	memset(text, '#', 2 * YAML_BYTES_MAX);
	assert_int_equal(config_parse(text, YAML_BYTES_MAX + 1, &config, &problems), -EINVAL);
	assert_string_equal(problems.list[0].text, "the file is larger than 1 MiB; a config of this size must be a mistake");
	assert_int_equal(config_parse(text, YAML_BYTES_MAX, &config, &problems), 0);
	config_free(TAKE_PTR(config));

	length = (size_t)sprintf(text, "targets:\n");
	for (int i = 0; i < 600; i++)
		length += (size_t)sprintf(text + length, "- match: {name: n%d}\n", i);
	problems = (struct problems){ 0 };
	assert_int_equal(config_parse(text, length, &config, &problems), -EINVAL);
	assert_string_equal(problems.list[0].text, "more than 512 targets; use globs to say more with fewer");
	assert_int_equal(problems.list[0].line, 514);

	length = (size_t)sprintf(text, "defaults:\n  pools:\n");
	for (int i = 0; i < 129; i++)
		length += (size_t)sprintf(text + length, "  - {pool: p%d, threads: 1}\n", i);
	problems = (struct problems){ 0 };
	assert_int_equal(config_parse(text, length, &config, &problems), -EINVAL);
	assert_string_equal(problems.list[0].text, "more than 128 limits in one place; use globs to say more with fewer");
	assert_int_equal(problems.list[0].line, 131);
}

static void unreadable_files(void **state)
{
	struct problems problems = { 0 };
	struct config *config = NULL;

	assert_int_equal(config_load("/nonexistent/x.yaml", &config, &problems), -EINVAL);
	assert_int_equal(problems.list[0].line, 0);
	assert_string_equal(problems.list[0].text, "cannot read the config: No such file or directory; name a YAML file that you may read");
	assert_int_equal(config_load("/", &config, &problems), -EINVAL);
	assert_string_equal(problems.list[1].text, "cannot read the config: Is a directory; name a YAML file that you may read");
}

static void printed_in_words(void **state)
{
	_cleanup_(config_freep) struct config *config = NULL;
	struct problems problems = { 0 };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(config_load(SAMPLE, &config, &problems), 0);
	config_print(config, out);
	fclose(out);
	assert_non_null(strstr(text, "listen: 127.0.0.1:10464\ntarget recsys-api (line 11)\n"
				     "  matches unit 'recsys-api.service', and the children that they fork\n"));
	assert_non_null(strstr(text, "  matches exe 'java' and cmdline '*orders.jar*'\n"
				     "  pool http (Tomcat connector) holds threads with thread_name 'http-nio-*'\n"
				     "  process: resident_bytes at most 6GiB, warn at 80%, after 0s, clear after 1m (config)\n"));
	assert_non_null(strstr(text, "  pool http: threads at most 200, warn at 95%, after 2m, clear after 1m (config)\n"));
	assert_non_null(strstr(text, "  process: threads at most 90% of pids.max, warn at 80%, after 0s, clear after 1m (config)\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sample_loads),
		cmocka_unit_test(builtin_without_any_file),
		cmocka_unit_test(inheritance),
		cmocka_unit_test(options_come_first),
		cmocka_unit_test(matching),
		cmocka_unit_test(wrong_files_are_refused),
		cmocka_unit_test(a_rule_that_can_match_is_taken),
		cmocka_unit_test(all_problems_at_once),
		cmocka_unit_test(bounds),
		cmocka_unit_test(unreadable_files),
		cmocka_unit_test(printed_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
