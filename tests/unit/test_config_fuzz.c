/* SPDX-License-Identifier: GPL-2.0-only */
/* The config is untrusted: mutations of the documented sample, under the sanitizers, must be taken or be refused
 * with a place and words. The same for limits as options write them. POOLSCOPE_FUZZ=SEED:ROUNDS repeats or deepens. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "edge/config.h"
#include "edge/config_limit.h"
#include "edge/units.h"

#define SAMPLE "tests/golden/config.yaml"
#define TEXT_MAX 16384

static uint64_t random_state = 1;
static unsigned rounds = 20000;

/* splitmix64 (Steele, Lea, Flood 2014): the same numbers everywhere for one seed. */
static uint64_t random_next(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static size_t random_below(size_t bound)
{
	return bound ? random_next() % bound : 0;
}

/* What a mutation puts in: the words of YAML, of this config, and of trouble. */
static const char *const dictionary[] = {
	"{",	 "}",	 "[",	 "]",	 ":",	 ": ",	 "- ",	 "? ",	 "\n",	 "\n  ", "\n    ", "#",	      "'",	"\"",
	"|\n",	 ">-\n", "&a ",	 "*a",	 "!!map ", "<<: ", "---\n", "...\n", "%YAML 1.1\n", "\\x00", "\\u263a", "\t",	"\r\n", "~",
	"null",	 "true", "false", "100%", "0%",	 "101%", "1e9",	 "-1",	 "18446744073709551615", "16777216TiB", "6GiB", "5m",
	"500ms", "threads", "pools", "pool", "targets", "match", "name", "defaults", "process", "warn", "for", "clear_for",
	"\xff",	 "\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x1b", "\x01", "\x7f", "\xef\xbb\xbf", "\xe2\x80\xa8", "\xc2\x85",
	"resident_bytes: ", "pool_rules:\n", "thread_name: ", "max_pools: ", "listen: ", "follow_forks: ", "[[[[[[[[", "{{{{{{{{",
};

struct text {
	size_t length;
	char bytes[TEXT_MAX];
};

static void splice(struct text *text, size_t at, size_t remove, const char *insert, size_t length)
{
	if (remove > text->length - at)
		remove = text->length - at;
	if (text->length - remove + length > TEXT_MAX - 1)
		return;
	memmove(text->bytes + at + length, text->bytes + at + remove, text->length - at - remove);
	memcpy(text->bytes + at, insert, length);
	text->length += length - remove;
}

static void mutate(struct text *text)
{
	size_t at = random_below(text->length + 1), from = random_below(text->length + 1);
	const char *word = dictionary[random_below(ARRAY_SIZE(dictionary))];
	char copy[256], byte = (char)random_next();
	size_t span = random_below(sizeof(copy));

	if (span > text->length - from)
		span = text->length - from;
	memcpy(copy, text->bytes + from, span);
	switch (random_below(6)) {
	case 0:
		splice(text, at, 0, word, strlen(word));
		break;
	case 1:
		splice(text, at, random_below(16), word, strlen(word));
		break;
	case 2:
		splice(text, at, 1, &byte, 1);
		break;
	case 3:
		splice(text, at, random_below(200), "", 0);
		break;
	case 4: /* a stretch of itself elsewhere */
		splice(text, at, 0, copy, span);
		break;
	default:
		text->length = random_below(8) ? text->length : at;
		break;
	}
}

static unsigned count_lines(const struct text *text)
{
	unsigned lines = 1;

	/* YAML 1.1's other line ends (NEL, LS, PS) count for the library too. */
	for (size_t i = 0; i < text->length; i++)
		lines += text->bytes[i] == '\n' || text->bytes[i] == '\r' || (unsigned char)text->bytes[i] >= 0x80;
	return lines;
}

static void check_taken(const struct config *config, FILE *sink)
{
	static const struct match_subject subject = { "java", "/usr/bin/java", "java -jar orders.jar", "a.service", "/a", "4f" };
	uint32_t entry = 0;

	assert_true(config->policy->n_entries >= 1);
	for (size_t i = 0; i < config->policy->n_entries; i++) {
		const struct policy_entry *policy = &config->policy->entries[i];

		assert_true(policy->max_pools >= 1 && policy->max_pools <= 1024);
		for (size_t j = 0; j < policy->n_limits; j++) {
			assert_true(policy->limits[j].kind < LIMIT_KIND_COUNT);
			assert_true(policy->limits[j].warn_ratio > 0 && policy->limits[j].warn_ratio <= 1);
			assert_true(policy->limits[j].for_ns != UNKNOWN_U64 && policy->limits[j].clear_for_ns != UNKNOWN_U64);
			assert_true(policy->limits[j].value != UNKNOWN_U64);
		}
	}
	if (config_match(config, &subject, &entry) == 0)
		assert_true(entry >= 1 && entry < config->policy->n_entries);
	config_print(config, sink);
}

static void check_refused(const struct problems *problems, const struct text *text)
{
	assert_true(problems->total >= 1 && problems->n_list >= 1 && problems->n_list <= PROBLEMS_MAX);
	for (size_t i = 0; i < problems->n_list; i++) {
		const struct problem *problem = &problems->list[i];

		assert_true(problem->text[0] && strlen(problem->text) < sizeof(problem->text));
		if (problem->line > count_lines(text) + 1)
			fail_msg("line %u of %u: %s\n%.*s", problem->line, count_lines(text), problem->text, (int)text->length, text->bytes);
		for (const char *at = problem->text; *at; at++)
			assert_true(*at >= ' ' && *at <= '~');
	}
}

static void mutated_configs(void **state)
{
	static struct text sample, text;
	FILE *in = fopen(SAMPLE, "re"), *sink = fopen("/dev/null", "we");
	unsigned taken = 0;

	assert_true(in && sink);
	sample.length = fread(sample.bytes, 1, TEXT_MAX / 2, in);
	fclose(in);
	for (unsigned i = 0; i < rounds; i++) {
		_cleanup_(config_freep) struct config *config = NULL;
		struct problems problems = { 0 };
		size_t mutations = 1 + random_below(i % 8 + 1);
		int r;

		text = sample;
		while (mutations--)
			mutate(&text);
		r = config_parse(text.bytes, text.length, &config, &problems);
		if (r == 0) {
			check_taken(config, sink);
			taken++;
		} else {
			assert_int_equal(r, -EINVAL);
			assert_null(config);
			check_refused(&problems, &text);
		}
	}
	fclose(sink);
	print_message("%u of %u mutations were taken\n", taken, rounds);
	/* Else the mutations would not get past the first line. */
	assert_true(taken > rounds / 50);
}

static void mutated_limits(void **state)
{
	static const char *const samples[] = { "anyio*:threads=40", "threads=90%,warn=95%,for=2m,clear_for=1m",
					       "a:b:resident_bytes_per_thread=1.5GiB,for=0.5s", ":threads_started_per_minute=600" };
	static struct text text;

	for (unsigned i = 0; i < rounds; i++) {
		const char *sample = samples[random_below(ARRAY_SIZE(samples))];
		struct limit_rule rule = { 0 };
		char why[256] = "", words[300];
		size_t mutations = 1 + random_below(4);
		int r;

		text.length = strlen(sample);
		memcpy(text.bytes, sample, text.length);
		while (mutations--)
			mutate(&text);
		text.bytes[text.length] = '\0';
		r = limit_spec_parse(text.bytes, &rule, why, sizeof(why));
		if (r == 0) {
			assert_true(rule.warn_ratio > 0 && rule.warn_ratio <= 1);
			assert_true(limit_rule_words(&rule, words, sizeof(words))[0]);
		} else {
			assert_int_equal(r, -EINVAL);
			assert_true(why[0]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mutated_configs),
		cmocka_unit_test(mutated_limits),
	};
	const char *wish = getenv("POOLSCOPE_FUZZ");
	unsigned long seed;

	if (wish && sscanf(wish, "%lu:%u", &seed, &rounds) == 2)
		random_state = seed;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
